/** A user is forgotten: in a whole runtime, on a real store, whatever named the user before. */
import { assert, describe, it } from "@effect/vitest"
import { beforeAll } from "vitest"
import { isPseudonym } from "../../src/signal/Pseudonym.ts"
import { changeRows, rowsWith, tableLocker, whileRowsLocked } from "../support/Dump.ts"
import { makeDatabase, type Program, runProgram, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json } from "../support/Wire.ts"

const ADA = "ada.lovelace@example.com"
const AMY = "amy.johnson@example.com"
const ANN = "ann.lister@example.com"
const EVE = "eve.online@example.com"
const BOB = "bob.noyce@example.com"
const MODEL = { provider: "test", model: "dollar" }
const PRICE = { ...MODEL, pricing: { prompt_per_million: "1000000", completion_per_million: "1000000" } }
const COUNTS = { prompt_tokens: 1, completion_tokens: 0 }
const ESTIMATE = { estimated_prompt_tokens: 1, max_completion_tokens: 0 }
const DAILY = { name: "daily", period: "daily", limit: "10" } as const

const agentOf = (name: string, model: string, depends_on: ReadonlyArray<string> = []) => ({
  name,
  provider: "simulator",
  model,
  prompt: "{{input}}",
  max_completion_tokens: 20,
  depends_on
})
const workflowOf = (name: string, model = "sim-fast") => ({
  name,
  agents: [agentOf("first", model), agentOf("second", "sim-fast", ["first"])]
})

/** Nobody is told how it ends. */
const notify = (key: string, method: string, params: Json) =>
  fetch(`${program.url}/signals`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
    body: JSON.stringify({ jsonrpc: "2.0", method, params })
  })

let databaseUrl: string
const whileLocked = <A>(table: string, act: () => Promise<A>) => tableLocker(databaseUrl)(table, act)
let program: Program

beforeAll(async () => {
  databaseUrl = await makeDatabase()
  program = await startProgram({ databaseUrl })
})

let tenants = 0
const makeTenant = async () => {
  const tenant = `tenant-${++tenants}`
  const admin = await program.call("create_key", { name: "admin", roles: ["admin"], tenant, owner: "ops" })
  const call = (method: string, params: Json = {}, key: string = admin.key) =>
    program.call(method, params, key)
  await call("update_pricing", PRICE)
  return { tenant, key: admin.key as string, call }
}
type Tenant = Awaited<ReturnType<typeof makeTenant>>

/** Everything that a ledger keeps of a user. */
const busy = async ({ call }: Tenant, user_id: string) => {
  const who = user_id.slice(0, 3)
  const own = await call("create_budget", {
    ...DAILY,
    name: `Budget of ${user_id}`,
    type: "user",
    entity_id: user_id,
    limit: "5",
    request_id: `own budget of ${who}`
  })
  const everybody = await call("create_budget", { ...DAILY, type: "user", entity_id: "*", period: "monthly" })
  const { override } = await call("request_override", {
    budget_id: everybody.budget_id,
    entity_id: user_id,
    amount: "1",
    reason: `${user_id} asks for it`,
    request_id: `override of ${who}`
  })
  await call("check_budget", { request_id: `posted ${who}`, ...MODEL, ...ESTIMATE, user_id })
  const report = { request_id: `posted ${who}`, ...MODEL, ...COUNTS, prompt_tokens: 3, user_id }
  await call("track_usage", report)
  const released = await call("check_budget", {
    request_id: `released ${who}`,
    ...MODEL,
    ...ESTIMATE,
    user_id
  })
  await call("release_hold", { hold_id: released.hold_id })
  const held = await call("check_budget", { request_id: `held ${who}`, ...MODEL, ...ESTIMATE, user_id })
  const refused = await call("check_budget", {
    request_id: `refused ${who}`,
    ...MODEL,
    ...ESTIMATE,
    estimated_cost: "100",
    user_id
  })
  assert.include(refused.reason, user_id)
  const completed = await call("complete", {
    provider: "simulator",
    model: "sim-fast",
    messages: [{ role: "user", content: "Hello" }],
    max_completion_tokens: 5,
    request_id: `completed ${who}`,
    user_id
  })
  const forced = await call("create_key", {
    name: `key of ${user_id}`,
    roles: ["app"],
    attribution: { user_id },
    request_id: `key of ${who}`
  })
  await call("correct_usage", {
    request_id: `posted ${who}`,
    usage: { ...COUNTS, prompt_tokens: 2 },
    reason: "wrong"
  })
  return { own, everybody, override, report, held, completed, forced }
}

