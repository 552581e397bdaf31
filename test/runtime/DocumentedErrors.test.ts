/**
 * Every error that a signal's definition names beside those of all signals, brought about on the program; and none that it
 * does not name (test/support/DocumentedErrors looks at whatever is refused in any test).
 */
import { assert, describe, it } from "@effect/vitest"
import { beforeAll } from "vitest"
import { SIGNALS, type SignalName } from "../../src/signal/Catalogue.ts"
import { ERROR_CODES, type OwnError } from "../../src/signal/Errors.ts"
import { ownErrorsOf, undocumented } from "../support/DocumentedErrors.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, failureOf, type Json, type Wire } from "../support/Wire.ts"

const NAMES = Object.keys(SIGNALS) as ReadonlyArray<SignalName>
const CALL = { provider: "simulator", model: "sim-fast" }
const COUNTS = { prompt_tokens: 1, completion_tokens: 1 }
const ASK = { ...CALL, messages: [{ role: "user", content: "hi" }], max_completion_tokens: 5 }
const BUDGET = { name: "b", type: "user", entity_id: "poor", period: "daily", limit: "0" }
const AGENT = { name: "a", prompt: "{{input}}", ...CALL, max_completion_tokens: 5 }
const WORKFLOW = { name: "one", agents: [AGENT] }
const RATES = { prompt_per_million: "1", completion_per_million: "1" }
const NOWHERE = "bk_none"

let program: Program
let wire: Wire
/** A tenant whose currency has no rate to the catalogue's. */
let foreign: Wire

const inTenant = async (tenant: string): Promise<Wire> => {
  const { key } = await program.call("create_key", { name: "admin", roles: ["admin"], tenant })
  return program.connect(key)
}

beforeAll(async () => {
  program = await startProgram({ databaseUrl: await makeDatabase() })
  wire = await inTenant("acme")
  foreign = await inTenant("foreign")
  await foreign.call("configure_manager", { currency: "EUR" })
  await foreign.call("create_budget", { ...BUDGET, type: "global", entity_id: undefined, limit: "1" })
  await wire.call("create_budget", BUDGET)
  return () => program.kill()
})

/** Sent once, and then with something else under the same id. */
const twice = async (name: SignalName, params: Json, other: Json): Promise<Json> => {
  const request_id = `${name} twice`
  await wire.call(name, { request_id, ...params })
  return wire.call(name, { request_id, ...params, ...other })
}

const posted = async (request_id: string): Promise<string> => {
  const { hold_id } = await wire.call("check_budget", { request_id, ...CALL, estimated_tokens: 5 })
  await wire.call("track_usage", { request_id, ...CALL, ...COUNTS })
  return hold_id
}

const budget = async (): Promise<string> =>
  (await wire.call("create_budget", { ...BUDGET, entity_id: "rich", limit: "10" })).budget_id

/** An ended workflow. */
const ended = async (): Promise<string> => {
  const { workflow_id } = await wire.call("start_workflow", { workflow: WORKFLOW, input: "x" })
  await eventually(
    () => wire.call("get_workflow", { workflow_id }),
    ({ workflow }) => workflow.state === "completed"
  )
  return workflow_id
}

const decidedTwice = async (): Promise<Json> => {
  const asked = { budget_id: await budget(), amount: "1", reason: "more" }
  const { override_id } = await wire.call("request_override", asked)
  const { key } = await wire.call("create_key", { name: "other", roles: ["budget_admin"], owner: "other" })
  const other = await program.connect(key)
  await other.call("decide_override", { override_id, decision: "deny" })
  return other.call("decide_override", { override_id, decision: "approve" })
}

/** A letter whose prompt is not kept. */
const withoutPrompt = async (): Promise<Json> => {
  wire.ws.send(JSON.stringify({ jsonrpc: "2.0", method: "complete", params: { ...ASK, model: 5 } }))
  const { items } = await eventually(
    () => wire.call("list_dead_letters"),
    (letters) => letters.items.length > 0
  )
  return wire.call("redrive_dead_letter", { letter_id: items[0].letter_id })
}

