/**
 * One random history of durable machines and their child machines, from its seed: processes that die between any two steps
 * (before a commit and after it, before something is done and after it, before that is noted), that go on although another one has
 * taken over, whose store is away or does not say whether it has written, and that come back with another version of the machines.
 * Machines that only wait leave memory at any moment, and come back when they are asked or at theirs.
 *
 * Owns: what happens when, and what must be true at the end. Does not decide: what the machines are (MachineWorld).
 */
import assert from "node:assert/strict"
import { Effect, Exit, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { DurableState } from "../../src/actor/DurableState.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import {
  depot,
  type Living,
  Mortal,
  type Outside,
  outside,
  processOn,
  type WorkerContext,
  worker
} from "./MachineWorld.ts"
import { Random } from "./Random.ts"

const host = installationPrincipal("t", "host")
const WORKS = 6
/** Of a hundred processes, how many go on although another one has begun. */
const HAUNTING = 25

/** What was seen to be wrong, with the seed that shows it again. */
export class MachineHistoryFailure extends Error {
  readonly seed: number

  constructor(seed: number, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    const again = `npm run simulate -- --machines --seed ${seed} --histories 1`
    super(`${what}\nThis history again: ${again}`, { cause })
    this.name = "MachineHistoryFailure"
    this.seed = seed
  }
}

type Tell = (line: string) => void

interface Life {
  readonly mortal: Mortal
  readonly version: string
  /** It is not ended, and does not know that another one has begun. */
  readonly haunts: boolean
}

/** Lets all that only wait leave memory now and then, and looks for those whose moment has come. */
const resting = ({ machines }: Living, random: Random): Effect.Effect<never> => {
  const pause = Effect.suspend(() => Effect.sleep(random.int(50, 550)))
  const look = Effect.ignore(machines.recover(() => true))
  return Effect.forever(Effect.andThen(Effect.andThen(pause, machines.rest(0)), Effect.andThen(pause, look)))
}

/** Starts a process, does something with it, and ends it, whether it died or not. Answers how to end one that haunts. */
const inProcess = (
  world: Outside,
  random: Random,
  { mortal, version, haunts }: Life,
  body: (living: Living) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const living = yield* Scope.provide(processOn(world, mortal, version), scope)
    // Who haunts stays, so as to be there when its machines are another's.
    if (!haunts) yield* Effect.forkIn(resting(living, random), scope)
    const fiber = yield* Effect.forkChild(
      Effect.andThen(
        living.machines.recover(() => true),
        body(living)
      ).pipe(Effect.ignore),
      { startImmediately: true }
    )
    for (let turn = 0; turn < (haunts ? 2 : 12) && fiber.pollUnsafe() === undefined && !mortal.isDead; turn++)
      yield* TestClock.adjust("500 millis")
    if (!haunts) yield* TestClock.adjust("3 seconds")
    const end = Scope.close(scope, Exit.void)
    if (haunts) return end
    yield* end
    return Effect.void
  })

const history = (seed: number, told: Tell) =>
  Effect.gen(function* () {
    const random = new Random(seed)
    const world = outside()
    const answered = new Set<string>()
    const workAll = ({ workers, depots }: Living) =>
      Effect.gen(function* () {
        yield* depots.start(depot, {})
        const { ref } = yield* workers.start(worker, {})
        for (let number = 1; number <= WORKS; number++) {
          const text = `work ${number}`
          if (answered.has(text)) continue
          // Sent again under its id until it is answered.
          yield* ref.ask("work", { text, request_id: text }, host)
          answered.add(text)
          told(`${text} is answered`)
          if (random.isLikely(0.3)) yield* Effect.sleep("1500 millis")
        }
      }).pipe(Effect.ignore)
    let endBefore: Effect.Effect<void> = Effect.void
    for (let life = 0; life < 40 && answered.size < WORKS; life++) {
      const version = random.pick(["1", "2", "3"])
      const haunts = random.isLikely(HAUNTING / 100)
      told(`process ${life + 1} begins, version ${version}${haunts ? ", and will haunt the next" : ""}`)
      // Who dies haunts nobody.
      const end = yield* inProcess(
        world,
        random,
        { mortal: new Mortal(random, !haunts), version, haunts },
        workAll
      )
      yield* endBefore
      endBefore = end
    }
    yield* endBefore
    // The last ones live; and the very last has nothing for anybody, so that nobody comes back but by itself.
    for (const [version, body] of [
      ["3", workAll],
      ["4", () => TestClock.adjust("5 seconds")]
    ] as const) {
      const life = { mortal: new Mortal(random, false), version, haunts: false }
      yield* inProcess(world, random, life, body)
    }
    check(world)
  })

const keptOf = (world: Outside, address: string): Omit<DurableState, "revision"> => {
  const row = world.rows.rows().find((one) => one.address === address)
  if (row === undefined) throw new Error(`${address} is gone`)
  return JSON.parse(row.snapshot) as Omit<DurableState, "revision">
}

const contextOf = <Kept>(world: Outside, address: string): Kept =>
  keptOf(world, address).snapshot.context as Kept

const check = (world: Outside): void => {
  const { taken, results, heard, ticks } = contextOf<WorkerContext>(world, worker.text)
  const { arrived } = contextOf<{ readonly arrived: ReadonlyArray<string> }>(world, depot.text)
  const works = Array.from({ length: WORKS }, (_, index) => `work ${index + 1}`)
  assert.deepStrictEqual(taken, works, `each work is taken once`)
  const sent = [
    ...works,
    ...Array.from({ length: ticks }, (_, index) => `tick ${index + 1}`),
    // What a child has told, its parent has got with its end: in one commit.
    ...results.map((result) => `done ${result}`)
  ]
  assert.deepStrictEqual(arrived.toSorted(), sent.toSorted(), `each signal arrives once`)
  assert.deepStrictEqual(
    arrived.filter((text) => text.startsWith("work")),
    works,
    `in the order in which they were sent`
  )
  assert.strictEqual(new Set(results).size, results.length, `a job's end is taken once`)
  assert.strictEqual(new Set(heard).size, heard.length, `what a child sends is heard once`)
  for (const result of results) assert.ok(heard.includes(result), `it was heard before it ended`)
  for (const result of results) assert.ok(world.jobs.has(result.split(" of ")[0] ?? ""))
  assert.ok(world.jobs.size <= WORKS, `one key for each stay`)
  const { machines, timers, invocations } = keptOf(world, worker.text)
  assert.deepStrictEqual([machines, timers, invocations], [{}, [], {}], "what was begun has ended")
  const { facts, last } = world.rows.feedOf("t")
  assert.deepStrictEqual(
    facts.map(({ body }) => (body as { readonly text: string }).text),
    works,
    `what watchers are told gives the state again`
  )
  assert.strictEqual(last, facts.length)
  for (const address of [worker.text, depot.text]) assert.ok(!world.rows.owes(address))
}

/** Runs the history of a seed, in virtual time. Rejects with what it finds, and the seed. */
export const runMachineHistory = async (seed: number, tell: Tell = () => undefined): Promise<void> => {
  try {
    await Effect.runPromise(
      history(seed, tell).pipe(
        Effect.provide(TestClock.layer({ warningDelay: "1 hour" })),
        Effect.provideService(References.MinimumLogLevel, "None")
      )
    )
  } catch (cause) {
    throw new MachineHistoryFailure(seed, cause)
  }
}

/** Runs the histories of `count` seeds from `first` on. */
export const runMachineHistories = async (first: number, count: number): Promise<void> => {
  for (let seed = first; seed < first + count; seed++) await runMachineHistory(seed)
}
