/**
 * The money of one call: its hold, and the reports of its attempts.
 *
 * Owns: that asking, raising, releasing and reporting happen one after the other and are never torn: who waits for
 * one of them can be interrupted, the step itself goes on. So whoever ends the call afterwards knows what is held.
 * Does not decide: whether there is room (BudgetKeeper), or what follows a failure (Retry).
 */
import { Clock, Effect, Fiber, Semaphore } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { Approval } from "../signal/Budgeting.ts"
import { HOLD_TTL_MS_MAX } from "../signal/Budgeting.ts"
import { Conflict, type SignalError } from "../signal/Errors.ts"
import type { Amount } from "../signal/Money.ts"
import type { Principal } from "../signal/Principal.ts"
import type { ModelRef } from "../signal/Providers.ts"
import { ATTEMPTS_MAX, type Counts, type TokenUsage } from "../signal/Usage.ts"
import { Admission } from "./Admission.ts"
import { type AttemptEnd, trackPayload } from "./Attempt.ts"
import type { BudgetKeeper } from "./BudgetKeeper.ts"

/** How long a report is tried again, and how often the wait doubles. */
const REPORT_WAIT_MS = 200
const REPORT_WAIT_MAX_MS = 10_000
/** In all, while the runtime lives; and when it is being stopped. */
const REPORT_PATIENCE_MS = 300_000
export const DYING_PATIENCE_MS = 10_000
const CHECK_PATIENCE_MS = 2_000

export interface CallIdentity {
  readonly requestId: string
  readonly principal: Principal
  readonly attribution: Attribution
}

export interface Estimate {
  readonly promptTokens: number
  /** Absent: the TokenManager's configured default is held. */
  readonly maxCompletionTokens: number | undefined
}

interface Charged {
  readonly tokens: number
  readonly cost: Amount
}
const NOTHING: Charged = { tokens: 0, cost: 0n }

const least = (left: Amount, right: Amount): Amount => (left < right ? left : right)

export class CallMoney {
  readonly #keeper: BudgetKeeper
  readonly #call: CallIdentity
  readonly #holdTtlMs: number
  readonly #steps = Semaphore.makeUnsafe(1)
  #admission: Admission | undefined
  #charged: Charged = NOTHING
  #reported = 0
  /** The number of the latest report; `undefined` until the ledger has said which are taken. */
  #attempt: number | undefined
  #lastUsage: TokenUsage | undefined

  constructor(keeper: BudgetKeeper, call: CallIdentity, holdTtlMs: number) {
    this.#keeper = keeper
    this.#call = call
    this.#holdTtlMs = Math.min(holdTtlMs, HOLD_TTL_MS_MAX)
  }

  /** The permission to call, while the hold is open. */
  get admission(): Admission | undefined {
    return this.#admission
  }

  get lastUsage(): TokenUsage | undefined {
    return this.#lastUsage
  }

  /** Attempts that were reported in this life of the call. */
  get attempts(): number {
    return this.#reported
  }

  /** Asks for approval of a model that has not been tried yet, or whose hold was lost. */
  ask(target: ModelRef, estimate: Estimate): Effect.Effect<Approval, SignalError> {
    return this.#step(this.#check(target, estimate))
  }

