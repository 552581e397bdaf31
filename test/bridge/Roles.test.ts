/**
 * Every signal, every role, own and foreign tenant, own and contradicting attribution, as a client sees them.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SIGNALS, type SignalName } from "../../src/signal/Catalogue.ts"
import { NotFound } from "../../src/signal/Errors.ts"
import { type Role, traitsOf } from "../../src/signal/Signal.ts"
import { makeKey, openClient, startBridge, withBridge } from "./Fixture.ts"

const ROLES: ReadonlyArray<Role> = ["app", "analyst", "budget_admin", "operator", "admin"]

/** Who may send what: signals.md, section 10, written out. `admin` may send everything. */
const MAY: { readonly [Name in SignalName]: ReadonlyArray<Role> } = {
  track_usage: ["app"],
  correct_usage: ["budget_admin"],
  get_usage: ["app", "analyst"],
  check_budget: ["app"],
  extend_hold: ["app"],
  release_hold: ["app"],
  create_budget: ["budget_admin"],
  update_budget: ["budget_admin"],
  get_budget_status: ["app", "analyst", "budget_admin"],
  request_override: ["app"],
  decide_override: ["budget_admin"],
  list_overrides: ["analyst", "budget_admin"],
  list_refusals: ["app", "analyst"],
  calculate_cost: ["app", "analyst", "budget_admin"],
  get_pricing: ["app", "analyst", "budget_admin"],
  update_pricing: ["budget_admin"],
  update_exchange_rates: ["budget_admin"],
  configure_manager: [],
  get_status: ["analyst", "operator"],
  get_audit_trail: ["analyst"],
  cleanup_old_data: [],
  forget_user: [],
  complete: ["app"],
  start_workflow: ["app"],
  get_workflow: ["app", "analyst", "operator"],
  list_workflows: ["app", "analyst", "operator"],
  cancel_workflow: ["app", "operator"],
  resume_workflow: ["app", "operator"],
  list_actors: ["operator"],
  inspect_actor: ["operator"],
  stop_actor: ["operator"],
  restart_actor: ["operator"],
  list_dead_letters: ["operator"],
  redrive_dead_letter: ["operator"],
  subscribe: ["app", "analyst", "budget_admin", "operator"],
  unsubscribe: ["app", "analyst", "budget_admin", "operator"],
  create_key: [],
  list_keys: [],
  revoke_key: []
}

const call = { provider: "p", model: "m" }
const counts = { prompt_tokens: 1, completion_tokens: 1 }

/** The least that each signal takes. */
const PARAMS: { readonly [Name in SignalName]: object } = {
  track_usage: { request_id: "r", ...call, ...counts },
  correct_usage: { request_id: "r", usage: counts, reason: "why" },
  get_usage: {},
  check_budget: { request_id: "r" },
  extend_hold: { hold_id: "h" },
  release_hold: { hold_id: "h" },
  create_budget: { name: "n", type: "global", period: "daily", limit: "1" },
  update_budget: { budget_id: "b", updates: {} },
  get_budget_status: {},
  request_override: { budget_id: "b", amount: "1", reason: "more" },
  decide_override: { override_id: "o", decision: "deny" },
  list_overrides: {},
  list_refusals: {},
  calculate_cost: { ...call, ...counts },
  get_pricing: {},
  update_pricing: { ...call, pricing: { prompt_per_million: "1", completion_per_million: "1" } },
  update_exchange_rates: { base: "EUR", rates: { USD: "1.1" } },
  configure_manager: {},
  get_status: {},
  get_audit_trail: {},
  cleanup_old_data: {},
  forget_user: { user_id: "ann" },
  complete: { ...call, messages: [{ role: "user", content: "hi" }] },
  start_workflow: { workflow: "report", input: "x" },
  get_workflow: { workflow_id: "w" },
  list_workflows: {},
  cancel_workflow: { workflow_id: "w" },
  resume_workflow: { workflow_id: "w" },
  list_actors: {},
  inspect_actor: { address: "token_manager/acme" },
  stop_actor: { address: "token_manager/acme" },
  restart_actor: { address: "token_manager/acme" },
  list_dead_letters: {},
  redrive_dead_letter: { letter_id: "letter_1" },
  subscribe: { topic: "budgets" },
  unsubscribe: { subscription: "none" },
  create_key: { name: "n", roles: ["app"] },
  list_keys: {},
  revoke_key: { key_id: "0".repeat(18) }
}

/** What the stub answers, so that no test depends on the shape of an answer. */
const REACHED = new NotFound({ message: "reached", kind: "test", id: "" })

const NAMES = Object.keys(SIGNALS) as ReadonlyArray<SignalName>

