/**
 * Durable calls per second: hold and report through the actor's ask, four shared budgets, server Postgres.
 *
 * Owns: the contenders, and the check afterwards that the counters equal the sum of the rows: a figure of a
 * ledger that is wrong is worth nothing.
 */
import type { RequestRow, UsageRow } from "../../../src/tokens/LedgerStore.ts"
import { type BenchDatabase, type Client, connect, openDatabase, storeOn } from "../Database.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, type RowReport, rates, sorted } from "../Figures.ts"
import { startManager } from "../Manager.ts"
import { type Contender, type RoundOptions, takeTurns } from "../Rounds.ts"
import { callUntil, createBudgets, TENANT } from "../Workload.ts"
import { NAIVE_TENANT, naiveDesign } from "./NaiveDesign.ts"
import { RAW_TENANT, rawInsert, type Template } from "./RawInsert.ts"

const SIZES: ByExtent<RoundOptions & { readonly callers: number }> = {
  whole: { callers: 2_000, rounds: 4, secondsEach: 4, warmUpSeconds: 2 },
  smallest: { callers: 8, rounds: 1, secondsEach: 0.2, warmUpSeconds: 0.2 }
}
const WRITERS = 1
const BATCHES_REMEMBERED = 10_000

/** What the batches of the actor held, for the raw contender to be given the same. */
class Batches {
  readonly sizes: Array<number> = []
  readonly #usage: Array<UsageRow> = []
  readonly #requests: Array<RequestRow> = []

  readonly take = (batch: {
    readonly usage: ReadonlyArray<UsageRow>
    readonly newRequests: ReadonlyArray<RequestRow>
  }): void => {
    if (batch.usage.length === 0 || this.sizes.length >= BATCHES_REMEMBERED) return
    this.sizes.push(batch.usage.length)
    if (this.#usage.length > 4_000) return
    this.#usage.push(...batch.usage)
    this.#requests.push(...batch.newRequests)
  }

  /** The size of the batch that the median report was in. */
  at(share: number): number {
    const ascending = sorted(this.sizes)
    const rows = ascending.reduce((sum, size) => sum + size, 0)
    let before = 0
    for (const size of ascending) {
      before += size
      if (before >= rows * share) return size
    }
    return 0
  }

  readonly template = (): Template => {
    const size = Math.min(this.at(0.5), this.#usage.length, this.#requests.length)
    return { usage: this.#usage.slice(0, size), requests: this.#requests.slice(0, size) }
  }

  readonly oneUsage = (): UsageRow => this.#usage[0] as UsageRow
}

const SUMS = `SELECT count(*) AS rows, coalesce(sum(cost), 0)::text AS cost,
  (SELECT count(*) FROM request q WHERE q.tenant = $1 AND q.state = 'posted') AS posted,
  (SELECT count(*) FROM request q WHERE q.tenant = $1) AS requests,
  (SELECT count(*) FROM hold_page o WHERE o.tenant = $1) AS open,
  (SELECT count(*) FROM budget_period p WHERE p.tenant = $1 AND p.spent = s.total AND p.held = 0) AS right_counters,
  (SELECT count(*) FROM budget_period p WHERE p.tenant = $1) AS counters,
  (SELECT count(*) FROM tenant_head h WHERE h.tenant = $1 AND h.cost = s.total AND h.tracked = s.n) AS right_heads
FROM usage, (SELECT coalesce(sum(cost), 0) AS total, count(*) AS n FROM usage WHERE tenant = $1) s
WHERE tenant = $1 GROUP BY s.total, s.n`

interface Sums {
  readonly rows: bigint
  readonly cost: string
  readonly posted: bigint
  readonly requests: bigint
  readonly open: bigint
  readonly right_counters: bigint
  readonly counters: bigint
  readonly right_heads: bigint
}

const sumsOf = async (client: Client, tenant: string): Promise<Sums> => {
  const [sums] = await client.run((sql) => sql.unsafe<Sums>(SUMS, [tenant]))
  if (sums === undefined) throw new Error(`the tenant ${tenant} has no rows`)
  return sums
}

const must = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(`the benchmark is wrong: ${what}`)
}

/** Throws unless every counter equals the sum of the rows. */
const check = async (client: Client, calls: number): Promise<ReadonlyArray<string>> => {
  const actor = await sumsOf(client, TENANT)
  must(actor.rows === BigInt(calls), `${calls} calls were answered, ${actor.rows} rows are there`)
  must(actor.posted === actor.rows && actor.requests === actor.rows, "requests are not those of the rows")
  must(actor.open === 0n, `${actor.open} pages have holds that are still open`)
  must(actor.counters === 4n && actor.right_counters === 4n, "a budget's counter is not the sum of the rows")
  must(actor.right_heads === 1n, "the head's counters are not the sums of the rows")
  const naive = await sumsOf(client, NAIVE_TENANT)
  must(naive.right_counters === 4n, "a naive counter is not the sum of the rows")
  const raw = await sumsOf(client, RAW_TENANT)
  must(raw.rows === raw.requests, "the raw rows are not complete")
  return [
    `checked: ${actor.rows} calls answered = usage rows = posted requests; 4 budgets and the head at ${actor.cost} USD = the sum of the rows; no hold open`,
    `rows at the end: actor ${actor.rows}, naive ${naive.rows}, raw ${raw.rows}`
  ]
}

const ratioOf = (measured: ReadonlyArray<number>, baseline: ReadonlyArray<number>): number =>
  median(measured) / median(baseline)

const race = async (database: BenchDatabase, extent: Extent): Promise<RowReport> => {
  const sizes = SIZES[extent]
  const batches = new Batches()
  const manager = await startManager(storeOn(database), batches.take)
  const naiveClient = connect(database, 8)
  const rawClient = connect(database, WRITERS)
  await manager.run(createBudgets(manager.ref))
  let ids = 0
  const actor: Contender = {
    name: "actor",
    run: (deadline) => manager.run(callUntil(manager.ref, sizes.callers, deadline, () => `call-${++ids}`))
  }
  const naive = await naiveDesign(naiveClient, batches.oneUsage)
  const raw = rawInsert(rawClient, WRITERS, batches.template)
  const [calls = [], inNaive = [], inRaw = []] = await takeTurns([actor, naive, raw], sizes)
  await manager.stop()
  const facts = await check(rawClient, ids)
  await Promise.all([naiveClient.close(), rawClient.close()])
  const against = (name: string, baseline: ReadonlyArray<number>, atLeast: number): Comparison => ({
    what: "durable calls",
    measured: rates(calls, "calls/s"),
    baseline: `${name}: ${rates(baseline, "/s")}`,
    ratio: ratioOf(calls, baseline),
    target: { atLeast }
  })
  return {
    facts: [
      `${sizes.callers} callers, each one call at a time; turns of ${sizes.secondsEach} s, ${sizes.rounds} rounds, in the order actor, naive, raw`,
      `reports in the batch of the median report: ${batches.at(0.5)} (p10 ${batches.at(0.1)}, p90 ${batches.at(0.9)}); raw batches have the median`,
      ...facts
    ],
    comparisons: [against(naive.name, inNaive, 60), against(raw.name, inRaw, 0.6)]
  }
}

export const durableCalls = async (extent: Extent): Promise<RowReport> => {
  const database = await openDatabase()
  try {
    return await race(database, extent)
  } finally {
    await database.drop()
  }
}
