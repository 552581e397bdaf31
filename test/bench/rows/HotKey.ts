/**
 * What the ledger itself costs: hold and report on one hot key, with the journal in memory, against a bare ask. A hold
 * and a report are two asks; they are compared with one bare ask.
 */
import { Layer } from "effect"
import { makeMemoryLedgerStore } from "../../../src/store/MemoryLedgerStore.ts"
import { LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { timedEffects } from "../Asking.ts"
import { bareAsk } from "../BareAsk.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, micros, type RowReport, rates } from "../Figures.ts"
import { type BenchManager, startManager } from "../Manager.ts"
import { type RoundOptions, takeTurns } from "../Rounds.ts"
import { call, createBudgets } from "../Workload.ts"

const SIZES: ByExtent<RoundOptions> = {
  whole: { rounds: 12, secondsEach: 0.5, warmUpSeconds: 2 },
  smallest: { rounds: 2, secondsEach: 0.05, warmUpSeconds: 0.05 }
}
const SIDE_BY_SIDE = 64
const compare = async (
  manager: BenchManager,
  askers: number,
  rounds: RoundOptions
): Promise<ReadonlyArray<Comparison>> => {
  const askBare = await manager.run(bareAsk)
  let ids = 0
  const ledger = timedEffects(
    "hold + report",
    askers,
    () => call(manager.ref, `hot-${askers}-${++ids}`),
    manager.run
  )
  const bare = timedEffects("bare ask", askers, () => askBare("?"), manager.run)
  const [calls = [], asks = []] = await takeTurns([ledger.contender, bare.contender], rounds)
  const how = askers === 1 ? "one at a time" : `${askers} side by side`
  const latency = (label: string, share: number): Comparison => ({
    what: `${how}: ${label}`,
    measured: micros(ledger.latencies.at(share)),
    baseline: `one bare ask: ${micros(bare.latencies.at(share))}`,
    ratio: ledger.latencies.at(share) / bare.latencies.at(share),
    ...(label === "p50" ? { target: { atMost: 5 } } : {})
  })
  return [
    latency("p50", 0.5),
    latency("p99", 0.99),
    {
      what: `${how}: time per call, from throughput`,
      measured: rates(calls, "calls/s"),
      baseline: `one bare ask: ${rates(asks, "/s")}`,
      ratio: median(asks) / median(calls),
      target: { atMost: 5 }
    }
  ]
}

export const hotKey = async (extent: Extent): Promise<RowReport> => {
  const sizes = SIZES[extent]
  const store = makeMemoryLedgerStore({ checksText: false })
  const manager = await startManager(Layer.succeed(LedgerStore, store))
  await manager.run(createBudgets(manager.ref))
  const comparisons = [
    ...(await compare(manager, 1, sizes)),
    ...(await compare(manager, SIDE_BY_SIDE, sizes))
  ]
  await manager.stop()
  return {
    facts: [
      `one user, four budgets that apply; the store keeps rows in memory; turns of ${sizes.secondsEach} s, ${sizes.rounds} rounds`,
      "latency: the median over the rounds of each round's percentile"
    ],
    comparisons
  }
}
