/** Ports that a test scripts: what each ask answers, in order; and what was asked, in words. */
import { Effect } from "effect"
import type { SignalPayload, SignalSuccess } from "../../../src/signal/Catalogue.ts"
import { BudgetExceeded, type SignalError, Unavailable, type Violation } from "../../../src/signal/Errors.ts"
import { parseAmount } from "../../../src/signal/Money.ts"
import type { Completion } from "../../../src/signal/Providers.ts"
import {
  type KeyStanding,
  type MoneySignal,
  NO_NEWS,
  type RoomListener,
  type RoomNews,
  type WorkflowPorts
} from "../../../src/workflow/Ports.ts"

type Answer<A> = A | SignalError

const isError = (answer: unknown): answer is SignalError => answer instanceof Error

const given = <A>(answer: Answer<A>): Effect.Effect<A, SignalError> =>
  isError(answer) ? Effect.fail(answer) : Effect.succeed(answer)

export const completionOf = (content: string, more: Partial<Completion> = {}): Completion =>
  ({
    request_id: "r",
    provider: "simulator",
    model: "sim-fast",
    content,
    finish_reason: "stop",
    usage: {
      usage_seq: 1,
      prompt_tokens: 10,
      completion_tokens: 5,
      cost: parseAmount("0.001"),
      currency: "USD"
    },
    attempts: [{}],
    ...more
  }) as unknown as Completion

export const violationOf = (more: Partial<Violation> = {}): Violation =>
  ({
    budget_id: "budget_1",
    name: "team",
    type: "team",
    entity_id: "red",
    measure: "cost",
    currency: "USD",
    limit: parseAmount("1"),
    spent: parseAmount("0.9"),
    held: 0n,
    remaining: parseAmount("0.1"),
    percent_used: 90,
    state: "warning",
    resets_at: null,
    requested: parseAmount("0.3"),
    shortfall: parseAmount("0.2"),
    override: "available",
    ...more
  }) as Violation

export const exceeded = (
  violations: ReadonlyArray<Violation>,
  retry_at: number | null = null
): BudgetExceeded =>
  new BudgetExceeded({ message: "Refused: no room", reason: "Refused: no room", violations, retry_at })

const NOTHING_USED: SignalSuccess<"find_request"> = {
  open_hold: null,
  is_posted: false,
  attempts: 0,
  next_attempt: 1,
  prompt_tokens: 0,
  completion_tokens: 0,
  cost: 0n,
  currency: "USD",
  last_seq: 0
}

const NOT_ADJUSTED: SignalSuccess<"find_adjustments"> = { items: [], next_seq: null }

export class FakePorts implements WorkflowPorts {
  readonly asked: Array<{ readonly name: string; readonly payload: unknown }> = []
  readonly completions: Array<Answer<Completion>> = []
  readonly answers = new Map<MoneySignal, Array<unknown>>()
  readonly listeners = new Set<RoomListener>()

  /** What the next asks of this name are answered with; the last one stays. */
  script<Name extends MoneySignal>(
    name: Name,
    ...answers: ReadonlyArray<Answer<SignalSuccess<Name>> | Partial<SignalSuccess<Name>>>
  ): this {
    this.answers.set(name, [...answers])
    return this
  }

  named(name: string): ReadonlyArray<unknown> {
    return this.asked.filter((ask) => ask.name === name).map(({ payload }) => payload)
  }

  /** What is said of the key each time; nothing: it is as it was. */
  readonly standings: Array<KeyStanding | Unavailable> = []

  readonly keys: WorkflowPorts["keys"] = {
    of: (principal) =>
      Effect.suspend(() => {
        const next = this.standings.length > 1 ? this.standings.shift() : this.standings[0]
        return next instanceof Unavailable ? Effect.fail(next) : Effect.succeed(next ?? { holder: principal })
      })
  }

  /** Whether the call of a request runs, or has an end that is kept. */
  isKnown = false

  readonly calls = {
    providers: ["simulator"],
    models: () => undefined,
    complete: (payload: SignalPayload<"complete">) =>
      Effect.suspend(() => {
        this.asked.push({ name: "complete", payload })
        const [next] = this.completions
        if (this.completions.length > 1) this.completions.shift()
        return next === undefined ? Effect.never : given(next)
      }),
    isKnown: () => Effect.sync(() => this.isKnown),
    settle: (payload: SignalPayload<"complete">) =>
      Effect.sync(() => {
        this.asked.push({ name: "settle", payload })
      })
  }

  readonly money = {
    ask: <Name extends MoneySignal>(name: Name, payload: SignalPayload<Name>) =>
      Effect.suspend(() => {
        this.asked.push({ name, payload })
        const answers = this.answers.get(name) ?? []
        const next = answers.length > 1 ? answers.shift() : answers[0]
        if (next === undefined && name === "find_request")
          return Effect.succeed(NOTHING_USED as SignalSuccess<Name>)
        if (next === undefined && name === "find_adjustments")
          return Effect.succeed(NOT_ADJUSTED as SignalSuccess<Name>)
        if (next === undefined) return Effect.die(new Error(`nobody has scripted ${name}`))
        return given(next as Answer<SignalSuccess<Name>>)
      }),
    onRoom: (_tenant: string, listener: RoomListener) => {
      this.listeners.add(listener)
      return () => {
        this.listeners.delete(listener)
      }
    }
  }

  /** Something was committed. */
  change(news: Partial<RoomNews> = { redefined: ["budget_1"] }): void {
    for (const { onNews } of [...this.listeners]) onNews({ ...NO_NEWS, ...news })
  }

  /** The budget of `violationOf` has so much left. */
  leaves(remaining: string, approved: ReadonlyArray<string> = []): void {
    const standing = { budgetId: "budget_1", entityId: "red", remaining: parseAmount(remaining) }
    this.change({ standings: [standing], approved })
  }

  /** A call of this workflow has its hold. */
  admit(workflowId: string): void {
    for (const { onAdmitted } of [...this.listeners]) onAdmitted(workflowId)
  }
}

export const used = (more: Partial<SignalSuccess<"find_request">>): SignalSuccess<"find_request"> => ({
  ...NOTHING_USED,
  ...more
})
