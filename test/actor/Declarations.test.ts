/** What is declared wrongly, as plain JavaScript can: it is refused where it is declared, and said. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { setup } from "xstate"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { behave } from "../../src/actor/Behave.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { machineActor } from "../../src/actor/MachineActor.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { process } from "./support/Node.ts"
import { HOME, TILL, till, tillAt, told } from "./support/Till.ts"

const machine = setup({}).createMachine({ id: "light", initial: "red", states: { red: {} } })
const answer = () => ({ total: 1 })
const signals = { pay: { answer }, total: { answer }, break: { answer: () => undefined }, shut: { answer } }
const whole = { kind: "light", machine, version: "1", protocol: TILL, signals }
const { version: _, ...versionless } = whole
const { pay: _pay, ...unpaid } = signals

const thrownBy = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return (error as Error).message
  }
  return assert.fail("it was taken")
}

describe("a durable machine", () => {
  const BAD: ReadonlyArray<readonly [object, string]> = [
    [{ ...whole, verson: "2" }, 'light: verson: Unknown option. Did you mean "version"?'],
    [{ ...whole, idle_ms: 5 }, 'light: idle_ms: Unknown option. Did you mean "idleMs"?'],
    [versionless, "light: version: It is needed, and was left out"],
    [{ ...whole, version: 1 }, "light: version: Expected a text that is not empty, found 1"],
    [{ ...whole, kind: "a/b" }, 'a/b: kind: Expected a word without "/", such as "order", found "a/b"'],
    [
      { ...whole, machine: {} },
      "light: machine: Expected a machine of XState's createMachine, found an object"
    ],
    [{ ...whole, openMax: 0 }, "light: openMax: Expected a whole number above zero, found 0"],
    [{ ...whole, idleMs: "1 hour" }, 'light: idleMs: Expected above zero, found "1 hour"'],
    [{ ...whole, facts: [] }, "light: facts: Expected a function, found a list"],
    [{ ...whole, signals: unpaid }, "light: signals: There is nothing for pay, which the protocol has"],
    [
      { ...whole, signals: { ...signals, pya: { answer } } },
      'light: signals.pya: The protocol has no such signal. Did you mean "pay"?'
    ],
    [
      { ...whole, signals: { ...signals, pay: {} } },
      "light: signals.pay: Expected an answer, a function that makes it"
    ],
    [
      { ...whole, signals: { ...signals, pay: { answer, event: "PAY" } } },
      "light: signals.pay: Expected event to be a function"
    ]
  ]
  for (const [definition, message] of BAD) {
    it.effect(`is refused: ${message}`, () =>
      process(
        { rows: new MemoryMachines() },
        Effect.gen(function* () {
          const said = thrownBy(() => durableMachine(definition as typeof whole))
          assert.include(said, `The durable machine ${message}`)
          // A definition that was changed after it was made, too.
          const registered = (yield* DurableMachines).register(definition as typeof whole)
          assert.include(String(yield* Effect.exit(registered)), message.slice(0, 60))
        })
      )
    )
  }

  const STRANGE: ReadonlyArray<readonly [unknown, string]> = [
    [
      "light/default/2",
      '"light/default/2" is no address, which is an object with a kind, a tenant and a text'
    ],
    [undefined, "What was given is no address"],
    [scopedAddress("till", "default", "2"), "till/default/2 is not an address of a light: light/TENANT/ID is"]
  ]
  for (const [address, message] of STRANGE) {
    it.effect(`is looked for at an address: ${message}`, () =>
      process(
        { rows: new MemoryMachines() },
        Effect.gen(function* () {
          const kind = yield* (yield* DurableMachines).register(durableMachine(whole))
          const given = address as typeof HOME
          for (const looked of [
            yield* Effect.exit(kind.start(given)),
            yield* Effect.exit(kind.find(given)),
            yield* Effect.exit(kind.view(given))
          ]) {
            const said = String(looked)
            assert.include(said, message)
            assert.include(said, 'made by scopedAddress("light", TENANT, ID)')
          }
        })
      )
    )
  }

  it("is taken as it is, and spread into a machine in memory", () => {
    assert.strictEqual(durableMachine(whole), whole)
    machineActor({ address: HOME, ...durableMachine(whole) })
    assert.include(
      thrownBy(() => machineActor({ address: HOME, ...whole, signals: unpaid as typeof signals })),
      "machineActor: signals: There is nothing for pay"
    )
  })
})

describe("a behaviour", () => {
  const initial = () => 0
  const handler = () => ({ reply: { total: 0 } })
  const handlers = { pay: handler, total: handler, break: handler, shut: handler }
  const BAD: ReadonlyArray<readonly [object, string]> = [
    [{ protocol: TILL, initial, handlers: { total: handler } }, "behave: handlers: There is nothing for pay"],
    [
      { protocol: TILL, initial, handlers: { ...handlers, pya: handler } },
      'behave: handlers.pya: The protocol has no such signal. Did you mean "pay"?'
    ],
    [
      { protocol: TILL, initial, handlers: { ...handlers, pay: 1 } },
      "behave: handlers.pay: Expected a function"
    ],
    [
      { protocol: TILL, inital: initial, handlers },
      'behave: inital: Unknown option. Did you mean "initial"?'
    ],
    [{ protocol: TILL, initial: 0, handlers }, "behave: initial: Expected a function, found 0"]
  ]
  it.each(BAD.map((row) => [...row] as const))("is refused: %j", (options, message) => {
    assert.include(
      thrownBy(() => behave(options as never)),
      message
    )
  })
})

describe("an actor", () => {
  const BAD: ReadonlyArray<readonly [object, string]> = [
    [
      tillAt({ mailboxCapcity: 5 } as object),
      'till/default cannot start: mailboxCapcity: Unknown option. Did you mean "mailboxCapacity"?'
    ],
    [
      tillAt({ mailboxCapacity: "5" } as object),
      'till/default cannot start: mailboxCapacity: Expected a number, found "5"'
    ],
    [
      tillAt({ mailboxPolicy: "refuse" } as object),
      'till/default cannot start: mailboxPolicy: Expected an object, found "refuse"'
    ],
    [
      tillAt({ mailboxPolicy: { kind: "drop" } } as object),
      'mailboxPolicy.kind: Expected "refuse" or "backpressure" or "drop_oldest", found "drop"'
    ],
    [
      tillAt({ mailboxPolicy: { kind: "backpressure" } } as object),
      "mailboxPolicy.sendersMax is undefined, and has to be a whole number above zero"
    ],
    [
      tillAt({ supervision: { strategy: "restrt" } } as object),
      'supervision.strategy: Expected "restart" or "stop" or "escalate", found "restrt". Did you mean "restart"?'
    ],
    [
      tillAt({ supervision: { strategy: "restart" } } as object),
      "supervision.restartsMax is undefined, and has to be zero or more"
    ],
    [{ address: HOME }, "till/default cannot start: behaviour: It is needed, and was left out"],
    [
      { ...till(), address: "till/default" },
      'An actor cannot start: address: Expected an address, made by tenantAddress, scopedAddress or sharedAddress, found "till/default"'
    ]
  ]
  for (const [options, message] of BAD) {
    it.effect(`does not start: ${message}`, () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const exit = yield* Effect.exit(system.spawn(options as ReturnType<typeof tillAt>))
        assert.include(String(exit), message)
        assert.isUndefined(system.entry(HOME.text))
      }).pipe(told)
    )
  }
})
