/**
 * Spans: what a signal set off, from the door to the last actor and provider, as OpenTelemetry has it.
 *
 * Owns: when a span begins and ends, whose child it is, which traces are kept (sampling), and what a signal's span says.
 * Does not decide: where spans go (runtime/Telemetry), or what they are called elsewhere (provider/AttemptTrace).
 *
 * Where nobody wants traces there is no `Tracing`, and no signal asks for more than that.
 */
import { Cause, type Clock, Context, Effect, Exit, Option, Tracer } from "effect"
import { ERROR_CODES, type SignalError } from "../signal/Errors.ts"
import { formatAmount } from "../signal/Money.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Address } from "./Address.ts"

type Value = string | number | boolean | ReadonlyArray<string>
export type SpanFacts = { readonly [name: string]: Value | undefined }

/** A span that was not begun here may be the parent of one that is. */
export type ParentSpan = Tracer.AnySpan

export interface TracingOptions {
  readonly tracer: Tracer.Tracer
  readonly clock: Clock.Clock
  /** Whether prompt text and answers are put into spans. */
  readonly content: boolean
  /** Of traces that begin here, how many are kept: from 0 to 1. */
  readonly ratio: number
  /** Whether a caller's trace is kept when the caller keeps it, whatever the ratio. */
  readonly followsParent: boolean
  /** Between 0 and 1. */
  readonly random: () => number
}

export const describe = (span: Tracer.Span, facts: SpanFacts): void => {
  for (const name in facts) {
    const value = facts[name]
    if (value !== undefined) span.attribute(name, value)
  }
}

export class Tracing {
  readonly content: boolean
  readonly #options: TracingOptions

  constructor(options: TracingOptions) {
    this.#options = options
    this.content = options.content
  }

  /** A span that begins now. Whoever begins it ends it. */
  begin(
    name: string,
    kind: Tracer.SpanKind,
    parent: ParentSpan | undefined,
    facts: SpanFacts,
    causes: ReadonlyArray<ParentSpan> = []
  ): Tracer.Span {
    const { tracer, clock } = this.#options
    const span = tracer.span({
      name,
      kind,
      parent: Option.fromUndefinedOr(parent),
      root: parent === undefined,
      sampled: this.#isKept(parent),
      startTime: clock.currentTimeNanosUnsafe(),
      annotations: Context.empty(),
      links: causes.map((span) => ({ span, attributes: {} }))
    })
    describe(span, facts)
    return span
  }

  /** Ends it now, or `atMs` after it began. */
  end(span: Tracer.Span, exit: Exit.Exit<unknown, unknown>, atMs?: number): void {
    const endedAt =
      atMs === undefined
        ? this.#options.clock.currentTimeNanosUnsafe()
        : span.status.startTime + BigInt(Math.round(atMs * 1e6))
    span.end(endedAt, exit)
  }

  /** Runs `run` in a span of its own, a child of the one around it. */
  inSpan<A, E extends SignalError, R>(
    name: string,
    kind: Tracer.SpanKind,
    facts: SpanFacts,
    run: (span: Tracer.Span) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber) => {
      const parent = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
      const span = this.begin(name, kind, parent, facts)
      return Effect.onExit(this.under(span, run(span)), (exit) => this.answered(span, exit))
    })
  }

  /** Runs what was set off by another trace, and may last longer than anybody keeps that open: in one of its own, linked. */
  caused<A, E, R>(
    name: string,
    cause: ParentSpan | undefined,
    facts: SpanFacts,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      const span = this.begin(name, "internal", undefined, facts, cause === undefined ? [] : [cause])
      return Effect.onExit(this.under(span, effect), (exit) => Effect.sync(() => this.end(span, exit)))
    })
  }

  /** Ends the span of a signal with what was answered. */
  answered(span: Tracer.Span, exit: Exit.Exit<unknown, SignalError>): Effect.Effect<void> {
    return Effect.sync(() => {
      describe(span, outcomeFacts(exit))
      this.end(span, exit)
    })
  }

  /**
   * Runs it so that its spans are children of `span`. They alone are sent: what libraries trace for themselves (a statement
   * of SQL, with its text) goes to whatever tracer the host has, or nowhere.
   */
  under<A, E, R>(span: ParentSpan | undefined, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return span === undefined ? effect : Effect.provideService(effect, Tracer.ParentSpan, span)
  }

  /** A signal that is asked of an actor: its span stands between whoever asks and what the actor does for it. */
  ask<A, E extends SignalError>(
    address: Address,
    name: string,
    payload: unknown,
    principal: Principal,
    send: (span: Tracer.Span) => Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    const facts = {
      ...factsOf(payload, principal),
      "bursar.signal": name,
      "bursar.actor.address": address.text
    }
    return this.inSpan(`${name} ${address.kind}`, "internal", facts, send)
  }

  #isKept(parent: ParentSpan | undefined): boolean {
    const { ratio, followsParent, random } = this.#options
    if (parent !== undefined && (followsParent || parent._tag === "Span")) return parent.sampled
    return ratio >= 1 || random() < ratio
  }
}

