/** Between whoever loses a signal and the store no dead letter is doubled, lost in silence, or held in memory whole. */
import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import type { DeadLetterStore } from "../../src/actor/DeadLetterStore.ts"
import { DeadLetters, type WholeLetter } from "../../src/actor/DeadLetters.ts"
import { LetterKeeper } from "../../src/actor/LetterKeeper.ts"
import { quiet, WHO } from "./support/Till.ts"

const letter = (n: number): WholeLetter => ({
  address: "till/default",
  signal: "pay",
  payload: "{coins:1}",
  principal: WHO,
  at: n,
  why: "It has stopped",
  whole: () => `{"n":${n}}`
})

/** A store that takes letters once it is open. */
const slowStore = () => {
  const open = Latch.makeUnsafe(false)
  const taken: Array<number> = []
  const store = {
    add: (_tenant, letters) =>
      Effect.andThen(
        open.await,
        Effect.sync(() => {
          for (const { at } of letters) taken.push(at)
        })
      )
  } as Partial<DeadLetterStore> as DeadLetterStore
  return { store, open, taken }
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

it.effect("what is being written when everything ends is written once, and all that waits with it", () =>
  Effect.gen(function* () {
    const { store, open, taken } = slowStore()
    const keeper = new LetterKeeper(store)
    const running = yield* Effect.forkScoped(keeper.running)
    for (const n of numbers(250)) keeper.keep(letter(n))
    yield* quiet
    const flushed = yield* Effect.forkScoped(keeper.flushed)
    yield* quiet
    open.openUnsafe()
    yield* Fiber.join(flushed)
    assert.deepStrictEqual(taken, numbers(250))
    yield* quiet
    yield* Fiber.interrupt(running)
    assert.lengthOf(taken, 250)
  }).pipe(Effect.scoped)
)

it.effect("the last look writes more than one turn takes", () =>
  Effect.gen(function* () {
    const { store, open, taken } = slowStore()
    open.openUnsafe()
    const keeper = new LetterKeeper(store)
    for (const n of numbers(250)) keeper.keep(letter(n))
    yield* keeper.flushed
    assert.deepStrictEqual(taken, numbers(250))
  })
)

it.effect("the list of the newest holds no payload; who keeps them is given it", () =>
  Effect.sync(() => {
    const told: Array<object> = []
    const kept: Array<string | null | undefined> = []
    const letters = new DeadLetters((one) => told.push(one))
    letters.keep = ({ whole }) => kept.push(whole?.())
    letters.add(letter(1))
    assert.deepStrictEqual(kept, ['{"n":1}'])
    for (const one of [...letters.newest(1), ...told]) assert.notProperty(one, "whole")
    assert.deepInclude(letters.newest(1)[0], { signal: "pay", payload: "{coins:1}", at: 1 })
  })
)
