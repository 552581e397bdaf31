/** What a web server answers for each error, as a table. */
import { assert, describe, it } from "@effect/vitest"
import { httpProblem } from "../../src/host/HttpProblem.ts"
import * as Errors from "../../src/signal/Errors.ts"
import { parseAmount } from "../../src/signal/Money.ts"

const NOW = Date.UTC(2026, 10, 25, 23, 59, 30)
const MIDNIGHT = Date.UTC(2026, 10, 26)
const message = "m"

const refused = (retry_at: number | null) =>
  new Errors.BudgetExceeded({
    message,
    reason: "r",
    violations: [
      {
        budget_id: "b",
        name: "n",
        type: "user",
        entity_id: "ann",
        measure: "cost",
        currency: "USD",
        limit: parseAmount("1"),
        spent: parseAmount("0.9"),
        held: 0n,
        remaining: parseAmount("0.1"),
        percent_used: 90,
        state: "warning",
        resets_at: MIDNIGHT,
        requested: parseAmount("0.2"),
        shortfall: parseAmount("0.1"),
        override: "available"
      }
    ],
    retry_at
  })

const TABLE: ReadonlyArray<readonly [unknown, number, (string | undefined)?]> = [
  [new Errors.InvalidParams({ message, issues: [] }), 400],
  [new Errors.Unauthenticated({ message }), 401],
  [new Errors.Forbidden({ message }), 403],
  [new Errors.NotFound({ message, kind: "k", id: "i" }), 404],
  [new Errors.Conflict({ message, reason: "version_changed" }), 409],
  [new Errors.PriceUnknown({ message, provider: "p", model: "m", nearest: [] }), 422],
  [new Errors.Overloaded({ message, retry_after_ms: 100 }), 429, "1"],
  [new Errors.ProviderFailed({ message, provider: "p", status: 500, retryable: true, attempts: 3 }), 502],
  [new Errors.Unavailable({ message, retry_after_ms: 1_500 }), 503, "2"],
  [new Errors.InternalError({ message, incident: "i" }), 500],
  // Waiting helps: until then, and never less than a second.
  [refused(MIDNIGHT), 429, "30"],
  [refused(NOW + 4_100), 429, "5"],
  [refused(NOW - 1), 429, "1"],
  // Waiting does not help.
  [refused(null), 402]
]

describe("an error as an HTTP answer", () => {
  it.each(TABLE.map((row) => [...row] as const))("%s is %d %s", (error, status, retryAfter) => {
    const problem = httpProblem(error, NOW)
    assert.strictEqual(problem.status, status)
    assert.strictEqual(problem.headers["retry-after"], retryAfter)
    assert.deepInclude(problem.body, { status, detail: message })
  })

  it("says that the client has gone where its AbortSignal ended a signal, and that it took too long where a timeout did", () => {
    const gone = httpProblem(AbortSignal.abort().reason, NOW)
    assert.deepInclude(gone.body, { title: "AbortError", status: 499, detail: "Whoever asked has gone" })
    const late = httpProblem(new DOMException("it took 5 s", "TimeoutError"), NOW)
    assert.deepInclude(late.body, { title: "TimeoutError", status: 504 })
    // Either makes a `Response`. A reason of the host's own is not known here.
    assert.strictEqual(Response.json(gone.body, gone).status, 499)
    assert.strictEqual(httpProblem(AbortSignal.abort(new Error("mine")).reason, NOW).status, 500)
  })

  it("says nothing of what is no error of a signal", () => {
    const problem = httpProblem(new TypeError("cannot read the secret"), NOW)
    assert.strictEqual(problem.status, 500)
    assert.notInclude(JSON.stringify(problem), "secret")
  })

  it("can be written as JSON as on the wire, amounts and all", () => {
    const [violation] = JSON.parse(JSON.stringify(refused(MIDNIGHT))).violations
    assert.deepInclude(violation, { limit: "1", requested: "0.2", resets_at: "2026-11-26T00:00:00.000Z" })
  })
})
