/** A whole runtime whose tenants anonymise their users: over real connections, and on a real store. */
import { assert, describe, it } from "@effect/vitest"
import { beforeAll } from "vitest"
import { isPseudonym } from "../../src/signal/Pseudonym.ts"
import { rowsWith } from "../support/Dump.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json } from "../support/Wire.ts"

/** Stands nowhere but where a user is named. */
const ADA = "ada.lovelace@example.com"
const BOB = "bob.noyce@example.com"

const MODEL = { provider: "test", model: "dollar" }
const PRICE = { ...MODEL, pricing: { prompt_per_million: "1000000", completion_per_million: "1000000" } }
const DAILY = { name: "daily", period: "daily", limit: "10" } as const
const COUNTS = { prompt_tokens: 1, completion_tokens: 0 }

let databaseUrl: string
let program: Program

beforeAll(async () => {
  databaseUrl = await makeDatabase()
  program = await startProgram({ databaseUrl })
})

let tenants = 0
/** A tenant of its own, which anonymises from its start. */
const makeTenant = async (config: Json = { anonymize_users: true }) => {
  const tenant = `tenant-${++tenants}`
  const admin = await program.call("create_key", { name: "admin", roles: ["admin"], tenant, owner: "ops" })
  const call = (method: string, params: Json = {}, key: string = admin.key) =>
    program.call(method, params, key)
  await call("configure_manager", config)
  await call("update_pricing", PRICE)
  return { tenant, key: admin.key as string, call }
}

