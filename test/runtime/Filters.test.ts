/**
 * Lesson 21: every filter of every query and subscription, with and without, over the wire and on a Postgres server.
 * A filter that is added to a schema and to no table here fails.
 */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll } from "vitest"
import { ATTRIBUTION_FIELDS } from "../../src/signal/Attribution.ts"
import { EventFilter } from "../../src/signal/Subscriptions.ts"
import { usageFilterFields } from "../../src/signal/Tracking.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import type { Json, Subscription, Wire } from "../support/Wire.ts"

const HOUR_MS = 3_600_000
const NOW = Date.now()
const ago = (hours: number): string => new Date(NOW - hours * HOUR_MS).toISOString()

let program: Program
let wire: Wire

/** One report for each thing that can be filtered by, and one for none of them. */
const REPORTS: { readonly [request_id: string]: Json } = {
  plain: {},
  "of provider": { provider: "other" },
  "of model": { model: "other" },
  "of status": { status: "error" },
  "of tags": { tags: { env: "prod", part: "a" } },
  early: { timestamp: ago(20) },
  ...Object.fromEntries(ATTRIBUTION_FIELDS.map((field) => [`of ${field}`, { [field]: "it" }]))
}
const ALL = Object.keys(REPORTS)

/** What each filter lets through, by its field. */
const CASES: { readonly [field: string]: ReadonlyArray<readonly [Json, ReadonlyArray<string>]> } = {
  provider: [
    [{ provider: "other" }, ["of provider"]],
    [{ provider: "none" }, []]
  ],
  model: [
    [{ model: "other" }, ["of model"]],
    [{ model: "none" }, []]
  ],
  status: [
    [{ status: "error" }, ["of status"]],
    [{ status: "cancelled" }, []]
  ],
  from: [
    [{ from: ago(10) }, ALL.filter((id) => id !== "early")],
    [{ from: ago(30) }, ALL]
  ],
  to: [
    [{ to: ago(10) }, ["early"]],
    [{ from: ago(20), to: ago(19) }, ["early"]],
    [{ from: ago(19), to: ago(10) }, []]
  ],
  tags: [
    [{ tags: { env: "prod" } }, ["of tags"]],
    [{ tags: { env: "prod", part: "b" } }, []],
    [{ tags: {} }, ALL]
  ],
  ...Object.fromEntries(
    ATTRIBUTION_FIELDS.map((field) => [
      field,
      [
        [{ [field]: "it" }, [`of ${field}`]],
        [{ [field]: "it", provider: "other" }, []],
        [{ [field]: "none" }, []]
      ]
    ])
  )
}

const report = (request_id: string, more: Json): Json => ({
  request_id,
  provider: "filters",
  model: "plain",
  prompt_tokens: 1,
  completion_tokens: 1,
  ...more
})

beforeAll(async () => {
  program = await startProgram({ databaseUrl: await makeDatabase() })
  wire = await program.connect()
  for (const [request_id, more] of Object.entries(REPORTS))
    await wire.call("track_usage", report(request_id, more))
})
afterAll(() => program.kill())

describe("lesson 21: get_usage", () => {
  it("has a case for every filter", () => {
    assert.sameMembers(Object.keys(CASES), Object.keys(usageFilterFields))
  })

  for (const [filter, expected] of [[{}, ALL] as const, ...Object.values(CASES).flat()]) {
    it(`by ${JSON.stringify(filter).replaceAll(/\d{4}-[^"]*/gu, "a time")}`, async () => {
      const { items, totals } = await wire.call("get_usage", { ...filter, limit: 1000 })
      assert.sameMembers(
        items.map(({ request_id }: Json) => request_id),
        [...expected]
      )
      assert.strictEqual(totals.requests, expected.length)
    })
  }
})

/** Reads on until an event is the last, and answers all that were read. */
const until = (subscription: Subscription, isLast: (event: Json) => boolean): Promise<ReadonlyArray<Json>> =>
  subscription.until(isLast)

