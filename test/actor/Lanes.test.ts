/** What goes to several receivers one after the other: how much may wait for one, and for all of them. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { scopedAddress } from "../../src/actor/Address.ts"
import { Lanes } from "../../src/actor/Lanes.ts"
import { MachineRouting } from "../../src/actor/MachineRouting.ts"
import { MachineTelling } from "../../src/actor/MachineTelling.ts"
import type { SignalError } from "../../src/signal/Errors.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"
import { settle } from "./support/Node.ts"

interface Item {
  readonly name: string
  readonly taken: Deferred.Deferred<void>
}

const item = (name: string): Item => ({ name, taken: Deferred.makeUnsafe() })

/** Two for each receiver, three in all. */
const make = () => {
  const carried: Array<string> = []
  const abandoned: Array<string> = []
  const fibers: Array<Fiber.Fiber<void>> = []
  const lanes = new Lanes<Item>({
    run: (effect) => fibers.push(Effect.runFork(effect)),
    max: 2,
    maxInAll: 3,
    carry: ({ name, taken }) =>
      Effect.andThen(
        Effect.sync(() => void carried.push(name)),
        Deferred.await(taken)
      ),
    abandon: ({ name }) => void abandoned.push(name)
  })
  return { lanes, carried, abandoned, fibers }
}

describe("lanes", () => {
  it.effect("take so many for one receiver, and so many in all, until some of them have arrived", () =>
    Effect.gen(function* () {
      const { lanes, carried } = make()
      const [a1, a2, b1, c1] = [item("a1"), item("a2"), item("b1"), item("c1")]
      assert.strictEqual(lanes.add("a", a1), "waits")
      assert.strictEqual(lanes.add("a", a2), "waits")
      assert.strictEqual(lanes.add("a", item("a3")), "full")
      assert.strictEqual(lanes.add("b", b1), "waits")
      assert.strictEqual(lanes.add("c", c1), "all full", "a receiver for whom nothing waits")
      assert.strictEqual(lanes.add("b", item("b2")), "all full", "and one for whom there would be room")
      yield* Deferred.succeed(a1.taken, undefined)
      yield* settle
      assert.strictEqual(lanes.add("c", c1), "waits")
      assert.strictEqual(lanes.add("d", item("d1")), "all full")
      assert.deepStrictEqual(carried, ["a1", "b1", "a2", "c1"])
    })
  )

  it.effect("count neither what was taken back nor what was abandoned", () =>
    Effect.gen(function* () {
      const { lanes, abandoned, fibers } = make()
      const [a1, a2] = [item("a1"), item("a2")]
      for (const one of [a1, a2]) assert.strictEqual(lanes.add("a", one), "waits")
      assert.strictEqual(lanes.add("b", item("b1")), "waits")
      lanes.remove("a", a2)
      lanes.remove("a", a2)
      lanes.remove("a", a1)
      assert.strictEqual(
        lanes.add("a", item("a3")),
        "waits",
        "one was taken back, and the first is on its way"
      )
      assert.strictEqual(lanes.add("c", item("c1")), "all full")
      yield* Fiber.interruptAll(fibers)
      assert.deepStrictEqual(abandoned, ["a3"])
      for (const one of ["c", "d", "e"]) assert.strictEqual(lanes.add(one, item(one)), "waits")
      assert.strictEqual(lanes.add("f", item("f")), "all full")
    })
  )
})

describe("of ever new receivers twenty thousand are waited for", () => {
  it("by machines in memory; the next is a dead letter", () => {
    const letters: Array<string> = []
    const telling = new MachineTelling({
      deliver: () => Effect.never,
      deadLetters: { add: ({ why }: { readonly why: string }) => void letters.push(why) } as never,
      definitionOf: () => undefined,
      now: () => 0,
      run: () => undefined
    })
    const from = { kind: "m", tenant: "t", text: "m/t/1" }
    for (let n = 1; n <= 20_001; n++)
      telling.tell(from, { seq: n, to: `order/t/${n}`, signal: "s", params: {} })
    assert.lengthOf(letters, 1)
    assert.include(letters[0], "Overloaded: 20000 signals of machines in memory wait")
  })

  it("by who tells machines of other nodes; the next is Overloaded", () => {
    const errors: Array<SignalError> = []
    const routing = new MachineRouting(() => undefined as never)
    routing.places = { isMine: () => false, ask: () => Effect.never }
    const told = protocol(
      command("note", {
        ...({ family: "host", roles: ["app"], description: "of a test" } as const),
        ...{ payload: {}, success: Schema.Struct({}) }
      })
    )
    const signal = {
      name: "note",
      definition: told.note,
      isAsked: false,
      fail: (error: SignalError) => errors.push(error)
    }
    for (let n = 1; n <= 20_001; n++)
      routing.elsewhere(scopedAddress("order", "t", `${n}`), told)?.carry(signal as never, undefined)
    assert.lengthOf(errors, 1)
    assert.strictEqual(errors[0]?._tag, "Overloaded")
    assert.include(errors[0]?.message, "20000 signals wait for machines of other nodes")
  })
})
