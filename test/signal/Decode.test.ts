/** The bounds of every input, and how a refusal is worded (signals.md, section 2). */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { SignalName } from "../../src/signal/Catalogue.ts"
import { decodePayload } from "../../src/signal/Decode.ts"
import { EXAMPLES } from "./Examples.ts"

type Fields = { readonly [field: string]: unknown }

const REPORT = { request_id: "r1", provider: "p", model: "m", prompt_tokens: 10, completion_tokens: 5 }

const issuesOf = (name: SignalName, params: unknown) => {
  const decoded = decodePayload(name, params)
  return Result.isFailure(decoded) ? decoded.failure.issues : []
}

/** The refused paths, in order. */
const refused = (name: SignalName, params: unknown): ReadonlyArray<string> => [
  ...new Set(issuesOf(name, params).map(({ path }) => path.join(".")))
]

const report = (fields: Fields) => refused("track_usage", { ...REPORT, ...fields })

/** As it comes from a parser: `__proto__` is a field like any other. */
const parsed = (json: string): Fields => JSON.parse(json) as Fields

const nested = (depth: number): unknown => (depth === 0 ? 1 : { a: nested(depth - 1) })

describe("all issues are told, not only the first", () => {
  it("of fields that are wrong, missing and unknown", () => {
    const issues = issuesOf("track_usage", {
      request_id: "",
      provider: 5,
      prompt_tokens: -1,
      completion_tokens: 1.5,
      promt_tokens_details: {},
      status: "fine"
    })
    assert.deepStrictEqual(
      issues.map(({ path }) => path.join(".")).sort(),
      [
        "completion_tokens",
        "model",
        "promt_tokens_details",
        "prompt_tokens",
        "provider",
        "request_id",
        "status"
      ].sort()
    )
    assert.strictEqual(issues.find(({ path }) => path[0] === "model")?.message, "This field is required")
  })

  it("the message names the first, and how many more there are", () => {
    const decoded = decodePayload("track_usage", {})
    if (Result.isSuccess(decoded)) throw new Error("it was taken")
    assert.strictEqual(decoded.failure.message, "request_id: This field is required (and 4 more, see issues)")
  })

  it("but at most fifty of them", () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`field${index}`, 1]))
    assert.strictEqual(issuesOf("track_usage", { ...REPORT, ...many }).length, 50)
  })

  it("and a word that is none of those that there are is told which was meant", () => {
    const said = (name: SignalName, params: unknown) => issuesOf(name, params).map(({ message }) => message)
    const [kind] = said("get_audit_trail", { kind: "create_bugdet" })
    assert.match(kind ?? "", /^Expected "create_budget" \| .*\. Did you mean "create_budget"\?$/u)
    const [far] = said("get_audit_trail", { kind: "weather" })
    assert.match(far ?? "", /^Expected "create_budget" \| .*"revoke_key"$/u)
    const updates = { rollover: null, enforcement: "hart" }
    assert.deepStrictEqual(said("update_budget", { budget_id: "b", updates }), [
      'Expected "hard" | "soft". Did you mean "hard"?'
    ])
  })

  it("and one value has one, about what is wrong with it first", () => {
    const table: ReadonlyArray<readonly [SignalName, Fields, string]> = [
      [
        "get_usage",
        { from: "yesterday" },
        'from: Expected a time of RFC 3339 in UTC like "2026-11-23T09:30:00Z"'
      ],
      ["get_usage", { from: "2026-02-30T00:00:00Z" }, "from: Expected a day that exists"],
      [
        "check_budget",
        { request_id: "r1", currency: "eur" },
        'currency: Expected a currency of ISO 4217 like "USD"'
      ]
    ]
    for (const [name, params, message] of table) {
      const decoded = decodePayload(name, params)
      assert.strictEqual(Result.isFailure(decoded) ? decoded.failure.message : "", message)
    }
  })

  it("a value of another shape is told which", () => {
    const made = { name: "n", type: "team", entity_id: "x", period: "daily", limit: "1" }
    const table: ReadonlyArray<readonly [SignalName, Fields, string]> = [
      ["create_budget", { ...made, rollover: true }, "Expected an object with max, min"],
      ["extend_hold", { hold_id: "h", by: "5" }, "Expected an object with tokens, cost"],
      [
        "configure_manager",
        { alert_channels: [{ type: "sms" }] },
        'Expected {"type": "webhook", "url": …} or {"type": "email", "to": […]}'
      ]
    ]
    for (const [name, params, message] of table) {
      assert.deepStrictEqual(
        issuesOf(name, params).map((issue) => issue.message),
        [message]
      )
    }
  })

  it("a name that cannot stand where names are free is told what it must be", () => {
    const rates = issuesOf("update_exchange_rates", { base: "USD", rates: { ABC: "1" } })
    assert.deepStrictEqual(rates, [
      { path: ["rates", "ABC"], message: 'Expected a currency of ISO 4217 like "USD": "ABC" is none' }
    ])
    const [upperCase] = issuesOf("track_usage", { ...REPORT, tags: { Team: "x" } })
    assert.strictEqual(
      upperCase?.message,
      'Expected a name of a-z, 0-9, _, . and -, at most 64 long: "Team" is none'
    )
    const [forbidden] = issuesOf("track_usage", { ...REPORT, tags: { constructor: "x" } })
    assert.strictEqual(forbidden?.message, "Expected no key named constructor")
  })

  it("what is not an object is refused", () => {
    for (const params of [[], "text", 5, true, [REPORT]]) {
      assert.deepStrictEqual(refused("track_usage", params), [""])
      assert.deepStrictEqual(refused("get_status", params), [""])
    }
  })
})

