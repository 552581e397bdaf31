/**
 * Askers side by side, each one ask at a time, and every ask timed.
 *
 * Owns: the loops, of Effects and of promises alike, and the latencies by round.
 * Does not decide: whose turn it is (Rounds).
 */
import { Effect } from "effect"
import { median, percentile } from "./Figures.ts"
import type { Contender } from "./Rounds.ts"

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

export interface Timed {
  readonly contender: Contender
  readonly latencies: Latencies
}

interface Tally {
  readonly done: () => void
}

/** Runs what `ask` makes, as fibers. `run` starts them where the actors are. */
export const timedEffects = (
  name: string,
  askers: number,
  ask: () => Effect.Effect<unknown>,
  run: (asking: Effect.Effect<void>) => Promise<void>
): Timed =>
  timed(name, (deadline, latencies, { done }) => {
    const asker = Effect.gen(function* () {
      let at = performance.now()
      do {
        yield* ask()
        const now = performance.now()
        latencies.add(now - at)
        at = now
        done()
      } while (at < deadline)
    })
    return run(
      Effect.all(
        Array.from({ length: askers }, () => asker),
        { concurrency: "unbounded", discard: true }
      )
    )
  })

/** The same, of promises. */
export const timedPromises = (name: string, askers: number, ask: () => Promise<unknown>): Timed =>
  timed(name, async (deadline, latencies, { done }) => {
    const asker = async () => {
      let at = performance.now()
      do {
        await ask()
        const now = performance.now()
        latencies.add(now - at)
        at = now
        done()
      } while (at < deadline)
    }
    await Promise.all(Array.from({ length: askers }, asker))
  })

const timed = (
  name: string,
  askAll: (deadline: number, latencies: Latencies, tally: Tally) => Promise<void>
): Timed => {
  const latencies = new Latencies()
  const run = async (deadline: number): Promise<number> => {
    let count = 0
    await askAll(deadline, latencies, { done: () => (count += 1) })
    latencies.endRound()
    return count
  }
  return { contender: { name, run }, latencies }
}
