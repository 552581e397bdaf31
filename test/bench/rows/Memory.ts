/**
 * What a thousand idle actors and a thousand budgets keep in memory: heap after garbage collection.
 *
 * The baselines: fibers that wait on a queue of their own, and the same budgets as plain objects out of JSON.
 */
import { Effect, Layer, Queue } from "effect"
import { ActorSystem } from "../../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../../src/actor/Address.ts"
import { DEFAULT_OVERRIDE_POLICY } from "../../../src/signal/Budget.ts"
import { DEFAULT_MANAGER_CONFIG } from "../../../src/signal/Management.ts"
import { UNIT } from "../../../src/signal/Money.ts"
import { makeMemoryLedgerStore } from "../../../src/store/MemoryLedgerStore.ts"
import { Ledger } from "../../../src/tokens/Ledger.ts"
import { type BudgetDefinition, type LedgerSnapshot, LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { type Comparison, number, type RowReport } from "../Figures.ts"
import { startManager } from "../Manager.ts"
import { TENANT } from "../Workload.ts"

const COUNT = 10_000
const THOUSANDS = COUNT / 1_000

const heapAfterGc = async (): Promise<number> => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error("run with --expose-gc")
  for (let times = 0; times < 4; times++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

/** Bytes that stay for what `make` makes; a small part is made before, so that code and tables are there. */
const bytesOf = async <A>(make: (count: number, series: string) => Promise<A>): Promise<number> => {
  const warm = await make(100, "warm")
  const before = await heapAfterGc()
  const kept = await make(COUNT, "kept")
  const after = await heapAfterGc()
  // Named after the measurement, so that nothing of it was collected before.
  if (kept === warm) throw new Error("the same thing was made twice")
  return after - before
}

const kilobytes = (bytes: number): string => `${number(bytes / 1024 / THOUSANDS)} KiB per 1,000`

const comparison = (what: string, bytes: number, baseline: string, bare: number): Comparison => ({
  what,
  measured: kilobytes(bytes),
  baseline: `${baseline}: ${kilobytes(bare)}`,
  ratio: bytes / bare
})

const actors = async (): Promise<Comparison> => {
  const manager = await startManager(Layer.succeed(LedgerStore, makeMemoryLedgerStore()))
  const spawned = await bytesOf((count, series) =>
    manager.run(
      Effect.gen(function* () {
        const system = yield* ActorSystem
        return yield* Effect.forEach(Array.from({ length: count }), (_, index) =>
          system.spawn({
            address: scopedAddress("idle", TENANT, `${series}-${index}`),
            behaviour: ({ ref }) => Effect.forever(Effect.andThen(ref.mailbox.nonEmpty, Effect.void))
          })
        )
      })
    )
  )
  const waiting = await bytesOf((count) =>
    manager.run(
      Effect.forEach(Array.from({ length: count }), () =>
        Effect.flatMap(Queue.unbounded<string>(), (queue) => Effect.forkDetach(Queue.take(queue)))
      )
    )
  )
  await manager.stop()
  return comparison("idle actors", spawned, "fibers that wait on a Queue", waiting)
}

const definitionOf = (index: number, series: string): BudgetDefinition => ({
  id: `budget_${series}_${index.toString(36)}`,
  name: `Budget of user ${series} ${index}`,
  type: "user",
  entityId: `user-${series}-${index}`,
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
  createdAt: 1_790_000_000_000,
  updatedAt: 1_790_000_000_000,
  version: 1,
  sinceSeq: 0,
  openingRate: UNIT
})

const snapshotOf = (count: number, series: string): LedgerSnapshot => ({
  journalSeq: 0,
  head: { usageSeq: 0, alertSeq: 0, idSeq: 0, tracked: 0, tokens: 0n, cost: 0n },
  auditHead: { seq: 0, hash: "" },
  config: DEFAULT_MANAGER_CONFIG,
  budgets: Array.from({ length: count }, (_, index) => definitionOf(index, series)),
  periods: [],
  overrides: [],
  lapsedOverrides: [],
  openRequests: [],
  prices: [],
  rates: [],
  recipients: []
})

const budgets = async (): Promise<Comparison> => {
  const now = Date.now()
  const kept: Array<unknown> = []
  const loaded = await bytesOf(async (count, series) => {
    const ledger = new Ledger(TENANT, snapshotOf(count, series), [], () => "")
    for (const budget of ledger.budgets.values()) budget.periodAt(now).spent += BigInt(count)
    kept.push(ledger)
    return ledger
  })
  const plain = await bytesOf(async (count, series) => {
    const rows = Array.from({ length: count }, (_, index) => {
      const { limit, ...rest } = definitionOf(index, series)
      return JSON.parse(
        JSON.stringify({ ...rest, limit: limit.toString(), start: now, spent: "1", held: "0" })
      )
    })
    kept.push(rows)
    return rows as ReadonlyArray<unknown>
  })
  if (kept.length !== 4) throw new Error("something was not kept")
  return comparison("budgets with a running period", loaded, "plain objects out of JSON", plain)
}

export const memory = async (): Promise<RowReport> => ({
  facts: [`heap after gc, of ${COUNT} each; idle actors are spawned and wait, budgets are loaded and in use`],
  comparisons: [await actors(), await budgets()]
})