  /** Brings the hold back up to its estimate by what failed attempts were charged; or asks anew where it is gone. */
  raise(target: ModelRef, estimate: Estimate): Effect.Effect<Approval, SignalError> {
    return this.#step(
      Effect.suspend(() => {
        const holdId = this.#admission?.holdId
        if (this.#admission === undefined || holdId === undefined) return this.#check(target, estimate)
        const by = {
          tokens: Math.min(this.#charged.tokens, this.#admission.estimatedTokens),
          cost: least(this.#charged.cost, this.#admission.estimatedCost)
        }
        return this.#keeper
          .extend({ hold_id: holdId, by, ttl_ms: this.#holdTtlMs }, this.#call.principal)
          .pipe(
            Effect.tap((approval) => {
              if (approval.allowed) this.#charged = NOTHING
              return Effect.void
            }),
            Effect.catchTags({
              Conflict: () => this.#check(target, estimate),
              NotFound: () => this.#check(target, estimate)
            })
          )
      })
    )
  }

  /** Asks for room for what exceeds the estimate while a call runs. */
  grow(by: {
    readonly tokens: number
    readonly cost: Amount
  }): Effect.Effect<Approval | undefined, SignalError> {
    return this.#step(
      Effect.suspend(() => {
        const holdId = this.#admission?.holdId
        if (holdId === undefined) return Effect.succeed(undefined)
        return this.#keeper.extend({ hold_id: holdId, by }, this.#call.principal)
      })
    )
  }

  /** Keeps the hold from expiring under a long call. A hold that is gone does not stop the call: it is charged anyway. */
  get keepAlive(): Effect.Effect<void> {
    return this.#step(
      Effect.suspend(() => {
        const holdId = this.#admission?.holdId
        if (holdId === undefined) return Effect.void
        return this.#keeper.extend({ hold_id: holdId, ttl_ms: this.#holdTtlMs }, this.#call.principal)
      })
    ).pipe(
      Effect.catch((error) =>
        Effect.logWarning(`The hold of ${this.#call.requestId} could not be prolonged: ${error.message}`)
      ),
      Effect.asVoid
    )
  }

  /** Gives back what is held, if something is. Given up after `patienceMs`: the hold's deadline is the backstop. */
  release(reason: string, patienceMs = DYING_PATIENCE_MS): Effect.Effect<void> {
    const work = Effect.suspend(() => {
      const holdId = this.#admission?.holdId
      this.#admission = undefined
      if (holdId === undefined) return Effect.void
      const payload = { hold_id: holdId, reason: reason.slice(0, 200) }
      return persist(this.#keeper.release(payload, this.#call.principal), patienceMs).pipe(
        Effect.catchTag("Conflict", () => Effect.void),
        Effect.catch((error) =>
          Effect.logError(`The hold of ${this.#call.requestId} stays until its deadline: ${error.message}`)
        ),
        Effect.asVoid
      )
    })
    return this.#step(work)
  }

  /**
   * Reports an attempt. It is sent again until it is known to be recorded; when that has to be given up it is
   * logged as an error, with all that is needed to record it by hand, and fails.
   */
  report(
    end: AttemptEnd,
    settle: boolean,
    patienceMs = REPORT_PATIENCE_MS
  ): Effect.Effect<TokenUsage, SignalError> {
    return this.#step(
      Effect.suspend(() => {
        this.#reported += 1
        if (this.#attempt !== undefined) this.#attempt += 1
        return this.#track(end, settle, patienceMs)
      }).pipe(
        Effect.tap((usage) => {
          this.#lastUsage = usage
          if (settle) this.#admission = undefined
          // What replaces an estimate has taken nothing out of the hold: that is gone.
          if (usage.adjusts === undefined) {
            this.#charged = {
              tokens: this.#charged.tokens + usage.total_tokens,
              cost: this.#charged.cost + usage.cost
            }
          }
          return Effect.void
        }),
        Effect.tapError((error) =>
          Effect.logError(`A report was given up; record it with track_usage: ${error.message}`, {
            tenant: this.#call.principal.tenant,
            request_id: this.#call.requestId,
            attempt: this.#attempt,
            ...end.target,
            ...end.metered.usage.counts
          })
        )
      )
    )
  }

  /** What some counts cost, for showing. */
  price(target: ModelRef, counts: Counts) {
    return this.#keeper.price(target.provider, target.model, counts, this.#call.principal)
  }

  #check(target: ModelRef, estimate: Estimate): Effect.Effect<Approval, SignalError> {
    const { promptTokens, maxCompletionTokens } = estimate
    const payload = {
      ...this.#call.attribution,
      request_id: this.#call.requestId,
      provider: target.provider,
      model: target.model,
      estimated_prompt_tokens: promptTokens,
      ...(maxCompletionTokens !== undefined && { max_completion_tokens: maxCompletionTokens }),
      hold: true,
      hold_ttl_ms: this.#holdTtlMs
    }
    // Where the outcome is not known there may be a hold: asking again with the same id answers that one.
    return persist(this.#keeper.check(payload, this.#call.principal), CHECK_PATIENCE_MS).pipe(
      Effect.tap((approval) => {
        this.#admission = approval.allowed ? Admission.of(approval) : undefined
        this.#charged = NOTHING
        return Effect.void
      })
    )
  }

