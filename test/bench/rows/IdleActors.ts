/**
 * How fast actors start, and what one that waits keeps in memory: ours, those of other libraries, and for memory also a
 * fiber that waits on a queue of its own, which is the least that something with a mailbox could be.
 */
import { Effect, Queue } from "effect"
import { spawnXstate, startNact, startSystem } from "../Echo.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, number, type RowReport, rates } from "../Figures.ts"
import { bytesOf } from "../Heap.ts"

interface Sizes {
  readonly idle: number
  readonly spawned: number
  readonly rounds: number
}

const SIZES: ByExtent<Sizes> = {
  whole: { idle: 100_000, spawned: 10_000, rounds: 8 },
  smallest: { idle: 100, spawned: 10, rounds: 1 }
}

/** Makes that many, and answers how to end them; both outside of what others are measured by. */
type Make = (count: number) => Promise<() => Promise<void>>

const named = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `a${index}`)

const ours: Make = async (count) => {
  const system = startSystem()
  await system.run(Effect.forEach(named(count), system.spawn, { discard: true }))
  return system.stop
}

const nact: Make = async (count) => {
  const system = startNact()
  for (const name of named(count)) system.spawn(name)
  return async () => system.stop()
}

const xstate: Make = async (count) => {
  const actors = named(count).map(spawnXstate)
  return async () => {
    for (const actor of actors) actor.stop()
  }
}

const fibers: Make = async (count) => {
  const { run, stop } = startSystem()
  const waiting = Effect.flatMap(Queue.unbounded<string>(), (queue) => Effect.forkDetach(Queue.take(queue)))
  const all = await run(Effect.forEach(named(count), () => waiting))
  return async () => {
    for (const fiber of all) fiber.interruptUnsafe()
    await stop()
  }
}

/** Actors started in a second. */
const spawning = async (make: Make, count: number): Promise<number> => {
  const startedAt = performance.now()
  const end = await make(count)
  const took = performance.now() - startedAt
  await end()
  return count / (took / 1000)
}

const bytesEach = async (make: Make, count: number): Promise<number> => {
  const ends: Array<() => Promise<void>> = []
  const bytes = await bytesOf(count, async (part) => {
    const end = await make(part)
    ends.push(end)
    return end
  })
  for (const end of ends) await end()
  return bytes
}

const OTHERS: ReadonlyArray<readonly [name: string, make: Make]> = [
  ["nact", nact],
  ["xstate", xstate]
]

const compareSpawning = async ({ spawned, rounds }: Sizes): Promise<ReadonlyArray<Comparison>> => {
  const contenders = [ours, ...OTHERS.map(([, make]) => make)]
  const perSecond: ReadonlyArray<Array<number>> = contenders.map(() => [])
  for (const make of contenders) await spawning(make, spawned)
  for (let round = 0; round < rounds; round++) {
    for (const [index, make] of contenders.entries()) perSecond[index]?.push(await spawning(make, spawned))
  }
  const [mine = [], ...others] = perSecond
  return OTHERS.map(([name], index) => ({
    what: "actors spawned",
    measured: rates(mine, "/s"),
    baseline: `${name}: ${rates(others[index] ?? [], "/s")}`,
    ratio: median(mine) / median(others[index] ?? [])
  }))
}

const compareMemory = async ({ idle }: Sizes): Promise<ReadonlyArray<Comparison>> => {
  const mine = await bytesEach(ours, idle)
  const comparisons: Array<Comparison> = []
  for (const [name, make] of [["a fiber that waits on a Queue", fibers] as const, ...OTHERS]) {
    const bytes = await bytesEach(make, idle)
    comparisons.push({
      what: "memory of an idle actor",
      measured: `${number(mine)} bytes`,
      baseline: `${name}: ${number(bytes)} bytes`,
      ratio: mine / bytes
    })
  }
  return comparisons
}

export const idleActors = async (extent: Extent): Promise<RowReport> => {
  const sizes = SIZES[extent]
  return {
    facts: [
      `spawned: ${sizes.spawned} in a new system, in turns, ${sizes.rounds} rounds; each is started and waits, with an address`,
      `memory: heap after gc, of ${sizes.idle.toLocaleString("en-US")} of each`
    ],
    comparisons: [...(await compareSpawning(sizes)), ...(await compareMemory(sizes))]
  }
}
