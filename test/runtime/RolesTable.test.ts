/**
 * Every signal × every role × own and foreign tenant × own and foreign attribution, over real sockets.
 *
 * The table is section 10 of the contract, written out. Every key in it is forced to speak for one user; the things
 * that a signal names belong to the sender's tenant and user, to another user of it, or to another tenant.
 */
import { assert, describe, it } from "@effect/vitest"
import { beforeAll, beforeEach } from "vitest"
import { SIGNALS, type SignalName } from "../../src/signal/Catalogue.ts"
import type { Role } from "../../src/signal/Signal.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json, Refused, type Wire } from "../support/Wire.ts"

const ROLES: ReadonlyArray<Role> = ["app", "analyst", "budget_admin", "operator", "admin"]

/**
 * What a signal meets. `done`: it is answered. `unseen`: it is answered, and nothing of the others is in it.
 * `never`: it is answered exactly as if the thing it names had never existed.
 */
type Meets = "done" | "unseen" | "never" | "Forbidden"

interface Row {
  /** Beside `admin`, who may send everything. */
  readonly may: ReadonlyArray<Role>
  readonly otherTenant: Meets
  readonly otherUser: Meets
}

const TABLE: { readonly [Name in SignalName]: Row } = {
  track_usage: { may: ["app"], otherTenant: "never", otherUser: "Forbidden" },
  correct_usage: { may: ["budget_admin"], otherTenant: "never", otherUser: "never" },
  get_usage: { may: ["app", "analyst"], otherTenant: "unseen", otherUser: "Forbidden" },
  check_budget: { may: ["app"], otherTenant: "unseen", otherUser: "Forbidden" },
  extend_hold: { may: ["app"], otherTenant: "never", otherUser: "never" },
  release_hold: { may: ["app"], otherTenant: "never", otherUser: "never" },
  create_budget: { may: ["budget_admin"], otherTenant: "unseen", otherUser: "done" },
  update_budget: { may: ["budget_admin"], otherTenant: "never", otherUser: "done" },
  get_budget_status: { may: ["app", "analyst", "budget_admin"], otherTenant: "never", otherUser: "never" },
  request_override: { may: ["app"], otherTenant: "never", otherUser: "never" },
  decide_override: { may: ["budget_admin"], otherTenant: "never", otherUser: "never" },
  list_overrides: { may: ["analyst", "budget_admin"], otherTenant: "never", otherUser: "never" },
  list_refusals: { may: ["app", "analyst"], otherTenant: "unseen", otherUser: "Forbidden" },
  calculate_cost: { may: ["app", "analyst", "budget_admin"], otherTenant: "never", otherUser: "done" },
  get_pricing: { may: ["app", "analyst", "budget_admin"], otherTenant: "never", otherUser: "done" },
  update_pricing: { may: ["budget_admin"], otherTenant: "unseen", otherUser: "done" },
  update_exchange_rates: { may: ["budget_admin"], otherTenant: "unseen", otherUser: "done" },
  configure_manager: { may: [], otherTenant: "unseen", otherUser: "done" },
  get_status: { may: ["analyst", "operator"], otherTenant: "unseen", otherUser: "done" },
  get_audit_trail: { may: ["analyst"], otherTenant: "unseen", otherUser: "done" },
  cleanup_old_data: { may: [], otherTenant: "unseen", otherUser: "done" },
  forget_user: { may: [], otherTenant: "Forbidden", otherUser: "Forbidden" },
  complete: { may: ["app"], otherTenant: "unseen", otherUser: "Forbidden" },
  start_workflow: { may: ["app"], otherTenant: "unseen", otherUser: "Forbidden" },
  get_workflow: { may: ["app", "analyst", "operator"], otherTenant: "never", otherUser: "never" },
  list_workflows: { may: ["app", "analyst", "operator"], otherTenant: "unseen", otherUser: "Forbidden" },
  cancel_workflow: { may: ["app", "operator"], otherTenant: "never", otherUser: "never" },
  resume_workflow: { may: ["app", "operator"], otherTenant: "never", otherUser: "never" },
  list_actors: { may: ["operator"], otherTenant: "unseen", otherUser: "done" },
  inspect_actor: { may: ["operator"], otherTenant: "never", otherUser: "done" },
  stop_actor: { may: ["operator"], otherTenant: "never", otherUser: "done" },
  restart_actor: { may: ["operator"], otherTenant: "never", otherUser: "done" },
  list_dead_letters: { may: ["operator"], otherTenant: "unseen", otherUser: "done" },
  redrive_dead_letter: { may: ["operator"], otherTenant: "never", otherUser: "done" },
  subscribe: {
    may: ["app", "analyst", "budget_admin", "operator"],
    otherTenant: "never",
    otherUser: "Forbidden"
  },
  unsubscribe: {
    may: ["app", "analyst", "budget_admin", "operator"],
    otherTenant: "never",
    otherUser: "never"
  },
  create_key: { may: [], otherTenant: "never", otherUser: "Forbidden" },
  list_keys: { may: [], otherTenant: "unseen", otherUser: "done" },
  revoke_key: { may: [], otherTenant: "never", otherUser: "done" }
}