describe("a tenant that anonymises its users", () => {
  it("keeps and tells a user under one random pseudonym, in all that it does, also after a restart", async () => {
    const { key, call } = await makeTenant()
    const wire = await program.connect(key)
    const signals = await wire.subscribe("signals")
    const usage = await wire.subscribe("usage", { filter: { user_id: ADA } })
    const everybody = await call("create_budget", { ...DAILY, type: "user", entity_id: "*" })
    const own = await call("create_budget", {
      ...DAILY,
      type: "user",
      entity_id: ADA,
      period: "monthly",
      request_id: "own budget"
    })
    const anon = own.budget.entity_id as string
    assert.isTrue(isPseudonym(anon))
    const asked = {
      request_id: "call 1",
      ...MODEL,
      estimated_prompt_tokens: 6,
      max_completion_tokens: 0,
      user_id: ADA
    }
    const approval = await call("check_budget", asked)
    assert.deepStrictEqual(
      approval.budgets.map(({ entity_id }: Json) => entity_id),
      [anon, anon]
    )
    const report = { request_id: "call 1", ...MODEL, ...COUNTS, prompt_tokens: 6, user_id: ADA }
    const tracked = await call("track_usage", report)
    assert.strictEqual(tracked.usage.user_id, anon)
    assert.isTrue((await call("track_usage", report)).duplicate)
    const completed = await call("complete", {
      provider: "simulator",
      model: "sim-fast",
      messages: [{ role: "user", content: "Hello" }],
      max_completion_tokens: 5,
      user_id: ADA
    })
    assert.strictEqual(completed.usage.user_id, anon)
    const told = await usage.until((event) => event.usage?.request_id === completed.request_id)
    for (const event of told) assert.strictEqual((event.usage ?? event.in_flight).user_id, anon)
    const { override } = await call("request_override", {
      budget_id: everybody.budget_id,
      entity_id: ADA,
      amount: "1",
      reason: "a long day"
    })
    assert.strictEqual(override.entity_id, anon)
    const shown = await signals.until((event) => event.signal?.signal === "request_override")
    assert.notInclude(JSON.stringify(shown), ADA)
    const kept = [
      await call("get_usage", { user_id: ADA }),
      await call("get_audit_trail"),
      await call("list_overrides"),
      await call("get_budget_status"),
      await call("inspect_actor", { address: "provider/simulator" })
    ]
    assert.notInclude(JSON.stringify(kept), ADA)
    assert.deepStrictEqual(await rowsWith(databaseUrl, ADA), [])

    await program.kill()
    program = await startProgram({ databaseUrl })
    const again = await call("track_usage", { ...report, request_id: "call 2" })
    assert.strictEqual(again.usage.user_id, anon)
    assert.isTrue((await call("track_usage", report)).duplicate)
    assert.deepStrictEqual(await rowsWith(databaseUrl, ADA), [])
  })

  it("knows a figure's pseudonym again, and a name, in every filter", async () => {
    const { key, call } = await makeTenant()
    for (const user_id of [ADA, BOB])
      await call("track_usage", { request_id: `of ${user_id.slice(0, 3)}`, ...MODEL, ...COUNTS, user_id })
    const { items } = await call("get_usage", { user_id: ADA })
    const anon = items[0].user_id as string
    assert.lengthOf(items, 1)
    assert.deepStrictEqual(
      await call("get_usage", { user_id: anon }),
      await call("get_usage", { user_id: ADA })
    )
    assert.lengthOf((await call("get_usage", { user_id: "nobody" })).items, 0)
    await call("create_budget", { ...DAILY, type: "user", entity_id: anon })
    for (const entity_id of [ADA, anon]) {
      const { budgets } = await call("get_budget_status", { type: "user", entity_id })
      assert.deepStrictEqual(
        budgets.map(({ entity_id: id, spent }: Json) => [id, spent]),
        [[anon, "1"]]
      )
    }
    assert.strictEqual((await failureOf(call("get_budget_status", { entity_id: ADA }))).tag, "InvalidParams")
    assert.lengthOf((await call("get_budget_status", { entity_id: anon })).budgets, 1)
    const wire = await program.connect(key)
    const byName = await wire.subscribe("usage", { filter: { user_id: ADA }, from_cursor: "0" })
    assert.strictEqual((await byName.next()).event.usage.request_id, "of ada")
  })

  it("is not fooled by what only looks like a pseudonym", async () => {
    const { call } = await makeTenant()
    const user_id = `anon_${"0".repeat(48)}`
    const { usage } = await call("track_usage", { request_id: "r", ...MODEL, ...COUNTS, user_id })
    assert.isTrue(isPseudonym(usage.user_id))
    assert.notStrictEqual(usage.user_id, user_id)
    const other = await makeTenant()
    const elsewhere = await other.call("track_usage", {
      request_id: "r",
      ...MODEL,
      ...COUNTS,
      user_id: usage.user_id
    })
    assert.notStrictEqual(elsewhere.usage.user_id, usage.user_id)
  })

  it("runs a user's workflows under the pseudonym, for whoever asks by either name", async () => {
    const { key, call } = await makeTenant()
    const wire = await program.connect(key)
    const agents = [
      { name: "a", provider: "simulator", model: "sim-fast", prompt: "{{input}}", max_completion_tokens: 5 },
      {
        name: "b",
        provider: "simulator",
        model: "sim-fast",
        prompt: "{{a}}",
        max_completion_tokens: 5,
        depends_on: ["a"]
      }
    ]
    const events = await wire.subscribe("workflows", { filter: { user_id: ADA } })
    const params = { workflow: { name: "w", agents }, input: "tides", user_id: ADA, request_id: "workflow" }
    const { workflow_id, workflow } = await call("start_workflow", params)
    const anon = workflow.attribution.user_id as string
    assert.isTrue(isPseudonym(anon))
    const told = await events.until((event) => event.workflow.ended_at !== null)
    assert.strictEqual(told.at(-1)?.workflow.state, "completed")
    for (const event of told) assert.strictEqual(event.workflow.attribution.user_id, anon)
    assert.strictEqual((await call("start_workflow", params)).workflow_id, workflow_id)
    for (const user_id of [ADA, anon])
      assert.lengthOf((await call("list_workflows", { user_id })).items, 1, user_id)
    assert.lengthOf((await call("list_workflows", { user_id: BOB })).items, 0)
    assert.lengthOf((await call("get_usage", { user_id: ADA, workflow_id })).items, 2)

    const forced = await call("create_key", { name: "k", roles: ["app"], attribution: { user_id: ADA } })
    const other = await call("create_key", { name: "o", roles: ["app"], attribution: { user_id: BOB } })
    assert.strictEqual(
      (await call("get_workflow", { workflow_id }, forced.key)).workflow.attribution.user_id,
      anon
    )
    const unseen = await failureOf(call("get_workflow", { workflow_id }, other.key))
    assert.strictEqual(unseen.tag, "NotFound")
    const slow = { name: "slow", agents: [{ ...agents[0], model: "sim-slow" }] }
    const begun = await call("start_workflow", { workflow: slow, input: "tides" }, forced.key)
    assert.strictEqual(begun.workflow.attribution.user_id ?? anon, anon)
    for (const method of ["resume_workflow", "cancel_workflow"]) {
      const { workflow: moved } = await call(method, { workflow_id: begun.workflow_id }, forced.key)
      assert.strictEqual(moved.workflow_id, begun.workflow_id)
    }
    await eventually(
      () => call("get_workflow", { workflow_id: begun.workflow_id }),
      (shown) => shown.workflow.state === "cancelled"
    )
    assert.deepStrictEqual(await rowsWith(databaseUrl, ADA), [])
    assert.isAbove((await rowsWith(databaseUrl, anon, ["machine", "machine_fact"])).length, 2)
  })

  it("limits a user by the budgets for everybody, and by the user's own", async () => {
    const { call } = await makeTenant()
    await call("create_budget", { ...DAILY, type: "user", entity_id: "*", limit: "2" })
    await call("create_budget", { ...DAILY, type: "user", entity_id: BOB, limit: "1" })
    const ask = async (user_id: string, tokens: number) =>
      (
        await call("check_budget", {
          request_id: `${user_id.slice(0, 3)} ${tokens} ${Math.random()}`,
          ...MODEL,
          estimated_prompt_tokens: tokens,
          max_completion_tokens: 0,
          user_id
        })
      ).allowed
    assert.isTrue(await ask(ADA, 2))
    assert.isFalse(await ask(ADA, 1))
    assert.isFalse(await ask(BOB, 2))
    assert.isTrue(await ask(BOB, 1))
    await call("configure_manager", { required_attribution: ["user_id"] })
    const nobody = { request_id: "nobody", ...MODEL, estimated_prompt_tokens: 1, max_completion_tokens: 0 }
    assert.strictEqual((await failureOf(call("check_budget", nobody))).tag, "InvalidParams")
    assert.isTrue((await call("check_budget", { ...nobody, user_id: "somebody else" })).allowed)
  })

  it("forces a key to a user, whichever name it uses, and to no other", async () => {
    const { call } = await makeTenant()
    const made = { name: "of ada", roles: ["app"], attribution: { user_id: ADA }, request_id: "the key" }
    const { key, key_id } = await call("create_key", made)
    assert.strictEqual((await call("create_key", made)).key, key)
    const { items } = await call("list_keys")
    const anon = items.find((item: Json) => item.key_id === key_id).attribution.user_id
    assert.isTrue(isPseudonym(anon))
    for (const [index, user] of [{}, { user_id: ADA }, { user_id: anon }].entries()) {
      const { usage } = await call(
        "track_usage",
        { request_id: `r${index}`, ...MODEL, ...COUNTS, ...user },
        key
      )
      assert.strictEqual(usage.user_id, anon)
      assert.lengthOf((await call("get_usage", user, key)).items, index + 1)
    }
    const wire = await program.connect(key)
    const own = await wire.subscribe("usage", { filter: { user_id: ADA }, from_cursor: "0" })
    assert.strictEqual((await own.next()).event.usage.user_id, anon)
    const bobs = await call("track_usage", { request_id: "of bob", ...MODEL, ...COUNTS, user_id: BOB })
    for (const user_id of [BOB, bobs.usage.user_id, `anon_${"0".repeat(48)}`]) {
      const foreign = { request_id: "foreign", ...MODEL, ...COUNTS, user_id }
      assert.strictEqual((await failureOf(call("track_usage", foreign, key))).tag, "Forbidden")
      assert.strictEqual((await failureOf(call("get_usage", { user_id }, key))).tag, "Forbidden")
      assert.strictEqual((await failureOf(wire.subscribe("usage", { filter: { user_id } }))).tag, "Forbidden")
    }
    assert.deepStrictEqual(await rowsWith(databaseUrl, ADA), [])
  })
})

