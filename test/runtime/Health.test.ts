/** What a probe and a scraper see of a running program. */
import { assert, describe, it } from "@effect/vitest"
import { beforeAll } from "vitest"
import { makeDatabase, type Program, runProgram, startProgram } from "../support/Program.ts"
import { ADMIN_KEY, get } from "../support/Wire.ts"

describe("health", () => {
  let program: Program

  beforeAll(async () => {
    program = await startProgram({ databaseUrl: await makeDatabase() })
    await program.call("create_key", { name: "n", roles: ["app"], tenant: "a-very-secret-tenant" })
    await program.call("get_status")
  })

  it("/healthz and /readyz answer 200 without a key", async () => {
    assert.strictEqual((await get(program.url, "/healthz")).status, 200)
    const ready = await get(program.url, "/readyz")
    assert.strictEqual(ready.status, 200)
    assert.deepInclude(JSON.parse(ready.text), { ready: true })
  })

  it("/metrics is Prometheus' text, and names no tenant, no key and no request", async () => {
    const { key } = await program.call("create_key", {
      name: "n",
      roles: ["admin"],
      tenant: "a-very-secret-tenant"
    })
    const wire = await program.connect(key)
    await wire.subscribe("usage")
    await wire.call("track_usage", {
      request_id: "a-very-secret-request",
      provider: "p",
      model: "m",
      prompt_tokens: 1,
      completion_tokens: 1
    })
    const { status, text } = await get(program.url, "/metrics")
    assert.strictEqual(status, 200)
    const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"))
    assert.isNotEmpty(samples)
    for (const sample of samples) {
      assert.match(sample, /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? [-+0-9.eE]+(Inf|NaN)?$/u)
    }
    assert.isTrue(samples.some((sample) => sample.includes("track_usage")))
    assert.isTrue(
      samples.some((sample) => /^bursar_actors\{kind="token_manager"\} 2$/u.test(sample)),
      text
    )
    assert.isTrue(
      samples.some((sample) => sample.startsWith('bursar_actor_mailbox_depth{kind="token_manager"}'))
    )
    for (const word of ["secret", "tenant", "default", key, ADMIN_KEY]) assert.notInclude(text, word)
  })

  it("the ready line and the console's one-time link are all that is printed", async () => {
    assert.match(
      program.output(),
      /^bursar ready http:\/\/127\.0\.0\.1:\d+\nconsole http:\/\/127\.0\.0\.1:\d+\/\?code=\S+ /u
    )
    assert.strictEqual(program.log(), "")
  })

  it("where it cannot start, that is said in one line, with what to do", async () => {
    const { port } = new URL(program.url)
    const { code, log } = await runProgram({ databaseUrl: await makeDatabase(), env: { BURSAR_PORT: port } })
    assert.strictEqual(code, 1)
    assert.match(
      log,
      /^bursar could not start: Cannot listen on 127\.0\.0\.1:\d+: .* choose another port \(BURSAR_PORT\)\n$/u
    )
  })

  it("does not say its keys", () => {
    assert.notInclude(program.output() + program.log(), ADMIN_KEY)
  })
})
