/** What a durable machine tells others: its own tenant's only, no more than may wait, and what is refused can be sent again. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Schema } from "effect"
import { assign, setup } from "xstate"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { type Address, scopedAddress, sharedAddress, tenantAddress } from "../../src/actor/Address.ts"
import type { WholeLetter } from "../../src/actor/DeadLetters.ts"
import { signalTo, tell } from "../../src/actor/DurableLogic.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { OUTGOING_MAX } from "../../src/actor/MachineOutbox.ts"
import type { OutgoingSignal } from "../../src/actor/MachineStore.ts"
import { NotFound } from "../../src/signal/Errors.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { host, process, settle } from "./support/Node.ts"

const traits = { family: "actors", roles: ["app"], description: "of a test" } as const
const Pay = command("pay", {
  ...traits,
  payload: { amount: Schema.Int, pin: Schema.optionalKey(Schema.String) },
  success: Schema.Struct({ sum: Schema.Int }),
  sensitive: ["pin"]
})
/** Tells somebody to be paid, so many times. */
const Send = command("send", {
  ...traits,
  payload: { times: Schema.Int, pin: Schema.optionalKey(Schema.String) },
  success: Schema.Struct({ sent: Schema.Int })
})
const tillProtocol = protocol(Pay)
const payerProtocol = protocol(Send)
const PAYER = scopedAddress("payer", "t", "1")

const tills = (takes: (amount: number) => boolean = (amount) => amount >= 0) =>
  Effect.flatMap(DurableMachines, (machines) =>
    machines.register(
      durableMachine({
        ...{ kind: "till", version: "1", protocol: tillProtocol },
        machine: setup({
          types: { context: {} as { sum: number }, events: {} as { type: "pay"; amount: number } }
        }).createMachine({
          context: { sum: 0 },
          on: { pay: { actions: assign({ sum: ({ context, event }) => context.sum + event.amount }) } }
        }),
        signals: {
          pay: {
            event: ({ amount }) =>
              takes(amount)
                ? ({ type: "pay", amount } as const)
                : new NotFound({ kind: "money", id: "", message: "there is no such money" }),
            answer: ({ snapshot }) => ({ sum: snapshot.context.sum })
          }
        }
      })
    )
  )

/** Pays to an address. */
const payers = (to: Address, amount = 1) =>
  Effect.flatMap(DurableMachines, (machines) =>
    machines.register(
      durableMachine({
        ...{ kind: "payer", version: "1", protocol: payerProtocol },
        machine: setup({
          types: {
            context: {} as { sent: number },
            events: {} as { type: "send"; times: number; pin: string | undefined }
          },
          actions: {
            pay: tell(
              ({ event }: { readonly event: { readonly times: number; readonly pin: string | undefined } }) =>
                Array.from({ length: event.times }, () =>
                  signalTo(to, Pay, { amount, ...(event.pin === undefined ? {} : { pin: event.pin }) })
                )
            )
          }
        }).createMachine({
          context: { sent: 0 },
          on: {
            send: {
              actions: [assign({ sent: ({ context, event }) => context.sent + event.times }), "pay"]
            }
          }
        }),
        signals: {
          send: {
            event: ({ times, pin }) => ({ type: "send", times, pin }) as const,
            answer: ({ snapshot }) => ({ sent: snapshot.context.sent })
          }
        }
      })
    )
  )

const started = (to: Address, amount?: number) =>
  Effect.flatMap(payers(to, amount), (kind) =>
    Effect.map(kind.start(PAYER, undefined as never), ({ ref }) => ref)
  )

describe("what a durable machine tells another tenant's actors", () => {
  it.effect.each([
    ["a durable machine", scopedAddress("till", "bob", "1")],
    ["a TokenManager", tenantAddress("token_manager", "bob")]
  ] as const)("is refused before anything of the step has happened: %s", ([, to]) => {
    const rows = new MemoryMachines()
    return process(
      { rows, deliver: () => Effect.die("nothing goes out") },
      Effect.gen(function* () {
        const kind = yield* tills()
        yield* kind.start(scopedAddress("till", "bob", "1"), undefined as never)
        const ref = yield* started(to)
        const error = yield* Effect.flip(ref.ask("send", { times: 1 }, host))
        assert.include(error.message, `payer/t/1 may not tell pay to ${to.text}, which is another tenant's`)
        yield* settle
        assert.strictEqual((yield* ref.ask("send", { times: 0 }, host)).sent, 0)
        assert.strictEqual((yield* kind.view(scopedAddress("till", "bob", "1")))?.snapshot.context.sum, 0)
      })
    )
  })

  it.effect("is refused where it arrives, too, whatever its address says of itself", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const bobs = scopedAddress("till", "bob", "1")
        const kind = yield* tills()
        yield* kind.start(bobs, undefined as never)
        const ref = yield* started({ ...bobs, tenant: "t" })
        yield* ref.ask("send", { times: 1 }, host)
        yield* settle
        const [letter] = (yield* ActorSystem).deadLetters.newest(1)
        assert.include(letter?.why, "Forbidden: till/bob/1 is another tenant's than its sender")
        assert.strictEqual((yield* kind.view(bobs))?.snapshot.context.sum, 0)
      })
    )
  )

  it.effect("is none of theirs where all tenants share the actor", () => {
    const told: Array<string> = []
    return process(
      { rows: new MemoryMachines(), deliver: ({ to }) => Effect.sync(() => void told.push(to)) },
      Effect.gen(function* () {
        const ref = yield* started(sharedAddress("provider", "simulator"))
        yield* ref.ask("send", { times: 1 }, host)
        yield* settle
        assert.deepStrictEqual(told, ["provider/simulator"])
      })
    )
  })
})

