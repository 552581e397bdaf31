/**
 * Random histories of one tenant's money: holds, reports (duplicate, late, reordered), changes of budgets, crashes
 * between any two steps, commits whose outcome is not known. After every commit the invariants are checked.
 *
 * A failure names its seed; `history(seed)` repeats it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { Approval } from "../../src/signal/Budgeting.ts"
import type { TokenUsage } from "../../src/signal/Usage.ts"
import { remainingOf } from "../../src/tokens/BudgetRecord.ts"
import { expireHolds } from "../../src/tokens/HoldLife.ts"
import { KEPT_PERIODS_MS } from "../../src/tokens/Ledger.ts"
import { Books } from "../tokens/support/Books.ts"
import { checkInvariants } from "../tokens/support/Invariants.ts"
import { Random } from "./Random.ts"
import { type Command, Signals } from "./Signals.ts"

const HISTORIES = 300
const STEPS = 80
const HOUR_MS = 3_600_000

class History {
  readonly #random: Random
  readonly #signals: Signals
  readonly #books = new Books()
  readonly #seen = new Set<string>()
  /** What the client was told for good, by request and attempt. */
  readonly #acknowledged = new Map<string, TokenUsage>()
  #unacknowledged: Array<TokenUsage> = []
  #when: string

  constructor(seed: number) {
    this.#random = new Random(seed)
    this.#signals = new Signals(this.#random)
    this.#when = `seed ${seed}`
  }

  readonly run = Effect.gen({ self: this }, function* () {
    const seed = this.#when
    for (let count = this.#random.int(1, 4); count > 0; count--)
      yield* this.#send(this.#signals.createBudget())
    this.#commit()
    for (let step = 0; step < STEPS; step++) {
      this.#when = `${seed}, step ${step}`
      yield* this.#step()
    }
    this.#when = `${seed}, at the end`
    this.#commit()
    this.#books.now += 48 * HOUR_MS
    expireHolds(this.#books.ledger, this.#books.now)
    this.#commit()
    assert.strictEqual(this.#books.ledger.holds.size, 0, `${this.#when}: every hold has ended`)
  })

  #step(): Effect.Effect<void> {
    return this.#random.weighted<() => Effect.Effect<void>>([
      [20, () => this.#send(this.#signals.next(this.#books.now))],
      [6, () => Effect.sync(() => this.#commit())],
      [2, () => Effect.sync(() => this.#crash())],
      [1, () => Effect.sync(() => this.#loseAnswer())],
      [1, () => Effect.sync(() => this.#forget())],
      [4, () => Effect.sync(() => this.#pass())]
    ])()
  }

  #pass(): void {
    this.#books.now += this.#random.pick([1, 60_000, HOUR_MS, 5 * HOUR_MS, 30 * HOUR_MS])
  }

  /** What was decided is written, and whoever asked is told. */
  #commit(): void {
    this.#books.commit()
    for (const usage of this.#unacknowledged) this.#acknowledge(usage)
    this.#unacknowledged = []
    this.#check()
  }

  /** Memory is lost with all that was not written. */
  #crash(): void {
    this.#unacknowledged = []
    this.#books.crash()
    this.#check()
  }

  /** It is written, but nobody is told; memory is lost. */
  #loseAnswer(): void {
    this.#books.commit()
    this.#crash()
  }

  /** Memory lets go of periods that nothing can be booked into any more. */
  #forget(): void {
    for (const budget of this.#books.ledger.budgets.values())
      budget.forgetBefore(this.#books.now - KEPT_PERIODS_MS)
  }

  #acknowledge(usage: TokenUsage): void {
    const key = `${usage.request_id}/${usage.attempt}`
    const before = this.#acknowledged.get(key)
    if (before !== undefined && before.id !== usage.id) {
      assert.strictEqual(
        usage.adjusts,
        before.id,
        `${this.#when}: ${key} is answered the same, or adjusts it`
      )
    }
    this.#acknowledged.set(key, usage)
  }

  #check(): void {
    checkInvariants(this.#books, this.#when)
    const rows = new Map<string, Array<TokenUsage>>()
    for (const { usage } of this.#books.rows.usage) {
      const key = `${usage.request_id}/${usage.attempt}`
      rows.set(key, [...(rows.get(key) ?? []), usage])
    }
    for (const [key, recorded] of rows) {
      assert.isAtMost(
        recorded.filter(({ adjusts }) => adjusts === undefined).length,
        1,
        `${this.#when}: ${key} is counted once`
      )
      assert.isAtMost(recorded.length, 2, `${this.#when}: ${key} is adjusted once`)
    }
    for (const [key, told] of this.#acknowledged) {
      const row = this.#books.rows.usage[told.usage_seq - 1]?.usage
      assert.strictEqual(row?.id, told.id, `${this.#when}: ${key} was acknowledged and is there`)
    }
  }

  // --- what was decided

  #send(command: Command): Effect.Effect<void> {
    const when = `${this.#when}: ${command.name} ${JSON.stringify(command.params)}`
    return Effect.map(this.#books.send(command.name, command.params), (answer) => {
      if (Result.isFailure(answer)) {
        assert.include(["Conflict", "NotFound", "InvalidParams"], answer.failure._tag, when)
        return
      }
      const success = answer.success
      if ("allowed" in success) this.#approved(success, when)
      if ("tracked" in success) this.#unacknowledged.push(success.usage)
      if ("duplicate" in success && success.duplicate) assert.deepStrictEqual(success.alerts, [], when)
    })
  }

  /** A hard budget never admits beyond its room, and never refuses what it has room for. */
  #approved(approval: Approval, when: string): void {
    if (!approval.allowed) {
      for (const { shortfall, budget_id } of approval.violations) {
        assert.isTrue(shortfall > 0n, when)
        assert.strictEqual(this.#books.ledger.budgets.get(budget_id)?.definition.enforcement, "hard", when)
      }
      return
    }
    const { hold_id } = approval
    if (hold_id === undefined || this.#seen.has(hold_id)) return
    this.#seen.add(hold_id)
    this.#signals.learnHold(hold_id)
    for (const { period, amount } of this.#books.ledger.holds.get(hold_id)?.bookings ?? []) {
      const budget = this.#books.ledger.budgets.get(period.budgetId)
      if (budget === undefined || !budget.definition.isActive || budget.definition.enforcement === "soft")
        continue
      assert.isTrue(
        remainingOf(budget, period) >= 0n,
        `${when}: ${budget.definition.name} has no room for ${amount}`
      )
    }
  }
}

const history = (seed: number): Effect.Effect<void> => Effect.suspend(() => new History(seed).run)

describe("random histories", () => {
  for (let block = 0; block < 10; block++) {
    const first = block * (HISTORIES / 10)
    it.effect(`seeds ${first} to ${first + HISTORIES / 10 - 1}`, () =>
      Effect.gen(function* () {
        for (let seed = first; seed < first + HISTORIES / 10; seed++) yield* history(seed)
      })
    )
  }
})
