/** Finding kept refusals: what is typed becomes a filter, which becomes an address and the same filter again. */
import { describe, expect, it } from "vitest"
import { NO_PAGES } from "../../src/console/model/Pages.ts"
import {
  afterRefusals,
  filterText,
  forWhomParts,
  REFUSALS_MAX,
  readFilter,
  type WireRefusal
} from "../../src/console/model/Refusals.ts"
import { hrefTo, keyTo, ROOMS, roomOfKey, routeOf } from "../../src/console/parts/Route.ts"
import { at, violation } from "./Fixtures.ts"

const refusal = (id: string): WireRefusal => ({
  refusal_id: id,
  count: 1,
  first_at: at(1),
  last_at: at(2),
  request_id: "r1",
  signal: "check_budget",
  kind: "no_room",
  principal: "key-1",
  owner: "ada",
  attribution: { agent: "researcher", workflow_id: "w1", tags: { env: "prod" } },
  provider: "simulator",
  model: "sim-fast",
  estimated_tokens: 10,
  estimated_cost: "3",
  currency: "USD",
  reason: "Research has no room",
  violations: [violation()],
  more_violations: 0,
  retry_at: null,
  alternatives: []
})

describe("the filter of refusals", () => {
  it.each([
    ["", {}],
    ["r1", { request_id: "r1" }],
    ["setup/wf:12", { request_id: "setup/wf:12" }],
    ["wf:12", { request_id: "wf:12" }],
    ["request: user:1", { request_id: "user:1" }],
    ["agent:researcher workflow_id: w1", { agent: "researcher", workflow_id: "w1" }],
    ["Budget:b1  user:ann", { budget_id: "b1", user_id: "ann" }],
    ['user:"Ann \\"A\\" Lee" r1', { user_id: 'Ann "A" Lee', request_id: "r1" }]
  ])("reads %j", (text, filter) => {
    expect(readFilter(text)).toEqual({ filter, problem: null })
  })

  it.each([
    ["usr: ann", "There is no field usr"],
    ["agent:", "agent: needs a value"],
    ["r1 r2", "two values for request_id, r1 and r2"],
    ["user:Ann user_id:Bob", "two values for user_id"]
  ])("says what is wrong with %j", (text, problem) => {
    expect(readFilter(text)).toEqual({ filter: null, problem: expect.stringContaining(problem) })
  })

  it.each([
    [{}, ""],
    [{ request_id: "r1" }, "r1"],
    [{ request_id: "wf:12" }, "wf:12"],
    [{ request_id: "user:12" }, "request_id:user:12"],
    [{ request_id: "user:" }, "request_id:user:"],
    [{ request_id: 'a "b" c' }, '"a \\"b\\" c"'],
    [{ request_id: "usr: 12" }, '"usr: 12"'],
    [{ budget_id: "b1", user_id: "Ann Lee" }, 'budget_id:b1 user_id:"Ann Lee"']
  ])("stands in an address: %j", (filter, text) => {
    expect(filterText(filter)).toBe(text)
    const { room, subject } = routeOf(hrefTo("refusals", text === "" ? undefined : text))
    expect([room, readFilter(subject ?? "").filter]).toEqual(["refusals", filter])
  })
})

describe("refusals", () => {
  it("say that there are more than are shown", () => {
    const items = Array.from({ length: REFUSALS_MAX }, (_, index) => refusal(`refusal_${index}`))
    const page = (next_cursor: string | null) =>
      afterRefusals(NO_PAGES, { kind: "page", page: { items, next_cursor, dropped: 0 }, isFirst: true })
    expect([page("more").next, page("more").isFull]).toEqual([null, true])
    expect([page(null).next, page(null).isFull]).toEqual([null, false])
  })

  it("say for whom they were, each with the filter that finds its like; tags have none", () => {
    expect(forWhomParts(refusal("refusal_1"))).toEqual([
      ["agent", "researcher", { agent: "researcher" }],
      ["workflow_id", "w1", { workflow_id: "w1" }],
      ["tag env", "prod", null]
    ])
  })
})

it("every room has a key of its own, and no other key leads to one", () => {
  expect(ROOMS.map(keyTo).map(roomOfKey)).toEqual(ROOMS)
  expect(["", " ", "x", "12", "Enter"].map(roomOfKey)).toEqual(Array(5).fill(undefined))
})