/** What this runtime traces with; `undefined` where it does not. */
export const CurrentTracing = Context.Reference<Tracing | undefined>("bursar/actor/Tracing", {
  defaultValue: () => undefined
})

/** Apart from the trace of whatever set it off: an actor outlives the signal that it was started for. */
export const apart = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.updateContext(
    effect,
    (context: Context.Context<R>) =>
      Context.omit(Tracer.ParentSpan)(context as Context.Context<never>) as Context.Context<R>
  )

// --- what a signal's span says

/** Whom a signal is for, by the names that OpenTelemetry has for it, and by ours where it has none. */
export const factsOf = (payload: unknown, principal: Principal): SpanFacts => {
  const known = payload as { readonly [field: string]: string | undefined }
  return {
    "bursar.tenant": principal.tenant,
    "bursar.key_id": principal.keyId,
    "bursar.request_id": known.request_id,
    "bursar.hold_id": known.hold_id,
    "bursar.workflow_id": known.workflow_id,
    "gen_ai.agent.name": known.agent,
    "gen_ai.conversation.id": known.conversation_id
  }
}

interface Violation {
  readonly budget_id: string
  readonly name: string
}

const refusalFacts = (reason: string, violations: ReadonlyArray<Violation>): SpanFacts => ({
  "bursar.refused": true,
  "bursar.refused.reason": reason,
  "bursar.refused.budgets": violations.map(({ name }) => name),
  "bursar.refused.budget_ids": violations.map(({ budget_id }) => budget_id)
})

/** What is answered, as far as these signals answer it: a decision, or a usage. */
interface Answered {
  readonly allowed?: boolean
  readonly reason?: string
  readonly violations?: ReadonlyArray<Violation>
  readonly hold_id?: string
  readonly estimated_cost?: bigint
  readonly currency?: string
  readonly duplicate?: boolean
  readonly usage?: { readonly cost: bigint; readonly currency: string; readonly cost_status: string }
}

/** What a usage cost, as exact decimals: no attribute of OpenTelemetry has that. */
export const costFacts = ({ cost, currency, cost_status }: NonNullable<Answered["usage"]>): SpanFacts => ({
  "bursar.cost": formatAmount(cost),
  "bursar.currency": currency,
  "bursar.cost_status": cost_status
})

const successFacts = (success: unknown): SpanFacts => {
  if (typeof success !== "object" || success === null) return {}
  const { allowed, reason, violations, hold_id, estimated_cost, currency, usage } = success as Answered
  if (usage !== undefined) return costFacts(usage)
  if (allowed === undefined) return {}
  return {
    ...(allowed ? { "bursar.refused": false } : refusalFacts(reason ?? "", violations ?? [])),
    "bursar.hold_id": hold_id,
    "bursar.estimated_cost": estimated_cost === undefined ? undefined : formatAmount(estimated_cost),
    "bursar.currency": currency
  }
}

const outcomeFacts = (exit: Exit.Exit<unknown, SignalError>): SpanFacts => {
  if (Exit.isSuccess(exit)) return successFacts(exit.value)
  const error = exit.cause.reasons.find(Cause.isFailReason)?.error
  if (error === undefined) return Cause.hasInterruptsOnly(exit.cause) ? {} : { "error.type": "InternalError" }
  return {
    "error.type": error._tag,
    "rpc.response.status_code": String(ERROR_CODES[error._tag]),
    ...(error._tag === "BudgetExceeded" ? refusalFacts(error.reason, error.violations) : {})
  }
}
