/**
 * What a commit of the store costs, against the raw limit: the same rows of usage and requests by batched insert
 * into the same tables, without head, holds, counters and changes. `node test/bench/StoreCommit.ts`
 *
 * A call in a batch is one usage row, one new request with a hold, and one change of a request of the batch
 * before. The two sides take turns in one run, so that the machine's mood is the same for both.
 */
import { PgClient } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { serverLayer } from "../../src/store/Postgres.ts"
import { REQUEST_COLUMNS, requestParameters } from "../../src/store/RequestRows.ts"
import { ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { USAGE_COLUMNS, usageParameters } from "../../src/store/UsageRows.ts"
import { type Batch, LedgerStore, type PeriodRow, type RequestRow } from "../../src/tokens/LedgerStore.ts"
import { batch, head, hold, usage } from "../contract/LedgerRows.ts"
import { createTestDatabase, prepareServer } from "../support/Postgres.ts"

const CALLS = 1000
const ROUNDS = 30
const WARM_UP = 5

const BUDGETS = ["budget_1", "budget_2", "budget_3", "budget_4"]
const start = Date.now()
const digest = "0123456789abcdef".repeat(4)
const attribution = { user_id: "user-17", team_id: "team-3", project_id: "billing", feature: "chat" }

const held = (id: string) =>
  hold(id, {
    digest,
    createdAt: start,
    expiresAt: start + 600_000,
    attribution,
    bookings: BUDGETS.map((budgetId) => ({ budgetId, periodStart: 0, amount: 2_100_000_000n }))
  })

const calls = (prefix: string, round: number, size: number): ReadonlyArray<string> =>
  Array.from({ length: size }, (_, index) => `${prefix}-${round}-${index}-6f9619ff8b86d011`)

const newRequests = (ids: ReadonlyArray<string>): ReadonlyArray<RequestRow> =>
  ids.map((requestId) => ({ requestId, hold: held(requestId), attempts: [] }))

const changedRequests = (ids: ReadonlyArray<string>, firstSeq: number): ReadonlyArray<RequestRow> =>
  ids.map((requestId, index) => ({
    requestId,
    hold: { ...held(requestId), state: "posted", bookings: [], remainingCost: 0n, remainingTokens: 0 },
    attempts: [{ attempt: 1, digest, usageSeq: firstSeq + index, isEstimated: false }]
  }))

const usageRows = (ids: ReadonlyArray<string>, firstSeq: number) =>
  ids.map((request_id, index) => ({
    requests: 1,
    usage: usage(firstSeq + index, {
      ...attribution,
      request_id,
      hold_id: `hold_1.${request_id}`,
      recorded_at: start,
      booked_at: start,
      timestamp: start,
      model: "claude-opus-4-5",
      tags: { env: "prod" },
      latency_ms: 812,
      price_id: "price_anthropic_claude-opus-4-5",
      cost: 1_830_000_000n,
      cost_breakdown: [
        { token_type: "input", tokens: 300, price_per_million: 3_000_000_000_000n, cost: 900_000_000n },
        { token_type: "output", tokens: 62, price_per_million: 15_000_000_000_000n, cost: 930_000_000n }
      ],
      estimated_tokens: 1000,
      estimated_cost: 2_100_000_000n
    })
  }))

const periods = (round: number): ReadonlyArray<PeriodRow> =>
  BUDGETS.map((budgetId) => ({
    budgetId,
    start: 0,
    end: null,
    spent: BigInt(round) * 1_830_000_000_000n,
    held: 2_100_000_000_000n,
    carriedOver: 0n,
    overrideTotal: 0n,
    terms: null,
    alertsSent: []
  }))

const batchOf = (prefix: string, round: number, size: number): Batch => {
  const firstSeq = round * size + 1
  const before = round === 0 ? [] : calls(prefix, round - 1, size)
  return batch(
    `${prefix}${round}`,
    { journalSeq: round },
    {
      head: head({
        usageSeq: firstSeq + size,
        tracked: firstSeq + size,
        tokens: 10n ** 18n,
        cost: 10n ** 15n
      }),
      usage: usageRows(before.length > 0 ? before : calls(prefix, round, size), firstSeq),
      newRequests: newRequests(calls(prefix, round, size)),
      changedRequests: changedRequests(before, firstSeq),
      periods: periods(round)
    }
  )
}

const insert = (table: string, columns: typeof USAGE_COLUMNS, firstParameter: number) => {
  const names = columns.map(([name]) => name)
  const values = columns.map(([name, , value]) => `x.${value ?? name}`)
  const arrays = columns.map(([, array], index) => `$${firstParameter + index}::${array}`)
  return `INSERT INTO ${table} (tenant, ${names.join(", ")}) SELECT 'raw', ${values.join(", ")}
FROM unnest(${arrays.join(", ")}) AS x(${names.join(", ")})`
}

/** The same rows by batched insert only. */
const RAW = `WITH u AS (${insert("usage", USAGE_COLUMNS, 1)})
${insert("request", REQUEST_COLUMNS, USAGE_COLUMNS.length + 1)}`

interface Took {
  wallMs: number
  cpuMs: number
}

const timed = <A, E, R>(took: Array<Took>, effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const cpu = process.cpuUsage()
    const from = performance.now()
    return Effect.tap(effect, () =>
      Effect.sync(() => {
        const { user, system } = process.cpuUsage(cpu)
        took.push({ wallMs: performance.now() - from, cpuMs: (user + system) / 1000 })
      })
    )
  })