/** An admin may touch every hold of its tenant. */
const ADMINS_OWN: ReadonlyArray<SignalName> = ["extend_hold", "release_hold"]

const NAMES = Object.keys(SIGNALS) as ReadonlyArray<SignalName>

/** Stands in the name of everything of the other tenant. */
const MARK = "globexmark"

/** What a signal can name, and whose it is. */
interface Things {
  readonly tenant: string
  readonly user: string
  readonly letter_id: string
  readonly budget_id: string
  readonly override_id: string
  readonly key_id: string
  readonly subscription: string
  readonly model: string
  readonly hold: { readonly hold_id: string; readonly request_id: string }
  /** A request whose usage was recorded. */
  readonly spent: string
  /** One that still runs. */
  readonly workflow_id: string
}

const NEVER: Things = {
  tenant: "nowhere",
  user: "nobody",
  letter_id: "letter_999999_zzzzzz",
  budget_id: "budget_zzzzzz",
  override_id: "override_zzzzzz",
  key_id: "f".repeat(18),
  subscription: "zzzz.99",
  model: "model-of-nobodymark",
  hold: { hold_id: "hold_zzzz.no-request", request_id: "no-request" },
  spent: "never-spent",
  workflow_id: "never-started"
}

const TOPIC_OF: { readonly [R in Role]: string } = {
  app: "usage",
  analyst: "usage",
  budget_admin: "budgets",
  operator: "actors",
  admin: "usage"
}

/** Only the usage topic is about somebody; the others cannot be filtered by a user. */
const subscriptionOf = (role: Role, things: { readonly budget_id: string }, user: string) => {
  const topic = TOPIC_OF[role]
  if (topic === "usage") return { topic, filter: { user_id: user } }
  return topic === "budgets" ? { topic, filter: { budget_id: things.budget_id } } : { topic }
}

let unique = 0
const fresh = (what: string): string => `${what}-${++unique}`

const counts = { prompt_tokens: 10, completion_tokens: 1 }
const workflowOn = (model: string) => ({
  name: "of a test",
  agents: [{ name: "one", provider: "simulator", model, prompt: "{{input}}", max_completion_tokens: 2 }]
})
const WORKFLOW = workflowOn("sim-slow")
const rates = { prompt_per_million: "1", completion_per_million: "1" }

