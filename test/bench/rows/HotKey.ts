/**
 * What the ledger itself costs: hold and report on one hot key, with the journal in memory, against a bare ask: an
 * Effect Queue and a Deferred, with one consumer that drains in batches.
 *
 * Owns: the bare ask. A hold and a report are two asks; they are compared with one bare ask.
 */
import { Deferred, Effect, Layer, Queue } from "effect"
import { makeMemoryLedgerStore } from "../../../src/store/MemoryLedgerStore.ts"
import { LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, micros, percentile, type RowReport, rates } from "../Figures.ts"
import { type BenchManager, startManager } from "../Manager.ts"
import { type Contender, type RoundOptions, takeTurns } from "../Rounds.ts"
import { call, createBudgets } from "../Workload.ts"

const SIZES: ByExtent<RoundOptions> = {
  whole: { rounds: 12, secondsEach: 0.5, warmUpSeconds: 2 },
  smallest: { rounds: 2, secondsEach: 0.05, warmUpSeconds: 0.05 }
}
const SIDE_BY_SIDE = 64
/** Latencies kept of one contender; later ones overwrite the first. */
const SAMPLES_MAX = 1_000_000

/** Latencies in milliseconds, by round, so that a disturbed round does not stand for all. */
class Latencies {
  readonly #rounds: Array<Float64Array> = []
  readonly #current = new Float64Array(SAMPLES_MAX)
  #count = 0

  readonly add = (milliseconds: number): void => {
    this.#current[this.#count++ % SAMPLES_MAX] = milliseconds
  }

  endRound(): void {
    this.#rounds.push(this.#current.slice(0, Math.min(this.#count, SAMPLES_MAX)).sort())
    this.#count = 0
  }

  /** The median over the rounds of each round's percentile; the warm-up is left out. */
  at(share: number): number {
    return median(this.#rounds.slice(1).map((round) => percentile(round, share)))
  }
}

interface Question {
  readonly text: string
  readonly answer: Deferred.Deferred<string>
}

/** A bare ask: a question with its answer's place goes into a queue; who drains it answers. */
const bareAsk = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<Question>()
  const consumer = Effect.gen(function* () {
    while (true) {
      for (const question of yield* Queue.takeAll(queue)) {
        Deferred.doneUnsafe(question.answer, Effect.succeed(question.text))
      }
    }
  })
  yield* Effect.forkDetach(consumer)
  return (text: string): Effect.Effect<unknown> =>
    Effect.suspend(() => {
      const answer = Deferred.makeUnsafe<string>()
      return Effect.andThen(Queue.offer(queue, { text, answer }), Deferred.await(answer))
    })
})

interface Timed {
  readonly contender: Contender
  readonly latencies: Latencies
}

/** `askers` ask side by side, each one thing at a time, and every ask is timed. */
const timed = (
  name: string,
  manager: BenchManager,
  askers: number,
  ask: () => Effect.Effect<unknown>
): Timed => {
  const latencies = new Latencies()
  const run = (deadline: number): Effect.Effect<number> =>
    Effect.suspend(() => {
      let done = 0
      const asker = Effect.gen(function* () {
        let at = performance.now()
        while (at < deadline) {
          yield* ask()
          const now = performance.now()
          latencies.add(now - at)
          at = now
          done += 1
        }
      })
      const all = Effect.all(
        Array.from({ length: askers }, () => asker),
        { concurrency: "unbounded", discard: true }
      )
      return Effect.map(all, () => {
        latencies.endRound()
        return done
      })
    })
  return { contender: { name, run: (deadline) => manager.run(run(deadline)) }, latencies }
}

const compare = async (
  manager: BenchManager,
  askers: number,
  rounds: RoundOptions
): Promise<ReadonlyArray<Comparison>> => {
  await manager.run(Effect.void)
  const askBare = await manager.run(bareAsk)
  let ids = 0
  const ledger = timed("hold + report", manager, askers, () => call(manager.ref, `hot-${askers}-${++ids}`))
  const bare = timed("bare ask", manager, askers, () => askBare("?"))
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
