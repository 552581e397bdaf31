/**
 * Random histories of durable machines whose process dies between any two steps: before a commit and after it, before
 * something is done and after it, before that is noted.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { stateFrom } from "../../src/actor/DurableState.ts"
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
const FIRST_SEED = 20_261_125
const HISTORIES = 200
const WORKS = 6

/** Starts a process, does something with it, and ends it, whether it died or not. */
const inProcess = (world: Outside, mortal: Mortal, body: (living: Living) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const living = yield* Scope.provide(processOn(world, mortal), scope)
    const fiber = yield* Effect.forkChild(
      Effect.andThen(
        living.machines.recover(() => true),
        body(living)
      ).pipe(Effect.ignore),
      { startImmediately: true }
    )
    for (let turn = 0; turn < 12 && fiber.pollUnsafe() === undefined && !mortal.isDead; turn++)
      yield* TestClock.adjust("500 millis")
    yield* TestClock.adjust("3 seconds")
    yield* Scope.close(scope, Exit.void)
  })

const history = (seed: number) =>
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
          if (random.isLikely(0.3)) yield* Effect.sleep("1500 millis")
        }
      }).pipe(Effect.ignore)
    for (let life = 0; life < 40 && answered.size < WORKS; life++)
      yield* inProcess(world, new Mortal(random, true), workAll)
    // The last one lives.
    yield* inProcess(world, new Mortal(random, false), workAll)
    yield* inProcess(world, new Mortal(random, false), workAll)
    check(world, seed)
  })

const contextOf = <Kept>(world: Outside, address: string): Kept => {
  const row = world.rows.rows().find((one) => one.address === address)
  if (row === undefined) throw new Error(`${address} is gone`)
  return stateFrom(row.snapshot, row.revision).snapshot.context as Kept
}

const check = (world: Outside, seed: number): void => {
  const { taken, results, ticks } = contextOf<WorkerContext>(world, worker.text)
  const { arrived } = contextOf<{ readonly arrived: ReadonlyArray<string> }>(world, depot.text)
  const works = Array.from({ length: WORKS }, (_, index) => `work ${index + 1}`)
  assert.deepStrictEqual(taken, works, `seed ${seed}: each work is taken once`)
  const sent = [...works, ...Array.from({ length: ticks }, (_, index) => `tick ${index + 1}`)]
  assert.deepStrictEqual(arrived.toSorted(), sent.toSorted(), `seed ${seed}: each signal arrives once`)
  assert.deepStrictEqual(
    arrived.filter((text) => text.startsWith("work")),
    works,
    `seed ${seed}: in the order in which they were sent`
  )
  assert.strictEqual(new Set(results).size, results.length, `seed ${seed}: a job's end is taken once`)
  for (const result of results) assert.isTrue(world.jobs.has(result.split(" of ")[0] ?? ""), `seed ${seed}`)
  assert.isAtMost(world.jobs.size, WORKS, `seed ${seed}: one key for each stay`)
  const { facts, last } = world.rows.feedOf("t")
  assert.deepStrictEqual(
    facts.map(({ body }) => (body as { readonly text: string }).text),
    works,
    `seed ${seed}: what watchers are told gives the state again`
  )
  assert.strictEqual(last, facts.length)
  for (const address of [worker.text, depot.text]) assert.isFalse(world.rows.owes(address), `seed ${seed}`)
}

describe("durable machines whose process dies between any two steps", () => {
  it.effect(
    `keep every promise in ${HISTORIES} histories`,
    () =>
      Effect.gen(function* () {
        for (let index = 0; index < HISTORIES; index++) yield* history(FIRST_SEED + index)
      }),
    300_000
  )
})