/** What each signal says; `user` is whom it speaks for. */
const paramsOf = (name: SignalName, things: Things, user: string, role: Role): Json => {
  const call = { provider: "roles", model: things.model }
  const { hold_id, request_id } = things.hold
  switch (name) {
    case "track_usage":
      return { request_id, hold_id, provider: "roles", model: "unpriced", ...counts, user_id: user }
    case "correct_usage":
      return { request_id: things.spent, usage: { ...counts, completion_tokens: 2 }, reason: "a test" }
    case "get_usage":
    case "list_refusals":
      return { user_id: user }
    case "check_budget":
      return { request_id: fresh("check"), estimated_cost: "0.01", estimated_tokens: 1, user_id: user }
    case "extend_hold":
      return { hold_id, by: { cost: "0.01" } }
    case "release_hold":
      return { hold_id }
    case "create_budget":
      return {
        name: "made",
        type: "user",
        entity_id: fresh("made"),
        period: "daily",
        limit: "1",
        active: false
      }
    case "update_budget":
      return { budget_id: things.budget_id, updates: { limit: "1000" } }
    case "get_budget_status":
      return { budget_id: things.budget_id }
    case "request_override":
      return { budget_id: things.budget_id, amount: "1", reason: "more" }
    case "decide_override":
      return { override_id: things.override_id, decision: "approve" }
    case "list_overrides":
      return { budget_id: things.budget_id }
    case "calculate_cost":
      return { ...call, ...counts }
    case "get_pricing":
      return call
    case "update_pricing":
      return { provider: "roles", model: fresh("priced"), pricing: rates }
    case "update_exchange_rates":
      return { base: "USD", rates: { EUR: "0.9" } }
    case "configure_manager":
      return { default_completion_tokens: 100 }
    case "complete":
      return {
        provider: "simulator",
        model: "sim-fast",
        messages: [{ role: "user", content: "hello" }],
        max_completion_tokens: 2,
        user_id: user
      }
    case "start_workflow":
      return { workflow: workflowOn("sim-fast"), input: "x", workflow_id: fresh("started"), user_id: user }
    case "list_workflows":
      return { user_id: user }
    case "get_workflow":
    case "cancel_workflow":
    case "resume_workflow":
      return { workflow_id: things.workflow_id }
    case "inspect_actor":
    case "stop_actor":
    case "restart_actor":
      return { address: `token_manager/${things.tenant}` }
    case "redrive_dead_letter":
      return { letter_id: things.letter_id }
    case "subscribe":
      return subscriptionOf(role, things, user)
    case "unsubscribe":
      return { subscription: things.subscription }
    case "create_key":
      return { name: "made", roles: ["app"], tenant: things.tenant, attribution: { user_id: user } }
    case "revoke_key":
      return { key_id: things.key_id }
    case "forget_user":
      return { user_id: user }
    case "cleanup_old_data":
      return { dry_run: false }
    case "get_audit_trail":
      return { limit: 1000 }
    case "get_status":
    case "list_actors":
    case "list_dead_letters":
    case "list_keys":
      return {}
  }
}

let program: Program
const wires = new Map<string, Wire>()

const send = async (wire: Wire, name: string, params: Json): Promise<Json> => {
  try {
    return { result: await wire.call(name, params) }
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    return { error: { code: error.code, message: error.message, data: error.data } }
  }
}

const keyOf = (params: Json): Promise<Json> => program.call("create_key", { name: "of a test", ...params })

/** A connection of a key of this role in this tenant, forced to speak for this user. */
const wireOf = async (tenant: string, user: string, role: Role): Promise<Wire> => {
  const name = `${tenant} ${user} ${role}`
  const known = wires.get(name)
  if (known !== undefined) return known
  const { key } = await keyOf({ tenant, roles: [role], attribution: { user_id: user } })
  const wire = await program.connect(key)
  wires.set(name, wire)
  return wire
}

/** Who asks for overrides is somebody else than who decides: its key has an owner of its own. */
const askerOf = async (tenant: string, user: string): Promise<Wire> => {
  const name = `${tenant} ${user} asker`
  const known = wires.get(name)
  if (known !== undefined) return known
  const { key } = await keyOf({ tenant, roles: ["app"], owner: "asker", attribution: { user_id: user } })
  const wire = await program.connect(key)
  wires.set(name, wire)
  return wire
}

const letters = new Map<string, string>()

/** A notification that fails, and fails again whenever it is sent: so it stays. */
const letterOf = async (tenant: string): Promise<string> => {
  const known = letters.get(tenant)
  if (known !== undefined) return known
  const { key } = await keyOf({ tenant, roles: ["admin"] })
  const params = { hold_id: `hold_zzzz.of-${tenant === "globex" ? MARK : tenant}` }
  await fetch(`${program.url}/signals`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", method: "release_hold", params })
  })
  const admin = await program.connect(key)
  const made = await eventually(
    () => admin.call("list_dead_letters", { limit: 1 }),
    ({ items }) => items.length === 1
  )
  letters.set(tenant, made.items[0].letter_id)
  return letterOf(tenant)
}

