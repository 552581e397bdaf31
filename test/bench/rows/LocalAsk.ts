/**
 * What a local ask costs: a signal to an actor of ours and its answer, against a bare ask, which decides nothing and
 * tells nobody, and against the actors of other libraries.
 */
import { Effect } from "effect"
import { timedEffects, timedPromises } from "../Asking.ts"
import { bareAsk } from "../BareAsk.ts"
import { askNact, askXstate, spawnXstate, startNact, startSystem } from "../Echo.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, micros, type RowReport, rates, type Target } from "../Figures.ts"
import { type RoundOptions, takeTurns } from "../Rounds.ts"
import { PRINCIPAL } from "../Workload.ts"

const SIZES: ByExtent<RoundOptions> = {
  whole: { rounds: 8, secondsEach: 0.5, warmUpSeconds: 1 },
  smallest: { rounds: 2, secondsEach: 0.02, warmUpSeconds: 0.02 }
}
const SIDE_BY_SIDE = 64
const ASK = { text: "?" }

const contendersOf = async (system: ReturnType<typeof startSystem>, nact: ReturnType<typeof startNact>) => {
  const ref = await system.run(system.spawn("asked"))
  const askBare = await system.run(bareAsk)
  const machine = spawnXstate()
  const nactRef = nact.spawn("asked")
  return (askers: number) =>
    [
      timedEffects("ours", askers, () => ref.ask("echo", ASK, PRINCIPAL).pipe(Effect.orDie), system.run),
      timedEffects("bare ask", askers, () => askBare("?"), system.run),
      timedPromises("xstate", askers, () => askXstate(machine, "?")),
      timedPromises("nact", askers, () => askNact(nactRef, "?"))
    ] as const
}

/** Against the bare ask, xstate and nact, in this order. */
const TARGETS: ReadonlyArray<Target | undefined> = [{ atMost: 3 }, undefined, { atMost: 1 }]

const compare = async (
  make: Awaited<ReturnType<typeof contendersOf>>,
  askers: number,
  rounds: RoundOptions
): Promise<ReadonlyArray<Comparison>> => {
  const timed = make(askers)
  const [ours] = timed
  const perSecond = await takeTurns(
    timed.map(({ contender }) => contender),
    rounds
  )
  const how = askers === 1 ? "one at a time" : `${askers} side by side`
  return timed.slice(1).flatMap(({ contender, latencies }, index): ReadonlyArray<Comparison> => {
    const target = TARGETS[index]
    const latency = (label: string, share: number): Comparison => ({
      what: `a local ask, ${how}: ${label}`,
      measured: micros(ours.latencies.at(share)),
      baseline: `${contender.name}: ${micros(latencies.at(share))}`,
      ratio: ours.latencies.at(share) / latencies.at(share)
    })
    const [asks = [], others = []] = [perSecond[0], perSecond[index + 1]]
    const throughput: Comparison = {
      what: `a local ask, ${how}: time each, from throughput`,
      measured: rates(asks, "asks/s"),
      baseline: `${contender.name}: ${rates(others, "/s")}`,
      ratio: median(others) / median(asks),
      ...(target === undefined ? {} : { target })
    }
    // Side by side, how long one ask takes says in which order they get their turns, not what they cost.
    if (askers > 1) return [throughput]
    return [
      { ...latency("p50", 0.5), ...(target === undefined ? {} : { target }) },
      latency("p99", 0.99),
      throughput
    ]
  })
}

export const localAsk = async (extent: Extent): Promise<RowReport> => {
  const sizes = SIZES[extent]
  const [system, nact] = [startSystem(), startNact()]
  const make = await contendersOf(system, nact)
  const comparisons = [...(await compare(make, 1, sizes)), ...(await compare(make, SIDE_BY_SIDE, sizes))]
  nact.stop()
  await system.stop()
  return {
    facts: [
      `an actor that answers the text it is asked; turns of ${sizes.secondsEach} s, ${sizes.rounds} rounds, in the order ours, bare, xstate, nact`,
      "xstate runs the event where it is sent, without a mailbox between; latency: the median over the rounds of each round's percentile"
    ],
    comparisons
  }
}
