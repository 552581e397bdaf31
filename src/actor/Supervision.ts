/**
 * What happens when an actor's loop ends badly, and what is remembered of it.
 *
 * Owns: the decision (restart with a growing pause and a limit within a window, stop, escalate), and the bounded log.
 * Does not decide: how state is rebuilt (the behaviour's own start), or how a decision is carried out (Lives).
 */
import type { Millis } from "../signal/Text.ts"

/** What becomes of an actor's children when it is restarted. When it ends they end before it, in any case. Default: `stop`. */
type Children = { readonly children?: "stop" | "keep" }

/** Another life, after a pause. */
export interface RestartPolicy extends Children {
  readonly strategy?: "restart"
  /** Restarts allowed within `withinMs`; one more, and the actor has failed. */
  readonly restartsMax: number
  readonly withinMs: number
  readonly backoffMs: number
  readonly backoffMaxMs: number
}

/**
 * No other life. `stop`: the actor has failed. `escalate`: it has failed, and its parent fails with its failure; without a parent
 * it is as `stop`.
 */
export interface FinalPolicy extends Children {
  readonly strategy: "stop" | "escalate"
}

export type SupervisionPolicy = RestartPolicy | FinalPolicy

export const DEFAULT_SUPERVISION: RestartPolicy = {
  restartsMax: 10,
  withinMs: 60_000,
  backoffMs: 50,
  backoffMaxMs: 5_000
}

/** An actor that ends with its first failure. */
export const NEVER_RESTART: FinalPolicy = { strategy: "stop" }

/** An actor whose first failure is its parent's. */
export const ESCALATE: FinalPolicy = { strategy: "escalate" }

export const isFinal = (policy: SupervisionPolicy): policy is FinalPolicy =>
  policy.strategy === "stop" || policy.strategy === "escalate"

/** One that ends with its first failure was made for one thing, and to do that again is not for us to decide. */
export const isRestartable = (policy: SupervisionPolicy): boolean =>
  !isFinal(policy) && policy.restartsMax > 0

/** Decides on one crash: the pause before the restart, or `undefined` to give up. */
export const pauseBeforeRestart = (
  policy: RestartPolicy,
  crashes: ReadonlyArray<number>,
  now: number
): number | undefined => {
  const recent = crashes.filter((at) => at > now - policy.withinMs).length
  if (recent > policy.restartsMax) return undefined
  return Math.min(policy.backoffMs * 2 ** Math.max(0, recent - 1), policy.backoffMaxMs)
}

export type Decision =
  | { readonly decision: "restart"; readonly pauseMs: number }
  | { readonly decision: "stop" | "escalate" }

/** `crashes`: the moments of all of them, this one included. */
export const decideOnCrash = (
  policy: SupervisionPolicy,
  crashes: ReadonlyArray<number>,
  now: number
): Decision => {
  if (isFinal(policy)) return { decision: policy.strategy }
  const pauseMs = pauseBeforeRestart(policy, crashes, now)
  return pauseMs === undefined ? { decision: "stop" } : { decision: "restart", pauseMs }
}

/** What was decided about an actor, and why. */
export interface SupervisionEntry {
  readonly at: Millis
  /** `asked`: somebody wanted it to be restarted. */
  readonly decision: "restart" | "stop" | "escalate" | "asked"
  readonly why: string
  readonly pauseMs: number | null
}

const CRASHES_KEPT = 100
const ENTRIES_KEPT = 32

/** The crashes of one actor, and what was decided about them. */
export class SupervisionLog {
  readonly #crashes: Array<Millis> = []
  readonly #entries: Array<SupervisionEntry> = []

  crashed(policy: SupervisionPolicy, why: string, now: Millis): Decision {
    this.#crashes.push(now)
    const counted = isFinal(policy) ? 0 : policy.restartsMax + 1
    if (this.#crashes.length > Math.max(CRASHES_KEPT, counted)) this.#crashes.shift()
    const decided = decideOnCrash(policy, this.#crashes, now)
    const pauseMs = decided.decision === "restart" ? decided.pauseMs : null
    this.add({ at: now, decision: decided.decision, why, pauseMs })
    return decided
  }

  add(entry: SupervisionEntry): void {
    this.#entries.push(entry)
    if (this.#entries.length > ENTRIES_KEPT) this.#entries.shift()
  }

  /** The last decisions, the oldest first. */
  get entries(): ReadonlyArray<SupervisionEntry> {
    return this.#entries
  }
}