describe("a misspelt field never silently loses money", () => {
  const table: ReadonlyArray<readonly [string, string]> = [
    ["promt_tokens", "prompt_tokens"],
    ["cached_token_details", "prompt_tokens_details"],
    ["requestId", "request_id"],
    ["userid", "user_id"],
    ["hold", "model"],
    ["latency", "latency_ms"]
  ]
  for (const [misspelt, near] of table) {
    it(`${misspelt} is refused, and the message helps`, () => {
      const [issue] = issuesOf("track_usage", { ...REPORT, [misspelt]: 1 })
      assert.strictEqual(issue?.path.join("."), misspelt)
      assert.match(issue?.message ?? "", /^Unknown field\. (Did you mean "|Known are: )/u)
      assert.include(issue?.message ?? "", near)
    })
  }

  it("inside an object as well", () => {
    assert.deepStrictEqual(report({ prompt_tokens_details: { cached: 5 } }), ["prompt_tokens_details.cached"])
    assert.deepStrictEqual(refused("update_budget", { budget_id: "b", updates: { limits: "5" } }), [
      "updates.limits"
    ])
    assert.deepStrictEqual(
      refused("complete", {
        ...EXAMPLES.complete.params,
        messages: [{ role: "user", content: "x", name: "y" }]
      }),
      ["messages.0.name"]
    )
  })
})

describe("texts", () => {
  const table: ReadonlyArray<readonly [string, unknown, boolean]> = [
    ["one byte", "x", true],
    ["256 bytes", "x".repeat(256), true],
    ["257 bytes", "x".repeat(257), false],
    ["256 bytes of UTF-8", "é".repeat(128), true],
    ["258 bytes of UTF-8", "é".repeat(129), false],
    ["255 bytes in 85 characters", "€".repeat(85), true],
    ["258 bytes in 86 characters", "€".repeat(86), false],
    ["256 bytes of emoji", "😀".repeat(64), true],
    ["260 bytes of emoji", "😀".repeat(65), false],
    ["a megabyte", "x".repeat(1_000_000), false],
    ["nothing", "", false],
    ["U+0000", "a\u0000b", false],
    ["a lone high surrogate", "a\ud800b", false],
    ["a lone low surrogate", "\udc00", false],
    ["a control character", "a\u0001b", true],
    ["a name of JavaScript's own", "__proto__", true],
    ["a number", 5, false],
    ["null", null, false],
    ["an array", ["x"], false]
  ]
  for (const [what, value, isTaken] of table) {
    it(`an id of ${what} is ${isTaken ? "taken" : "refused"}`, () => {
      for (const field of ["request_id", "model", "user_id", "service_tier", "prompt_hash"]) {
        assert.deepStrictEqual(report({ [field]: value }), isTaken ? [] : [field])
      }
    })
  }

  it("a refusal does not repeat what it refuses", () => {
    const [issue] = issuesOf("track_usage", { ...REPORT, model: `secret${"x".repeat(500)}` })
    assert.notInclude(issue?.message ?? "", "secret")
  })

  it("a hold's id may be longer, because it carries a request's id", () => {
    assert.deepStrictEqual(refused("release_hold", { hold_id: `hold_zzzz.${"x".repeat(256)}` }), [])
    assert.deepStrictEqual(refused("release_hold", { hold_id: "x".repeat(321) }), ["hold_id"])
  })
})

describe("tags", () => {
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`t${index}`, "x"]))
  const table: ReadonlyArray<readonly [string, unknown, ReadonlyArray<string>]> = [
    ["none", {}, []],
    ["sixteen", many(16), []],
    ["seventeen", many(17), ["tags"]],
    ["a value of nothing", { a: "" }, []],
    ["a value of 257 bytes", { a: "x".repeat(257) }, ["tags.a"]],
    ["a value with U+0000", { a: "\u0000" }, ["tags.a"]],
    ["a value that is a number", { a: 1 }, ["tags.a"]],
    ["every character of a name", { "a0_.-z": "x" }, []],
    ["a name of 64", { ["x".repeat(64)]: "x" }, []],
    ["a name of 65", { ["x".repeat(65)]: "x" }, [`tags.${"x".repeat(65)}`]],
    ["an upper-case name", { A: "x" }, ["tags.A"]],
    ["a name with a space", { "a b": "x" }, ["tags.a b"]],
    ["a name that starts with a dash", { "-a": "x" }, ["tags.-a"]],
    ["an empty name", { "": "x" }, ["tags."]],
    ["constructor", { constructor: "x" }, ["tags.constructor"]],
    ["prototype", { prototype: "x" }, ["tags.prototype"]],
    ["__proto__", parsed('{"__proto__":"x"}'), ["tags.__proto__"]]
  ]
  for (const [what, tags, expected] of table) {
    it(`${what}: ${expected.length === 0 ? "taken" : "refused"}`, () => {
      assert.deepStrictEqual(report({ tags }), expected)
    })
  }
})