  /**
   * An earlier life of this request may have reported attempts: their numbers are never used again, for a report under
   * the number of an estimate would replace it. That is what has to happen where somebody took this process for dead
   * and settled the request by a guess: the ledger says which number it is.
   */
  #track(end: AttemptEnd, settle: boolean, patienceMs: number): Effect.Effect<TokenUsage, SignalError> {
    const track = Effect.flatMap(this.#number, (attempt) => {
      const payload = trackPayload(this.#call, end, { attempt, holdId: this.#admission?.holdId, settle })
      return Effect.flatMap(this.#keeper.track(payload, this.#call.principal), ({ usage }) =>
        this.#whole(usage)
      )
    })
    return persist(track, patienceMs).pipe(
      // Somebody else has taken the number meanwhile.
      Effect.catchTag("Conflict", (conflict) => {
        const number = this.#attempt ?? ATTEMPTS_MAX
        if (conflict.reason !== "request_reused_with_different_content" || number >= ATTEMPTS_MAX) {
          return Effect.fail(conflict)
        }
        this.#attempt = number + 1
        return this.#track(end, settle, patienceMs)
      })
    )
  }

  /** Where it replaces a guess, the row is the difference to that: who called is told what the attempt has used. */
  #whole(usage: TokenUsage): Effect.Effect<TokenUsage, SignalError> {
    if (usage.adjusts === undefined) return Effect.succeed(usage)
    const { requestId, principal } = this.#call
    return Effect.map(this.#keeper.attempt(requestId, usage.attempt, principal), (whole) => whole ?? usage)
  }

  get #number(): Effect.Effect<number, SignalError> {
    return Effect.gen({ self: this }, function* () {
      const { requestId, principal } = this.#call
      this.#attempt ??= yield* this.#keeper.nextAttempt(requestId, principal)
      if (this.#attempt > ATTEMPTS_MAX) {
        return yield* new Conflict({
          reason: "request_reused_with_different_content",
          message: `Request ${requestId} has ${ATTEMPTS_MAX} attempts already; report under a new request_id`
        })
      }
      return this.#attempt
    })
  }

  #step<A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.forkDetach(this.#steps.withPermit(work)), (fiber) => restore(Fiber.join(fiber)))
    )
  }
}

/**
 * Sends again what could not be taken now, with growing pauses, for as long as `patienceMs`: what an ask itself
 * waits for a store that is away counts, too.
 */
const persist = <A>(ask: Effect.Effect<A, SignalError>, patienceMs: number): Effect.Effect<A, SignalError> =>
  Effect.flatMap(Clock.currentTimeMillis, (startedAt) => {
    const attempt = (waitMs: number): Effect.Effect<A, SignalError> =>
      ask.pipe(
        Effect.catchTags({
          Unavailable: (error) => again(error, error.retry_after_ms, waitMs),
          Overloaded: (error) => again(error, error.retry_after_ms, waitMs)
        })
      )
    const again = (error: SignalError, askedMs: number, waitMs: number): Effect.Effect<A, SignalError> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        const pauseMs = Math.min(Math.max(waitMs, askedMs), REPORT_WAIT_MAX_MS)
        if (now - startedAt + pauseMs > patienceMs) return Effect.fail(error)
        return Effect.andThen(Effect.sleep(pauseMs), attempt(waitMs * 2))
      })
    return attempt(REPORT_WAIT_MS)
  })
