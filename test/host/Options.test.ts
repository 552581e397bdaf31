/** Whatever the program takes from its environment, a host can say as an option. */
import { request } from "node:http"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { Settings } from "../../src/Config.ts"
import {
  InvalidParams,
  type LogEntry,
  type StartOptions,
  startBursar,
  UnknownSignal
} from "../../src/index.ts"
import { startTestBursar } from "../../src/testing.ts"
import { makeDatabase, makeFolder } from "../support/Program.ts"

const RECORDING = join(makeFolder(), "bursar.jsonl")

/** The compiler asks for a line here when a setting is new. */
const OPTIONS: { readonly [Setting in keyof Settings]: StartOptions } = {
  host: { listen: { host: "127.0.0.1" } },
  port: { listen: { port: 0 } },
  allowedHosts: { listen: { allowedHosts: ["bursar.example.com"] } },
  trustsProxy: { listen: { trustsProxy: true } },
  adminKey: { listen: { adminKey: "bk_admin_of_a_test" } },
  dataDirectory: { dataDirectory: "./.bursar" },
  databaseUrl: { databaseUrl: "postgres://127.0.0.1/bursar" },
  nodeHost: { cluster: { host: "127.0.0.1" } },
  nodePort: { cluster: { port: 0 } },
  nodeAddress: { cluster: { address: "127.0.0.1" } },
  logLevel: { log: { level: "debug" } },
  webhookPrivateTargets: { alerts: { privateTargets: true } },
  smtpUrl: { alerts: { smtp: { url: "smtp://127.0.0.1:25", from: "bursar@example.com" } } },
  smtpFrom: { alerts: { smtp: { url: "smtp://127.0.0.1:25", from: "bursar@example.com" } } },
  openWorkflowsMax: { openWorkflowsMax: 10 },
  recordFile: { record: { file: RECORDING } },
  recordBytes: { record: { file: RECORDING, maxBytes: 1_000_000 } },
  recordContent: { record: { file: RECORDING, content: true } },
  simulator: { simulator: false },
  anthropicKey: { anthropic: { apiKey: "k" } },
  anthropicBaseUrl: { anthropic: { apiKey: "k", baseUrl: "http://127.0.0.1:1" } },
  openaiKey: { openai: { apiKey: "k" } },
  openaiBaseUrl: { openai: { apiKey: "k", baseUrl: "http://127.0.0.1:1" } }
}