const figuresOf = async ({ call }: Tenant) => {
  const { total_tracked, total_tokens, total_cost, open_holds, budgets_active } = await call("get_status")
  const { totals } = await call("get_usage", { limit: 1 })
  const { budgets } = await call("get_budget_status", { include_inactive: true })
  const money = budgets.map(({ id, spent, held, override_total }: Json) => [id, spent, held, override_total])
  return { total_tracked, total_tokens, total_cost, open_holds, budgets_active, totals, money }
}

const verified = async (): Promise<string> => {
  const { code, log } = await runProgram({ databaseUrl, args: ["audit", "verify"] })
  assert.strictEqual(code, 0, log)
  return log
}

describe("forget_user", () => {
  it("leaves the user's id nowhere, and every figure as it was", async () => {
    const tenant = await makeTenant()
    const { call } = tenant
    const made = await busy(tenant, ADA)
    await busy(await makeTenant(), BOB)
    const before = await figuresOf(tenant)
    const wire = await program.connect(made.forced.key)
    assert.isAbove((await rowsWith(databaseUrl, ADA)).length, 10)

    const forgotten = await call("forget_user", { user_id: ADA, request_id: "forget" })
    assert.deepStrictEqual(await rowsWith(databaseUrl, ADA), [])
    assert.deepStrictEqual(await figuresOf(tenant), before)
    assert.include(forgotten, { pseudonym_deleted: false, budgets: 1, overrides: 1, keys_ended: 1 })
    for (const field of ["usage_rows", "requests", "periods", "alerts", "commands", "audit_entries"])
      assert.isAbove(forgotten[field], 0, field)
    assert.deepStrictEqual(await call("forget_user", { user_id: ADA, request_id: "forget" }), forgotten)
    assert.strictEqual(
      (await failureOf(call("forget_user", { user_id: BOB, request_id: "forget" }))).tag,
      "Conflict"
    )

    // Nobody who is shown, told or answered something is told the name.
    const shown = [
      await call("get_usage"),
      await call("get_audit_trail"),
      await call("list_overrides"),
      await call("list_keys"),
      await call("get_budget_status", { budget_id: made.own.budget_id }),
      await call("create_budget", {
        ...DAILY,
        name: `Budget of ${ADA}`,
        type: "user",
        entity_id: ADA,
        limit: "5",
        request_id: "own budget of ada"
      }),
      await (await program.connect(tenant.key))
        .subscribe("signals")
        .then((signals) => signals.until((event) => event.signal?.signal === "get_budget_status"))
    ]
    assert.notInclude(JSON.stringify(shown.slice(0, 6)), ADA)
    const { items } = await call("get_audit_trail", { kind: "forget_user" })
    assert.strictEqual(items.length, 1)
    assert.include(items[0].after, { budgets: 1, keys_ended: 1 })

    // A report that is sent again is counted once; an open hold is still open, and is settled where it was.
    const resent = await call("track_usage", made.report)
    assert.isTrue(resent.duplicate)
    assert.isTrue(isPseudonym(resent.usage.user_id))
    const { user_id: _, ...unnamed } = made.report
    const settled = await call("track_usage", { ...unnamed, request_id: "held ada", ...COUNTS })
    assert.isTrue(isPseudonym(settled.usage.user_id))
    assert.strictEqual(settled.usage.user_id, shown[0].items.at(-1).user_id)
    assert.strictEqual((await call("get_status")).open_holds, 0)

    // The user's key has ended, and with it the connection that it had open.
    assert.strictEqual(await wire.closed, 4001)
    assert.strictEqual((await failureOf(call("get_usage", {}, made.forced.key))).tag, "Unauthenticated")
    // What the model said is not said again.
    const again = { provider: "simulator", model: "sim-fast", max_completion_tokens: 5, user_id: ADA }
    const message = { messages: [{ role: "user", content: "Hello" }] }
    assert.strictEqual(
      (await failureOf(call("complete", { ...again, ...message, request_id: "completed ada" }))).tag,
      "Conflict"
    )
    assert.isAbove((await rowsWith(databaseUrl, BOB)).length, 10)
    await verified()
  })

  it("reaches what was before a tenant began to anonymise, and what was cleaned of it", async () => {
    const tenant = await makeTenant()
    const { call } = tenant
    for (let index = 0; index < 3; index++)
      await call("track_usage", { request_id: `early ${index}`, ...MODEL, ...COUNTS, user_id: AMY })
    await call("configure_manager", { anonymize_users: true })
    const { usage } = await call("track_usage", { request_id: "late", ...MODEL, ...COUNTS, user_id: AMY })
    const { key } = await call("create_key", { name: "k", roles: ["app"], attribution: { user_id: AMY } })
    await call("create_budget", { ...DAILY, type: "user", entity_id: AMY })
    assert.lengthOf(await rowsWith(databaseUrl, AMY), 3)
    const before = await figuresOf(tenant)

    const forgotten = await call("forget_user", { user_id: AMY })
    assert.include(forgotten, { pseudonym_deleted: true, usage_rows: 3, keys_ended: 1 })
    assert.deepStrictEqual(await rowsWith(databaseUrl, AMY), [])
    assert.deepStrictEqual(await figuresOf(tenant), before)
    assert.strictEqual((await failureOf(call("get_usage", {}, key))).tag, "Unauthenticated")
    assert.lengthOf((await call("get_usage", { user_id: AMY })).items, 0)
    assert.lengthOf((await call("get_usage", { user_id: usage.user_id })).items, 1)
    const back = await call("track_usage", { request_id: "back", ...MODEL, ...COUNTS, user_id: AMY })
    assert.isTrue(isPseudonym(back.usage.user_id))
    assert.notStrictEqual(back.usage.user_id, usage.user_id)
    for (const request_id of ["early 0", "late"]) {
      const resent = { request_id, ...MODEL, ...COUNTS, user_id: AMY }
      assert.strictEqual((await failureOf(call("track_usage", resent))).tag, "Conflict")
    }
    // By a pseudonym that was read from a report, too.
    const byPseudonym = await call("forget_user", { user_id: back.usage.user_id })
    assert.include(byPseudonym, { pseudonym_deleted: true, usage_rows: 0 })
    const third = await call("track_usage", { request_id: "third", ...MODEL, ...COUNTS, user_id: AMY })
    assert.notStrictEqual(third.usage.user_id, back.usage.user_id)
    assert.include(await call("forget_user", { user_id: "who was never here" }), {
      pseudonym_deleted: false,
      usage_rows: 0
    })
    await verified()
  })

  it("reaches workflows that have ended, wait and run, what they have told, and dead letters", async () => {
    const tenant = await makeTenant()
    const { call } = tenant
    await call("create_budget", { ...DAILY, type: "user", entity_id: "*", measure: "requests", limit: "50" })
    const started = async (workflow: Json, user_id = EVE): Promise<string> => {
      const input = { question: `What does ${user_id} want?`, of: user_id }
      return (await call("start_workflow", { workflow, input, user_id })).workflow_id
    }
    const shown = async (workflow_id: string) => (await call("get_workflow", { workflow_id })).workflow
    const until = (id: string, state: string) =>
      eventually(
        () => shown(id),
        (workflow) => workflow.state === state
      )
    const wire = await program.connect(tenant.key)
    const usage = await wire.subscribe("usage")
    const done = await started(workflowOf("done"))
    await until(done, "completed")
    const parked = await started({ ...workflowOf("parked"), budget: { limit: "1", measure: "requests" } })
    const { budget } = await until(parked, "parked")
    const bobs = await started(workflowOf("bobs"), BOB)
    await until(bobs, "completed")
    const running = await started(workflowOf("running", "sim-slow"))
    await usage.until(
      (event) => event.in_flight?.workflow_id === running && event.in_flight.state === "calling"
    )
    for (const user_id of [EVE, BOB])
      await notify(tenant.key, "track_usage", {
        request_id: `lost ${user_id.slice(0, 3)}`,
        ...MODEL,
        user_id
      })
    await notify(tenant.key, "track_usage", {
      request_id: "lost whole",
      provider: "nobody",
      model: "none",
      ...COUNTS,
      hold_id: "hold_none",
      user_id: EVE
    })
    await eventually(
      () => rowsWith(databaseUrl, "lost ", ["dead_letter"]),
      (rows) => rows.length === 3
    )
    for (const table of ["machine", "machine_fact", "dead_letter"])
      assert.isAbove((await rowsWith(databaseUrl, EVE, [table])).length, 0, table)
    const bobsBefore = await rowsWith(databaseUrl, BOB, ["machine", "machine_fact", "dead_letter"])

    const forgotten = await call("forget_user", { user_id: EVE })
    assert.deepStrictEqual(await rowsWith(databaseUrl, EVE), [])
    assert.include(forgotten, { machines: 3, dead_letters: 2 })
    assert.deepStrictEqual(
      await rowsWith(databaseUrl, BOB, ["machine", "machine_fact", "dead_letter"]),
      bobsBefore
    )
    await verified()

    // What ran goes on in the user's new name, what waited when it may.
    await call("update_budget", { budget_id: budget.budget_id, updates: { limit: "3" } })
    const ended = [await shown(done), await until(parked, "completed"), await until(running, "completed")]
    const name = ended[0].attribution.user_id
    assert.isTrue(isPseudonym(name))
    for (const workflow of ended) {
      assert.strictEqual(workflow.attribution.user_id, name)
      assert.deepStrictEqual(workflow.input, { question: `What does ${name} want?`, of: name })
      const { items } = await call("get_usage", { workflow_id: workflow.workflow_id })
      for (const row of items) assert.strictEqual(row.user_id, name)
    }
    assert.strictEqual((await call("get_status")).open_holds, 0)
    assert.lengthOf((await call("list_workflows", { user_id: name })).items, 3)
    assert.deepStrictEqual(await rowsWith(databaseUrl, EVE), [])
    await verified()
    assert.include(await call("forget_user", { user_id: EVE }), { machines: 0, dead_letters: 0 })
  })

  it("leaves what was damaged to be found", async () => {
    const { call, tenant } = await makeTenant()
    for (const request_id of ["first", "second"])
      await call("track_usage", { request_id, ...MODEL, ...COUNTS, user_id: EVE })
    await call("create_budget", { ...DAILY, type: "user", entity_id: EVE })
    await call("forget_user", { user_id: EVE })
    await verified()
    const damaged = async (what: string, statement: string, mended: string) => {
      await changeRows(databaseUrl, statement, [tenant])
      const { code, log } = await runProgram({ databaseUrl, args: ["audit", "verify"] })
      assert.notStrictEqual(code, 0, what)
      assert.include(log, tenant, what)
      await changeRows(databaseUrl, mended, [tenant])
      await verified()
    }
    await damaged(
      "a cost",
      "UPDATE usage SET cost = cost + 1 WHERE tenant = $1 AND request_id = 'first'",
      "UPDATE usage SET cost = cost - 1 WHERE tenant = $1 AND request_id = 'first'"
    )
    await damaged(
      "the hash of an entry whose words are gone",
      "UPDATE audit SET hash = reverse(hash) WHERE tenant = $1 AND body IS NULL",
      "UPDATE audit SET hash = reverse(hash) WHERE tenant = $1 AND body IS NULL"
    )
  })

  it("goes on where it was killed, beside everybody else's calls", async () => {
    const tenant = await makeTenant()
    const { call } = tenant
    const wire = await program.connect(tenant.key)
    for (let from = 0; from < 3_000; from += 200) {
      const some = Array.from({ length: 200 }, (_, index) =>
        wire.call("track_usage", {
          request_id: `r${from + index}`,
          ...MODEL,
          ...COUNTS,
          user_id: index % 2 === 0 ? ANN : BOB
        })
      )
      await Promise.all(some)
    }
    await call("create_budget", { ...DAILY, type: "user", entity_id: ANN, limit: "10000" })
    const before = await figuresOf(tenant)
    await whileLocked("completion", async () => {
      // What is live is renamed; the history waits for the lock.
      const forgetting = call("forget_user", { user_id: ANN }).catch(() => "killed")
      await eventually(
        () => rowsWith(databaseUrl, ANN, ["user_renaming"]),
        (rows) => rows.length === 1
      )
      await program.kill()
      await forgetting
    })
    program = await startProgram({ databaseUrl })
    assert.isAbove((await rowsWith(databaseUrl, ANN)).length, 1_000)
    await verified()
    // A correction of what was the user's lands where the user's budget is now, forgotten or on the way.
    await call("correct_usage", { request_id: "r0", usage: { ...COUNTS, prompt_tokens: 5 }, reason: "more" })
    await verified()
    await call("forget_user", { user_id: ANN })
    assert.deepStrictEqual(
      (await rowsWith(databaseUrl, ANN)).filter((row) => row.includes(tenant.tenant)),
      []
    )
    await call("correct_usage", { request_id: "r0", usage: COUNTS, reason: "no more" })
    const after = await figuresOf(tenant)
    assert.deepStrictEqual(after.money, before.money)
    assert.strictEqual(after.total_cost, before.total_cost)
    await verified()
  })

  it("is finished after a kill, also where the user has come back meanwhile: no two figures become one", async () => {
    const tenant = await makeTenant()
    const { call } = tenant
    const report = (request_id: string) =>
      call("track_usage", { request_id, ...MODEL, ...COUNTS, user_id: ANN })
    await call("create_budget", { ...DAILY, type: "user", entity_id: "*", limit: "10000" })
    await call("create_budget", {
      ...DAILY,
      type: "user",
      entity_id: "*",
      period: "lifetime",
      limit: "10000"
    })
    await report("before")
    await whileLocked("completion", async () => {
      const forgetting = call("forget_user", { user_id: ANN }).catch(() => "killed")
      await eventually(
        () => rowsWith(databaseUrl, ANN, ["user_renaming"]),
        (rows) => rows.length === 1
      )
      await program.kill()
      await forgetting
    })
    program = await startProgram({ databaseUrl })
    await report("after")
    const before = await figuresOf(tenant)
    await verified()
    await call("forget_user", { user_id: ANN })
    assert.deepStrictEqual(
      (await rowsWith(databaseUrl, ANN)).filter((row) => row.includes(tenant.tenant)),
      []
    )
    const after = await figuresOf(tenant)
    assert.deepStrictEqual(after.totals, before.totals)
    assert.strictEqual(after.total_cost, before.total_cost)
    await verified()
  })

  it("is finished after a kill in the middle of the machines: each names the user no more, and goes on once", async () => {
    const tenant = await makeTenant()
    const { call } = tenant
    const ids = ["wf-1", "wf-2", "wf-3"]
    for (const workflow_id of ids) {
      const agents = [{ name: "one", provider: "simulator", model: "sim-fast", prompt: "{{input}}" }]
      const workflow = { name: "parks", agents, budget: { limit: "0", measure: "requests" } }
      await call("start_workflow", { workflow, input: ANN, user_id: ANN, workflow_id })
      await eventually(
        async () => (await call("get_workflow", { workflow_id })).workflow,
        ({ state }) => state === "parked"
      )
    }
    const address = `workflow/${tenant.tenant}/wf-2`
    await whileRowsLocked(
      databaseUrl,
      "SELECT 1 FROM machine WHERE address = $1 FOR UPDATE",
      [address],
      async () => {
        const forgetting = call("forget_user", { user_id: ANN }).catch(() => "killed")
        // The first one is rewritten; the second one waits for the lock.
        await eventually(
          () => rowsWith(databaseUrl, ANN, ["machine"]),
          (rows) => rows.filter((row) => row.includes(tenant.tenant)).length === 2
        )
        await program.kill()
        await forgetting
      }
    )
    program = await startProgram({ databaseUrl })
    await call("forget_user", { user_id: ANN })
    assert.deepStrictEqual(
      (await rowsWith(databaseUrl, ANN)).filter((row) => row.includes(tenant.tenant)),
      []
    )
    for (const workflow_id of ids) {
      const { workflow } = await call("get_workflow", { workflow_id })
      assert.notInclude(JSON.stringify(workflow), ANN)
      await call("cancel_workflow", { workflow_id })
      await eventually(
        async () => (await call("get_workflow", { workflow_id })).workflow,
        ({ state }) => state === "cancelled"
      )
    }
    await verified()
  })
})
