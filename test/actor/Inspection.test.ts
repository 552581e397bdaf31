/** What is kept of 512 signals stays small, and holds nothing that would be redacted; who asks for more gets more. */
import { assert, describe, it } from "@effect/vitest"
import { ActorRef } from "../../src/actor/ActorRef.ts"
import { tenantAddress } from "../../src/actor/Address.ts"
import { DeadLetters, previewOf } from "../../src/actor/DeadLetters.ts"
import {
  type AnsweredSignal,
  arrivalOf,
  deadLetterOf,
  Inspection,
  type InspectionListener,
  recordOf
} from "../../src/actor/Inspection.ts"
import { ACTOR_SIGNALS, type ActorSignalName } from "../../src/signal/Catalogue.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"

const complain = (what: string) => assert.fail(what)

const answered = (name: ActorSignalName, payload: object, success: unknown): AnsweredSignal => ({
  signalId: 1,
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
  const inspection = new Inspection(complain)
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

describe("who listens", () => {
  const HOME = tenantAddress("echo", "default")
  const WHO = installationPrincipal()

  const actor = (listener: InspectionListener) => {
    const inspection = new Inspection(complain)
    inspection.listen(listener)
    const deadLetters = new DeadLetters((letter) => inspection.deadLetter(letter))
    return new ActorRef(
      HOME,
      ACTOR_SIGNALS,
      { capacity: 2 },
      { inspection, deadLetters, complain, now: () => 7, wake: () => undefined, comesBack: () => false }
    )
  }
  const told: Array<object> = []
  const tell = (ref: ReturnType<typeof actor>, hold_id: string) => ref.tell("release_hold", { hold_id }, WHO)

  it("hears of a signal when it comes, under the number that its answer has", () => {
    told.length = 0
    const ref = actor({
      onArrival: (arrived) => told.push({ received: arrivalOf(arrived) }),
      onSignal: (signal) => told.push(recordOf(signal))
    })
    tell(ref, "1")
    tell(ref, "2")
    for (const envelope of ref.mailbox.takeNow(2)) envelope.succeed({ released: true } as never)
    assert.deepStrictEqual(told.slice(0, 2), [
      {
        received: {
          version: 1,
          signal: "release_hold",
          signal_id: 1,
          address: HOME.text,
          principal: WHO.keyId,
          request_id: null,
          at: 7,
          mailbox_depth: 0
        }
      },
      { received: { ...(told[0] as { received: object }).received, signal_id: 2, mailbox_depth: 1 } }
    ])
    assert.deepInclude(told[2], { version: 1, signal_id: 1, outcome: "ok" })
    assert.deepInclude(told[3], { signal_id: 2 })
  })

  it("hears of answers alone where it asks for nothing else", () => {
    const ref = actor({ onSignal: () => {} })
    assert.isFalse(ref.surroundings.inspection.hearsArrivals)
    const leave = ref.surroundings.inspection.listen({ onArrival: () => {} })
    assert.isTrue(ref.surroundings.inspection.hearsArrivals)
    leave()
    assert.isFalse(ref.surroundings.inspection.hearsArrivals)
  })

  it("hears of a signal that nobody could take", () => {
    told.length = 0
    const ref = actor({ onDeadLetter: (letter) => told.push(deadLetterOf(letter)) })
    ref.close()
    tell(ref, "late")
    assert.deepStrictEqual(told, [
      {
        version: 1,
        signal: "release_hold",
        address: HOME.text,
        principal: WHO.keyId,
        at: 7,
        why: `${HOME.text} was stopped, and nothing brings it back by itself: spawn it again, and send this through the new handle`,
        payload: '{hold_id:"late"}'
      }
    ])
  })

  it("gets prompt text and answers where it asks for them, and secrets in no case", () => {
    const seen: Array<string> = []
    const inspection = new Inspection(complain)
    inspection.listen({
      wantsContent: true,
      onSignal: (signal) => seen.push(JSON.stringify(recordOf(signal, true)))
    })
    inspection.listen({ onSignal: (signal) => seen.push(JSON.stringify(recordOf(signal))) })
    const messages = [{ role: "user", content: "PROMPT" }]
    inspection.signal(
      answered("complete", { provider: "p", model: "m", messages, system: "SYSTEM" }, undefined)
    )
    const alert_channels = [{ type: "webhook", url: "https://h.example/", secret: "whsec_SECRET" }]
    inspection.signal(answered("configure_manager", { alert_channels }, undefined))
    assert.include(seen[0], "PROMPT")
    assert.include(seen[0], "SYSTEM")
    assert.notInclude(seen[1], "PROMPT")
    assert.notInclude(seen.slice(2).join(), "SECRET")
    assert.lengthOf(seen, 4)
  })
})
