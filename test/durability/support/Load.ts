/**
 * A load on the program, and what its clients know of it: what they sent, and what was acknowledged.
 *
 * Owns: the clients' books, and comparing them with what the program says after it came back.
 */
import { assert } from "@effect/vitest"
import { type Amount, formatAmount, parseAmount } from "../../../src/signal/Money.ts"
import type { Program } from "../../support/Program.ts"
import { Disconnected, type Json, Refused, type Wire } from "../../support/Wire.ts"

const MODEL = { provider: "load", model: "load-model" }
const USER = "loaded"
const IN_FLIGHT = 8
const CONNECTIONS = 4
const HOLD_COST = "0.01"
const HOLD_TTL_MS = 86_400_000

/** Counts of the n-th request: each costs something else. */
const countsOf = (n: number) => ({ prompt_tokens: 1_000 + n, completion_tokens: 500 + (n % 7) })

/** Prompt at 1, completion at 2 dollars a million. */
const costOf = (n: number): Amount => {
  const { prompt_tokens, completion_tokens } = countsOf(n)
  return BigInt(prompt_tokens + 2 * completion_tokens) * 1_000_000n
}

const reportOf = (n: number) => ({ request_id: `r${n}`, ...MODEL, ...countsOf(n), user_id: USER })
const askOf = (n: number) => ({
  request_id: `r${n}`,
  ...MODEL,
  estimated_cost: HOLD_COST,
  estimated_tokens: 10,
  hold_ttl_ms: HOLD_TTL_MS,
  user_id: USER
})

/** What is sent of request n: a hold and a report, a hold alone, or a report alone. */
const kindOf = (n: number): "both" | "hold" | "report" =>
  n % 4 === 2 ? "hold" : n % 4 === 3 ? "report" : "both"

export class Load {
  #next = 1
  #isEnough = false
  readonly #sent = new Set<number>()
  readonly #sentHolds = new Set<number>()
  readonly #tracked = new Map<number, Json>()
  readonly #held = new Map<number, string>()
  budgetId = ""

  /** What the load needs to be there. */
  async prepare(program: Program): Promise<void> {
    await program.call("update_pricing", {
      ...MODEL,
      pricing: { prompt_per_million: "1", completion_per_million: "2" }
    })
    const { budget_id } = await program.call("create_budget", {
      name: "of the load",
      type: "user",
      entity_id: USER,
      period: "lifetime",
      limit: "1000000"
    })
    this.budgetId = budget_id
  }

  get acknowledged(): number {
    return this.#tracked.size + this.#held.size
  }

  /** Ends a run of a program that is still there. */
  enough(): void {
    this.#isEnough = true
  }

