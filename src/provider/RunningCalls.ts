/**
 * The calls that run on this node, by tenant and request id.
 *
 * Owns: that one request id is one call, however many wait for it; and that a call is stopped when the last of
 * them has gone.
 * Does not decide: how a call runs (Call), or what ended calls answer (CompletionLog).
 */
import { Deferred, Effect } from "effect"
import { Conflict, type SignalError } from "../signal/Errors.ts"
import type { Completion } from "../signal/Providers.ts"
import type { Call } from "./Call.ts"

export class RunningCall {
  readonly call: Call
  readonly digest: string
  readonly outcome = Deferred.makeUnsafe<Completion, SignalError>()
  /** Done when its hold is there. */
  readonly admitted: Deferred.Deferred<void>
  #waiters = 0
  #hasStarted = false

  constructor(call: Call, digest: string, admitted: Deferred.Deferred<void>) {
    this.call = call
    this.digest = digest
    this.admitted = admitted
  }

  get isAbandoned(): boolean {
    return this.#hasStarted && this.#waiters === 0
  }

  join(): void {
    this.#hasStarted = true
    this.#waiters += 1
  }

  leave(): void {
    this.#waiters -= 1
    if (this.#waiters === 0) this.call.stop("caller_gone")
  }
}

export const reusedWithOtherContent = (requestId: string): Conflict =>
  new Conflict({
    message: `request_id ${requestId} was used for another request; use a new id for new content`,
    reason: "request_reused_with_different_content"
  })

const keyOf = (tenant: string, requestId: string): string => `${tenant}\n${requestId}`

export class RunningCalls {
  readonly #running = new Map<string, RunningCall>()

  get all(): ReadonlyArray<RunningCall> {
    return [...this.#running.values()]
  }

  /** The call of this id that runs now; another content is a `Conflict`. */
  find(tenant: string, requestId: string, digest: string): Effect.Effect<RunningCall | undefined, Conflict> {
    return Effect.suspend(() => {
      const running = this.#running.get(keyOf(tenant, requestId))
      return running === undefined || running.digest === digest
        ? Effect.succeed(running)
        : Effect.fail(reusedWithOtherContent(requestId))
    })
  }

  add(running: RunningCall): void {
    const { principal, requestId } = running.call.identity
    this.#running.set(keyOf(principal.tenant, requestId), running)
  }

  /** Takes a call that ended out, and answers everybody who waits for it. */
  end(running: RunningCall, outcome: Effect.Effect<Completion, SignalError>): void {
    const { principal, requestId } = running.call.identity
    const key = keyOf(principal.tenant, requestId)
    if (this.#running.get(key) === running) this.#running.delete(key)
    running.call.text.end()
    Deferred.doneUnsafe(running.outcome, outcome)
  }
}
