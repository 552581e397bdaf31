/**
 * One call: the steps that its machine takes, and what is left to do when it is killed.
 *
 * Owns: what is known of the call (its estimate, the attempt in flight, the attempts so far) and its settling.
 * Does not decide: the order of the steps (CallMachine), room (BudgetKeeper), other tries (Retry).
 */
import { type Context, Effect, Semaphore } from "effect"
import type { ParentSpan, Tracing } from "../actor/Tracing.ts"
import type { Approval } from "../signal/Budgeting.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { AttemptRecord, ModelRef } from "../signal/Providers.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import { NO_USAGE, ProviderFailure } from "./Adapter.ts"
import type { Admission } from "./Admission.ts"
import { type AttemptEnd, recordOf } from "./Attempt.ts"
import { AttemptRun } from "./AttemptRun.ts"
import { AttemptTrace, measure } from "./AttemptTrace.ts"
import type { BudgetKeeper, CallObserver } from "./BudgetKeeper.ts"
import type { CallSteps, StopReason } from "./CallMachine.ts"
import { type CallIdentity, CallMoney, DYING_PATIENCE_MS, type Estimate } from "./CallMoney.ts"
import { type CompletePayload, requestFor } from "./CallRequest.ts"
import { Progress, type ProgressFacts } from "./Progress.ts"
import type { ProviderGuard } from "./ProviderGuard.ts"
import { type Plan, planAfter, type RetryPolicy } from "./Retry.ts"
import { TextLog, type TextLogOptions } from "./TextLog.ts"
import { estimatePrompt } from "./TokenEstimate.ts"

export interface CallSettings extends TextLogOptions {
  readonly retry: RetryPolicy
  /** Between 0 and 1; the same numbers give the same pauses. */
  readonly random: () => number
  readonly holdTtlMs: number
  readonly progressMs: number
}

/** What all calls of a node share. */
export interface CallSurroundings {
  readonly keeper: BudgetKeeper
  readonly observer: CallObserver
  readonly guards: ReadonlyMap<string, ProviderGuard>
  readonly settings: CallSettings
  readonly now: () => number
  /** What metrics are counted with. */
  readonly services: Context.Context<never>
  /** `undefined` where nobody wants traces. */
  readonly tracing: Tracing | undefined
}

const DAY_MS = 86_400_000

export class Call implements CallSteps {
  readonly identity: CallIdentity
  readonly payload: CompletePayload
  readonly text: TextLog
  readonly records: Array<AttemptRecord> = []
  readonly deadlineMs: number
  readonly #around: CallSurroundings
  readonly #money: CallMoney
  readonly #progress: Progress
  readonly #startedAt: number
  readonly #admitted: () => void
  #estimate: Estimate = { promptTokens: 0, maxCompletionTokens: undefined }
  /** Sent, and not reported yet. */
  #inFlight: AttemptRun | undefined
  readonly #reports = Semaphore.makeUnsafe(1)
  #shown: ProgressFacts
  #stopReason: StopReason | undefined
  #stopListener: ((why: StopReason) => void) | undefined
  #attemptTrace: AttemptTrace | undefined
  /** What all its steps are told under, where there are traces. */
  span: ParentSpan | undefined