const statusFor = (url: string, host: string): Promise<number | undefined> =>
  new Promise((resolve, reject) => {
    const sent = request(`${url}/openrpc.json`, { headers: { host } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    sent.on("error", reject)
    sent.end()
  })

describe("the options of a host", () => {
  it("name all that the environment names, and work together", async () => {
    const listen = Object.assign({}, ...Object.values(OPTIONS).map((option) => option.listen))
    const cluster = Object.assign({}, ...Object.values(OPTIONS).map((option) => option.cluster))
    const entries: Array<LogEntry> = []
    await using bursar = await startBursar({
      ...Object.assign({}, ...Object.values(OPTIONS)),
      listen,
      cluster,
      databaseUrl: await makeDatabase(),
      dataDirectory: makeFolder(),
      log: { level: "debug", write: (entry) => void entries.push(entry) }
    })
    const url = bursar.url ?? assert.fail("it does not listen")
    const { port } = new URL(url)
    assert.strictEqual(await statusFor(url, `bursar.example.com:${port}`), 200)
    assert.notStrictEqual(await statusFor(url, `elsewhere.example.com:${port}`), 200)
    const refused = await bursar
      .complete({ provider: "simulator", model: "sim-fast", messages: [{ role: "user", content: "hi" }] })
      .catch((error: unknown) => error)
    assert.include(String(refused), "Configured are: anthropic, openai")
    for (const { level, message, at, fields } of entries) {
      assert.include(["error", "warn", "info", "debug"], level)
      assert.isString(message)
      assert.isObject(fields)
      assert.match(at, /Z$/u)
    }
  })

  // As plain JavaScript gives them: a default would stand in place of what was meant.
  const refused: ReadonlyArray<readonly [object, string]> = [
    [{ data: "./here" }, 'data: Unknown option. Did you mean "dataDirectory" or "databaseUrl"?'],
    [{ datadirectory: undefined }, 'datadirectory: Unknown option. Did you mean "dataDirectory"?'],
    [{ anthropic: { api_key: "k" } }, 'anthropic.api_key: Unknown option. Did you mean "apiKey"?'],
    [
      { alerts: { smtp: { uri: "smtp://x", from: "x" } }, logs: {} },
      'alerts.smtp.uri: Unknown option. Did you mean "url"? (and 1 more, see issues)'
    ],
    [{ listen: true }, "listen: Expected an object with host, port, adminKey, allowedHosts, trustsProxy"],
    [{ listen: { constructor: 1 } }, "listen.constructor: Unknown option. Known are:"],
    [{ simulator: "no" }, 'simulator: Expected true or false, found "no"'],
    [{ openWorkflowsMax: 0 }, "openWorkflowsMax: Expected a whole number above zero, found 0"],
    [{ listen: { port: "4680" } }, 'listen.port: Expected a whole number from 0 to 65535, found "4680"'],
    [{ listen: { allowedHosts: ["a", 1] } }, "listen.allowedHosts.1: Expected a text, found 1"],
    [
      { log: { level: "wan" } },
      'log.level: Expected "none" or "error" or "warn" or "info" or "debug", found "wan". Did you mean "warn"?'
    ],
    [{ anthropic: { apiKey: ["sk-ant"] } }, "anthropic.apiKey: Expected a text, found something else"],
    [{ workflows: {} }, "workflows: Expected a list, found an object"],
    [{ tenant: "Our Team" }, "tenant: Expected a tenant's name of a-z, 0-9"]
  ]
  it.each(refused)("that there are not are refused: %j", async (options, message) => {
    const failure = await startBursar(options).catch((error: unknown) => error)
    assert.instanceOf(failure, InvalidParams)
    assert.include(failure.message, message)
  })

  const REPORT = { name: "report", agents: [{ name: "a", provider: "simulater", model: "m", prompt: "p" }] }
  const STARTS = { "a host's runtime": startBursar, "a test's runtime": startTestBursar }
  it.each(Object.entries(STARTS))(
    "of %s are refused where a workflow of them could never be called",
    async (_, start) => {
      const failure = await start({ workflows: [REPORT] }).catch((error: unknown) => error)
      assert.strictEqual(
        String(failure),
        'WorkflowRefused: Workflow "report": agents.0.provider: There is no provider "simulater". Configured are: simulator. Did you mean "simulator"?'
      )
    }
  )

  it("of a test's runtime that there are not are refused as well", async () => {
    const options: object = { provider: [], log: { lvl: "none" } }
    const failure = await startTestBursar(options).catch((error: unknown) => error)
    assert.instanceOf(failure, InvalidParams)
    assert.deepStrictEqual(
      failure.issues.map(({ path }) => path.join(".")),
      ["provider", "log.lvl"]
    )
  })

  const unfit: ReadonlyArray<readonly [object, string]> = [
    [
      { startAt: "tomorrow" },
      'startAt: Expected a Date, milliseconds since 1970 or a time such as 2026-06-01T09:00:00Z, found "tomorrow"'
    ],
    [
      { providers: [{}] },
      "providers.0: Expected a provider with name, call, stream and tokenFactor, found an object"
    ],
    [{ seed: "x" }, 'seed: Expected a number, found "x"']
  ]
  it.each(unfit)("of a test's runtime that are of another kind are refused: %j", async (options, message) => {
    const failure = await startTestBursar(options).catch((error: unknown) => error)
    assert.instanceOf(failure, InvalidParams)
    assert.strictEqual(failure.message, message)
  })
})

describe("what is given to a client beside a signal's params", () => {
  type Loose = { readonly [name: string]: (...given: ReadonlyArray<unknown>) => Promise<unknown> }
  // As plain JavaScript gives them.
  const refused: ReadonlyArray<readonly [string, ReadonlyArray<unknown>, string]> = [
    ["get_status", [{}, { singal: 1 }], 'singal: Unknown option. Did you mean "signal"?'],
    ["get_status", [{}, { signal: 1 }], "signal: Expected an AbortSignal, found 1"],
    ["get_status", [{}, 1], "options: Expected an object with signal, traceparent"],
    ["stream", [{}, { sgnal: 1 }], 'sgnal: Unknown option. Did you mean "signal"?'],
    ["subscribe", ["usage", { filtr: {} }], 'filtr: Unknown option. Did you mean "filter"?'],
    ["subscribe", ["usage", { from_cursor: "1" }], 'from_cursor: Unknown option. Did you mean "fromCursor"?'],
    ["subscribe", ["usage", { fromCursor: 5 }], "fromCursor: Expected a text, found 5"],
    ["subscribe", ["usage", { fromCursor: null }], "fromCursor: Expected a text, found null"],
    ["subscribe", ["usage", { filter: "ann" }], 'filter: Expected an object, found "ann"'],
    [
      "subscribe",
      ["usage", { filter: { usr_id: "ann" } }],
      'filter.usr_id: Unknown field. Did you mean "user_id"?'
    ],
    [
      "subscribe",
      ["usage", null],
      "options: Expected an object with filter, fromCursor, signal, traceparent"
    ],
    [
      "as",
      [{ roles: ["ap"] }],
      'roles.0: Expected "app" | "analyst" | "budget_admin" | "operator" | "admin". Did you mean "app"?'
    ],
    ["as", [], "identity: Expected an object with roles, owner, attribution, tenant"],
    [
      "advance",
      ["5 secnds"],
      'duration: "5 secnds" is none to advance by: give milliseconds, or a text such as "90 seconds" or "2 hours"'
    ],
    [
      "advance",
      [-1],
      'duration: -1 is none to advance by: give milliseconds, or a text such as "90 seconds" or "2 hours"'
    ],
    [
      "advance",
      [Number.NaN],
      'duration: NaN is none to advance by: give milliseconds, or a text such as "90 seconds" or "2 hours"'
    ],
    ["close", [{ grace: 1 }], 'grace: Unknown option. Did you mean "graceMs"?'],
    ["close", [{ graceMs: "1" }], 'graceMs: Expected zero or more, found "1"']
  ]
  it.each(refused)("is looked at: %s%j", async (name, given, message) => {
    await using bursar = await startTestBursar()
    const call = async () => (bursar as unknown as Loose)[name]?.(...given)
    const failure = await call().catch((error: unknown) => error)
    assert.instanceOf(failure, InvalidParams)
    assert.strictEqual(failure.message, message)
    // Nothing has changed: it is open, and answers.
    assert.strictEqual((await bursar.get_status({}, {})).tenant, "default")
  })

  it("names the signal that a test probably waits for", async () => {
    await using bursar = await startTestBursar()
    const failure = await bursar.expectSignal("trak_usage" as "track_usage").catch((error: unknown) => error)
    assert.instanceOf(failure, UnknownSignal)
    assert.include(failure.message, "did you mean track_usage?")
  })
})