  /** Works until the program is gone, or it is enough; `onAcknowledged` hears of every answer. */
  async run(program: Program, onAcknowledged: () => void): Promise<void> {
    this.#isEnough = false
    const wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => program.connect()))
    const workers = wires.flatMap((wire) => Array.from({ length: IN_FLIGHT }, () => wire))
    await Promise.all(workers.map((wire) => this.#work(wire, onAcknowledged)))
    for (const wire of wires) wire.close()
  }

  async #work(wire: Wire, onAcknowledged: () => void): Promise<void> {
    while (!this.#isEnough) {
      try {
        await this.#one(wire, this.#next++, onAcknowledged)
      } catch (error) {
        if (error instanceof Disconnected) return
        if (error instanceof Refused && error.tag === "Unavailable") continue
        throw error
      }
    }
  }

  async #one(wire: Wire, n: number, onAcknowledged: () => void): Promise<void> {
    if (kindOf(n) !== "report") {
      this.#sentHolds.add(n)
      const approval = await wire.call("check_budget", askOf(n))
      assert.strictEqual(approval.allowed, true)
      this.#held.set(n, approval.hold_id)
      onAcknowledged()
    }
    if (kindOf(n) === "hold") return
    this.#sent.add(n)
    const { usage } = await wire.call("track_usage", reportOf(n))
    this.#tracked.set(n, usage)
    this.#held.delete(n)
    onAcknowledged()
  }

  /** Everything acknowledged is there once; nothing else is but what was sent; counters are sums of rows. */
  async verify(program: Program): Promise<void> {
    const rows = await allUsage(program)
    const byRequest = new Map(rows.map((row) => [row.request_id, row]))
    assert.strictEqual(byRequest.size, rows.length, "no request is there twice")
    assert.deepStrictEqual(
      rows.map((row) => row.usage_seq).sort((a, b) => a - b),
      rows.map((_, index) => index + 1),
      "usage_seq has no gap"
    )
    for (const [n, usage] of this.#tracked) assert.deepStrictEqual(byRequest.get(`r${n}`), usage)
    for (const id of byRequest.keys()) assert.isTrue(this.#sent.has(Number(id.slice(1))), `${id} was sent`)
    const spent = rows.reduce((sum, row) => sum + parseAmount(row.cost), 0n)
    const expected = [...byRequest.keys()].reduce((sum, id) => sum + costOf(Number(id.slice(1))), 0n)
    assert.strictEqual(formatAmount(spent), formatAmount(expected))
    await this.#verifyCounters(program, rows.length, spent)
  }

  async #verifyCounters(program: Program, rows: number, spent: Amount): Promise<void> {
    const [budget] = (await answerOf(program, "get_budget_status", { budget_id: this.budgetId })).budgets
    assert.strictEqual(budget.spent, formatAmount(spent), "spent is the sum of rows")
    const held = BigInt(budget.open_holds) * parseAmount(HOLD_COST)
    assert.strictEqual(budget.held, formatAmount(held), "held is the sum of open holds")
    const status = await answerOf(program, "get_status")
    assert.deepInclude(status, {
      total_tracked: rows,
      total_cost: formatAmount(spent),
      open_holds: budget.open_holds
    })
    assert.isAtLeast(budget.open_holds, [...this.#held.keys()].filter((n) => kindOf(n) === "hold").length)
  }

  /** Sends again what was not acknowledged: afterwards everything that was ever sent is there, once. */
  async sendAgain(program: Program): Promise<void> {
    const wire = await program.connect()
    const holds = [...this.#sentHolds].filter((n) => !this.#held.has(n) && !this.#sent.has(n))
    for (const n of holds) this.#held.set(n, (await wire.call("check_budget", askOf(n))).hold_id)
    for (const n of [...this.#sent].filter((sent) => !this.#tracked.has(sent))) {
      this.#tracked.set(n, (await wire.call("track_usage", reportOf(n))).usage)
      this.#held.delete(n)
    }
    wire.close()
  }

  /** Every hold that was acknowledged and not reported on is the same hold still; every report a duplicate. */
  async verifyAnswers(program: Program): Promise<void> {
    const wire = await program.connect()
    for (const [n, holdId] of this.#held) {
      const again = await wire.call("check_budget", askOf(n))
      assert.strictEqual(again.hold_id, holdId)
    }
    for (const [n, usage] of this.#tracked) {
      const again = await wire.call("track_usage", reportOf(n))
      assert.deepStrictEqual({ duplicate: again.duplicate, usage: again.usage }, { duplicate: true, usage })
    }
    wire.close()
  }
}

/** A question is asked again where it met a session that had just been ended. */
const answerOf = async (program: Program, method: string, params: Json = {}): Promise<Json> => {
  for (let left = 100; ; left--) {
    try {
      return await program.call(method, params)
    } catch (error) {
      if (left === 0 || !(error instanceof Refused && error.tag === "Unavailable")) throw error
    }
  }
}

/** All usage of the tenant, page by page. */
const allUsage = async (program: Program, filter: Json = {}): Promise<Array<Json>> => {
  const rows: Array<Json> = []
  let cursor: string | undefined
  do {
    const page = await answerOf(program, "get_usage", {
      ...filter,
      limit: 1000,
      ...(cursor === undefined ? {} : { cursor })
    })
    rows.push(...page.items)
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  return rows
}
