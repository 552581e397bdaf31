/**
 * Kinds that keep a line ask for each tenant what nobody has told their machines at rest: when it has come to this node, and
 * when it was loaded anew.
 *
 * Owns: whom has still to be asked for. Each tenant is asked for in a fiber of its own, so one that does not answer holds
 * up nobody else; where it fails, or is not answered within a minute, it stays here, and is asked for again at the next look.
 * Does not decide: what is asked, and what is done with the answer (the kind).
 */
import { Cause, Effect, Exit, Semaphore } from "effect"
import type { Address } from "./Address.ts"
import type { Resting } from "./DurableMachine.ts"

/** Tenants that are asked for side by side. */
const ASKED_AT_ONCE = 16
/** Who has not answered by then gives its place to another tenant, and is asked for again. */
const ANSWERED_WITHIN = "1 minute"

type IsMine = (address: Address) => boolean

interface Wanted {
  readonly address: Address
  /** Counts what it was wanted for: what comes up while it is asked for may be missing in the answer. */
  times: number
  isUnderWay: boolean
  hasFailed: boolean
}

export interface NewsSurroundings {
  readonly resting: (kind: string) => Resting | undefined
  /** Runs an Effect beside everything else. */
  readonly run: (effect: Effect.Effect<void>) => unknown
}

export class RestingNews {
  readonly #around: NewsSurroundings
  readonly #wanted = new Map<string, Wanted>()
  readonly #slots = Semaphore.makeUnsafe(ASKED_AT_ONCE)

  constructor(around: NewsSurroundings) {
    this.#around = around
  }

  want(kind: string, tenant: string): void {
    const text = `${kind}/${tenant}`
    const known = this.#wanted.get(text)
    if (known !== undefined) known.times += 1
    else
      this.#wanted.set(text, {
        address: { kind, tenant, text },
        times: 1,
        isUnderWay: false,
        hasFailed: false
      })
  }

  /** Whether it is being asked for right now, or about to be. */
  isUnderWay(kind: string, tenant: string): boolean {
    return this.#wanted.get(`${kind}/${tenant}`)?.isUnderWay === true
  }

  /** Asks for all who are wanted and live here, and waits for none. */
  ask(isMine: IsMine): void {
    for (const wanted of this.#wanted.values()) {
      if (wanted.isUnderWay || !isMine(wanted.address)) continue
      wanted.isUnderWay = true
      this.#around.run(this.#slots.withPermits(1)(this.#asked(wanted)))
    }
  }

  #asked(wanted: Wanted): Effect.Effect<void> {
    const { kind, tenant = "", text } = wanted.address
    return Effect.gen({ self: this }, function* () {
      // It may have moved away while it waited for its turn.
      if (this.#wanted.get(text) !== wanted) return
      const { times } = wanted
      const completed = this.#around.resting(kind)?.complete?.(tenant) ?? Effect.void
      const exit = yield* Effect.exit(Effect.timeout(completed, ANSWERED_WITHIN))
      wanted.isUnderWay = false
      if (Exit.isFailure(exit)) yield* this.#failed(wanted, exit.cause)
      else if (this.#wanted.get(text) === wanted && wanted.times === times) this.#wanted.delete(text)
    })
  }

  /** Said once: it is asked for every few seconds. */
  #failed(wanted: Wanted, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    if (wanted.hasFailed || Cause.hasInterruptsOnly(cause)) return Effect.void
    wanted.hasFailed = true
    return Effect.logWarning(
      `what ${wanted.address.text} waits for cannot be asked right now; it is asked again and again`,
      cause
    )
  }

  /** Nothing of these lives here any more. */
  forget(isGone: IsMine): void {
    for (const [text, { address }] of this.#wanted) if (isGone(address)) this.#wanted.delete(text)
  }
}