/** One for each user and test: with each more that applies, every call is booked once more. */
const budgets = new Map<string, string>()

const budgetOf = async (admin: Wire, tenant: string, user: string): Promise<string> => {
  const name = `${tenant} ${user}`
  const known = budgets.get(name)
  if (known !== undefined) return known
  const { budget_id } = await admin.call("create_budget", {
    name: `budget of ${user}`,
    type: "user",
    entity_id: user,
    period: "lifetime",
    limit: "1000"
  })
  budgets.set(name, budget_id)
  return budget_id
}

/** Makes everything that a signal can name; the hold by `holder`, the subscription on its connection. */
const makeThings = async (tenant: string, user: string, holder: Wire, name: SignalName): Promise<Things> => {
  const admin = await wireOf(tenant, user, "admin")
  const request_id = fresh(`held-by-${user}`)
  const model = `model-of-${tenant === "globex" ? MARK : tenant}`
  await admin.call("update_pricing", { provider: "roles", model, pricing: rates })
  const budget_id = await budgetOf(admin, tenant, user)
  const asker = await askerOf(tenant, user)
  const { override_id } = await asker.call("request_override", {
    budget_id,
    amount: "1",
    reason: `of ${user}`
  })
  const ask = { request_id, estimated_cost: "0.01", estimated_tokens: 1 }
  const { hold_id } = await holder.call("check_budget", ask)
  const spent = fresh(`spent-by-${user}`)
  const workflow_id = fresh(`workflow-of-${user}`)
  if (name.endsWith("_workflow"))
    await holder.call("start_workflow", { workflow: WORKFLOW, input: "x", workflow_id })
  await holder.call("track_usage", { request_id: spent, provider: "roles", model: "unpriced", ...counts })
  return {
    tenant,
    user,
    letter_id: await letterOf(tenant),
    budget_id,
    override_id,
    model,
    key_id: (await keyOf({ tenant, roles: ["app"], name: `key of ${user}` })).key_id,
    subscription: (await holder.call("subscribe", { topic: "usage" })).subscription,
    hold: { hold_id, request_id },
    spent,
    workflow_id
  }
}

/** What goes on by itself ends: every event goes to every subscription that is open. */
const letGo = async (holder: Wire, { subscription, workflow_id }: Things): Promise<void> => {
  await send(holder, "unsubscribe", { subscription })
  await send(holder, "cancel_workflow", { workflow_id })
}

/** The same text whatever the thing is called. */
const normal = (answer: Json, things: Things): string => {
  let text = JSON.stringify(answer)
  const names = [
    things.hold.hold_id,
    things.hold.request_id,
    things.budget_id,
    things.key_id,
    things.override_id,
    things.letter_id,
    things.spent,
    things.workflow_id
  ]
  for (const name of [...names, things.subscription, things.model, `"${things.tenant}"`]) {
    text = text.replaceAll(name, "…")
  }
  return text
    .replaceAll(`/${things.tenant}`, "/…")
    .replaceAll(/"subscription":"[^"]*"/gu, '"subscription":"…"')
    .replaceAll(/"incident":"[^"]*"/gu, '"incident":"…"')
}

const isOf = (things: Things, answer: Json): boolean => {
  const text = JSON.stringify(answer)
  const own = [
    MARK,
    things.hold.hold_id,
    things.hold.request_id,
    things.spent,
    things.workflow_id,
    things.key_id,
    `/${things.tenant}`
  ]
  return own.some((name) => text.includes(name))
}

const isAboutNobody = (name: SignalName, role: Role): boolean =>
  name === "subscribe" && TOPIC_OF[role] !== "usage"

const expectedOf = (name: SignalName, role: Role, whose: "own" | "otherUser" | "otherTenant"): Meets => {
  const row = TABLE[name]
  if (role !== "admin" && !row.may.includes(role)) return "Forbidden"
  // Every key here is forced to a user, and such a key forgets nobody.
  if (whose === "own") return name === "forget_user" ? "Forbidden" : "done"
  if (whose === "otherUser" && role === "admin" && ADMINS_OWN.includes(name)) return "done"
  if (whose === "otherUser" && isAboutNobody(name, role)) return "done"
  return row[whose]
}