describe("what waits to be delivered", () => {
  it.effect("is bounded: at the bound its sender takes nothing until something has arrived", () => {
    const opened = Deferred.makeUnsafe<void>()
    let arrived = 0
    const deliver = () =>
      Effect.andThen(
        arrived === 0 ? Deferred.await(opened) : Effect.never,
        Effect.sync(() => {
          arrived += 1
        })
      )
    return process(
      { rows: new MemoryMachines(), deliver },
      Effect.gen(function* () {
        const ref = yield* started(scopedAddress("depot", "t", "1"))
        yield* ref.ask("send", { times: OUTGOING_MAX - 1 }, host)
        assert.strictEqual((yield* ref.ask("send", { times: 1 }, host)).sent, OUTGOING_MAX)
        const next = yield* Effect.forkChild(ref.ask("send", { times: 0 }, host), { startImmediately: true })
        yield* settle
        assert.isUndefined(next.pollUnsafe(), "it waits")
        yield* Deferred.succeed(opened, undefined)
        yield* settle
        assert.strictEqual(arrived, 1)
        assert.isDefined(next.pollUnsafe(), "as soon as there is room for one, it goes on")
      })
    )
  })
})

describe("what a receiver refuses for good", () => {
  const letterOf = (to: Address, amount: number, pin?: string) => {
    const letters: Array<WholeLetter> = []
    const deliver = ({ to: address }: OutgoingSignal) =>
      Effect.fail(new NotFound({ kind: "actor", id: address, message: "there is none" }))
    return process(
      { rows: new MemoryMachines(), deliver },
      Effect.gen(function* () {
        const system = yield* ActorSystem
        system.deadLetters.keep = (letter) => void letters.push(letter)
        const kind = yield* tills()
        yield* kind.start(scopedAddress("till", "t", "1"), undefined as never)
        const ref = yield* started(to, amount)
        yield* ref.ask("send", { times: 1, ...(pin === undefined ? {} : { pin }) }, host)
        yield* settle
        const [letter] = letters
        if (letter === undefined) return yield* Effect.die("there is no letter")
        return { letter, whole: letter.whole?.() ?? null, kind, system }
      })
    )
  }
  const TILL = scopedAddress("till", "t", "1")

  it.effect("is a letter with all of what it carried, but not with what may not be kept", () =>
    Effect.gen(function* () {
      const plain = yield* letterOf(TILL, -1)
      assert.deepStrictEqual(JSON.parse(plain.whole ?? "{}"), { amount: -1, request_id: "payer/t/1#1" })
      assert.strictEqual(plain.letter.principal.keyId, "undelivered:payer/t/1#1")
      const secret = yield* letterOf(TILL, -1, "1234")
      assert.isNull(secret.whole)
      assert.notInclude(secret.letter.payload, "1234")
      assert.isNull((yield* letterOf(scopedAddress("unknown", "t", "1"), 1)).whole, "nobody knows what it is")
    })
  )

  it.effect("is taken once when it is sent again, though later ones have arrived since", () => {
    const letters: Array<WholeLetter> = []
    let refuses = true
    return process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        const system = yield* ActorSystem
        system.deadLetters.keep = (letter) => void letters.push(letter)
        const kind = yield* tills(() => !refuses)
        yield* kind.start(TILL, undefined as never)
        const ref = yield* started(TILL)
        yield* ref.ask("send", { times: 1 }, host)
        yield* settle
        refuses = false
        yield* ref.ask("send", { times: 1 }, host)
        yield* settle
        const [letter] = letters
        const again = system.deliver(
          TILL.text,
          "pay",
          JSON.parse(letter?.whole?.() ?? "{}"),
          letter?.principal ?? host
        )
        assert.deepStrictEqual([yield* again, yield* again], [{ sum: 2 }, { sum: 2 }])
      })
    )
  })
})
