/** Durable machines of another node: whoever starts, asks, tells or restarts one does so from any node. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { setup } from "xstate"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import type { Ended } from "../../src/actor/Watching.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command, query } from "../../src/signal/Signal.ts"
import { host, parcels, settle } from "./support/Node.ts"
import { addressOf } from "./support/Parcel.ts"
import { TwoNodes } from "./support/TwoNodes.ts"

const BOOK = addressOf("book")
const INPUT = { name: "book" }

describe("a machine that lives on another node", () => {
  it.effect("is started, asked, looked at and begun anew from here, and runs there", () => {
    const nodes = new TwoNodes()
    return nodes.run(parcels(), (there) =>
      Effect.gen(function* () {
        const here = yield* parcels(() => Effect.die("it runs there"))
        const machines = yield* DurableMachines
        const system = yield* ActorSystem
        const { ref, isNew } = yield* here.start(BOOK, INPUT)
        assert.isTrue(isNew)
        assert.isFalse((yield* here.start(BOOK, INPUT)).isNew)
        yield* settle
        assert.strictEqual((yield* ref.ask("note", { text: "fragile" }, host)).state, "waiting")
        const found = yield* here.find(BOOK)
        assert.deepStrictEqual(yield* found?.ask("get_parcel", {}, host) ?? Effect.void, {
          state: "waiting",
          notes: ["fragile"],
          weight: 1
        })
        yield* machines.restart(BOOK)
        assert.deepStrictEqual((yield* here.view(BOOK))?.snapshot.context.notes, ["fragile"])
        assert.isUndefined(yield* here.find(addressOf("never started")))
        assert.isUndefined(system.entry(BOOK.text), "nothing of it is in memory here")
        assert.deepStrictEqual((yield* there.view(BOOK))?.snapshot.context.notes, ["fragile"])
      })
    )
  })

  it.effect("is told who asks, and its errors keep their type", () => {
    const nodes = new TwoNodes()
    const ann: Principal = {
      ...{ keyId: "key", owner: "ann", tenant: "t", roles: ["app"], isInstallation: false },
      attribution: { team_id: "red", tags: { env: "prod" } }
    }
    return nodes.run(parcels(), () =>
      Effect.gen(function* () {
        const here = yield* parcels()
        const { ref } = yield* here.start(BOOK, INPUT)
        const error = yield* Effect.flip(ref.ask("note", { text: "" }, ann))
        assert.strictEqual(error._tag, "NotFound")
        assert.deepInclude(error, { kind: "note", message: "a note has a text" })
        assert.deepStrictEqual(nodes.crossed.at(-1)?.principal, ann)
        const poison = yield* Effect.flip(ref.ask("note", { text: "poison" }, ann))
        assert.strictEqual(poison._tag, "InternalError")
      })
    )
  })

  it.effect(
    "takes once what was sent twice because an answer was lost, whether it has a request_id or not",
    () => {
      const nodes = new TwoNodes()
      return nodes.run(parcels(), () =>
        Effect.gen(function* () {
          const here = yield* parcels()
          const { ref } = yield* here.start(BOOK, INPUT)
          for (const id of [{}, { request_id: "mine" }]) {
            nodes.loses = 2
            const asked = yield* Effect.forkChild(ref.ask("note", { text: "once", ...id }, host))
            yield* TestClock.adjust("1 second")
            yield* Fiber.join(asked)
          }
          assert.deepStrictEqual((yield* here.view(BOOK))?.snapshot.context.notes, ["once", "once"])
          const sent = nodes.crossed.filter(({ signal }) => signal === "note")
          assert.lengthOf(sent, 6)
          assert.strictEqual((sent.at(-1)?.params as { request_id?: string } | undefined)?.request_id, "mine")
        })
      )
    }
  )

  it.effect("hears what is told and pushed in its order; what it refuses is a dead letter here", () => {
    const nodes = new TwoNodes()
    return nodes.run(parcels(), () =>
      Effect.gen(function* () {
        const here = yield* parcels()
        const { ref } = yield* here.start(BOOK, INPUT)
        nodes.loses = 1
        ref.tell("note", { text: "1" }, host)
        ref.tell("note", { text: "" }, host)
        const pushed = yield* Effect.forkChild(ref.push("note", { text: "2" }, host), {
          startImmediately: true
        })
        ref.tell("note", { text: "3" }, host)
        assert.isUndefined(pushed.pollUnsafe(), "it waits for its place")
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(pushed)
        assert.deepStrictEqual((yield* here.view(BOOK))?.snapshot.context.notes, ["1", "2", "3"])
        const { deadLetters } = yield* ActorSystem
        assert.deepStrictEqual(
          deadLetters.newest(9).map(({ address, signal, why }) => ({ address, signal, why })),
          [{ address: BOOK.text, signal: "note", why: "a note has a text" }]
        )
      })
    )
  })

  it.effect(
    "hears a thousand of what is told at once; the next is a dead letter, and nobody who asks waits behind them",
    () => {
      const nodes = new TwoNodes()
      return nodes.run(parcels(), () =>
        Effect.gen(function* () {
          const here = yield* parcels()
          const { ref } = yield* here.start(BOOK, INPUT)
          yield* settle
          nodes.owner = undefined
          for (let n = 0; n < 1_001; n++) ref.tell("ship", {}, host)
          const { deadLetters } = yield* ActorSystem
          assert.strictEqual(deadLetters.total, 1)
          assert.include(deadLetters.newest(1)[0]?.why, "1000 signals wait for it")
          nodes.owner = "there"
          const asked = yield* Effect.forkChild(ref.ask("get_parcel", {}, host))
          yield* TestClock.adjust("10 millis")
          yield* Fiber.join(asked)
        })
      )
    }
  )

  it.effect("what nobody answers while a node ends is told, and what was told is a dead letter", () => {
    const nodes = new TwoNodes()
    const why: Array<string> = []
    return nodes
      .run(parcels(), () =>
        Effect.gen(function* () {
          const here = yield* parcels()
          const { ref } = yield* here.start(BOOK, INPUT)
          const { deadLetters } = yield* ActorSystem
          deadLetters.keep = (letter) => why.push(letter.why)
          nodes.owner = undefined
          ref.tell("note", { text: "1" }, host)
          ref.tell("note", { text: "2" }, host)
          const asked = yield* Effect.forkDetach(Effect.flip(ref.ask("get_parcel", {}, host)))
          yield* settle
          return asked
        })
      )
      .pipe(
        Effect.flatMap(Fiber.join),
        Effect.tap((error) =>
          Effect.sync(() => {
            assert.lengthOf(why, 2)
            for (const message of [...why, error.message]) assert.include(message, "This node is ending")
          })
        )
      )
  })
})

describe("a node that is asked for what it does not have", () => {
  it.effect("says so, and passes nothing on: where two nodes disagree, nothing goes around for ever", () => {
    const nodes = new TwoNodes()
    return nodes.run(parcels(), () =>
      Effect.gen(function* () {
        const here = yield* parcels()
        yield* here.start(BOOK, INPUT)
        const crossed = nodes.crossed.length
        const asked = { address: BOOK.text, what: "signal", signal: "get_parcel", params: {} } as const
        const error = yield* Effect.flip((yield* DurableMachines).answer(asked, host))
        assert.deepInclude(error, { _tag: "Unavailable" })
        assert.include(error.message, "lives on another node")
        assert.strictEqual(nodes.crossed.length, crossed)
      })
    )
  })
})

describe("who cannot be asked at all", () => {
  it.effect(
    "is an incident for who asks, and a dead letter for who tells; the next is sent all the same",
    () => {
      const nodes = new TwoNodes()
      return nodes.run(parcels(), () =>
        Effect.gen(function* () {
          const here = yield* parcels()
          const { ref } = yield* here.start(BOOK, INPUT)
          nodes.breaks = true
          assert.strictEqual((yield* Effect.flip(ref.ask("get_parcel", {}, host)))._tag, "InternalError")
          ref.tell("note", { text: "broken" }, host)
          yield* settle
          nodes.breaks = false
          ref.tell("note", { text: "whole" }, host)
          yield* settle
          assert.strictEqual((yield* ActorSystem).deadLetters.total, 1)
          assert.deepStrictEqual((yield* here.view(BOOK))?.snapshot.context.notes, ["whole"])
        })
      )
    }
  )
})

describe("a handle stays with its machine", () => {
  it.effect("from here to there and back; what waits when it leaves goes on with it", () => {
    const nodes = new TwoNodes()
    nodes.owner = "here"
    return nodes.run(parcels(), () =>
      Effect.gen(function* () {
        const here = yield* parcels()
        const { ref } = yield* here.start(BOOK, INPUT)
        yield* settle
        yield* ref.ask("note", { text: "here" }, host)
        // So that this node is told before they move.
        assert.deepStrictEqual(
          nodes.crossed.splice(0).map(({ what }) => what),
          ["hold"],
          "who lives here is asked here"
        )
        nodes.commits = Effect.never
        const begun = yield* Effect.forkChild(Effect.flip(ref.ask("note", { text: "begun" }, host)))
        yield* settle
        const waits = yield* Effect.forkChild(ref.ask("note", { text: "left" }, host))
        yield* settle
        const leaving = yield* Effect.forkChild(nodes.move("there"), { startImmediately: true })
        nodes.commits = Effect.void
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(leaving)
        assert.strictEqual((yield* Fiber.join(begun))._tag, "Unavailable", "it may be committed or not")
        yield* Fiber.join(waits)
        assert.isTrue(ref.isClosed)
        yield* ref.ask("note", { text: "there" }, host)
        const signals = () => nodes.crossed.filter(({ what }) => what === "signal").length
        assert.strictEqual(signals(), 2)
        yield* nodes.move("here")
        const { notes } = yield* ref.ask("note", { text: "back" }, host)
        assert.deepStrictEqual(notes, ["here", "left", "there", "back"])
        assert.strictEqual(signals(), 2)
        yield* settle
        assert.strictEqual(nodes.crossed.at(-1)?.what, "hold", "once each time that they come")
      })
    )
  })

  it.effect("who gives up takes nothing back, and is not waited for", () => {
    const nodes = new TwoNodes()
    return nodes.run(parcels(), () =>
      Effect.gen(function* () {
        const here = yield* parcels()
        const { ref } = yield* here.start(BOOK, INPUT)
        nodes.owner = undefined
        const asked = yield* Effect.forkChild(
          Effect.timeoutOption(ref.ask("note", { text: "late" }, host), "50 millis")
        )
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* Fiber.join(asked))._tag, "None")
        nodes.owner = "there"
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual((yield* here.view(BOOK))?.snapshot.context.notes, [])
      })
    )
  })
})

describe("who watches a machine", () => {
  it.effect("is told its end once, wherever it has moved, and not that it moves", () => {
    const nodes = new TwoNodes()
    nodes.owner = "here"
    return nodes.run(parcels(), () =>
      Effect.gen(function* () {
        const here = yield* parcels()
        const { ref } = yield* here.start(BOOK, INPUT)
        yield* settle
        const system = yield* ActorSystem
        const told: Array<string> = []
        const watcher = (name: string) => (ended: Ended) => void told.push(`${name}: ${ended.reason}`)
        system.watch(BOOK, watcher("here"))
        const leave = system.watch(BOOK, watcher("who left"))
        yield* nodes.move("there")
        system.watch(BOOK, watcher("there"))
        // Longer than one answer is waited for.
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(nodes.pending.there, 3)
        yield* nodes.move("here")
        assert.strictEqual(nodes.pending.there, 0, "a node that leaves waits for nobody who watches")
        yield* TestClock.adjust("1 minute")
        yield* nodes.move("there")
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(told, [])
        leave()
        yield* ref.ask("cancel", {}, host)
        yield* TestClock.adjust("1 minute")
        system.watch(BOOK, watcher("afterwards"))
        system.watch(addressOf("never"), watcher("nobody"))
        yield* TestClock.adjust("1 minute")
        assert.sameMembers(told, [
          "here: stopped",
          "there: stopped",
          "afterwards: stopped",
          "nobody: stopped"
        ])
        assert.strictEqual(system.watchers, 0)
      })
    )
  })
})

// --- nodes of different versions

const traits = { family: "host", roles: ["app"], description: "of a test" } as const
const Standing = Schema.Struct({ sum: Schema.BigInt, at: Schema.Date })
const Pay = command("pay", { ...traits, payload: { amount: Schema.BigInt }, success: Standing })
const PayInWords = command("pay", {
  ...traits,
  payload: { amount: Schema.BigInt, words: Schema.optionalKey(Schema.String) },
  success: Standing
})
const GetSum = query("get_sum", { ...traits, payload: {}, success: Schema.Struct({ sum: Schema.Finite }) })

const machine = setup({
  types: { context: {} as { readonly sum: string }, events: {} as { readonly type: "pay" } }
}).createMachine({ context: { sum: "12345678901234567890" } })
const TILL = scopedAddress("till", "t", "1")
const STANDING = { sum: 12345678901234567890n, at: new Date(0) }

/** The till of a program; what it takes, and whether it answers as it says. */
const tills = (pay: typeof Pay | typeof PayInWords = Pay) =>
  Effect.flatMap(DurableMachines, (machines) =>
    machines.register(
      durableMachine({
        ...{ kind: "till", version: "1", machine, protocol: protocol(pay, GetSum) },
        signals: {
          pay: { answer: () => STANDING },
          get_sum: { answer: () => ({ sum: "a word" as never }) }
        }
      })
    )
  )