const check = async (
  wire: Wire,
  name: SignalName,
  role: Role,
  things: Things,
  user: string,
  meets: Meets
) => {
  const answer = await send(wire, name, paramsOf(name, things, user, role))
  const what = `${name} by ${role}: ${JSON.stringify(answer)}`
  switch (meets) {
    case "done":
      assert.isDefined(answer.result, what)
      return
    case "unseen":
      assert.isDefined(answer.result, what)
      assert.isFalse(isOf(things, answer), what)
      return
    case "Forbidden":
      assert.deepInclude(answer.error, { code: -32003 }, what)
      assert.isFalse(isOf(things, answer), what)
      return
    case "never": {
      const never = await send(wire, name, paramsOf(name, { ...NEVER, user: things.user }, user, role))
      assert.strictEqual(normal(answer, things), normal(never, NEVER), name)
    }
  }
}

/** Ids are numbered per tenant: the other tenant's go far ahead, so that none of them is also one of ours. */
const goAhead = async (wire: Wire): Promise<void> => {
  for (let round = 0; round < 10; round++) {
    const asks = Array.from({ length: 200 }, () => ({ request_id: fresh("ahead"), estimated_cost: "0" }))
    const held = await Promise.all(
      asks.map((ask) => wire.call("check_budget", { ...ask, estimated_tokens: 0 }))
    )
    await Promise.all(held.map(({ hold_id }) => wire.call("release_hold", { hold_id })))
  }
}

beforeAll(async () => {
  program = await startProgram({ databaseUrl: await makeDatabase() })
  await goAhead(await wireOf("globex", MARK, "app"))
})

describe("every signal × every role × whose", () => {
  beforeEach(() => budgets.clear())

  for (const role of ROLES) {
    /** A role that may not ask for holds has them made by the app of the same user. */
    const holderOf = (tenant: string, user: string) =>
      wireOf(tenant, user, role === "admin" || role === "app" ? role : "app")

    it(`${role}: own tenant, own attribution`, async () => {
      const wire = await wireOf("acme", "ada", role)
      for (const name of NAMES) {
        const holder = await holderOf("acme", "ada")
        const things = await makeThings("acme", "ada", holder, name)
        const { subscription } = await wire.call("subscribe", { topic: TOPIC_OF[role] })
        await check(wire, name, role, { ...things, subscription }, "ada", expectedOf(name, role, "own"))
        await letGo(holder, things)
        await send(wire, "unsubscribe", { subscription })
      }
    })

    it(`${role}: own tenant, attribution of somebody else`, async () => {
      const wire = await wireOf("acme", "ada", role)
      for (const name of NAMES) {
        const holder = await holderOf("acme", "bob")
        const things = await makeThings("acme", "bob", holder, name)
        await check(wire, name, role, things, "bob", expectedOf(name, role, "otherUser"))
        await letGo(holder, things)
      }
    })

    for (const user of ["ada", "bob"]) {
      it(`${role}: another tenant, ${user === "ada" ? "own attribution" : "attribution of somebody else"}`, async () => {
        const wire = await wireOf("acme", "ada", role)
        for (const name of NAMES) {
          const holder = await holderOf("globex", MARK)
          const things = await makeThings("globex", MARK, holder, name)
          const meets = expectedOf(name, role, "otherTenant")
          const isAboutUser = TABLE[name].otherUser === "Forbidden" && !isAboutNobody(name, role)
          const isContradiction = user === "bob" && isAboutUser
          await check(wire, name, role, things, user, isContradiction ? "Forbidden" : meets)
          await letGo(holder, things)
        }
      })
    }
  }
})

describe("topics", () => {
  const TOPICS: { readonly [topic: string]: ReadonlyArray<Role> } = {
    usage: ["app", "analyst"],
    alerts: ["analyst", "budget_admin", "operator"],
    budgets: ["app", "analyst", "budget_admin"],
    signals: ["operator"],
    actors: ["operator"],
    workflows: ["app", "analyst", "operator"]
  }
  for (const role of ROLES) {
    it(role, async () => {
      const wire = await wireOf("acme", "ada", role)
      for (const [topic, roles] of Object.entries(TOPICS)) {
        const answer = await send(wire, "subscribe", { topic })
        const isAllowed = role === "admin" || roles.includes(role)
        assert.strictEqual(answer.error?.code, isAllowed ? undefined : -32003, topic)
      }
    })
  }
})

