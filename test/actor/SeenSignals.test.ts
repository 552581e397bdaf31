/** What a durable machine has taken it takes once: whose a signal is, what it said, and how much of that is remembered. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { assign, setup } from "xstate"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import type { MachineStore, OutgoingSignal } from "../../src/actor/MachineStore.ts"
import { REQUESTS_MAX, SENDERS_MAX, senderOf } from "../../src/actor/SeenSignals.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { process } from "./support/Node.ts"

const Pay = command("pay", {
  family: "actors",
  roles: ["app"],
  description: "of a test",
  payload: { amount: Schema.Int },
  success: Schema.Struct({ sum: Schema.Int })
})
const till = protocol(Pay)
const TILL = scopedAddress("till", "t", "1")
const host = installationPrincipal("t", "host")
const keyOf = (owner: string): Principal => ({
  ...host,
  ...{ isInstallation: false, keyId: `key_${owner}`, owner, roles: ["app"] }
})

const machine = setup({
  types: { context: {} as { sum: number }, events: {} as { type: "pay"; amount: number } }
}).createMachine({
  context: { sum: 0 },
  on: { pay: { actions: assign({ sum: ({ context, event }) => context.sum + event.amount }) } }
})

/** The till in a process that is its own. */
const inTill = <A, E>(
  rows: MemoryMachines,
  body: (ref: ActorRef<typeof till>) => Effect.Effect<A, E>,
  store?: (memory: MachineStore) => Partial<MachineStore>
) =>
  process(
    { rows, ...(store === undefined ? {} : { store }) },
    Effect.gen(function* () {
      const kind = yield* (yield* DurableMachines).register(
        durableMachine({
          ...{ kind: "till", machine, version: "1", protocol: till },
          signals: {
            pay: {
              event: ({ amount }) => ({ type: "pay", amount }) as const,
              answer: ({ snapshot }) => ({ sum: snapshot.context.sum })
            }
          }
        })
      )
      return yield* body((yield* kind.start(TILL, undefined as never)).ref)
    })
  )

const numbered = (id: string, seq: number): Principal =>
  senderOf(scopedAddress("order", "t", id), { seq } as OutgoingSignal)
const requested = (id: string, amount = 0) => ({ amount, request_id: id })
const seenBy = (rows: MemoryMachines) => [...(rows.heads.get(TILL.text)?.seen.keys() ?? [])]

/** So many senders, each of which the till has taken one signal of. */
const heard = (rows: MemoryMachines, count: number) =>
  inTill(rows, (ref) =>
    Effect.sync(() => {
      const head = rows.heads.get(ref.address.text)
      for (let n = 0; n < count; n++) {
        const id = `durable:order/t/${n}`
        head?.seen.set(id, { id, mark: 1, digest: null })
      }
    })
  )

/** As the store says it where these still owe the till something. */
const owing =
  (addresses: (asked: ReadonlyArray<string>) => ReadonlyArray<string>) => (): Partial<MachineStore> => ({
    owingTo: (receiver, asked) =>
      Effect.sync(() => {
        assert.strictEqual(receiver, TILL.text)
        return addresses(asked)
      })
  })

describe("a durable machine takes once", () => {
  it.effect("what another one sends again, however many requests have come in between", () => {
    const rows = new MemoryMachines()
    return inTill(rows, (ref) =>
      Effect.gen(function* () {
        assert.strictEqual((yield* ref.ask("pay", { amount: 7 }, numbered("9", 1))).sum, 7)
        for (let n = 0; n < REQUESTS_MAX; n++) yield* ref.ask("pay", requested(`r${n}`), host)
        assert.strictEqual((yield* ref.ask("pay", { amount: 7 }, numbered("9", 1))).sum, 7)
        assert.strictEqual((yield* ref.ask("pay", { amount: 7 }, numbered("9", 2))).sum, 14)
      })
    )
  })

  it.effect("a request of its owner: another owner's with the same id is another request", () => {
    const rows = new MemoryMachines()
    return inTill(rows, (ref) =>
      Effect.gen(function* () {
        yield* ref.ask("pay", requested("1", 5), keyOf("ann"))
        assert.strictEqual((yield* ref.ask("pay", requested("1", 900), keyOf("bob"))).sum, 905)
        assert.strictEqual((yield* ref.ask("pay", requested("1", 5), keyOf("ann"))).sum, 905)
        assert.strictEqual((yield* ref.ask("pay", requested("1", 900), keyOf("bob"))).sum, 905)
      })
    )
  })

  it.effect(
    "a request with other content under its id is a Conflict, in one commit and after a restart",
    () => {
      const rows = new MemoryMachines()
      const conflictOf = (ref: ActorRef<typeof till>, principal = keyOf("ann")) =>
        Effect.map(Effect.flip(ref.ask("pay", requested("1", 6), principal)), ({ _tag, message }) => {
          assert.include(message, "The request_id 1 was used for another pay")
          return _tag
        })
      return Effect.gen(function* () {
        yield* inTill(rows, (ref) =>
          Effect.gen(function* () {
            const [, together] = yield* Effect.all(
              [ref.ask("pay", requested("1", 5), keyOf("ann")), conflictOf(ref)],
              { concurrency: "unbounded" }
            )
            assert.deepStrictEqual([together, yield* conflictOf(ref)], ["Conflict", "Conflict"])
          })
        )
        yield* inTill(rows, (ref) =>
          Effect.gen(function* () {
            assert.strictEqual(yield* conflictOf(ref), "Conflict")
            assert.strictEqual((yield* ref.ask("pay", requested("1", 5), keyOf("ann"))).sum, 5)
            const forced = { ...keyOf("ann"), attribution: { team_id: "x" } }
            assert.strictEqual(
              (yield* Effect.flip(ref.ask("pay", requested("1", 5), forced)))._tag,
              "Conflict"
            )
          })
        )
      })
    }
  )
})

