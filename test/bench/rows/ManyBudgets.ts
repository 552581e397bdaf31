/**
 * Whether a check costs the same however many budgets a tenant has: the same four of them apply to every ask.
 *
 * Owns: tenants of 10 to a million budgets, all with a running period; what a budget keeps in memory, and how long
 * an activation with a hundred thousand of them takes.
 */
import { Effect, Layer } from "effect"
import { DEFAULT_OVERRIDE_POLICY } from "../../../src/signal/Budget.ts"
import { UNIT } from "../../../src/signal/Money.ts"
import { makeMemoryLedgerStore } from "../../../src/store/MemoryLedgerStore.ts"
import { KEPT_PERIODS_MS } from "../../../src/tokens/Ledger.ts"
import {
  type Batch,
  type BudgetDefinition,
  LedgerStore,
  type PeriodRow
} from "../../../src/tokens/LedgerStore.ts"
import { windowAt } from "../../../src/tokens/Period.ts"
import { openDatabase, storeOn } from "../Database.ts"
import { type Comparison, micros, number, percentile, type RowReport, sorted } from "../Figures.ts"
import { type BenchManager, startManager } from "../Manager.ts"
import { createBudgets, holdOf, PRINCIPAL, TENANT } from "../Workload.ts"

const SIZES = [10, 1_000, 100_000, 1_000_000] as const
const ACTIVATED = 100_000
/** Budgets that apply to every call; the others of a tenant are about somebody else. */
const APPLYING = 4
const WARM_UP = 2_000
const TIMES = 4_000
const ROWS_AT_ONCE = 10_000

const now = Date.now()
const window = windowAt({ period: "monthly", timeZone: "UTC", weekStartsOn: "monday" }, now)

const definitionOf = (index: number): BudgetDefinition => ({
  id: `budget_many_${index.toString(36)}`,
  name: `Budget of user ${index}`,
  type: "user",
  entityId: `somebody-${index}`,
  period: "monthly",
  timeZone: "UTC",
  weekStartsOn: "monday",
  measure: "cost",
  currency: "USD",
  limit: 100n * UNIT,
  alertThresholds: [50, 80, 90],
  enforcement: "hard",
  rollover: null,
  overridePolicy: DEFAULT_OVERRIDE_POLICY,
  isActive: true,
  createdAt: now,
  updatedAt: now,
  version: 1,
  sinceSeq: 0,
  openingRate: UNIT
})

const periodOf = (index: number): PeriodRow => ({
  budgetId: `budget_many_${index.toString(36)}`,
  ...window,
  spent: BigInt(index) * 1_000n,
  spentAfterwards: 0n,
  held: 0n,
  carriedOver: 0n,
  overrideTotal: 0n,
  terms: null,
  alertsSent: []
})

/** A batch that writes nothing. */
const EMPTY: Omit<Batch, "id" | "journalSeq" | "head"> = {
  usage: [],
  unpriced: { added: [], removed: [] },
  newRequests: [],
  changedRequests: [],
  openHolds: [],
  closedPages: [],
  budgets: [],
  periods: [],
  overrides: [],
  prices: [],
  rates: [],
  alerts: [],
  recipients: undefined,
  commands: [],
  audit: [],
  cleaned: undefined,
  config: undefined
}

/** Writes that many budgets, each with what it has spent this month. */
const fill = (store: LedgerStore, count: number) =>
  Effect.gen(function* () {
    const claim = yield* store.claim(TENANT, "fill")
    const snapshot = yield* store.load(claim, now - KEPT_PERIODS_MS)
    for (let from = 0, journalSeq = snapshot.journalSeq; from < count; from += ROWS_AT_ONCE, journalSeq++) {
      const part = Array.from({ length: Math.min(ROWS_AT_ONCE, count - from) }, (_, index) => from + index)
      const batch: Batch = {
        ...EMPTY,
        id: `fill ${from}`,
        journalSeq,
        head: snapshot.head,
        budgets: part.map(definitionOf),
        periods: part.map(periodOf)
      }
      yield* store.commit(claim, batch)
    }
  }).pipe(Effect.orDie)

/** Asks one at a time; each hold is released outside of what is timed. */
const timeChecks = (manager: BenchManager, series: number) =>
  manager.run(
    Effect.gen(function* () {
      const times: Array<number> = []
      for (let turn = 0; turn < WARM_UP + TIMES; turn++) {
        const startedAt = performance.now()
        const approval = yield* manager.ref.ask("check_budget", holdOf(`many-${series}-${turn}`), PRINCIPAL)
        if (turn >= WARM_UP) times.push(performance.now() - startedAt)
        if (!approval.allowed || approval.hold_id === undefined)
          return yield* Effect.die(new Error("refused"))
        yield* manager.ref.ask("release_hold", { hold_id: approval.hold_id }, PRINCIPAL)
      }
      return sorted(times)
    }).pipe(Effect.orDie)
  )

const heapAfterGc = (): number => {
  for (let times = 0; times < 3; times++) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

interface Measured {
  readonly size: number
  readonly times: ReadonlyArray<number>
  readonly bytes: number
}

const measureSize = async (size: number): Promise<Measured> => {
  const store = makeMemoryLedgerStore({ checksText: false })
  await Effect.runPromise(fill(store, size - APPLYING))
  const before = heapAfterGc()
  const manager = await startManager(Layer.succeed(LedgerStore, store))
  await manager.run(createBudgets(manager.ref))
  const bytes = heapAfterGc() - before
  const times = await timeChecks(manager, size)
  await manager.stop()
  return { size, times, bytes }
}

/** From the claim to the first answer, on a Postgres server. */
const activation = async (): Promise<string> => {
  const database = await openDatabase()
  const store = storeOn(database)
  await Effect.runPromise(
    Effect.flatMap(LedgerStore, (it) => fill(it, ACTIVATED)).pipe(Effect.provide(store))
  )
  const startedAt = performance.now()
  const manager = await startManager(storeOn(database))
  await manager.run(createBudgets(manager.ref))
  const took = performance.now() - startedAt
  await manager.stop()
  await database.drop()
  return `an activation with ${ACTIVATED.toLocaleString("en-US")} budgets and their periods, on a server: ${number(took / 1000)} s until it has answered`
}

export const manyBudgets = async (): Promise<RowReport> => {
  // The smallest once more before, so that none pays for compiling.
  await measureSize(SIZES[0])
  const measured: Array<Measured> = []
  for (const size of SIZES) measured.push(await measureSize(size))
  const [first] = measured
  if (first === undefined) throw new Error("there are no sizes")
  const comparisons = measured.slice(1).map(
    ({ size, times }): Comparison => ({
      what: `check_budget of four among ${size.toLocaleString("en-US")} budgets, p50`,
      measured: micros(percentile(times, 0.5)),
      baseline: `among ${first.size}: ${micros(percentile(first.times, 0.5))}`,
      ratio: percentile(times, 0.5) / percentile(first.times, 0.5),
      target: { atMost: 1.5 }
    })
  )
  const last = measured.at(-1)
  const each = last === undefined ? 0 : last.bytes / last.size
  return {
    facts: [
      `one ask at a time, ${TIMES} of each; the store keeps rows in memory; every budget has a running period`,
      `memory: ${number(each)} bytes for each budget of the largest tenant, beside its rows in the store`,
      `p99: ${measured.map(({ size, times }) => `${micros(percentile(times, 0.99))} among ${size}`).join(", ")}`,
      await activation()
    ],
    comparisons
  }
}
