/**
 * A function of the host's own has thrown where nobody waits for it: a listener, a watcher, a rule about idleness.
 *
 * Owns: that the log says which and why. Does not decide: what goes on without it (whoever called it).
 */
import { Cause, type Context, Effect } from "effect"

/** `what` names the function, and says what follows: "A watcher of till/default threw; …". */
export type Complain = (what: string, error: unknown) => void

/** Complains into the log that these services have. */
export const complainWith =
  (services: Context.Context<never>): Complain =>
  (what, error) => {
    Effect.runForkWith(services)(Effect.logError(what, Cause.die(error)))
  }