describe("metadata", () => {
  const ofBytes = (bytes: number) => ({ a: "x".repeat(bytes - '{"a":""}'.length) })
  const table: ReadonlyArray<readonly [string, unknown, boolean]> = [
    ["4 KiB", ofBytes(4096), true],
    ["one byte more", ofBytes(4097), false],
    ["4 KiB of two-byte letters", { a: "é".repeat(2044) }, true],
    ["two bytes more", { a: "é".repeat(2045) }, false],
    ["four levels", nested(4), true],
    ["five levels", nested(5), false],
    ["four levels with an array", { a: { b: { c: [1] } } }, true],
    ["five levels with an array", { a: { b: { c: [[1]] } } }, false],
    [
      "a hundred thousand levels",
      { a: Array.from({ length: 100_000 }).reduce((inner) => [inner], 1) },
      false
    ],
    ["numbers, null and booleans", { a: 1.5, b: null, c: true }, true],
    ["U+0000 in a value", { a: { b: "\u0000" } }, false],
    ["U+0000 in a key", { "a\u0000": 1 }, false],
    ["a lone surrogate in a value", { a: ["\ud800"] }, false],
    ["a lone surrogate in a key", { "\ud800": 1 }, false],
    ["a key of 257 bytes", { ["x".repeat(257)]: 1 }, false],
    ["__proto__", parsed('{"__proto__":{"a":1}}'), false],
    ["__proto__ further in", parsed('{"a":{"b":{"__proto__":1}}}'), false],
    ["__proto__ in an array", parsed('{"a":[{"__proto__":1}]}'), false],
    ["constructor further in", { a: { constructor: 1 } }, false],
    ["prototype", { prototype: 1 }, false],
    ["an array", [], false],
    ["a text", "x", false]
  ]
  for (const [what, metadata, isTaken] of table) {
    it(`${what}: ${isTaken ? "taken" : "refused"}`, () => {
      assert.deepStrictEqual(report({ metadata }), isTaken ? [] : ["metadata"])
    })
  }

  it("raw_usage may be larger and deeper, with the same manners", () => {
    assert.deepStrictEqual(report({ raw_usage: nested(16) }), [])
    assert.deepStrictEqual(report({ raw_usage: nested(17) }), ["raw_usage"])
    assert.deepStrictEqual(report({ raw_usage: { a: "x".repeat(60_000) } }), [])
    assert.deepStrictEqual(report({ raw_usage: { a: "x".repeat(66_000) } }), ["raw_usage"])
    assert.deepStrictEqual(report({ raw_usage: parsed('{"a":{"__proto__":1}}') }), ["raw_usage"])
  })

  it("nothing of an input reaches JavaScript's own objects", () => {
    report({ metadata: parsed('{"__proto__":{"polluted":1}}') })
    report(parsed('{"__proto__":{"polluted":1}}'))
    assert.isUndefined(({} as { polluted?: number }).polluted)
    assert.deepStrictEqual(
      refused("track_usage", parsed(JSON.stringify(REPORT).replace("{", '{"__proto__":{"a":1},'))),
      ["__proto__"]
    )
  })
})

