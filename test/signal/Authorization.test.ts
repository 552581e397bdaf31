/** Every signal for every role, and forced attribution (signals.md, sections 2 and 10). */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Attribution } from "../../src/signal/Attribution.ts"
import { authorize, authorizeSubscription } from "../../src/signal/Authorization.ts"
import type { SignalName } from "../../src/signal/Catalogue.ts"
import { decodePayload } from "../../src/signal/Decode.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import type { Role } from "../../src/signal/Signal.ts"
import type { Topic } from "../../src/signal/Subscriptions.ts"
import { EXAMPLES, SIGNAL_NAMES } from "./Examples.ts"

const ROLES: ReadonlyArray<Role> = ["app", "analyst", "budget_admin", "operator", "admin"]

const principal = (roles: ReadonlyArray<Role>, attribution: Attribution = {}): Principal => ({
  keyId: "key_1",
  owner: "ann",
  tenant: "default",
  roles,
  attribution,
  isInstallation: false
})

/** Who may send what, beside `admin`. Written by hand from the contract: a change here is a change of the contract. */
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

const send = (name: SignalName, params: unknown, who: Principal) =>
  authorize(name, Result.getOrThrow(decodePayload(name, params)), who)

describe("every signal × every role", () => {
  for (const name of SIGNAL_NAMES) {
    for (const role of ROLES) {
      const may = role === "admin" || MAY[name].includes(role)
      it(`${role} ${may ? "may" : "may not"} ${name}`, () => {
        const sent = send(name, EXAMPLES[name].params, principal([role]))
        assert.strictEqual(Result.isSuccess(sent), may)
        if (Result.isFailure(sent)) {
          assert.strictEqual(sent.failure.required_role, MAY[name][0] ?? "admin")
          assert.include(sent.failure.message, name)
        }
      })
    }
    it(`nobody without a role may ${name}`, () => {
      assert.isTrue(Result.isFailure(send(name, EXAMPLES[name].params, principal([]))))
    })
  }

  it("one of several roles is enough", () => {
    assert.isTrue(Result.isSuccess(send("get_status", {}, principal(["app", "operator"]))))
  })

  it("the installation may do everything", () => {
    for (const name of SIGNAL_NAMES) {
      assert.isTrue(Result.isSuccess(send(name, EXAMPLES[name].params, installationPrincipal())), name)
    }
  })
})

describe("every topic × every role", () => {
  const topics: { readonly [T in Topic]: ReadonlyArray<Role> } = {
    usage: ["app", "analyst"],
    alerts: ["analyst", "budget_admin", "operator"],
    budgets: ["app", "analyst", "budget_admin"],
    signals: ["operator"],
    actors: ["operator"],
    workflows: ["app", "analyst", "operator"]
  }
  for (const [topic, may] of Object.entries(topics) as ReadonlyArray<[Topic, ReadonlyArray<Role>]>) {
    for (const role of ROLES) {
      it(`${role} and ${topic}`, () => {
        const isAllowed = role === "admin" || may.includes(role)
        assert.strictEqual(Result.isSuccess(authorizeSubscription({ topic }, principal([role]))), isAllowed)
      })
    }
  }
})

describe("forced attribution", () => {
  const forced: Attribution = { user_id: "ann", tags: { env: "prod" } }
  const who = principal(["app", "analyst"], forced)
  const attributed = [
    "track_usage",
    "check_budget",
    "get_usage",
    "list_refusals",
    "complete",
    "start_workflow"
  ] as const
  const bare: { readonly [Name in (typeof attributed)[number]]: object } = {
    track_usage: { request_id: "r", provider: "p", model: "m", prompt_tokens: 1, completion_tokens: 1 },
    check_budget: { request_id: "r" },
    get_usage: {},
    list_refusals: {},
    complete: { provider: "p", model: "m", messages: [{ role: "user", content: "x" }] },
    start_workflow: { workflow: "report", input: "x" }
  }
  for (const name of attributed) {
    it(`${name}: is added`, () => {
      const sent = Result.getOrThrow(send(name, bare[name], who)) as Attribution
      assert.strictEqual(sent.user_id, "ann")
      assert.deepStrictEqual(sent.tags, { env: "prod" })
    })

    it(`${name}: the same again is no contradiction, and other fields stay`, () => {
      const params = { ...bare[name], user_id: "ann", team_id: "red", tags: { env: "prod", more: "x" } }
      const sent = Result.getOrThrow(send(name, params, who)) as Attribution
      assert.strictEqual(sent.team_id, "red")
      assert.deepStrictEqual(sent.tags, { env: "prod", more: "x" })
    })

    it(`${name}: a contradiction is Forbidden, tags one by one`, () => {
      for (const [params, field] of [
        [{ user_id: "bob" }, "user_id"],
        [{ tags: { env: "test" } }, "tags.env"],
        [{ tags: { other: "x", env: "" } }, "tags.env"]
      ] as const) {
        const sent = send(name, { ...bare[name], ...params }, who)
        if (Result.isSuccess(sent)) throw new Error(`${field} was taken`)
        assert.strictEqual(sent.failure._tag, "Forbidden")
        assert.include(sent.failure.message, field)
      }
    })
  }

  it("every field of it can be forced", () => {
    for (const field of [
      "team_id",
      "project_id",
      "feature",
      "agent",
      "operation",
      "conversation_id"
    ] as const) {
      const key = principal(["app"], { [field]: "x" })
      assert.isTrue(Result.isFailure(send("check_budget", { request_id: "r", [field]: "y" }, key)), field)
      const sent = Result.getOrThrow(send("check_budget", { request_id: "r" }, key)) as Attribution
      assert.strictEqual(sent[field], "x")
    }
  })

  it("joined tags stay within their bound", () => {
    const tags = (count: number, prefix: string) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`${prefix}${index}`, "x"]))
    const key = principal(["app"], { tags: tags(10, "f") })
    assert.isTrue(Result.isSuccess(send("check_budget", { request_id: "r", tags: tags(6, "p") }, key)))
    assert.isTrue(Result.isFailure(send("check_budget", { request_id: "r", tags: tags(7, "p") }, key)))
  })

  it("signals without attribution are left as they are", () => {
    const sent = Result.getOrThrow(send("release_hold", { hold_id: "hold_1.r" }, who))
    assert.deepStrictEqual(sent as object, { hold_id: "hold_1.r" })
  })

  it("does not excuse from the role", () => {
    assert.isTrue(Result.isFailure(send("create_budget", EXAMPLES.create_budget.params, who)))
  })
})
