/**
 * What one durable hold adds before a call, when little is going on, against the least a durable counter could
 * cost: one autocommitted UPDATE of one row, over a connection with the same settings.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Effect } from "effect"
import { type BenchDatabase, type Client, connect, openDatabase, storeOn } from "../Database.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, micros, percentile, type RowReport, sorted } from "../Figures.ts"
import { startManager } from "../Manager.ts"
import { createBudgets, holdOf, PRINCIPAL } from "../Workload.ts"

const SIZES: ByExtent<{ readonly times: number; readonly warmUp: number }> = {
  whole: { times: 1_500, warmUp: 200 },
  smallest: { times: 5, warmUp: 1 }
}
/** Between two of them, so that nothing is under way when one starts. */
const PAUSE_MS = 2

const time = async (work: () => Promise<unknown>): Promise<number> => {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

const prepareCounter = (client: Client) =>
  client.run((sql) =>
    Effect.andThen(
      sql.unsafe(
        "CREATE TABLE bare_counter (id int8 PRIMARY KEY, spent numeric NOT NULL) WITH (fillfactor = 20)"
      ),
      sql.unsafe("INSERT INTO bare_counter VALUES (1, 0)")
    )
  )

const measure = async (database: BenchDatabase, extent: Extent): Promise<RowReport> => {
  const { times, warmUp } = SIZES[extent]
  const manager = await startManager(storeOn(database))
  const client = connect(database, 1)
  await manager.run(createBudgets(manager.ref))
  await prepareCounter(client)
  const update = () =>
    client.run((sql) =>
      sql.unsafe("UPDATE bare_counter SET spent = spent + $1::numeric WHERE id = 1", ["0.01"])
    )
  let ids = 0
  const hold = () =>
    manager.run(manager.ref.ask("check_budget", holdOf(`latency-${++ids}`), PRINCIPAL).pipe(Effect.orDie))
  const holds: Array<number> = []
  const updates: Array<number> = []
  for (let turn = 0; turn < warmUp + times; turn++) {
    await sleep(PAUSE_MS)
    const held = await time(hold)
    await sleep(PAUSE_MS)
    const updated = await time(update)
    if (turn < warmUp) continue
    holds.push(held)
    updates.push(updated)
  }
  await Promise.all([manager.stop(), client.close()])
  const [hold_, update_] = [sorted(holds), sorted(updates)]
  const compare = (label: string, share: number): Comparison => ({
    what: `one durable hold, ${label}`,
    measured: micros(percentile(hold_, share)),
    baseline: `one UPDATE, autocommit: ${micros(percentile(update_, share))}`,
    ratio: percentile(hold_, share) / percentile(update_, share)
  })
  return {
    facts: [`${times} of each, in turns, one at a time with ${PAUSE_MS} ms between`],
    comparisons: [compare("p50", 0.5), compare("p99", 0.99)]
  }
}

export const addedLatency = async (extent: Extent): Promise<RowReport> => {
  const database = await openDatabase()
  try {
    return await measure(database, extent)
  } finally {
    await database.drop()
  }
}
