/** What is kept of 512 signals stays small, and holds nothing that would be redacted. */
import { assert, describe, it } from "@effect/vitest"
import { tenantAddress } from "../../src/actor/Address.ts"
import { previewOf } from "../../src/actor/DeadLetters.ts"
import { type AnsweredSignal, Inspection } from "../../src/actor/Inspection.ts"
import { ACTOR_SIGNALS, type ActorSignalName } from "../../src/signal/Catalogue.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"

const answered = (name: ActorSignalName, payload: object, success: unknown): AnsweredSignal => ({
  name,
  definition: ACTOR_SIGNALS[name],
  payload,
  principal: installationPrincipal(),
  address: tenantAddress("echo", "default"),
  at: 0,
  durationMs: 0,
  answer: { success }
})

const keptOf = (signal: AnsweredSignal): string => {
  const inspection = new Inspection()
  inspection.signal(signal)
  return JSON.stringify(inspection.recentSignals())
}

describe("what is kept", () => {
  it("of a call: not its messages, nor its text", () => {
    const kept = keptOf(answered("complete", { model: "m", messages: ["PROMPT"] }, { content: "TEXT" }))
    assert.notInclude(kept, "PROMPT")
    assert.notInclude(kept, "TEXT")
    assert.include(kept, '"model":"m"')
  })

  it("of a query: not its answer", () => {
    assert.notInclude(keptOf(answered("get_budget_status", {}, { budgets: ["LARGE"] })), "LARGE")
  })

  it("of a report: neither the provider's object nor the caller's, in the payload or in the answer", () => {
    const heavy = { raw_usage: "RAW", metadata: "META", provider: "p" }
    const kept = keptOf(answered("track_usage", heavy, { tracked: true, usage: heavy }))
    assert.notInclude(kept, "RAW")
    assert.notInclude(kept, "META")
    assert.include(kept, '"provider":"p"')
  })

  it("of a dead letter: its beginning", () => {
    assert.isAtMost(
      previewOf({ a: Array.from({ length: 100_000 }, () => ({})), b: "x".repeat(1e6) }).length,
      2_000
    )
  })
})