describe("what a durable machine remembers of requests", () => {
  it.effect("are the last thousand: the oldest is forgotten, the next is not, also after a restart", () => {
    const rows = new MemoryMachines()
    const again = (ref: ActorRef<typeof till>, id: string) =>
      Effect.map(ref.ask("pay", requested(id, 1), host), ({ sum }) => sum)
    return Effect.gen(function* () {
      yield* inTill(rows, (ref) =>
        Effect.gen(function* () {
          for (let n = 0; n <= REQUESTS_MAX; n++) yield* ref.ask("pay", requested(`r${n}`, 1), host)
          assert.strictEqual(seenBy(rows).length, REQUESTS_MAX)
          assert.strictEqual(yield* again(ref, "r1"), 1_001)
          assert.strictEqual(yield* again(ref, "r0"), 1_002, "r0 was forgotten, and now r1 is")
        })
      )
      yield* inTill(rows, (ref) =>
        Effect.gen(function* () {
          assert.strictEqual(yield* again(ref, "r0"), 1_002)
          assert.strictEqual(yield* again(ref, "r2"), 1_002)
          assert.strictEqual(yield* again(ref, "r1"), 1_003, "and now r2 is")
          assert.strictEqual(yield* again(ref, "r3"), 1_003)
          assert.strictEqual(seenBy(rows).length, REQUESTS_MAX)
        })
      )
    })
  })
})

describe("what a durable machine remembers of senders", () => {
  it.effect("goes only where a sender owes nothing any more, the longest ago first", () => {
    const rows = new MemoryMachines()
    const still = new Set(["order/t/0", "order/t/2"])
    const store = owing((asked) => asked.filter((address) => still.has(address)))
    return Effect.gen(function* () {
      yield* heard(rows, SENDERS_MAX)
      yield* inTill(
        rows,
        (ref) =>
          Effect.gen(function* () {
            yield* ref.ask("pay", { amount: 1 }, numbered("new", 1))
            yield* ref.ask("pay", { amount: 1 }, numbered("newer", 1))
            assert.strictEqual(seenBy(rows).length, SENDERS_MAX)
            const kept = seenBy(rows).filter((id) => /^durable:order\/t\/[0-4]$/u.test(id))
            assert.deepStrictEqual(
              kept,
              ["0", "2", "4"].map((id) => `durable:order/t/${id}`)
            )
            assert.strictEqual((yield* ref.ask("pay", { amount: 1 }, numbered("0", 1))).sum, 2)
            assert.strictEqual((yield* ref.ask("pay", { amount: 1 }, numbered("newer", 1))).sum, 2)
          }),
        store
      )
    })
  })

  it.effect(
    "is bounded: where all of them may send again, a new one has to wait, and the others go on",
    () => {
      const rows = new MemoryMachines()
      let owe = true
      const store = owing((asked) => (owe ? asked : []))
      return Effect.gen(function* () {
        yield* heard(rows, SENDERS_MAX - 1)
        yield* inTill(
          rows,
          (ref) =>
            Effect.gen(function* () {
              const both = yield* Effect.forEach(
                ["new", "newer"],
                (id) => Effect.result(ref.ask("pay", { amount: 1 }, numbered(id, 1))),
                { concurrency: "unbounded" }
              )
              assert.deepStrictEqual(
                both.map((one) => (one._tag === "Failure" ? one.failure._tag : "taken")),
                ["taken", "Overloaded"]
              )
              assert.strictEqual((yield* ref.ask("pay", { amount: 1 }, numbered("5", 2))).sum, 2)
              assert.strictEqual((yield* ref.ask("pay", requested("r", 1), host)).sum, 3)
              owe = false
              assert.strictEqual((yield* ref.ask("pay", { amount: 1 }, numbered("newer", 1))).sum, 4)
              assert.strictEqual((yield* ref.ask("pay", { amount: 1 }, numbered("new", 1))).sum, 4)
            }),
          store
        )
      })
    }
  )

  it.effect("an id that somebody else made up is no sender", () => {
    const rows = new MemoryMachines()
    return inTill(rows, (ref) =>
      Effect.gen(function* () {
        const forged = { ...keyOf("eve"), keyId: numbered("9", 50).keyId }
        yield* ref.ask("pay", { amount: 1 }, forged)
        assert.strictEqual((yield* ref.ask("pay", { amount: 1 }, numbered("9", 1))).sum, 2)
        const odd = senderOf(scopedAddress("order", "t", "a#7"), { seq: 1 } as OutgoingSignal)
        yield* ref.ask("pay", { amount: 1 }, odd)
        assert.strictEqual((yield* ref.ask("pay", { amount: 1 }, odd)).sum, 3)
        assert.strictEqual((yield* ref.ask("pay", { amount: 1 }, numbered("a", 7))).sum, 4)
      })
    )
  })
})