describe("counts", () => {
  const table: ReadonlyArray<readonly [unknown, boolean]> = [
    [0, true],
    [1, true],
    [2 ** 52, true],
    [-1, false],
    [-0, true],
    [0.5, false],
    [2 ** 53, false],
    [1e300, false],
    [Number.NaN, false],
    [Number.POSITIVE_INFINITY, false],
    ["5", false],
    [null, false],
    [5n, false]
  ]
  for (const [value, isTaken] of table) {
    it(`${String(value)} (${typeof value}) is ${isTaken ? "taken" : "refused"}`, () => {
      assert.deepStrictEqual(report({ latency_ms: value }), isTaken ? [] : ["latency_ms"])
    })
  }

  const rules: ReadonlyArray<readonly [string, Fields, ReadonlyArray<string>]> = [
    ["a detail equal to its total", { prompt_tokens_details: { cached_tokens: 10 } }, []],
    [
      "a detail above its total",
      { prompt_tokens_details: { audio_tokens: 11 } },
      ["prompt_tokens_details.audio_tokens"]
    ],
    [
      "reasoning above the output",
      { completion_tokens_details: { reasoning_tokens: 6 } },
      ["completion_tokens_details.reasoning_tokens"]
    ],
    [
      "cache parts that fill the prompt",
      { prompt_tokens_details: { cached_tokens: 4, cache_write_1h_tokens: 6 } },
      []
    ],
    [
      "cache parts that are more than the prompt together",
      { prompt_tokens_details: { cached_tokens: 4, cache_write_5m_tokens: 4, cache_write_1h_tokens: 3 } },
      ["prompt_tokens_details"]
    ],
    [
      "a total that is not a safe integer",
      { prompt_tokens: Number.MAX_SAFE_INTEGER, completion_tokens: 1 },
      ["completion_tokens"]
    ]
  ]
  for (const [what, fields, expected] of rules) {
    it(`${what}: ${expected.length === 0 ? "taken" : "refused"}`, () => {
      assert.deepStrictEqual(report(fields), expected)
      assert.deepStrictEqual(
        refused("calculate_cost", {
          provider: "p",
          model: "m",
          prompt_tokens: 10,
          completion_tokens: 5,
          ...fields
        }),
        expected
      )
    })
  }

  it("attempts are numbered from 1 to 100", () => {
    for (const [attempt, isTaken] of [
      [1, true],
      [100, true],
      [0, false],
      [101, false]
    ] as const) {
      assert.deepStrictEqual(report({ attempt }), isTaken ? [] : ["attempt"])
    }
  })
})

