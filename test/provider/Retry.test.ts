import { assert, describe, it } from "@effect/vitest"
import { NO_USAGE, ProviderFailure } from "../../src/provider/Adapter.ts"
import { backoffMs, DEFAULT_RETRY, planAfter, type Situation } from "../../src/provider/Retry.ts"
import { retryAfterMs } from "../../src/provider/RetryAfter.ts"

const failure = (isRetryable: boolean, retryAfter?: number) =>
  new ProviderFailure({
    provider: "p",
    status: 429,
    isRetryable,
    retryAfterMs: retryAfter,
    message: "no",
    usage: { counts: NO_USAGE },
    reachedProvider: true
  })

const base: Situation = {
  tries: 1,
  triesMax: 3,
  hasFallback: false,
  hasTextBeenRead: false,
  remainingMs: 60_000,
  random: 1
}

describe("what follows a failed attempt", () => {
  const rows: ReadonlyArray<readonly [string, ProviderFailure, Partial<Situation>, string]> = [
    ["worth a try", failure(true), {}, "retry 500"],
    ["second time", failure(true), { tries: 2 }, "retry 1000"],
    ["jitter halves at most", failure(true), { random: 0 }, "retry 250"],
    ["the provider asks for longer", failure(true, 3_000), {}, "retry 3000"],
    ["the provider asks for less", failure(true, 10), {}, "retry 500"],
    ["exactly the longest pause", failure(true, 60_000), { remainingMs: 60_001 }, "retry 60000"],
    ["a longer pause than is waited for", failure(true, 60_001), { remainingMs: 100_000 }, "finish"],
    ["a longer pause, and another model", failure(true, 60_001), { hasFallback: true }, "fallback"],
    ["exhausted", failure(true), { tries: 3 }, "finish"],
    ["exhausted, and another model", failure(true), { tries: 3, hasFallback: true }, "fallback"],
    ["not worth a try", failure(false), {}, "finish"],
    ["not worth a try, and another model", failure(false), { hasFallback: true }, "fallback"],
    ["the pause would pass the deadline", failure(true), { remainingMs: 500 }, "finish"],
    ["text was read", failure(true), { hasTextBeenRead: true, hasFallback: true }, "finish"]
  ]
  for (const [name, failed, situation, expected] of rows) {
    it(`${name} → ${expected}`, () => {
      const plan = planAfter(DEFAULT_RETRY, failed, { ...base, ...situation })
      assert.strictEqual(plan.kind === "retry" ? `retry ${plan.delayMs}` : plan.kind, expected)
    })
  }

  it("the pause grows to its bound", () => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 60].map((tries) => backoffMs(DEFAULT_RETRY, tries, undefined, 1))
    assert.deepStrictEqual(pauses, [500, 1000, 2000, 4000, 8000, 16000, 20000, 20000])
  })
})

describe("retry-after", () => {
  const now = Date.parse("2026-11-23T09:30:00Z")
  const rows: ReadonlyArray<readonly [{ readonly [header: string]: string }, number | undefined]> = [
    [{}, undefined],
    [{ "retry-after": "2" }, 2000],
    [{ "retry-after": "0.25" }, 250],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": "-1" }, undefined],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "Mon, 23 Nov 2026 09:30:07 GMT" }, 7000],
    [{ "retry-after": "Mon, 23 Nov 2026 09:29:00 GMT" }, 0],
    [{ "retry-after-ms": "1500" }, 1500],
    [{ "retry-after-ms": "1500", "retry-after": "9" }, 1500],
    [{ "retry-after-ms": "x", "retry-after": "9" }, 9000]
  ]
  for (const [headers, expected] of rows) {
    it(`${JSON.stringify(headers)} → ${expected}`, () => {
      assert.strictEqual(retryAfterMs(new Headers(headers), now), expected)
    })
  }
})
