/** What a machine has invoked cleans up before its machine has ended, and what never goes keeps nobody. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Scope } from "effect"
import { TestClock } from "effect/testing"
import { fromPromise, type PromiseActorLogic, setup } from "xstate"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durably } from "../../src/actor/DurableLogic.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { invoked } from "../../src/actor/Machine.ts"
import { machineActor } from "../../src/actor/MachineActor.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { MemoryMachines } from "../../src/store/MemoryMachineStore.ts"
import { process } from "./support/Node.ts"
import { quiet } from "./support/Till.ts"

const HOME = scopedAddress("worker", "t", "1")
const CLEAN_UP_MS = 300
const NOTHING = protocol()

/** Works until it is interrupted, and then cleans up. */
const working = (cleanedUp: () => void) =>
  Effect.onInterrupt(Effect.never, () => Effect.andThen(Effect.sleep(CLEAN_UP_MS), Effect.sync(cleanedUp)))

const deaf = Effect.uninterruptible(Effect.never)

const machineOf = (work: PromiseActorLogic<never, unknown>) =>
  setup({ actors: { work } }).createMachine({
    initial: "working",
    states: { working: { invoke: { id: "work", src: "work" } } }
  })

const pass = (ms: number) => Effect.andThen(TestClock.adjust(ms), quiet)
const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkDetach(effect, { startImmediately: true })

/** Stops a machine in memory by the end of its system. */
const closing = (work: PromiseActorLogic<never, unknown>, log: Array<string> = []) =>
  Effect.gen(function* () {
    // The clock of tests begins to look after itself with its first step.
    yield* pass(1)
    const scope = yield* Scope.make()
    const logger = Logger.make<unknown, void>(({ message }) => {
      log.push(String(message))
    })
    const context = yield* Layer.buildWithScope(Layer.provideMerge(layer, Logger.layer([logger])), scope)
    yield* Context.get(context, ActorSystem).spawn(
      machineActor({ address: HOME, machine: machineOf(work), protocol: NOTHING, signals: {} })
    )
    yield* quiet
    const closed = yield* fork(Scope.close(scope, Exit.void))
    yield* quiet
    return () => closed.pollUnsafe() !== undefined
  })

describe("a machine in memory that is stopped", () => {
  for (const [what, logic] of [
    ["invoked", (cleanedUp: () => void) => invoked(Context.empty(), () => working(cleanedUp))],
    ["durably", (cleanedUp: () => void) => durably(Context.empty(), () => working(cleanedUp))]
  ] as const) {
    it.effect(`has ended when what it invoked has cleaned up: ${what}`, () =>
      Effect.gen(function* () {
        let isCleanedUp = false
        const hasClosed = yield* closing(
          logic(() => {
            isCleanedUp = true
          })
        )
        yield* pass(CLEAN_UP_MS - 1)
        assert.isFalse(hasClosed())
        yield* pass(1)
        assert.isTrue(isCleanedUp)
        assert.isTrue(hasClosed())
      })
    )
  }

  it.effect("leaves behind what does not end, after ten seconds, and says so", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const hasClosed = yield* closing(
        invoked(Context.empty(), () => deaf),
        log
      )
      yield* pass(9_999)
      assert.isFalse(hasClosed())
      yield* pass(1)
      assert.isTrue(hasClosed())
      assert.deepStrictEqual(log, [
        "worker/t/1 has ended, and what it invoked has not, 10000 ms after it was interrupted; it is left behind: work"
      ])
    })
  )
})

describe("a durable machine that is stopped", () => {
  it.effect("leaves behind a promise that ignores its signal, after ten seconds", () =>
    process(
      { rows: new MemoryMachines() },
      Effect.gen(function* () {
        yield* pass(1)
        const kind = yield* (yield* DurableMachines).register(
          durableMachine({
            kind: HOME.kind,
            version: "1",
            protocol: NOTHING,
            machine: machineOf(fromPromise(() => new Promise<never>(() => {}))),
            signals: {}
          })
        )
        yield* kind.start(HOME)
        yield* quiet
        const stopped = yield* fork((yield* ActorSystem).stop(HOME))
        yield* pass(9_999)
        assert.isUndefined(stopped.pollUnsafe())
        yield* pass(1)
        assert.isDefined(stopped.pollUnsafe())
      })
    )
  )
})
