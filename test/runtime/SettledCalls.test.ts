/** A call whose process died is settled under the hold that it has then. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { settle } from "../../src/runtime/WorkflowPorts.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"

const HOST = installationPrincipal("t", "host")
const CALL = { request_id: "wf/a/1", provider: "p", model: "m", messages: [{ role: "user", content: "hi" }] }
/** It counts itself: loading a tokenizer takes time that is not virtual. */
const COUNTING = { name: "p", countPrompt: () => 2 }

/** Each time that it is looked at, the call has another one of these holds. */
const settling = (...holds: ReadonlyArray<string | null>) => {
  const settled: Array<unknown> = []
  let looks = 0
  const answer = (name: string, payload: unknown): Effect.Effect<unknown> => {
    if (name === "find_request") {
      const hold_id = holds[Math.min(looks++, holds.length - 1)] ?? null
      return Effect.succeed({ open_hold: hold_id === null ? null : { hold_id, provider: null, model: null } })
    }
    settled.push(payload)
    return Effect.succeed({ settled: false })
  }
  const around = {
    system: { stop: () => Effect.void },
    adapters: [COUNTING as never],
    tokenManagers: { ask: answer as never }
  }
  return { settled, done: settle(around, CALL as never, HOST) }
}

describe("settling a call whose process died", () => {
  it.effect("charges what it is expected to have used, where something is held", () =>
    Effect.gen(function* () {
      const nothing = settling(null)
      yield* nothing.done
      assert.deepStrictEqual(nothing.settled, [])
      const one = settling("h1", null)
      yield* one.done
      const why = "the process that asked has died"
      assert.deepStrictEqual(one.settled, [
        { hold_id: "h1", provider: "p", model: "m", prompt_tokens: 2, why }
      ])
    })
  )

  it.effect("another hold that is there meanwhile is settled, too", () =>
    Effect.gen(function* () {
      const { settled, done } = settling("h1", "h2", null)
      yield* done
      assert.lengthOf(settled, 2)
    })
  )

  it.effect("where it cannot be settled it says so, and does not try for ever", () =>
    Effect.gen(function* () {
      const { settled, done } = settling("h")
      assert.strictEqual((yield* Effect.flip(done))._tag, "Conflict")
      assert.lengthOf(settled, 5)
    })
  )
})