describe("times", () => {
  const table: ReadonlyArray<readonly [string, boolean]> = [
    ["2026-11-23T09:30:00Z", true],
    ["2026-11-23T09:30:00.123Z", true],
    ["2026-11-23T09:30:00.123456789Z", true],
    ["2026-11-23T09:30:00+00:00", true],
    ["2028-02-29T00:00:00Z", true],
    ["2026-02-29T00:00:00Z", false],
    ["2026-02-30T00:00:00Z", false],
    ["2026-13-01T00:00:00Z", false],
    ["2026-11-23T24:00:00Z", false],
    ["2026-11-23T23:59:60Z", false],
    ["2026-11-23T09:30:00+01:00", false],
    ["2026-11-23T09:30:00", false],
    ["2026-11-23 09:30:00Z", false],
    ["2026-11-23", false],
    ["+12026-11-23T09:30:00Z", false],
    ["now", false],
    ["", false]
  ]
  for (const [timestamp, isTaken] of table) {
    it(`${JSON.stringify(timestamp)} is ${isTaken ? "taken" : "refused"}`, () => {
      assert.deepStrictEqual(report({ timestamp }), isTaken ? [] : ["timestamp"])
    })
  }

  it("digits past the millisecond are cut off", () => {
    const decoded = Result.getOrThrow(
      decodePayload("track_usage", { ...REPORT, timestamp: "2026-11-23T09:30:00.1239Z" })
    )
    assert.strictEqual(decoded.timestamp, Date.parse("2026-11-23T09:30:00.123Z"))
  })
})

describe("other bounds", () => {
  const table: ReadonlyArray<readonly [SignalName, Fields, string]> = [
    ["check_budget", { request_id: "r", hold_ttl_ms: 86_400_001 }, "hold_ttl_ms"],
    ["check_budget", { request_id: "r", hold_ttl_ms: 0 }, "hold_ttl_ms"],
    ["check_budget", { request_id: "r", estimated_cost: "-1" }, "estimated_cost"],
    ["extend_hold", { hold_id: "h", ttl_ms: 86_400_001 }, "ttl_ms"],
    ["extend_hold", { hold_id: "h", by: { cost: "-1" } }, "by.cost"],
    ["get_usage", { limit: 0 }, "limit"],
    ["get_usage", { limit: 1001 }, "limit"],
    ["get_usage", { cursor: "x".repeat(1025) }, "cursor"],
    ["create_budget", { ...EXAMPLES.create_budget.params, alert_thresholds: [0] }, "alert_thresholds.0"],
    ["create_budget", { ...EXAMPLES.create_budget.params, alert_thresholds: [1001] }, "alert_thresholds.0"],
    ["create_budget", { ...EXAMPLES.create_budget.params, alert_thresholds: [50.5] }, "alert_thresholds.0"],
    [
      "create_budget",
      { ...EXAMPLES.create_budget.params, alert_thresholds: Array.from({ length: 17 }, () => 5) },
      "alert_thresholds"
    ],
    ["create_budget", { ...EXAMPLES.create_budget.params, limit: "-1" }, "limit"],
    ["create_budget", { ...EXAMPLES.create_budget.params, time_zone: "Mars/Olympus" }, "time_zone"],
    ["create_budget", { ...EXAMPLES.create_budget.params, rollover: { max: "-1" } }, "rollover.max"],
    ["create_budget", { ...EXAMPLES.create_budget.params, rollover: { max: 5 } }, "rollover.max"],
    ["create_budget", { ...EXAMPLES.create_budget.params, rollover: { min: "1" } }, "rollover.max"],
    ["create_budget", { ...EXAMPLES.create_budget.params, rollover: null }, "rollover"],
    ["update_budget", { budget_id: "b", updates: { rollover: { max: "x" } } }, "updates.rollover.max"],
    ["create_budget", { ...EXAMPLES.create_budget.params, currency: "usd" }, "currency"],
    ["configure_manager", { commit_interval_ms: 1001 }, "commit_interval_ms"],
    ["configure_manager", { max_pending: 0 }, "max_pending"],
    ["configure_manager", { required_attribution: ["tags"] }, "required_attribution.0"],
    ["configure_manager", { required_attribution: ["user_id", "user_id"] }, "required_attribution"],
    ["configure_manager", { retention_days: 8 }, "retention_days"],
    ["cleanup_old_data", { older_than_days: 8 }, "older_than_days"],
    ["create_key", { name: "a", roles: [] }, "roles"],
    ["create_key", { name: "a", roles: ["root"] }, "roles.0"],
    ["create_key", { name: "a", roles: ["app"], tenant: "../x" }, "tenant"],
    ["complete", { ...EXAMPLES.complete.params, messages: [] }, "messages"],
    ["complete", { ...EXAMPLES.complete.params, temperature: 3 }, "temperature"],
    ["complete", { ...EXAMPLES.complete.params, max_attempts: 11 }, "max_attempts"],
    ["complete", { ...EXAMPLES.complete.params, system: "a\u0000" }, "system"],
    ["subscribe", { topic: "everything" }, "topic"]
  ]
  for (const [name, params, path] of table) {
    it(`${name} refuses ${path} (${JSON.stringify(params[path] ?? "…").slice(0, 40)})`, () => {
      assert.deepStrictEqual(refused(name, params), [path])
    })
  }
})

