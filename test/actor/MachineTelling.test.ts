/**
 * What machines tell across the line between memory and the store: a machine in memory at most once, a durable one at least
 * once until an actor in memory has a place for it.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { assign, setup } from "xstate"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { type Address, scopedAddress, sharedAddress, tenantAddress } from "../../src/actor/Address.ts"
import { behave } from "../../src/actor/Behave.ts"
import { signalTo, tell } from "../../src/actor/DurableLogic.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { machineActor } from "../../src/actor/MachineActor.ts"
import type { OutgoingSignal } from "../../src/actor/MachineStore.ts"
import { NotFound, type SignalError, Unavailable, UnknownSignal } from "../../src/signal/Errors.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { host, process, settle } from "./support/Node.ts"
import { TwoNodes } from "./support/TwoNodes.ts"

const traits = { family: "host", roles: ["app"], description: "of a test" } as const
const Pay = command("pay", { ...traits, payload: { amount: Schema.Int }, success: Schema.Struct({}) })
const Send = command("send", {
  ...traits,
  payload: { amounts: Schema.Array(Schema.Int) },
  success: Schema.Struct({})
})
const TILL = scopedAddress("till", "t", "1")
const PAYER = scopedAddress("payer", "t", "1")

interface Amounts {
  readonly amounts: ReadonlyArray<number>
}

/** Pays to an address, and is done when it is told to pay nothing. The same in memory and in the store. */
const payer = (to: Address) => {
  const pays = ({ event }: { readonly event: Partial<Amounts> }) =>
    (event.amounts ?? [0]).map((amount) => signalTo(to, Pay, { amount }))
  return {
    ...{ kind: "payer", version: "1", protocol: protocol(Send) },
    machine: setup({
      types: { events: {} as { readonly type: "send" | "end" } & Amounts },
      actions: { pay: tell(pays) }
    }).createMachine({
      initial: "open",
      states: {
        open: { on: { send: { actions: "pay" }, end: { target: "shut", actions: "pay" } } },
        shut: { type: "final" }
      }
    }),
    signals: {
      send: {
        event: ({ amounts }: Amounts) => ({ type: amounts.length === 0 ? "end" : "send", amounts }) as const,
        answer: () => ({})
      }
    }
  }
}

const inMemory = (to: Address, address = PAYER) =>
  Effect.flatMap(ActorSystem, (system) => system.spawn(machineActor({ ...payer(to), address })))
const durable = (to: Address) =>
  Effect.gen(function* () {
    const kind = yield* (yield* DurableMachines).register(durableMachine(payer(to)))
    return (yield* kind.start(PAYER)).ref
  })

/** A durable till, which takes no negative amounts. */
const tills = Effect.flatMap(DurableMachines, (machines) =>
  machines.register(
    durableMachine({
      ...{ kind: "till", version: "1", protocol: protocol(Pay) },
      machine: setup({
        types: {
          context: {} as { readonly paid: ReadonlyArray<number> },
          events: {} as { readonly type: "pay"; readonly amount: number }
        }
      }).createMachine({
        context: { paid: [] },
        on: { pay: { actions: assign({ paid: ({ context, event }) => [...context.paid, event.amount] }) } }
      }),
      signals: {
        pay: {
          event: ({ amount }) =>
            amount < 0
              ? new NotFound({ kind: "money", id: "", message: "there is no such money" })
              : ({ type: "pay", amount } as const),
          answer: () => ({})
        }
      }
    })
  )
)

/** A till in memory: what it got, and under which ids. */
const tillInMemory = (got: Array<string>, address = TILL, work: Effect.Effect<void> = Effect.void) => ({
  address,
  mailboxCapacity: 2,
  ...behave({
    protocol: protocol(Pay),
    initial: () => 0,
    handlers: {
      pay: (_, { amount, request_id }, { principal }) =>
        Effect.as(
          Effect.andThen(
            work,
            Effect.sync(() => void got.push(`${amount} ${request_id} ${principal.keyId}`))
          ),
          { reply: {} }
        )
    }
  })
})

const lettersOf = Effect.map(ActorSystem, ({ deadLetters }) =>
  deadLetters
    .newest(100)
    .map(({ address, signal, why, principal }) => ({ address, signal, why, by: principal.keyId }))
)
const alone = () => ({ rows: new MemoryMachines() })