  constructor(
    around: CallSurroundings,
    identity: CallIdentity,
    payload: CompletePayload,
    onAdmitted: () => void
  ) {
    this.#around = around
    this.identity = identity
    this.payload = payload
    this.#admitted = onAdmitted
    this.#startedAt = around.now()
    this.text = new TextLog(around.settings)
    this.#money = new CallMoney(around.keeper, identity, around.settings.holdTtlMs)
    this.#progress = new Progress(around.observer, identity, around.now)
    this.deadlineMs = payload.deadline_ms ?? DAY_MS
    this.#shown = {
      attempt: 1,
      target: { provider: payload.provider, model: payload.model },
      counts: NO_USAGE
    }
  }

  /** Something was charged, so the call ends the same way whenever it is sent again. */
  get isCharged(): boolean {
    return this.#money.attempts > 0
  }

  get remainingMs(): number {
    return Math.max(0, this.#startedAt + this.deadlineMs - this.#around.now())
  }

  /** What may be shown of the call: no text of it. */
  get insight(): { readonly [name: string]: string | number | boolean | null } {
    const { target, attempt, counts } = this.#shown
    return {
      request_id: this.identity.requestId,
      ...target,
      attempt,
      max_attempts: this.payload.max_attempts,
      stream: this.payload.stream,
      hold_id: this.#money.admission?.holdId ?? null,
      estimated_prompt_tokens: this.#estimate.promptTokens,
      prompt_tokens: counts.prompt_tokens,
      completion_tokens: counts.completion_tokens,
      is_stopping: this.#stopReason !== undefined
    }
  }

  /** Ends the call: nobody waits for it any more. */
  stop(why: StopReason): void {
    this.#stopReason ??= why
    this.#stopListener?.(why)
  }

  onStop(listener: (why: StopReason) => void): () => void {
    this.#stopListener = listener
    if (this.#stopReason !== undefined) listener(this.#stopReason)
    return () => {
      this.#stopListener = undefined
    }
  }

  stateChanged(state: string): void {
    this.#progress.tell(state, this.#facts())
  }

  // --- the steps

  estimate(target: ModelRef): Effect.Effect<void, ProviderFailure> {
    return Effect.gen({ self: this }, function* () {
      const guard = this.#guard(target)
      const closedBy = yield* guard.closedBy
      if (closedBy !== undefined) return yield* closedBy
      const promptTokens = yield* estimatePrompt(guard.adapter, requestFor(this.payload, target))
      this.#estimate = { promptTokens, maxCompletionTokens: this.payload.max_completion_tokens }
      this.#shown = { attempt: this.#money.attempts + 1, target, counts: NO_USAGE }
    })
  }

  askBudget(target: ModelRef, isRetry: boolean): Effect.Effect<Approval, SignalError> {
    const asked = isRetry
      ? this.#money.raise(target, this.#estimate)
      : this.#money.ask(target, this.#estimate)
    return Effect.tap(this.#traced(asked), (approval) => {
      if (approval.allowed) {
        this.#progress.begin(approval.currency)
        this.#admitted()
      }
      return Effect.void
    })
  }

  call(target: ModelRef): Effect.Effect<AttemptEnd> {
    return Effect.gen({ self: this }, function* () {
      const admission = this.#money.admission
      if (admission === undefined)
        return yield* Effect.die(new Error("A call needs an approval before it is made"))
      const { settings } = this.#around
      const guard = this.#guard(target)
      const run = this.#attemptRun(guard, target, admission)
      this.#attemptTrace = this.#beginTrace(run)
      const attempt = guard.through(
        Effect.suspend(() => {
          this.#inFlight = run
          return run.run
        })
      )
      yield* Effect.forkChild(
        this.#progress.watch(settings.progressMs, this.#money, "calling", () => this.#facts())
      )
      yield* Effect.forkChild(
        Effect.forever(
          Effect.andThen(Effect.sleep(settings.holdTtlMs / 2), this.#traced(this.#money.keepAlive))
        )
      )
      const isGuest = target.provider !== this.payload.provider
      return yield* (isGuest ? guard.ifFree(attempt) : attempt).pipe(
        Effect.catch((failure) =>
          this.#inFlight === run ? run.failed(failure) : Effect.succeed(this.#unsent(target, failure))
        )
      )
    })
  }

  cutShort(target: ModelRef, why: StopReason): Effect.Effect<AttemptEnd> {
    return Effect.suspend(() => {
      const run = this.#inFlight
      const failure = this.#stoppedBy(target, why)
      if (run === undefined) return Effect.succeed(this.#unsent(target, failure))
      if (run.end !== undefined) return Effect.succeed(run.end)
      return why === "deadline" ? run.failed(failure) : run.cancelled("the caller went away")
    })
  }

  report(
    end: AttemptEnd,
    settle: boolean,
    patienceMs?: number
  ): Effect.Effect<TokenUsage | undefined, SignalError> {
    // From here on the report is on its way, whatever becomes of the machine.
    return Effect.uninterruptible(this.#reports.withPermit(this.#report(end, settle, patienceMs)))
  }

  release(reason: string): Effect.Effect<void> {
    return this.#traced(this.#money.release(reason))
  }

  planAfter(end: AttemptEnd, tries: number, hasFallback: boolean): Plan {
    if (end.kind !== "failed") return { kind: "finish" }
    const { settings } = this.#around
    return planAfter(settings.retry, end.failure, {
      tries,
      triesMax: end.isSent ? this.payload.max_attempts : tries,
      hasFallback,
      hasTextBeenRead: !this.text.takeBack(),
      remainingMs: this.remainingMs,
      random: settings.random()
    })
  }

  /** Settles a call whose machine was killed: what was sent is reported, what is held is given back. */
  get settleAfterDeath(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      yield* this.#reports.withPermit(this.#reportInFlight)
      yield* this.release("the call was stopped")
    })
  }

  // --- parts

  /** What is in flight is reported by whoever comes first: the machine, or who ends the call after it was killed. */
  #report(
    end: AttemptEnd,
    settle: boolean,
    patienceMs: number | undefined
  ): Effect.Effect<TokenUsage | undefined, SignalError> {
    const work = Effect.suspend((): Effect.Effect<TokenUsage | undefined, SignalError> => {
      if (end.isSent && this.#inFlight === undefined) return Effect.succeed(this.#money.lastUsage)
      this.#inFlight = undefined
      measure(end, this.#around.services)
      if (end.isSent) this.records.push(recordOf(end))
      else return Effect.succeed(this.#money.lastUsage)
      return Effect.tap(this.#money.report(end, settle, patienceMs), (usage) => {
        this.#shown = { attempt: usage.attempt, target: end.target, counts: usage }
        this.#progress.settled(usage)
        return Effect.void
      })
    })
    return Effect.onExit(this.#traced(work), (exit) =>
      Effect.sync(() => {
        this.#attemptTrace?.end(end, end.isSent && exit._tag === "Success" ? exit.value : undefined)
        this.#attemptTrace = undefined
      })
    )
  }

  get #reportInFlight(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const run = this.#inFlight
      if (run === undefined) return Effect.void
      return Effect.flatMap(this.cutShort(run.order.target, "caller_gone"), (end) =>
        Effect.ignore(this.#report(end, true, DYING_PATIENCE_MS))
      )
    })
  }

  /** The machine's steps run in fibers of their own: what they ask for belongs to the call's trace. */
  #traced<A, E>(step: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const { tracing } = this.#around
    return tracing === undefined ? step : tracing.under(this.span, step)
  }

  #beginTrace({ order }: AttemptRun): AttemptTrace | undefined {
    const { tracing } = this.#around
    if (tracing === undefined) return undefined
    const facts = { "bursar.hold_id": order.admission.holdId }
    return new AttemptTrace(
      tracing,
      this.span,
      this.identity,
      order.target,
      order.request,
      order.isStream,
      facts
    )
  }

  #guard(target: ModelRef): ProviderGuard {
    const guard = this.#around.guards.get(target.provider)
    if (guard === undefined) throw new Error(`There is no provider ${target.provider}`)
    return guard
  }

  #attemptRun(guard: ProviderGuard, target: ModelRef, admission: Admission): AttemptRun {
    const { promptTokens, maxCompletionTokens } = this.#estimate
    const held = admission.estimatedTokens - promptTokens
    const request = {
      ...requestFor(this.payload, target),
      maxCompletionTokens: maxCompletionTokens ?? Math.max(1, held)
    }
    return new AttemptRun(
      {
        adapter: guard.adapter,
        target,
        request,
        admission,
        estimatedPromptTokens: promptTokens,
        isStream: this.payload.stream,
        onText: (piece) => this.text.push(piece),
        isCovered: () => this.#isCovered(admission, request.maxCompletionTokens)
      },
      this.#around.now
    )
  }

  /** Where the input is larger than was held for it: holds more, goes on without, or stops, as the caller wants. */
  #isCovered(admission: Admission, maxCompletionTokens: number): Effect.Effect<boolean> {
    const run = this.#inFlight
    if (run === undefined || this.payload.on_overrun === "finish") return Effect.succeed(true)
    const { prompt_tokens: promptTokens } = run.meter.soFar(0)
    const tokens = promptTokens + maxCompletionTokens - admission.estimatedTokens
    if (tokens <= 0) return Effect.succeed(true)
    if (this.payload.on_overrun === "stop") return Effect.succeed(false)
    const counts = { prompt_tokens: promptTokens, completion_tokens: maxCompletionTokens }
    return this.#money.price(run.order.target, counts).pipe(
      Effect.flatMap(({ cost }) => {
        const more = cost - admission.estimatedCost
        return this.#money.grow({ tokens, cost: more > 0n ? more : 0n })
      }),
      Effect.map((approval) => approval?.allowed !== false),
      // What cannot be asked now is overage later; the call was approved.
      Effect.orElseSucceed(() => true)
    )
  }

  #facts(): ProgressFacts {
    const run = this.#inFlight
    if (run === undefined) return this.#shown
    this.#shown = {
      attempt: this.#money.attempts + 1,
      target: run.order.target,
      counts: run.meter.soFar(run.order.estimatedPromptTokens)
    }
    return this.#shown
  }

  #stoppedBy(target: ModelRef, why: StopReason): ProviderFailure {
    return new ProviderFailure({
      provider: target.provider,
      status: null,
      isRetryable: true,
      retryAfterMs: undefined,
      message: why === "deadline" ? `no answer within ${this.deadlineMs} ms` : "the caller went away",
      usage: undefined,
      reachedProvider: true
    })
  }

  #unsent(target: ModelRef, failure: ProviderFailure): AttemptEnd {
    return {
      kind: "failed",
      isSent: false,
      target,
      failure,
      latencyMs: 0,
      timeToFirstTokenMs: undefined,
      metered: { usage: { counts: NO_USAGE }, source: "reported" }
    }
  }
}
