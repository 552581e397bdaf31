import { assert, describe, it } from "@effect/vitest"
import { Context, Effect } from "effect"
import { createActor, fromPromise } from "xstate"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durableRunOf, durably, type Invocation, tell, tellOf } from "../../src/actor/DurableLogic.ts"

const invocation: Invocation<number> = {
  input: 2,
  key: "order/t/1:write:7",
  address: scopedAddress("order", "t", "1"),
  id: "write",
  revision: 7,
  isOver: () => true
}

describe("logic of durable machines", () => {
  it.effect("an Effect is run with its key, and fails with its own error", () =>
    Effect.gen(function* () {
      const logic = durably(Context.empty(), ({ input, key }: Invocation<number>) =>
        input > 2 ? Effect.fail(new Error("too many")) : Effect.succeed(`${key} ${input}`)
      )
      const run = durableRunOf(logic)
      if (run === undefined) return assert.fail("it is not recognised")
      const { signal } = new AbortController()
      assert.strictEqual(yield* Effect.promise(() => run(invocation, signal)), "order/t/1:write:7 2")
      const failed = yield* Effect.flip(Effect.tryPromise(() => run({ ...invocation, input: 3 }, signal)))
      assert.strictEqual((failed.cause as Error).message, "too many")
      assert.isUndefined(durableRunOf(fromPromise(() => Promise.resolve())))
    })
  )

  it.effect("it is interrupted by its signal", () =>
    Effect.gen(function* () {
      let interrupted = false
      const logic = durably(Context.empty(), () =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => (interrupted = true)))
      )
      const control = new AbortController()
      const running = durableRunOf(logic)?.(invocation, control.signal)
      control.abort()
      yield* Effect.flip(Effect.tryPromise(() => running ?? Promise.resolve()))
      assert.isTrue(interrupted)
    })
  )

  it.effect("in a machine that is not durable it fails, and says why", () =>
    Effect.gen(function* () {
      const actor = createActor(durably(Context.empty(), () => Effect.void))
      const error = yield* Effect.callback<unknown>((resume) => {
        actor.subscribe({ error: (failure) => resume(Effect.succeed(failure)) })
        actor.start()
      })
      assert.include((error as Error).message, "runs in machines that are actors only")
    })
  )

  it("an action that tells is recognised, and refuses to run by itself", () => {
    const action = tell(() => undefined)
    assert.isDefined(tellOf(action))
    assert.isUndefined(tellOf(() => undefined))
    assert.throws(() => action({}, undefined), /from machines that are actors: make this one an actor/)
  })
})
