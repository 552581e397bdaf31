/** Every signal survives the wire: what is sent and what is answered, to JSON and back. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import { SIGNALS, type SignalName } from "../../src/signal/Catalogue.ts"
import {
  decodePayload,
  decodeSuccess,
  encodeErrorData,
  encodeSuccess,
  findSignal
} from "../../src/signal/Decode.ts"
import { BudgetExceeded, Conflict, ERROR_CODES, InvalidParams, SignalError } from "../../src/signal/Errors.ts"
import { paramsSchema, resultSchema } from "../../src/signal/JsonSchemas.ts"
import { traitsOf } from "../../src/signal/Signal.ts"
import { EXAMPLES, SIGNAL_NAMES } from "./Examples.ts"

const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe("every signal", () => {
  it("has an example", () => {
    assert.deepStrictEqual([...SIGNAL_NAMES].sort(), Object.keys(SIGNALS).sort())
  })

  for (const name of SIGNAL_NAMES) {
    it(`${name}: params survive the wire`, () => {
      const { params } = EXAMPLES[name]
      const schema = SIGNALS[name].payloadSchema as unknown as Schema.Codec<unknown, unknown>
      const decoded = Result.getOrThrow(decodePayload(name, overTheWire(params)))
      const encoded = overTheWire(Schema.encodeSync(schema)(decoded)) as object
      const again = Result.getOrThrow(decodePayload(name, encoded))
      assert.deepStrictEqual(again, decoded)
      for (const [field, value] of Object.entries(params)) {
        assert.deepStrictEqual((encoded as Record<string, unknown>)[field], value, field)
      }
    })

    it(`${name}: answers survive the wire`, () => {
      for (const result of EXAMPLES[name].results) {
        const decoded = decodeSuccess(name, overTheWire(result))
        assert.deepStrictEqual(overTheWire(encodeSuccess(name, decoded)), result as unknown)
        const schema = SIGNALS[name].successSchema as unknown as Schema.Codec<unknown, unknown>
        assert.deepStrictEqual(overTheWire(Schema.encodeSync(schema)(decoded)), result as unknown)
      }
    })

    it(`${name}: an unknown field is refused`, () => {
      const params = { ...(EXAMPLES[name].params as object), no_such_field: 1 }
      const decoded = decodePayload(name, params)
      if (Result.isSuccess(decoded)) throw new Error("it was taken")
      assert.deepStrictEqual(
        decoded.failure.issues.map(({ path }) => path.join(".")),
        ["no_such_field"]
      )
    })

    it(`${name}: has JSON Schemas of params and answer, strict about what goes in`, () => {
      const params = paramsSchema(name)
      assert.strictEqual(params.title, name)
      const strict = params.properties === undefined ? (params.allOf as ReadonlyArray<object>)[0] : params
      assert.strictEqual((strict as { readonly additionalProperties?: boolean }).additionalProperties, false)
      assert.isTrue(Object.keys(resultSchema(name)).length > 2)
      assert.isTrue(traitsOf(SIGNALS[name]).description.length > 10)
    })

    it(`${name}: every command takes a request_id, no query does but to find it`, () => {
      const isCommand = traitsOf(SIGNALS[name]).kind === "command"
      const properties = paramsSchema(name).properties as object | undefined
      assert.strictEqual("request_id" in (properties ?? {}), isCommand || name === "list_refusals")
    })
  }
})

describe("a signal's name", () => {
  const table: ReadonlyArray<readonly [string, string]> = [
    ["track_usages", "track_usage"],
    ["TrackUsage", "track_usage"],
    ["chek_budget", "check_budget"],
    ["get_budgets_status", "get_budget_status"]
  ]
  for (const [misspelt, meant] of table) {
    it(`${misspelt} was probably ${meant}`, () => {
      const found = findSignal(misspelt)
      if (Result.isSuccess(found)) throw new Error("it was found")
      assert.include(found.failure.message, `did you mean ${meant}?`)
    })
  }

  it("of JavaScript's own objects is not a signal", () => {
    for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", ""]) {
      assert.isTrue(Result.isFailure(findSignal(name)), name)
    }
  })

  it("that is very long is cut in the answer", () => {
    const found = findSignal("x".repeat(100_000))
    if (Result.isSuccess(found)) throw new Error("it was found")
    assert.isTrue(found.failure.message.length < 300)
  })
})

describe("errors", () => {
  it("every error has a code of its own, in the server's range or JSON-RPC's", () => {
    const codes = Object.values(ERROR_CODES)
    assert.strictEqual(new Set(codes).size, codes.length)
    assert.strictEqual(codes.length, SignalError.members.length)
    for (const code of codes) {
      assert.isTrue((code <= -32000 && code >= -32099) || (code <= -32600 && code >= -32700), `${code}`)
    }
  })

  it("data carries the _tag and the fields, never the message", () => {
    const conflict = new Conflict({ reason: "version_changed", message: "Read it again" })
    assert.deepStrictEqual(encodeErrorData(conflict), { _tag: "Conflict", reason: "version_changed" })
    const invalid = new InvalidParams({ message: "no", issues: [{ path: ["a", 0], message: "no" }] })
    assert.deepStrictEqual(encodeErrorData(invalid), {
      _tag: "InvalidParams",
      issues: [{ path: ["a", 0], message: "no" }]
    })
  })

  it("amounts in an error are decimals", () => {
    const { violations } = EXAMPLES.check_budget.results[1] as { violations: ReadonlyArray<object> }
    const decoded = decodeSuccess("check_budget", EXAMPLES.check_budget.results[1])
    if (decoded.allowed) throw new Error("it was allowed")
    const { violations: said, retry_at } = decoded
    const error = new BudgetExceeded({ message: "no", reason: "no", violations: said, retry_at })
    assert.deepStrictEqual(overTheWire(encodeErrorData(error)), {
      _tag: "BudgetExceeded",
      reason: "no",
      violations,
      retry_at: null
    })
  })
})

describe("a signal that is only named", () => {
  it("takes absent params for an empty object", () => {
    for (const name of ["get_status", "get_usage", "list_actors"] satisfies ReadonlyArray<SignalName>) {
      assert.isTrue(Result.isSuccess(decodePayload(name, undefined)), name)
    }
    assert.isTrue(Result.isFailure(decodePayload("track_usage", undefined)))
  })
})