it("a key that is forced to somebody gets round it with no pseudonym where nobody is anonymised", async () => {
  const { call } = await makeTenant({})
  const { key } = await call("create_key", {
    name: "of bob",
    roles: ["admin"],
    attribution: { user_id: BOB }
  })
  const user_id = `anon_${"0".repeat(48)}`
  const foreign = { request_id: "foreign", ...MODEL, ...COUNTS, user_id }
  assert.strictEqual((await failureOf(call("track_usage", foreign, key))).tag, "Forbidden")
  assert.strictEqual((await failureOf(call("get_usage", { user_id }, key))).tag, "Forbidden")
  const wire = await program.connect(key)
  assert.strictEqual((await failureOf(wire.subscribe("usage", { filter: { user_id } }))).tag, "Forbidden")
  const child = { name: "child", roles: ["app"], attribution: { user_id } }
  assert.strictEqual((await failureOf(call("create_key", child, key))).tag, "Forbidden")
})

it("a tenant that begins to anonymise while calls are under way refuses none of them", async () => {
  const { key, call } = await makeTenant({})
  const wire = await program.connect(key)
  const report = (index: number) =>
    wire.call("track_usage", { request_id: `r${index}`, ...MODEL, ...COUNTS, user_id: "carol@example.com" })
  const before = Array.from({ length: 100 }, (_, index) => report(index))
  const configured = wire.call("configure_manager", { anonymize_users: true })
  const after = Array.from({ length: 100 }, (_, index) => report(1_000 + index))
  await configured
  for (const { usage } of await Promise.all(before)) assert.strictEqual(usage.user_id, "carol@example.com")
  const anon = new Set((await Promise.all(after)).map(({ usage }) => usage.user_id as string))
  assert.isTrue([...anon].every(isPseudonym))
  assert.lengthOf([...anon], 1)
  const { totals } = await call("get_usage", { limit: 1 })
  assert.strictEqual(totals.requests, 200)
})