describe("what one tenant does, another cannot tell", () => {
  it("the same request_id in two tenants is two requests", async () => {
    const request_id = fresh("shared")
    const report = { request_id, provider: "roles", model: "unpriced", ...counts }
    for (const [tenant, user] of [
      ["acme", "ada"],
      ["globex", MARK]
    ] as const) {
      const wire = await wireOf(tenant, user, "app")
      assert.isFalse((await wire.call("track_usage", report)).duplicate)
      assert.isTrue((await wire.call("track_usage", report)).duplicate)
    }
  })

  it("events of one tenant never reach a subscriber of another, on any topic", async () => {
    const { key } = await keyOf({ tenant: "quiet", roles: ["admin"] })
    const quiet = await program.connect(key)
    const topics = ["usage", "alerts", "budgets", "signals", "actors", "workflows"]
    const seen = await Promise.all(topics.map((topic) => quiet.subscribe(topic)))
    const globex = await wireOf("globex", MARK, "admin")
    const budget = { name: MARK, type: "user", entity_id: MARK, period: "daily", limit: "0.000001" }
    await globex.call("create_budget", budget)
    const model = `model-of-${MARK}`
    await globex.call("track_usage", { request_id: fresh("loud"), provider: "roles", model, ...counts })
    // Its own events come after all of those, and are the first of each topic that it reads.
    await quiet.call("create_budget", { name: "own", type: "global", period: "daily", limit: "0.000001" })
    await quiet.call("update_pricing", { provider: "roles", model: "own", pricing: rates })
    await globex.call("start_workflow", { workflow: WORKFLOW, input: MARK })
    await quiet.call("track_usage", { request_id: "own", provider: "roles", model: "own", ...counts })
    await quiet.call("start_workflow", { workflow: WORKFLOW, input: "own" })
    for (const [index, topic] of topics.entries()) {
      const first = await seen[index]?.next()
      assert.notInclude(JSON.stringify(first), MARK, topic)
      assert.notInclude(JSON.stringify(first), "globex", topic)
    }
  })

  it("only the installation's key makes keys for others, and an admin cannot give what it has not", async () => {
    const admin = await wireOf("acme", "ada", "admin")
    const failure = await failureOf(admin.call("create_key", { name: "n", roles: ["app"], tenant: "globex" }))
    assert.strictEqual(failure.tag, "Forbidden")
  })
})

describe("forced attribution", () => {
  it("is added to what is sent, and narrows what is read", async () => {
    const ada = await wireOf("acme", "ada", "app")
    const bob = await wireOf("acme", "bob", "app")
    const report = { provider: "roles", model: "unpriced", ...counts }
    const { usage } = await ada.call("track_usage", { request_id: fresh("of-ada"), ...report })
    assert.strictEqual(usage.user_id, "ada")
    await bob.call("track_usage", { request_id: fresh("of-bob"), ...report })
    const { items } = await ada.call("get_usage")
    assert.deepStrictEqual([...new Set(items.map((item: Json) => item.user_id))], ["ada"])
    const { budgets } = await ada.call("get_budget_status", { include_inactive: true })
    assert.deepStrictEqual([...new Set(budgets.map((budget: Json) => budget.entity_id))], ["ada"])
  })

  it("narrows the events, too", async () => {
    const ada = await wireOf("acme", "ada", "app")
    const bob = await wireOf("acme", "bob", "app")
    const usage = await ada.subscribe("usage")
    const budgets = await ada.subscribe("budgets")
    const report = { provider: "roles", model: `model-of-acme`, ...counts }
    await bob.call("track_usage", { request_id: fresh("of-bob"), ...report })
    const mine = fresh("of-ada")
    await ada.call("track_usage", { request_id: mine, ...report })
    assert.strictEqual((await usage.next()).event.usage.request_id, mine)
    assert.strictEqual((await budgets.next()).event.budget.entity_id, "ada")
  })
})