describe("every signal × every role", () => {
  for (const role of ROLES) {
    it.live(role, () =>
      withBridge(
        Effect.gen(function* () {
          const { bridge, stub, wsUrl } = yield* startBridge()
          const { key } = yield* makeKey(bridge, { roles: [role], tenant: "acme" })
          const client = yield* openClient(wsUrl, { key })
          for (const name of NAMES) {
            stub.asked.length = 0
            stub.answers.set(name, () => Effect.fail(REACHED))
            // The topic that this role may watch: topics have a table of their own.
            const isOperator = name === "subscribe" && role === "operator"
            const { error } = yield* client.call(name, isOperator ? { topic: "actors" } : PARAMS[name])
            const isAllowed = role === "admin" || MAY[name].includes(role)
            assert.strictEqual(error?.data._tag === "Forbidden", !isAllowed, `${name} by ${role}`)
            if (!isAllowed) {
              assert.strictEqual(error.code, -32003)
              assert.strictEqual(error.data.required_role, MAY[name][0] ?? "admin")
              assert.lengthOf(stub.asked, 0)
            }
            for (const { principal } of stub.asked) {
              assert.deepInclude(principal, { tenant: "acme", roles: [role], isInstallation: false })
            }
          }
        })
      )
    )
  }
})

const TOPICS = {
  usage: ["app", "analyst"],
  alerts: ["analyst", "budget_admin", "operator"],
  budgets: ["app", "analyst", "budget_admin"],
  signals: ["operator"],
  actors: ["operator"]
}

describe("topics", () => {
  for (const role of ROLES) {
    it.live(role, () =>
      withBridge(
        Effect.gen(function* () {
          const { bridge, wsUrl } = yield* startBridge()
          const { key } = yield* makeKey(bridge, { roles: [role] })
          const client = yield* openClient(wsUrl, { key })
          for (const [topic, roles] of Object.entries(TOPICS)) {
            const { result, error } = yield* client.call("subscribe", { topic })
            const isAllowed = role === "admin" || roles.includes(role)
            assert.strictEqual(result !== undefined, isAllowed, topic)
            assert.strictEqual(error?.data._tag, isAllowed ? undefined : "Forbidden")
          }
        })
      )
    )
  }
})

describe("forced attribution", () => {
  const attribution = { team_id: "t1", tags: { env: "prod" } }
  const attributed = NAMES.filter((name) => traitsOf(SIGNALS[name]).isAttributed)

  it.live("joins every attributed signal, and a contradiction is Forbidden", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, stub, wsUrl } = yield* startBridge()
        const { key } = yield* makeKey(bridge, { roles: ["admin"], tenant: "acme", attribution })
        const client = yield* openClient(wsUrl, { key })
        assert.includeMembers([...attributed], ["track_usage", "check_budget", "complete", "get_usage"])
        for (const name of attributed) {
          stub.answers.set(name, () => Effect.fail(REACHED))
          const own: ReadonlyArray<object> = [{}, { team_id: "t1" }, { user_id: "u", tags: { x: "1" } }]
          for (const extra of own) {
            stub.asked.length = 0
            yield* client.call(name, { ...PARAMS[name], ...extra })
            const tags = { env: "prod", ...("tags" in extra ? { x: "1" } : {}) }
            assert.deepInclude(stub.asked[0]?.payload, { ...extra, team_id: "t1", tags }, name)
          }
          stub.asked.length = 0
          for (const extra of [{ team_id: "t2" }, { tags: { env: "dev" } }]) {
            const { error } = yield* client.call(name, { ...PARAMS[name], ...extra })
            assert.strictEqual(error.data._tag, "Forbidden", name)
          }
          assert.lengthOf(stub.asked, 0)
        }
      })
    )
  )

  it.live("narrows what a subscription sees", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, stub, wsUrl } = yield* startBridge()
        const { key } = yield* makeKey(bridge, { roles: ["app"], attribution })
        const client = yield* openClient(wsUrl, { key })
        yield* client.call("subscribe", { topic: "usage", filter: { user_id: "u" }, from_cursor: "c" })
        assert.deepStrictEqual(stub.asked[0]?.payload, {
          topic: "usage",
          filter: { ...attribution, user_id: "u" },
          fromCursor: "c"
        })
        const { error } = yield* client.call("subscribe", { topic: "usage", filter: { team_id: "t2" } })
        assert.strictEqual(error.data._tag, "Forbidden")
      })
    )
  )
})

describe("tenants", () => {
  it.live("come from the key, and a foreign key answers like one that never existed", () =>
    withBridge(
      Effect.gen(function* () {
        const { bridge, wsUrl } = yield* startBridge()
        const acme = yield* makeKey(bridge, { tenant: "acme" })
        const other = yield* makeKey(bridge, { tenant: "other" })
        const client = yield* openClient(wsUrl, { key: acme.key })
        const foreign = yield* client.call("revoke_key", { key_id: other.key_id }, 1)
        const unknown = yield* client.call("revoke_key", { key_id: "0".repeat(18) }, 1)
        const nameless = (answer: unknown, id: string) => JSON.stringify(answer).replaceAll(id, "ID")
        assert.strictEqual(nameless(foreign, other.key_id), nameless(unknown, "0".repeat(18)))
        const made = yield* client.call("create_key", { name: "n", roles: ["app"], tenant: "other" })
        assert.strictEqual(made.error.data._tag, "Forbidden")
        const { result } = yield* client.call("list_keys", {})
        assert.deepStrictEqual(
          result.items.map(({ key_id }: { key_id: string }) => key_id),
          [acme.key_id]
        )
        assert.notProperty(result.items[0], "hash")
        assert.isDefined((yield* (yield* openClient(wsUrl, { key: other.key })).call("list_keys", {})).result)
      })
    )
  )
})
