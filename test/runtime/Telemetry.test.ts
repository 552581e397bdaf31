/** Traces and metrics of a running program, as a collector receives them over OTLP. */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll } from "vitest"
import { makeDatabase, type Program, runProgram, startProgram } from "../support/Program.ts"
import { ADMIN_KEY, connect, eventually, failureOf, type Wire } from "../support/Wire.ts"
import { type OtlpReceiver, type Span, startReceiver } from "./support/OtlpReceiver.ts"

const SECRET = "xyzzy-secret-of-the-prompt"
const FAST = { provider: "simulator", model: "sim-fast", messages: [{ role: "user", content: SECRET }] }

const otelOf = (receiver: OtlpReceiver) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
  OTEL_EXPORTER_OTLP_HEADERS: "x-collector-key=a%20key",
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  OTEL_SERVICE_NAME: "bursar-of-a-test",
  OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
  OTEL_BSP_SCHEDULE_DELAY: "50",
  OTEL_METRIC_EXPORT_INTERVAL: "100"
})

describe("a traced program", () => {
  let receiver: OtlpReceiver
  let program: Program
  let wire: Wire

  beforeAll(async () => {
    receiver = await startReceiver()
    program = await startProgram({ databaseUrl: await makeDatabase(), env: otelOf(receiver) })
    wire = await program.connect()
  })
  afterAll(async () => {
    await program.stop()
    await receiver.close()
  })

  /** The spans of the trace that has this signal's door, once that has ended. */
  const traceOf = async (
    request_id: string
  ): Promise<{ readonly door: Span; readonly spans: ReadonlyArray<Span> }> => {
    const isDoor = ({ kind, facts }: Span) => kind === 2 && facts["bursar.request_id"] === request_id
    const door = await eventually(
      async () => receiver.spans.find(isDoor),
      (span) => span !== undefined
    )
    if (door === undefined) return assert.fail("no span")
    // What ends before its door was on its way before it, or with it.
    return { door, spans: receiver.spans.filter(({ traceId }) => traceId === door.traceId) }
  }
  const named = (spans: ReadonlyArray<Span>, name: string) => spans.filter((span) => span.name === name)

  it("shows what a door has refused: whom, and why, and nothing of what came", async () => {
    const { key, key_id } = await program.call("create_key", { name: "app", roles: ["app"] })
    const app = await program.connect(key)
    const refusals: ReadonlyArray<readonly [string, string, object]> = [
      ["complete", "InvalidParams", { ...FAST, messages: SECRET, max_tokens: 5 }],
      ["configure_manager", "Forbidden", { retention_days: 9 }],
      ["subscribe", "InvalidParams", { topic: SECRET }],
      ["no_such_signal", "UnknownSignal", {}]
    ]
    for (const [method, tag, params] of refusals) {
      assert.strictEqual((await failureOf(app.call(method, params))).tag, tag)
    }
    const traceparent = `00-${"ab".repeat(16)}-${"cd".repeat(8)}-01`
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", traceparent }
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "get_actor", params: {} })
    await fetch(`${program.url}/signals`, { method: "POST", headers, body })
    const refused = await eventually(
      async () => receiver.spans.filter(({ kind, facts }) => kind === 2 && facts["bursar.key_id"] === key_id),
      ({ length }) => length === 5
    )
    assert.deepStrictEqual(
      refused.map(({ name, facts }) => `${name} ${facts["rpc.method"]} ${facts["error.type"]}`).sort(),
      [
        "complete complete InvalidParams",
        "configure_manager configure_manager Forbidden",
        "jsonrpc _OTHER UnknownSignal",
        "jsonrpc _OTHER UnknownSignal",
        "subscribe subscribe InvalidParams"
      ]
    )
    for (const span of refused) {
      assert.strictEqual(span.status.code, 2)
      assert.deepInclude(span.facts, { "rpc.system.name": "jsonrpc", "bursar.tenant": "default" })
    }
    const [forbidden] = named(refused, "configure_manager")
    assert.strictEqual(forbidden?.facts["rpc.response.status_code"], "-32003")
    const unknown = named(refused, "jsonrpc")
    assert.include(
      unknown.map(({ facts }) => facts["rpc.method_original"]),
      "get_actor"
    )
    assert.isTrue(
      unknown.some(
        ({ traceId, parentSpanId }) => traceId === "ab".repeat(16) && parentSpanId === "cd".repeat(8)
      )
    )
    assert.notInclude(JSON.stringify(named(refused, "complete")), SECRET)
    assert.notInclude(JSON.stringify(named(refused, "subscribe")), SECRET)
  })

  it("shows signals about keys like any other, and never a key", async () => {
    const params = { name: "traced key", roles: ["app"], request_id: "make a key" }
    const { key, key_id } = await wire.call("create_key", params)
    await wire.call("revoke_key", { key_id, request_id: "end a key" })
    const again = await failureOf(wire.call("create_key", { ...params, request_id: "make a key" }))
    assert.strictEqual(again.data.reason, "key_ended")
    const { door } = await traceOf("make a key")
    assert.deepInclude(door, { name: "create_key", kind: 2 })
    assert.deepInclude(door.facts, { "rpc.method": "create_key", "bursar.tenant": "default" })
    assert.strictEqual((await traceOf("end a key")).door.name, "revoke_key")
    const made = () =>
      receiver.spans.filter(({ facts }) => facts["bursar.request_id"] === "make a key" && facts["rpc.method"])
    const [, refused] = await eventually(
      async () => made(),
      ({ length }) => length === 2
    )
    assert.strictEqual(refused?.facts["error.type"], "Conflict")
    assert.notInclude(JSON.stringify(receiver.spans), key)
  })

  it("shows a call from the door to each attempt, a retry too, and what each cost", async () => {
    const answer = await wire.call("complete", {
      ...FAST,
      model: "sim-flaky",
      max_completion_tokens: 20,
      request_id: "traced",
      conversation_id: "talk",
      agent: "writer"
    })
    const { door, spans } = await traceOf("traced")
    assert.deepStrictEqual(receiver.tree(door.traceId), [
      "complete",
      "complete > complete provider",
      "complete > complete provider > check_budget token_manager",
      "complete > complete provider > chat sim-flaky",
      "complete > complete provider > find_request token_manager",
      "complete > complete provider > track_usage token_manager",
      "complete > complete provider > extend_hold token_manager",
      "complete > complete provider > chat sim-flaky",
      "complete > complete provider > track_usage token_manager"
    ])
    const [failed, answered] = named(spans, "chat sim-flaky")
    assert.deepInclude(failed?.facts, {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "simulator",
      "gen_ai.request.model": "sim-flaky",
      "error.type": "429",
      "bursar.attempt": 1,
      "bursar.cost": "0"
    })
    assert.deepInclude(failed, { kind: 3 })
    assert.strictEqual(failed?.status.code, 2)
    const { usage } = answer
    assert.deepInclude(answered?.facts, {
      "gen_ai.request.max_tokens": 20,
      "gen_ai.request.stream": false,
      "gen_ai.response.finish_reasons": [answer.finish_reason],
      "gen_ai.usage.input_tokens": usage.prompt_tokens,
      "gen_ai.usage.output_tokens": usage.completion_tokens,
      "gen_ai.conversation.id": "talk",
      "gen_ai.agent.name": "writer",
      "bursar.request_id": "traced",
      "bursar.attempt": 2,
      "bursar.cost": usage.cost,
      "bursar.currency": "USD"
    })
    assert.strictEqual(answered?.status.code, 1)
    const [check] = named(spans, "check_budget token_manager")
    assert.deepInclude(check?.facts, {
      "bursar.refused": false,
      "bursar.actor.address": "token_manager/default"
    })
    assert.strictEqual(check?.facts["bursar.hold_id"], answered?.facts["bursar.hold_id"])
    assert.deepInclude(door.facts, {
      "rpc.system.name": "jsonrpc",
      "rpc.method": "complete",
      "bursar.tenant": "default",
      "bursar.cost": usage.cost
    })
  })

  it("lets an attempt be as long as it was, not as long as its report", async () => {
    const { attempts } = await wire.call("complete", {
      ...FAST,
      max_completion_tokens: 5,
      request_id: "timed"
    })
    const { spans } = await traceOf("timed")
    const [attempt] = named(spans, "chat sim-fast")
    const [report] = named(spans, "track_usage token_manager")
    if (attempt === undefined || report === undefined) return assert.fail("no span")
    assert.closeTo(attempt.endMs - attempt.startMs, attempts[0].latency_ms, 0.001)
    assert.isAtMost(attempt.endMs, report.startMs + 5)
  })

  it("shows a refusal with its reason and budgets, where a provider was never asked", async () => {
    const { budget_id } = await program.call("create_budget", {
      name: "Too small",
      type: "user",
      entity_id: "refused",
      period: "daily",
      limit: "0.000000001"
    })
    const refusal = await failureOf(wire.call("complete", { ...FAST, request_id: "no", user_id: "refused" }))
    const { door, spans } = await traceOf("no")
    assert.isEmpty(named(spans, "chat sim-fast"))
    const facts = {
      "bursar.refused": true,
      "bursar.refused.budget_ids": [budget_id],
      "bursar.refused.budgets": ["Too small"]
    }
    assert.deepInclude(door.facts, {
      ...facts,
      "error.type": "BudgetExceeded",
      "rpc.response.status_code": "-32010"
    })
    assert.strictEqual(door.facts["bursar.refused.reason"], refusal.data.reason)
    assert.strictEqual(door.status.code, 2)
    const [check] = named(spans, "check_budget token_manager")
    assert.deepInclude(check?.facts, facts)
    assert.strictEqual(check?.status.code, 1)
  })

  it("goes on with a caller's trace, of a request and of a connection, and ignores what is none", async () => {
    const look = (request_id: string) => ({
      request_id,
      hold: false,
      estimated_cost: "0",
      estimated_tokens: 0
    })
    const post = (traceparent: string, request_id: string) =>
      fetch(`${program.url}/signals`, {
        method: "POST",
        headers: { authorization: `Bearer ${ADMIN_KEY}`, "content-type": "application/json", traceparent },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "check_budget",
          params: look(request_id)
        })
      })
    const traceId = "0af7651916cd43dd8448eb211c80319c"
    await post(`00-${traceId}-b7ad6b7169203331-01`, "continued")
    const { door } = await traceOf("continued")
    assert.deepInclude(door, { traceId, parentSpanId: "b7ad6b7169203331" })
    await post(`00-${traceId}-0000000000000000-01`, "apart")
    assert.notStrictEqual((await traceOf("apart")).door.traceId, traceId)
    await post(`00-${traceId}-b7ad6b7169203331-00`, "not-kept")
    await post("nonsense", "after")
    await traceOf("after")
    assert.isUndefined(receiver.spans.find(({ facts }) => facts["bursar.request_id"] === "not-kept"))
    const connected = await connect(program.url, ADMIN_KEY, {
      traceparent: `00-${traceId}-00f067aa0ba902b7-01`
    })
    await connected.call("check_budget", look("of-a-connection"))
    assert.deepInclude((await traceOf("of-a-connection")).door, { traceId, parentSpanId: "00f067aa0ba902b7" })
    connected.close()
  })

  it("an actor that a signal started belongs to nobody's trace", async () => {
    const { key } = await program.call("create_key", { name: "k", roles: ["admin"], tenant: "newcomer" })
    const check = (request_id: string) =>
      program.call("check_budget", { request_id, estimated_cost: "0", estimated_tokens: 0 }, key)
    await check("first")
    await check("second")
    const [first, second] = [await traceOf("first"), await traceOf("second")]
    assert.notStrictEqual(first.door.traceId, second.door.traceId)
    assert.deepStrictEqual(receiver.tree(second.door.traceId), [
      "check_budget",
      "check_budget > check_budget token_manager"
    ])
    const later = receiver.spans.filter(
      ({ traceId, startMs }) => traceId === first.door.traceId && startMs > first.door.endMs
    )
    assert.isEmpty(later)
  })

  it("a stream's span is as long as its text", async () => {
    const { subscription } = await wire.call("complete", {
      ...FAST,
      stream: true,
      max_completion_tokens: 10,
      request_id: "streamed"
    })
    assert.isString(subscription)
    const { door, spans } = await traceOf("streamed")
    const [attempt] = named(spans, "chat sim-fast")
    assert.deepInclude(attempt?.facts, { "gen_ai.request.stream": true })
    assert.isNumber(attempt?.facts["gen_ai.response.time_to_first_chunk"])
    assert.isAtLeast(door.endMs, attempt?.endMs ?? Number.NaN)
  })

  it("tells the signals topic the trace", async () => {
    const signals = await wire.subscribe("signals", { filter: { signal: "check_budget" } })
    await program.call("check_budget", {
      request_id: "linked",
      hold: false,
      estimated_cost: "0",
      estimated_tokens: 0
    })
    const { signal } = (await signals.until(({ signal: one }) => one.request_id === "linked")).at(-1)
    assert.strictEqual(signal.trace_id, (await traceOf("linked")).door.traceId)
  })

  it("counts tokens, durations and actors, without a tenant or a key in any label", async () => {
    wire.ws.send('{"jsonrpc":"2.0","method":"track_usage","params":{"request_id":"dead"}}')
    await eventually(
      async () =>
        receiver.metrics.has("bursar.actor.dead_letters") &&
        receiver.metrics.has("bursar.actor.mailbox.depth"),
      (isThere) => isThere
    )
    const tokens = receiver.metrics.get("gen_ai.client.token.usage")
    assert.strictEqual(tokens?.unit, "{token}")
    assert.deepStrictEqual(
      new Set(tokens?.points.map(({ facts }) => facts["gen_ai.token.type"])),
      new Set(["input", "output"])
    )
    const durations = receiver.metrics.get("gen_ai.client.operation.duration")
    assert.strictEqual(durations?.unit, "s")
    assert.isDefined(durations?.points.find(({ facts }) => facts["error.type"] === "429"))
    const kinds = receiver.metrics
      .get("bursar.actor.mailbox.depth")
      ?.points.map(({ facts }) => String(facts.kind))
    assert.include(kinds ?? [], "token_manager")
    for (const [name, { points }] of receiver.metrics) {
      assert.notMatch(
        JSON.stringify(points.map(({ facts }) => facts)),
        /default|newcomer|installation/u,
        name
      )
    }
  })

  it("says whose it is, and carries the collector's key; no text of a prompt is in anything", () => {
    assert.deepInclude(receiver.resource, {
      "service.name": "bursar-of-a-test",
      "deployment.environment.name": "test"
    })
    assert.deepStrictEqual(
      new Set(receiver.requests.map(({ path }) => path)),
      new Set(["/v1/traces", "/v1/metrics"])
    )
    for (const { headers, body } of receiver.requests) {
      assert.strictEqual(headers["x-collector-key"], "a key")
      assert.notInclude(body.toString("utf8"), SECRET)
    }
  })
})