describe("what goes from node to node", () => {
  const WHO = installationPrincipal("t", "somebody")

  it.effect("is written by the signal's own schemas: what is no JSON arrives as it was", () => {
    const nodes = new TwoNodes()
    return nodes.run(tills(), () =>
      Effect.gen(function* () {
        const { ref } = yield* (yield* tills()).start(TILL)
        assert.deepStrictEqual(yield* ref.ask("pay", { amount: 3n }, WHO), STANDING)
        const error = yield* Effect.flip(ref.ask("pay", { amount: "3" as never }, WHO))
        assert.strictEqual(error._tag, "InvalidParams")
        assert.isFalse(
          nodes.crossed.some(
            ({ signal, params }) => signal === "pay" && JSON.stringify(params).includes('"3","')
          ),
          "it is refused here"
        )
      })
    )
  })

  it.effect("is refused by name where the owner's schema does not accept it", () => {
    const nodes = new TwoNodes()
    return nodes.run(tills(), () =>
      Effect.gen(function* () {
        const { ref } = yield* (yield* tills(PayInWords)).start(TILL)
        const error = yield* Effect.flip(ref.ask("pay", { amount: 3n, words: "three" }, WHO))
        assert.strictEqual(error._tag, "InvalidParams")
        assert.include(error.message, "till/t/1 on there does not accept this pay: words: Unknown field")
      })
    )
  })

  it.effect("an answer that does not fit its schema is an incident, and no success", () => {
    const nodes = new TwoNodes()
    return nodes.run(tills(), () =>
      Effect.gen(function* () {
        const { ref } = yield* (yield* tills()).start(TILL)
        const error = yield* Effect.flip(ref.ask("get_sum", {}, WHO))
        assert.strictEqual(error._tag, "InternalError")
        assert.include(error.message, "The answer of till/t/1 to get_sum")
      })
    )
  })

  it.effect("a node whose program does not have the machine says so, once it has had time to begin", () => {
    const nodes = new TwoNodes()
    return nodes.run(Effect.void, () =>
      Effect.gen(function* () {
        const here = yield* tills()
        const asked = yield* Effect.forkChild(Effect.flip(here.start(TILL)))
        yield* TestClock.adjust("10 minutes")
        const error = yield* Fiber.join(asked)
        assert.strictEqual(error._tag, "Unavailable")
        assert.include(error.message, "there has the tenant of till/t/1")
        assert.include(error.message, "does not know machines of the kind till: register it there")
      })
    )
  })

  it.effect("a node that has just begun is waited for until it has its machines", () => {
    const nodes = new TwoNodes()
    const later = Effect.forkChild(Effect.andThen(Effect.sleep("1 second"), tills()))
    return nodes.run(later, () =>
      Effect.gen(function* () {
        const asked = yield* Effect.forkChild((yield* tills()).start(TILL))
        yield* TestClock.adjust("2 seconds")
        assert.isTrue((yield* Fiber.join(asked)).isNew)
      })
    )
  })

  it.effect("a start takes plain JSON, wherever the tenant is", () => {
    const nodes = new TwoNodes()
    return nodes.run(parcels(), () =>
      Effect.gen(function* () {
        const here = yield* parcels()
        for (const owner of ["here", "there"] as const) {
          nodes.owner = owner
          const error = yield* Effect.flip(here.start(BOOK, { name: new Date() as never }))
          assert.strictEqual(error._tag, "InvalidParams")
          assert.include(error.message, "input.name is a Date")
        }
      })
    )
  })
})
