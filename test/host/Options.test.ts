/** Whatever the program takes from its environment, a host can say as an option. */
import { request } from "node:http"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import type { Settings } from "../../src/Config.ts"
import { InvalidParams, type LogEntry, type StartOptions, startBursar } from "../../src/index.ts"
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
    [{ listen: { constructor: 1 } }, "listen.constructor: Unknown option. Known are:"]
  ]
  it.each(refused)("that there are not are refused: %j", async (options, message) => {
    const failure = await startBursar(options).catch((error: unknown) => error)
    assert.instanceOf(failure, InvalidParams)
    assert.include(failure.message, message)
  })

  it("of a test's runtime that there are not are refused as well", async () => {
    const options: object = { provider: [], log: { lvl: "none" } }
    const failure = await startTestBursar(options).catch((error: unknown) => error)
    assert.instanceOf(failure, InvalidParams)
    assert.deepStrictEqual(
      failure.issues.map(({ path }) => path.join(".")),
      ["provider", "log.lvl"]
    )
  })
})