describe("what this version does not do yet is refused, and nothing is ignored", () => {
  const table: ReadonlyArray<readonly [SignalName, Fields, string]> = [
    ["complete", { ...EXAMPLES.complete.params, preference: "speed" }, "preference"],
    ["complete", { ...EXAMPLES.complete.params, task: "x" }, "task"],
    ["complete", { ...EXAMPLES.complete.params, quality_floor: 1 }, "quality_floor"],
    ["complete", { ...EXAMPLES.complete.params, response_format: {} }, "response_format"]
  ]
  for (const [name, params, path] of table) {
    it(`${name}: ${path}`, () => {
      const issues = issuesOf(name, params)
      assert.deepStrictEqual(
        issues.map((issue) => issue.path.join(".")),
        [path]
      )
      assert.include(issues[0]?.message ?? "", "Not available in this version")
    })
  }
})

describe("a field that is right elsewhere", () => {
  const agents = [{ name: "a", provider: "p", model: "m", prompt: "{{input}}" }]
  const workflow = { name: "w", agents }
  const table: ReadonlyArray<readonly [SignalName, Fields, string, string]> = [
    ["update_budget", { budget_id: "b", updates: {}, limit: "1" }, "limit", "updates"],
    ["start_workflow", { input: 1, workflow, request_override: {} }, "request_override", "workflow"],
    ["start_workflow", { input: 1, workflow, budget: { limit: "1" } }, "budget", "workflow"],
    ["start_workflow", { input: 1, workflow, limit: "1" }, "limit", "workflow.budget"],
    ["check_budget", { request_id: "r", cached_tokens: 1 }, "cached_tokens", ""],
    ["track_usage", { ...REPORT, cached_tokens: 1 }, "cached_tokens", "prompt_tokens_details"],
    // In both details: it could be either.
    ["track_usage", { ...REPORT, audio_tokens: 1 }, "audio_tokens", ""]
  ]
  for (const [name, params, field, place] of table) {
    it(`${name} {${field}}: ${place === "" ? "no place is told" : `belongs inside ${place}`}`, () => {
      const [issue, ...others] = issuesOf(name, params)
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(issue?.path, [field])
      if (place === "") assert.notInclude(issue?.message, "belongs")
      else
        assert.strictEqual(issue?.message, `Unknown field here. It belongs inside ${JSON.stringify(place)}`)
    })
  }
})