const quantile = (took: ReadonlyArray<Took>, share: number, of: keyof Took): number => {
  const sorted = took.map((it) => it[of]).toSorted((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) * share)] ?? 0
}

const program = Effect.gen(function* () {
  const store = yield* LedgerStore
  const sql = yield* PgClient.PgClient
  const claim = yield* store.claim("bench", "me")
  const ours: Array<Took> = []
  const raw: Array<Took> = []
  for (let round = 0; round < ROUNDS + WARM_UP; round++) {
    const entry = batchOf("call", round, CALLS)
    const rawRows = batchOf("raw", round, CALLS)
    yield* timed(round < WARM_UP ? [] : ours, store.commit(claim, entry))
    yield* timed(
      round < WARM_UP ? [] : raw,
      Effect.suspend(() =>
        sql.unsafe(RAW, [...usageParameters(rawRows.usage), ...requestParameters(rawRows.newRequests)])
      )
    )
  }
  const single = yield* store.claim("single", "me")
  const one: Array<Took> = []
  for (let round = 0; round < 300; round++) {
    yield* timed(round < 20 ? [] : one, store.commit(single, batchOf("one", round, 1)))
  }
  const show = (took: ReadonlyArray<Took>, share: number, of: keyof Took) =>
    quantile(took, share, of).toFixed(2)
  const ratio = quantile(raw, 0.5, "wallMs") / quantile(ours, 0.5, "wallMs")
  console.log(
    `commit of ${CALLS} calls: p50 ${show(ours, 0.5, "wallMs")} ms, p90 ${show(ours, 0.9, "wallMs")} ms`
  )
  console.log(`  of it in this process: ${show(ours, 0.5, "cpuMs")} ms, so as many µs a call`)
  console.log(`raw limit: p50 ${show(raw, 0.5, "wallMs")} ms, p90 ${show(raw, 0.9, "wallMs")} ms`)
  console.log(`  of it in this process: ${show(raw, 0.5, "cpuMs")} ms`)
  console.log(`calls per second against the raw limit: ${ratio.toFixed(2)}`)
  console.log(`commit of one call: p50 ${show(one, 0.5, "wallMs")} ms, p99 ${show(one, 0.99, "wallMs")} ms`)
})

const stop = await prepareServer()
try {
  const database = await createTestDatabase()
  const client = serverLayer({ url: Redacted.make(database.url) })
  await Effect.runPromise(
    program.pipe(Effect.provide(Layer.provideMerge(ledgerStoreLayer("server"), client)))
  )
} finally {
  await stop()
}
