/** A call whose process died is settled, also where something else reports on it at the same moment. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { settle } from "../../src/runtime/WorkflowPorts.ts"
import { Conflict } from "../../src/signal/Errors.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"

const HOST = installationPrincipal("t", "host")
const CALL = { request_id: "wf/a/1", provider: "p", model: "m", messages: [{ role: "user", content: "hi" }] }
/** It counts itself: loading a tokenizer takes time that is not virtual. */
const COUNTING = { name: "p", countPrompt: () => 2 } as never
const CONFLICT = new Conflict({ reason: "request_reused_with_different_content", message: "another report" })

/** The hold stays open for as long as a report of the attempt is refused. */
const conflicting = (conflicts: number) => {
  const attempts: Array<number> = []
  let isOpen = true
  const answer = (name: string, payload: { readonly attempt: number }): Effect.Effect<unknown, Conflict> => {
    if (name === "find_request") {
      const open_hold = isOpen ? { hold_id: "h", provider: null, model: null } : null
      return Effect.succeed({ open_hold, next_attempt: attempts.length + 1 })
    }
    attempts.push(payload.attempt)
    if (attempts.length <= conflicts) return Effect.fail(CONFLICT)
    isOpen = false
    return Effect.succeed({})
  }
  const around = {
    system: { stop: () => Effect.void },
    adapters: [COUNTING],
    tokenManagers: { ask: ((name: string, payload: never) => answer(name, payload)) as never }
  }
  return { attempts, done: settle(around, CALL as never, HOST) }
}

describe("settling a call whose process died", () => {
  it.effect("a report that was quicker, and left the hold open, is followed by another attempt", () =>
    Effect.gen(function* () {
      const { attempts, done } = conflicting(2)
      const settling = yield* Effect.forkChild(done, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(settling)
      assert.deepStrictEqual(attempts, [1, 2, 3])
    })
  )

  it.effect("where it cannot be settled it says so, and does not try for ever", () =>
    Effect.gen(function* () {
      const { attempts, done } = conflicting(1_000)
      const settling = yield* Effect.forkChild(Effect.flip(done), { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* Fiber.join(settling))._tag, "Conflict")
      assert.strictEqual(attempts.length, 5)
    })
  )
})