describe("a traced program, otherwise", () => {
  it("puts the text of prompts into spans where that is asked for, and flushes what it has when it is stopped", async () => {
    const receiver = await startReceiver()
    const program = await startProgram({
      databaseUrl: await makeDatabase(),
      env: {
        ...otelOf(receiver),
        OTEL_BSP_SCHEDULE_DELAY: "3600000",
        OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "true"
      }
    })
    const { content } = await program.call("complete", { ...FAST, max_completion_tokens: 5 })
    assert.isEmpty(receiver.spans)
    await program.stop()
    const facts = receiver.spans.find(({ name }) => name === "chat sim-fast")?.facts
    assert.include(String(facts?.["gen_ai.input.messages"]), SECRET)
    assert.include(String(facts?.["gen_ai.output.messages"]), JSON.stringify(content))
    await receiver.close()
  })

  it("speaks protobuf unless told otherwise", async () => {
    const receiver = await startReceiver()
    const program = await startProgram({
      databaseUrl: await makeDatabase(),
      env: { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${receiver.url}/own/path`, OTEL_BSP_SCHEDULE_DELAY: "50" }
    })
    await program.call("get_status", {})
    await program.stop()
    const [request] = receiver.requests
    assert.deepInclude(request, { path: "/own/path" })
    assert.strictEqual(request?.headers["content-type"], "application/x-protobuf")
    assert.include(request?.body.toString("latin1"), "get_status token_manager")
    await receiver.close()
  })

  it("works on where no collector is there, and says so once", async () => {
    const program = await startProgram({
      databaseUrl: await makeDatabase(),
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9", OTEL_BSP_SCHEDULE_DELAY: "20" }
    })
    await program.call("get_status", {})
    await eventually(
      async () => program.log(),
      (log) => log.includes("Telemetry does not arrive at http://127.0.0.1:9/v1/traces")
    )
    await program.call("get_status", {})
    await program.stop()
    assert.lengthOf(program.log().match(/Telemetry does not arrive/gu) ?? [], 1)
  })

  it("does not start with a place that is none, or a protocol that it does not speak", async () => {
    const start = (env: Record<string, string>) => runProgram({ env })
    const nowhere = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" })
    assert.notStrictEqual(nowhere.code, 0)
    assert.include(nowhere.log, "collector:4318")
    const grpc = await start({
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4317",
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc"
    })
    assert.notStrictEqual(grpc.code, 0)
    assert.include(grpc.log, "http/protobuf")
  })
})
