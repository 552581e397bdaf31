/**
 * Traces over two nodes, as one collector receives them from both: what was set off at one node and done at the other one is
 * one trace, and what a workflow does later is linked to whoever started it.
 */
import { assert, it } from "@effect/vitest"
import { type OtlpReceiver, type Span, startReceiver } from "../runtime/support/OtlpReceiver.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, type Json } from "../support/Wire.ts"
import { settled } from "./support/Programs.ts"

const startTraced = (receiver: OtlpReceiver, databaseUrl: string, name: string): Promise<Program> =>
  startProgram({
    databaseUrl,
    args: ["serve", "--cluster"],
    env: {
      BURSAR_NODE_PORT: "0",
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_SERVICE_NAME: name,
      OTEL_BSP_SCHEDULE_DELAY: "50"
    }
  })

/** A key of a tenant that lives on the other node than this one. */
const strangerOf = async (node: Program): Promise<string> => {
  for (let n = 0; ; n++) {
    const tenant = `tenant-${n}`
    const { key } = await node.call("create_key", { name: tenant, roles: ["admin"], tenant })
    const { cluster } = await node.call("get_status", {}, key)
    if (cluster.owner !== cluster.node) return key
  }
}

const PROMPT = { provider: "simulator", model: "sim-fast", max_completion_tokens: 20 }

it("a call at one node, whose money is on the other, is one trace; a workflow's calls are linked to its start", async () => {
  const receiver = await startReceiver()
  const databaseUrl = await makeDatabase()
  const [here, there] = (await Promise.all([
    startTraced(receiver, databaseUrl, "here"),
    startTraced(receiver, databaseUrl, "there")
  ])) as [Program, Program]
  await settled([here, there])
  const key = await strangerOf(here)
  const found = (isIt: (span: Span) => boolean) =>
    eventually(
      async () => receiver.spans.find(isIt),
      (span) => span !== undefined
    ).then((span) => span as Span)
  const who = ({ name, resource }: Span) => `${name} ${resource["service.name"]}`
  /** Each node exports in its own time, so a span may come before what is under it. */
  const grown = (traceId: string, branches: ReadonlyArray<string>) =>
    eventually(
      async () => receiver.tree(traceId),
      (tree) => branches.every((branch) => tree.includes(branch))
    )
  const traceOf = (traceId: string) => receiver.spans.filter((span) => span.traceId === traceId)

  const call = { ...PROMPT, messages: [{ role: "user", content: "hello" }], request_id: "one" }
  await here.call("complete", call, key)
  const door = await found(({ kind, facts }) => kind === 2 && facts["bursar.request_id"] === "one")
  await grown(door.traceId, [
    "complete > complete provider > check_budget token_manager",
    "complete > complete provider > chat sim-fast",
    "complete > complete provider > find_request token_manager",
    "complete > complete provider > track_usage token_manager"
  ])
  assert.deepStrictEqual(traceOf(door.traceId).map(who).sort(), [
    "chat sim-fast here",
    "check_budget token_manager there",
    "complete here",
    "complete provider here",
    "find_request token_manager there",
    "track_usage token_manager there"
  ])

  const workflow: Json = { name: "one", agents: [{ ...PROMPT, name: "research", prompt: "{{input}}" }] }
  await here.call("start_workflow", { workflow, input: "tides", workflow_id: "w1" }, key)
  const start = await found(({ kind, facts }) => kind === 2 && facts["bursar.workflow_id"] === "w1")
  const agent = await found(({ name }) => name === "invoke_agent research")
  assert.strictEqual(who(start), "start_workflow here")
  assert.strictEqual(who(agent), "invoke_agent research there")
  assert.notStrictEqual(agent.traceId, start.traceId)
  assert.deepStrictEqual(
    agent.links?.map(({ traceId, spanId }) => ({ traceId, spanId })),
    [{ traceId: start.traceId, spanId: start.spanId }]
  )
  await grown(agent.traceId, ["invoke_agent research > complete provider > chat sim-fast"])
  await Promise.all([here.stop(), there.stop()])
  await receiver.close()
})