describe("a machine in memory tells", () => {
  it.effect("a durable machine, in its order, also as it ends; each under an id of its own", () => {
    const nodes = new TwoNodes()
    return nodes.run(tills, () =>
      Effect.gen(function* () {
        const kind = yield* tills
        yield* kind.start(TILL)
        const ref = yield* inMemory(TILL)
        yield* ref.ask("send", { amounts: [1, 2] }, host)
        yield* ref.ask("send", { amounts: [3] }, host)
        yield* ref.ask("send", { amounts: [] }, host)
        yield* settle
        assert.isUndefined((yield* ActorSystem).entry(PAYER.text), "it has ended")
        assert.strictEqual((yield* kind.view(TILL))?.snapshot.context.paid.length, 3, "on another node")
        yield* nodes.move("here")
        const again = yield* inMemory(TILL)
        yield* again.ask("send", { amounts: [4] }, host)
        yield* settle
        assert.deepStrictEqual((yield* kind.view(TILL))?.snapshot.context.paid, [1, 2, 3, 4], "on this one")
        const ids = nodes.crossed.flatMap(({ signal, params }) =>
          signal === "pay" ? [(params as { readonly request_id?: string }).request_id] : []
        )
        assert.lengthOf(new Set(ids), 3)
      })
    )
  })

  it.effect("an actor in memory, and actors of the product; in its own name", () => {
    const got: Array<string> = []
    const product: Array<string> = []
    const deliver = ({ to, signal }: OutgoingSignal) =>
      Effect.sync(() => void product.push(`${signal} ${to}`))
    return process(
      { ...alone(), deliver },
      Effect.gen(function* () {
        yield* (yield* ActorSystem).spawn(tillInMemory(got))
        const ref = yield* inMemory(TILL)
        yield* ref.ask("send", { amounts: [1] }, host)
        const provider = yield* inMemory(sharedAddress("provider", "p"), scopedAddress("payer", "t", "2"))
        yield* provider.ask("send", { amounts: [1] }, host)
        yield* settle
        assert.lengthOf(got, 1)
        assert.match(got[0] ?? "", /^1 payer\/t\/1:[-0-9a-f]{36}#1 memory:payer\/t\/1$/u)
        assert.deepStrictEqual(product, ["pay provider/p"])
      })
    )
  })

  it.effect(
    "once: what is refused, and what nobody can take now, is a dead letter, and is not sent again",
    () => {
      let tries = 0
      const deliver = () => {
        tries += 1
        return Effect.fail(new Unavailable({ message: "away for a moment", retry_after_ms: 1 }))
      }
      return process(
        { ...alone(), deliver },
        Effect.gen(function* () {
          yield* (yield* tills).start(TILL)
          yield* (yield* inMemory(TILL)).ask("send", { amounts: [-1] }, host)
          const other = yield* inMemory(sharedAddress("provider", "p"), scopedAddress("payer", "t", "2"))
          yield* other.ask("send", { amounts: [1] }, host)
          yield* TestClock.adjust("1 hour")
          assert.strictEqual(tries, 1)
          assert.deepStrictEqual(yield* lettersOf, [
            {
              address: "provider/p",
              signal: "pay",
              why: "Unavailable: away for a moment",
              by: "memory:payer/t/2"
            },
            {
              address: TILL.text,
              signal: "pay",
              why: "NotFound: there is no such money",
              by: "memory:payer/t/1"
            }
          ])
        })
      )
    }
  )

  it.effect("nobody of another tenant: the machine has failed, and who asked it is told why", () =>
    process(
      alone(),
      Effect.gen(function* () {
        const ref = yield* inMemory(scopedAddress("till", "bob", "1"))
        const error = yield* Effect.flip(ref.ask("send", { amounts: [1] }, host))
        assert.include(error.message, "payer/t/1 may not tell pay to till/bob/1, which is another tenant's")
      })
    )
  )

  it.effect("a thousand at once to who does not answer; the next is a dead letter", () =>
    process(
      { ...alone(), deliver: () => Effect.never },
      Effect.gen(function* () {
        const ref = yield* inMemory(tenantAddress("token_manager", "t"))
        yield* ref.ask("send", { amounts: Array.from({ length: 1_001 }, () => 1) }, host)
        const letters = yield* lettersOf
        assert.lengthOf(letters, 1)
        assert.include(letters[0]?.why, "Overloaded: 1000 signals of machines in memory wait for it")
      })
    )
  )
})

describe("a durable machine tells an actor in memory", () => {
  const outgoing = ({ rows }: { readonly rows: MemoryMachines }) =>
    rows.heads.get(PAYER.text)?.outgoing.length

  it.effect("until it has a place in its mailbox, and not until it is answered", () => {
    const node = { rows: new MemoryMachines() }
    const got: Array<string> = []
    return process(
      node,
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const till = yield* system.spawn(tillInMemory(got, TILL, Effect.sleep("1 minute")))
        const ref = yield* durable(TILL)
        yield* ref.ask("send", { amounts: [1, 2, 3, 4] }, host)
        yield* settle
        assert.deepStrictEqual([got.length, till.mailbox.depth, outgoing(node)], [0, 2, 1])
        yield* TestClock.adjust("10 minutes")
        assert.deepStrictEqual(
          got,
          [1, 2, 3, 4].map((n) => `${n} payer/t/1#${n} durable:payer/t/1#${n}`)
        )
        assert.strictEqual(outgoing(node), 0)
      })
    )
  })

  it.effect("again under the same id, where its process ended before the store knew", () => {
    const rows = new MemoryMachines()
    const got: Array<string> = []
    const life = <A, E>(body: Effect.Effect<A, E, DurableMachines | ActorSystem>, knows: boolean) =>
      process(
        { rows, ...(knows ? {} : { store: () => ({ delivered: () => Effect.never }) }) },
        Effect.andThen(
          Effect.flatMap(ActorSystem, (system) => system.spawn(tillInMemory(got))),
          Effect.tap(body, () => settle)
        )
      )
    return Effect.gen(function* () {
      yield* life(
        Effect.flatMap(durable(TILL), (ref) => ref.ask("send", { amounts: [7] }, host)),
        false
      )
      yield* life(durable(TILL), true)
      yield* life(durable(TILL), true)
      assert.deepStrictEqual(
        got.map((one) => one.split(" ")[1]),
        ["payer/t/1#1", "payer/t/1#1"]
      )
    })
  })

  it.effect(
    "that is made when somebody tells it something, or spawned within ten seconds; else it is a dead letter",
    () => {
      const got: Array<string> = []
      const deliver = ({ signal }: OutgoingSignal): Effect.Effect<void, SignalError> =>
        // As the router says it of what is no signal of the product.
        Effect.suspend(() => Effect.fail(new UnknownSignal({ signal, message: signal })))
      return process(
        { rows: new MemoryMachines(), deliver },
        Effect.gen(function* () {
          const system = yield* ActorSystem
          system.register({ kind: "made", make: (address) => tillInMemory(got, address) })
          const machines = yield* DurableMachines
          const kindOf = (kind: string, to: Address) =>
            machines.register(durableMachine({ ...payer(to), kind }))
          const made = scopedAddress("made", "t", "1")
          for (const [kind, to] of [
            ["late", TILL],
            ["quick", made],
            ["lost", scopedAddress("nobody", "t", "1")]
          ] as const) {
            const { ref } = yield* (yield* kindOf(kind, to)).start(scopedAddress(kind, "t", "1"))
            yield* ref.ask("send", { amounts: [1] }, host)
          }
          yield* TestClock.adjust("9 seconds")
          assert.deepStrictEqual(
            got.map((one) => one.split(" ")[1]),
            ["quick/t/1#1"]
          )
          yield* system.spawn(tillInMemory(got))
          yield* TestClock.adjust("2 seconds")
          assert.deepStrictEqual(
            got.map((one) => one.split(" ")[1]),
            ["quick/t/1#1", "late/t/1#1"]
          )
          const [letter, ...more] = yield* lettersOf
          assert.lengthOf(more, 0)
          assert.deepInclude(letter, { address: "nobody/t/1", by: "undelivered:lost/t/1#1" })
          assert.include(
            letter?.why,
            "NotFound: Nobody lives at nobody/t/1 on this node. Register the kind nobody"
          )
        })
      )
    }
  )

  it.effect("of another tenant: nobody, whatever its address says of itself", () => {
    const got: Array<string> = []
    const bobs = scopedAddress("till", "bob", "1")
    return process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        yield* (yield* ActorSystem).spawn(tillInMemory(got, bobs))
        const ref = yield* durable({ ...bobs, tenant: "t" })
        yield* ref.ask("send", { amounts: [1] }, host)
        yield* settle
        assert.include(
          (yield* lettersOf)[0]?.why,
          "Forbidden: till/bob/1 is another tenant's than its sender"
        )
        assert.lengthOf(got, 0)
      })
    )
  })
})