describe("lesson 21: subscriptions", () => {
  const USAGE_FIELDS = ["provider", "model", "tags", ...ATTRIBUTION_FIELDS]
  /** What every filter lets through. */
  const LAST = {
    provider: "other",
    model: "other",
    tags: { env: "prod", part: "b" },
    ...Object.fromEntries(ATTRIBUTION_FIELDS.map((field) => [field, "it"]))
  }

  it("have a case for every filter", () => {
    const others = ["budget_id", "address", "signal", "received"]
    assert.sameMembers(Object.keys(EventFilter.fields), [...USAGE_FIELDS, ...others])
  })

  it("to usage, by every filter and by none", async () => {
    const wanted = [
      [{}, ALL] as const,
      ...USAGE_FIELDS.map((field) => {
        const [filter, expected] = CASES[field]?.[0] ?? [{}, []]
        return [filter, expected] as const
      })
    ]
    const open = await Promise.all(
      wanted.map(async ([filter, expected]) => ({
        filter,
        expected,
        subscription: await wire.subscribe("usage", { filter, from_cursor: "0" })
      }))
    )
    await wire.call("track_usage", report("last", LAST))
    for (const { filter, expected, subscription } of open) {
      const events = await until(subscription, (event) => event.usage?.request_id === "last")
      const ids = events.flatMap((event) => (event.usage === undefined ? [] : [event.usage.request_id]))
      assert.sameMembers(ids, [...expected, "last"], JSON.stringify(filter))
    }
  })

  /** A budget of its own for each user, whose first report raises an alert. */
  const makeBudget = async (user: string): Promise<string> => {
    const { budget_id } = await wire.call("create_budget", {
      name: user,
      type: "user",
      entity_id: user,
      period: "lifetime",
      measure: "tokens",
      limit: "2",
      alert_thresholds: []
    })
    return budget_id
  }

  it("to budgets and to alerts, by budget_id and by none", async () => {
    const [other, wanted] = [await makeBudget("other"), await makeBudget("wanted")]
    const subscribe = (topic: string, filter: Json, from: Json = {}) =>
      wire.subscribe(topic, { filter, ...from })
    const from = { from_cursor: "0" }
    const budgets = await subscribe("budgets", { budget_id: wanted })
    const allBudgets = await subscribe("budgets", {})
    const alerts = await subscribe("alerts", { budget_id: wanted }, from)
    const allAlerts = await subscribe("alerts", {}, from)
    await wire.call("track_usage", report("spends other", { user_id: "other" }))
    await wire.call("track_usage", report("spends wanted", { user_id: "wanted" }))
    const ofBudgets = (events: ReadonlyArray<Json>) => [
      ...new Set(events.map(({ budget }) => budget.budget_id))
    ]
    const isWanted = (event: Json) => event.budget.budget_id === wanted
    assert.deepStrictEqual(ofBudgets(await until(budgets, isWanted)), [wanted])
    assert.deepStrictEqual(ofBudgets(await until(allBudgets, isWanted)), [other, wanted])
    const ofAlerts = (events: ReadonlyArray<Json>) => events.flatMap(({ alert }) => alert.budget_id ?? [])
    const isWantedAlert = (event: Json) => event.alert.budget_id === wanted
    assert.deepStrictEqual(ofAlerts(await until(alerts, isWantedAlert)), [wanted])
    assert.deepStrictEqual(ofAlerts(await until(allAlerts, isWantedAlert)), [other, wanted])
  })

  it("to signals by name and by address, to actors by address, and by none", async () => {
    const call = (request_id: string): Json => ({
      request_id,
      provider: "simulator",
      model: "sim-fast",
      messages: [{ role: "user", content: "Say it." }],
      max_completion_tokens: 5
    })
    const address = "call/default/wanted"
    const isOver = (event: Json) => event.actor.fact === "stopped" && event.actor.actor.address === address
    const actors = await wire.subscribe("actors", { filter: { address } })
    const allActors = await wire.subscribe("actors")
    await wire.call("complete", call("unwanted"))
    await wire.call("complete", call("wanted"))
    const addresses = (events: ReadonlyArray<Json>) => new Set(events.map(({ actor }) => actor.actor.address))
    assert.deepStrictEqual([...addresses(await until(actors, isOver))], [address])
    assert.include([...addresses(await until(allActors, isOver))], "call/default/unwanted")

    const manager = "token_manager/default"
    const isPricing = (event: Json) => event.signal?.signal === "get_pricing"
    const named = await wire.subscribe("signals", { filter: { signal: "get_pricing" } })
    const addressed = await wire.subscribe("signals", { filter: { address: manager } })
    const all = await wire.subscribe("signals")
    const arrivals = await wire.subscribe("signals", { filter: { signal: "get_pricing", received: true } })
    await wire.call("get_pricing")
    const seen = (events: ReadonlyArray<Json>, field: string) =>
      new Set(events.map(({ signal }) => signal[field]))
    assert.deepStrictEqual([...seen(await until(named, isPricing), "signal")], ["get_pricing"])
    assert.deepStrictEqual([...seen(await until(addressed, isPricing), "address")], [manager])
    const everything = await until(all, isPricing)
    assert.isAbove(seen(everything, "signal").size, 1)
    assert.isAbove(seen(everything, "address").size, 1)
    const kinds = (await until(arrivals, isPricing)).map((event) => Object.keys(event)[0])
    assert.deepStrictEqual(kinds, ["received", "signal"])
  })
})

describe("lesson 21: get_budget_status", () => {
  let ids: Json

  beforeAll(async () => {
    ids = {}
    const make = async (name: string, more: Json) => {
      ids[name] = (
        await program.call("create_budget", { name, period: "daily", limit: "1", ...more })
      ).budget_id
    }
    await make("everything", { type: "global" })
    await make("red", { type: "team", entity_id: "red" })
    await make("blue", { type: "team", entity_id: "blue" })
    await make("project red", { type: "project", entity_id: "red" })
    await make("asleep", { type: "team", entity_id: "red", active: false })
  })

  it.each([
    [{ type: "team" }, ["red", "blue"]],
    [{ type: "global" }, ["everything"]],
    [{ type: "agent" }, []],
    [{ entity_id: "red" }, ["red", "project red"]],
    [{ entity_id: "none" }, []],
    [{ type: "team", entity_id: "red" }, ["red"]],
    [{ type: "team", include_inactive: true }, ["red", "blue", "asleep"]],
    [{ type: "team", entity_id: "red", include_inactive: true }, ["red", "asleep"]],
    [{ type: "team", include_inactive: false }, ["red", "blue"]]
  ])("by %j", async (filter, expected) => {
    const { budgets } = await program.call("get_budget_status", filter)
    assert.sameMembers(
      budgets.map(({ name }: Json) => name),
      expected
    )
  })

  it("by none, and by budget_id", async () => {
    const names = async (filter: Json) =>
      (await program.call("get_budget_status", filter)).budgets.map(({ name }: Json) => name)
    const active = ["everything", "red", "blue", "project red", "other", "wanted"]
    assert.sameMembers(await names({}), active)
    assert.sameMembers(await names({ include_inactive: true }), [...active, "asleep"])
    for (const [name, budget_id] of Object.entries(ids))
      assert.deepStrictEqual(await names({ budget_id }), [name])
  })
})
