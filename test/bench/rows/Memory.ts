/**
 * What a thousand idle actors and a thousand budgets keep in memory: heap after garbage collection.
 *
 * The baselines: fibers that wait on a queue of their own, and the same budgets as plain objects out of JSON.
 */
import { Effect, Layer, Queue } from "effect"
import { ActorSystem } from "../../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../../src/actor/Address.ts"
import { makeMemoryLedgerStore } from "../../../src/store/MemoryLedgerStore.ts"
import { Ledger } from "../../../src/tokens/Ledger.ts"
import { LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { budgetOfMany, fillWithBudgets } from "../Budgets.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, number, type RowReport } from "../Figures.ts"
import { startManager } from "../Manager.ts"
import { TENANT } from "../Workload.ts"

const COUNTS: ByExtent<number> = { whole: 10_000, smallest: 100 }
/** Made before what is measured, so that code and tables are there. */
const WARM_UP = 100

const heapAfterGc = async (): Promise<number> => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error("run with --expose-gc")
  for (let times = 0; times < 4; times++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

/** Bytes that stay for each of `count` things that `make` makes. */
const bytesOf = async <A>(
  count: number,
  make: (count: number, series: string) => Promise<A>
): Promise<number> => {
  const warm = await make(WARM_UP, "warm")
  const before = await heapAfterGc()
  const kept = await make(count, "kept")
  const after = await heapAfterGc()
  // Named after the measurement, so that nothing of it was collected before.
  if (kept === warm) throw new Error("the same thing was made twice")
  return (after - before) / count
}

const kilobytes = (bytes: number): string => `${number((bytes * 1_000) / 1024)} KiB per 1,000`

const comparison = (what: string, bytes: number, baseline: string, bare: number): Comparison => ({
  what,
  measured: kilobytes(bytes),
  baseline: `${baseline}: ${kilobytes(bare)}`,
  ratio: bytes / bare
})

const actors = async (count: number): Promise<Comparison> => {
  const manager = await startManager(Layer.succeed(LedgerStore, makeMemoryLedgerStore()))
  const spawned = await bytesOf(count, (count, series) =>
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
  const waiting = await bytesOf(count, (count) =>
    manager.run(
      Effect.forEach(Array.from({ length: count }), () =>
        Effect.flatMap(Queue.unbounded<string>(), (queue) => Effect.forkDetach(Queue.take(queue)))
      )
    )
  )
  await manager.stop()
  return comparison("idle actors", spawned, "fibers that wait on a Queue", waiting)
}

const budgets = async (count: number): Promise<Comparison> => {
  const now = Date.now()
  const kept: Array<unknown> = []
  const loaded = await bytesOf(count, async (count) => {
    const store = makeMemoryLedgerStore()
    const filled = Effect.flatMap(fillWithBudgets(store, count, now), (claim) => store.load(claim, now))
    const snapshot = await Effect.runPromise(filled)
    const ledger = new Ledger(TENANT, snapshot, [], () => "")
    kept.push(ledger)
    return ledger
  })
  const plain = await bytesOf(count, async (count) => {
    const text = (_: string, value: unknown) => (typeof value === "bigint" ? value.toString() : value)
    const rows = Array.from({ length: count }, (_, index) =>
      JSON.parse(
        JSON.stringify({ ...budgetOfMany(index, now), start: now, spent: String(index), held: "0" }, text)
      )
    )
    kept.push(rows)
    return rows as ReadonlyArray<unknown>
  })
  if (kept.length !== 4) throw new Error("something was not kept")
  return comparison("budgets with a running period", loaded, "plain objects out of JSON", plain)
}

export const memory = async (extent: Extent): Promise<RowReport> => {
  const count = COUNTS[extent]
  return {
    facts: [
      `heap after gc, of ${count} each; idle actors are spawned and wait, budgets are loaded and in use`
    ],
    comparisons: [await actors(count), await budgets(count)]
  }
}