const callActor = async (): Promise<Json> => {
  const events = await wire.stream({
    ...ASK,
    model: "sim-slow",
    max_completion_tokens: 500,
    request_id: "slow"
  })
  const failed = wire.call("restart_actor", { address: "call/acme/slow" })
  await failed.catch(() => undefined)
  await wire.call("unsubscribe", { subscription: events.id })
  return failed
}

type Brought = { readonly [Tag in OwnError]?: (() => Promise<Json>) | string }

const holdOf = (name: "extend_hold" | "release_hold", more: Json): Brought => ({
  NotFound: () => wire.call(name, { hold_id: "hold_0.nothing", ...more }),
  Conflict: async () => wire.call(name, { hold_id: await posted(`${name} posted`), ...more })
})

const SAME = "it is done again, and comes to the same"

/** How each comes about; a text: why it does not over a wire. */
const BROUGHT: { readonly [Name in SignalName]?: Brought } = {
  track_usage: {
    NotFound: () => wire.call("track_usage", { request_id: "t1", ...CALL, ...COUNTS, hold_id: "hold_0.t1" }),
    Conflict: () => twice("track_usage", { ...CALL, ...COUNTS }, { prompt_tokens: 2 }),
    PriceUnknown: "a catalogue lost a price that an estimate was booked at"
  },
  correct_usage: {
    NotFound: () => wire.call("correct_usage", { request_id: "nothing", usage: COUNTS, reason: "why" }),
    Conflict: "a hundred adjustments (test/tokens/Corrections)",
    PriceUnknown: "a catalogue lost a price that usage was booked at"
  },
  check_budget: {
    Conflict: async () => {
      await posted("checked")
      return wire.call("check_budget", { request_id: "checked", ...CALL, estimated_tokens: 5 })
    },
    RateUnknown: () => wire.call("check_budget", { request_id: "c1", estimated_cost: "1", currency: "EUR" })
  },
  extend_hold: holdOf("extend_hold", { ttl_ms: 1_000 }),
  release_hold: holdOf("release_hold", {}),
  create_budget: {
    Conflict: () => twice("create_budget", { ...BUDGET, entity_id: "twice" }, { limit: "2" }),
    RateUnknown: () => wire.call("create_budget", { ...BUDGET, currency: "EUR" })
  },
  update_budget: {
    NotFound: () => wire.call("update_budget", { budget_id: "budget_0", updates: {} }),
    Conflict: async () =>
      wire.call("update_budget", { budget_id: await budget(), updates: {}, expected_version: 9 })
  },
  get_budget_status: { NotFound: () => wire.call("get_budget_status", { budget_id: "budget_0" }) },
  request_override: {
    NotFound: () => wire.call("request_override", { budget_id: "budget_0", amount: "1", reason: "more" }),
    Conflict: async () => {
      const budget_id = await budget()
      await wire.call("update_budget", { budget_id, updates: { active: false } })
      return wire.call("request_override", { budget_id, amount: "1", reason: "more" })
    }
  },
  decide_override: {
    NotFound: () => wire.call("decide_override", { override_id: "override_0", decision: "deny" }),
    Conflict: decidedTwice
  },
  calculate_cost: {
    PriceUnknown: () => wire.call("calculate_cost", { ...CALL, ...COUNTS, model: "none" }),
    RateUnknown: () => wire.call("calculate_cost", { ...CALL, ...COUNTS, currency: "EUR" })
  },
  update_pricing: {
    Conflict: () => twice("update_pricing", { provider: "p", model: "m", pricing: RATES }, { model: "n" }),
    RateUnknown: () =>
      wire.call("update_pricing", { provider: "p", model: "e", pricing: { ...RATES, currency: "EUR" } })
  },
  update_exchange_rates: {
    Conflict: () =>
      twice("update_exchange_rates", { base: "USD", rates: { JPY: "150" } }, { source: "a bank" })
  },
  configure_manager: {
    Conflict: () => twice("configure_manager", { retention_days: 80 }, { retention_days: 81 }),
    RateUnknown: () => foreign.call("configure_manager", { currency: "CHF" })
  },
  cleanup_old_data: {
    Conflict: () =>
      twice("cleanup_old_data", { older_than_days: 30, dry_run: false }, { older_than_days: 31 })
  },
  forget_user: { Conflict: () => twice("forget_user", { user_id: "ann" }, { user_id: "bob" }) },
  complete: {
    Conflict: () => twice("complete", ASK, { temperature: 1 }),
    BudgetExceeded: () => wire.call("complete", { ...ASK, user_id: "poor" }),
    ProviderFailed: () => wire.call("complete", { ...ASK, model: "sim-flaky", max_attempts: 1 }),
    RateUnknown: () => foreign.call("complete", ASK)
  },
  start_workflow: {
    NotFound: () => wire.call("start_workflow", { workflow: "nothing", input: "x" }),
    Conflict: () => twice("start_workflow", { workflow: WORKFLOW, input: "x" }, { input: "y" }),
    BudgetExceeded: () =>
      wire.call("start_workflow", { workflow: WORKFLOW, input: "x", user_id: "poor", on_denied: "fail" }),
    RateUnknown: () => foreign.call("start_workflow", { workflow: WORKFLOW, input: "x", on_denied: "fail" })
  },
  get_workflow: { NotFound: () => wire.call("get_workflow", { workflow_id: "nothing" }) },
  cancel_workflow: {
    NotFound: () => wire.call("cancel_workflow", { workflow_id: "nothing" }),
    Conflict: async () => wire.call("cancel_workflow", { workflow_id: await ended() })
  },
  resume_workflow: {
    NotFound: () => wire.call("resume_workflow", { workflow_id: "nothing" }),
    Conflict: async () => wire.call("resume_workflow", { workflow_id: await ended() })
  },
  inspect_actor: { NotFound: () => wire.call("inspect_actor", { address: "call/acme/nothing" }) },
  stop_actor: { NotFound: () => wire.call("stop_actor", { address: "call/acme/nothing" }), Conflict: SAME },
  restart_actor: {
    NotFound: () => wire.call("restart_actor", { address: "call/acme/nothing" }),
    Conflict: callActor
  },
  redrive_dead_letter: {
    NotFound: () => wire.call("redrive_dead_letter", { letter_id: "letter_0" }),
    Conflict: withoutPrompt
  },
  subscribe: { Conflict: "each is another subscription" },
  unsubscribe: {
    NotFound: () => wire.call("unsubscribe", { subscription: "nothing" }),
    Conflict: SAME
  },
  create_key: { Conflict: () => twice("create_key", { name: "k", roles: ["app"] }, { name: "l" }) },
  revoke_key: { NotFound: () => wire.call("revoke_key", { key_id: NOWHERE }), Conflict: SAME }
}

describe("what a signal's definition says that it can fail with", () => {
  it("is said here: how it comes about, or why it does not", () => {
    for (const name of NAMES) {
      assert.deepStrictEqual(Object.keys(BROUGHT[name] ?? {}).sort(), [...ownErrorsOf(name)].sort(), name)
    }
  })

  it.each(
    NAMES.flatMap((name) =>
      Object.entries(BROUGHT[name] ?? {}).flatMap(([tag, bring]) =>
        typeof bring === "string" ? [] : [[name, tag as OwnError, bring] as const]
      )
    )
  )("%s: %s", async (_, tag, bring) => {
    const refused = await failureOf(bring())
    assert.deepInclude({ tag: refused.tag, code: refused.code }, { tag, code: ERROR_CODES[tag] })
    assert.isAbove(refused.message.length, 10)
  })

  it("is all that any test hears of it", () => {
    assert.isUndefined(undocumented("create_budget", "RateUnknown"))
    assert.isUndefined(undocumented("create_budget", "Unavailable"))
    assert.isDefined(undocumented("create_budget", "ProviderFailed"))
  })
})
