/** What is sent without having been decoded, as plain JavaScript or an `as any` does: where it is looked at, and what is said. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ActorOptions, ActorSystem } from "../../src/actor/ActorSystem.ts"
import { InvalidParams } from "../../src/signal/Errors.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { host, parcels, process, settle } from "./support/Node.ts"
import { addressOf } from "./support/Parcel.ts"
import { quiet, type Till, tillAt, told, WHO } from "./support/Till.ts"
import { TwoNodes } from "./support/TwoNodes.ts"

const BOOK = addressOf("book")

const GARBAGE: ReadonlyArray<readonly [unknown, string]> = [
  [{ text: 5 }, "text: Expected string"],
  [{}, "text: This field is required"],
  [{ txt: "fragile" }, 'txt: Unknown field. Did you mean "text"? (and 1 more, see issues)'],
  [{ text: "fragile", colour: "red" }, "colour: Unknown field. Known are: request_id, text"],
  [
    { text: "fragile", request_id: undefined },
    "request_id: Expected string. It is there and undefined: leave it out where there is none"
  ],
  [null, "note: Expected an object with request_id, text"],
  [undefined, "note: Expected an object with request_id, text"]
]

describe("a durable machine", () => {
  for (const [payload, message] of GARBAGE) {
    it.effect(`commits nothing of what its schema does not accept: ${JSON.stringify(payload)}`, () =>
      Effect.gen(function* () {
        const rows = new MemoryMachines()
        yield* process(
          { rows },
          Effect.gen(function* () {
            const kind = yield* parcels()
            const { ref } = yield* kind.start(BOOK, { name: "book" })
            yield* settle
            const before = rows.rows()
            const refused = yield* Effect.flip(ref.ask("note", payload as never, host))
            assert.instanceOf(refused, InvalidParams)
            assert.strictEqual(refused.message, message)
            ref.tell("note", payload as never, host)
            assert.instanceOf(yield* Effect.flip(ref.push("note", payload as never, host)), InvalidParams)
            yield* settle
            assert.deepStrictEqual(rows.rows(), before)
            const { deadLetters } = yield* ActorSystem
            assert.deepStrictEqual(
              deadLetters.newest(9).map(({ why }) => why),
              [message]
            )
            const nobodys = yield* Effect.flip(ref.ask("note", { text: "fragile" }, undefined as never))
            assert.include(nobodys.message, "principal: Say in whose name it is sent")
            // It goes on as if nothing had been.
            assert.deepStrictEqual((yield* ref.ask("note", { text: "fragile" }, host)).notes, ["fragile"])
          })
        )
      })
    )
  }
})

describe("a durable machine of another node", () => {
  for (const [payload, message] of GARBAGE) {
    it.effect(`is sent nothing that its schema does not accept: ${JSON.stringify(payload)}`, () => {
      const nodes = new TwoNodes()
      return nodes.run(parcels(), () =>
        Effect.gen(function* () {
          const { ref } = yield* (yield* parcels()).start(BOOK, { name: "book" })
          yield* settle
          const { length } = nodes.crossed
          const refused = yield* Effect.flip(ref.ask("note", payload as never, host))
          assert.instanceOf(refused, InvalidParams)
          assert.strictEqual(refused.message, message)
          assert.instanceOf(yield* Effect.flip(ref.push("note", payload as never, host)), InvalidParams)
          assert.lengthOf(nodes.crossed, length)
        })
      )
    })
  }

  it.effect("is sent nothing in nobody's name", () => {
    const nodes = new TwoNodes()
    return nodes.run(parcels(), () =>
      Effect.gen(function* () {
        const { ref } = yield* (yield* parcels()).start(BOOK, { name: "book" })
        const nobody = undefined as never
        const refused = [
          yield* Effect.flip(ref.ask("note", { text: "fragile" }, nobody)),
          yield* Effect.flip(ref.push("note", { text: "fragile" }, nobody))
        ]
        for (const error of refused) {
          assert.instanceOf(error, InvalidParams)
          assert.include(error.message, "principal: Say in whose name it is sent")
        }
        ref.tell("note", { text: "fragile" }, nobody)
        yield* settle
        const { deadLetters } = yield* ActorSystem
        assert.include(deadLetters.newest(1)[0]?.why, "principal: Say in whose name it is sent")
      })
    )
  })
})

describe("an actor in memory", () => {
  const spawned = (more: Partial<ActorOptions<Till>>) =>
    Effect.flatMap(ActorSystem, (system) => system.spawn(tillAt(more)))

  it.effect("looks at each payload where it was spawned so, before it is taken", () =>
    Effect.gen(function* () {
      const ref = yield* spawned({ checksPayloads: true, mailboxCapacity: 1 })
      const refused = yield* Effect.flip(ref.ask("pay", { coins: "two" } as never, WHO))
      assert.instanceOf(refused, InvalidParams)
      assert.include(refused.message, "coins: Expected")
      assert.deepStrictEqual(yield* ref.ask("pay", { coins: 2 }, WHO), { total: 2 })
      ref.tell("pay", { coin: 1 } as never, WHO)
      yield* quiet
      assert.deepStrictEqual(yield* ref.ask("total", {}, WHO), { total: 2 })
      assert.deepInclude(ref.counts, { refused: 0, dropped: 0 })
      assert.strictEqual(ref.unanswered, 0)
    }).pipe(told)
  )

  it.effect("trusts what TypeScript has looked at where nothing is said", () =>
    Effect.gen(function* () {
      const ref = yield* spawned({})
      assert.deepStrictEqual(yield* ref.ask("pay", { coins: "2" } as never, WHO), { total: "02" } as never)
    }).pipe(told)
  )
})
