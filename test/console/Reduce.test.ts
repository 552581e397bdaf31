import { describe, expect, it } from "vitest"
import { inFlightOf } from "../../src/console/model/Calls.ts"
import {
  CALLS_MAX,
  type Change,
  EMPTY_MODEL,
  ENDED_ACTOR_MS,
  LOG_MAX,
  type Model,
  STANDINGS_MAX,
  type WireEvent
} from "../../src/console/model/Model.ts"
import { reduce } from "../../src/console/model/Reduce.ts"
import { standingsByDefault } from "../../src/console/model/Standings.ts"
import { parseAmount } from "../../src/signal/Money.ts"
import { actor, at, budget, progress, record, standing, usage } from "./Fixtures.ts"

const NOW = Date.parse(at(30))

const event = (one: WireEvent, now = NOW): Change => ({ kind: "event", topic: "usage", event: one, now })
const totals = {
  requests: 1,
  prompt_tokens: 100,
  completion_tokens: 50,
  total_tokens: 150,
  cost: "0.0015",
  currency: "USD"
}
const fact = (
  name: "started" | "transition" | "stopped",
  state: string | null,
  second: number
): WireEvent => ({
  actor: {
    version: 1,
    fact: name,
    at: at(second),
    actor: actor({ state }),
    detail: name === "transition" ? "xstate.done" : null
  }
})

/** The money that a page would show: recorded, and on its way. */
const shown = (model: Model) => ({
  recorded: model.totals?.cost,
  inFlight: inFlightOf(model.calls.values()).cost,
  state: model.calls.get("r1")?.state
})

describe("totals", () => {
  const snapshot: Change = { kind: "usage", answer: { items: [usage()], next_cursor: null, totals } }

  it("count every record once, also when it comes again behind the snapshot", () => {
    const next = usage({ id: "u2", usage_seq: 2, request_id: "r2", cost: "0.000000000001" })
    const model = reduce(EMPTY_MODEL, [
      snapshot,
      event({ usage: usage() }),
      event({ usage: next }),
      event({ usage: next })
    ])
    expect(model.totals).toEqual({
      requests: 2,
      tokens: 300,
      cost: parseAmount("0.001500000001"),
      currency: "USD"
    })
  })

  it("count a request once, however many attempts it took", () => {
    const first = usage({ id: "u2", usage_seq: 2, request_id: "r2", settle: false, status: "error" })
    const second = usage({ id: "u3", usage_seq: 3, request_id: "r2", attempt: 2 })
    const model = reduce(EMPTY_MODEL, [snapshot, event({ usage: first }), event({ usage: second })])
    expect(model.totals).toMatchObject({ requests: 2, tokens: 450 })
  })

  it("are the same whether events come in one batch or one by one", () => {
    const changes = [snapshot, event(progress()), event({ usage: usage({ usage_seq: 2, attempt: 2 }) })]
    const oneByOne = changes.reduce((model, change) => reduce(model, [change]), EMPTY_MODEL)
    expect(reduce(EMPTY_MODEL, changes)).toEqual(oneByOne)
  })
})

describe("a call", () => {
  const start = reduce(EMPTY_MODEL, [
    {
      kind: "usage",
      answer: { items: [], next_cursor: null, totals: { ...totals, requests: 0, total_tokens: 0, cost: "0" } }
    }
  ])

  it.each<[string, ReadonlyArray<WireEvent>, { recorded: string; inFlight: string; state: string }]>([
    ["is on its way", [progress()], { recorded: "0", inFlight: "0.0012", state: "calling" }],
    ["is recorded", [progress(), { usage: usage() }], { recorded: "0.0015", inFlight: "0", state: "done" }],
    [
      "is recorded before its last progress is told",
      [progress(), { usage: usage() }, progress({ state: "reporting", at: at(3) })],
      { recorded: "0.0015", inFlight: "0", state: "done" }
    ],
    [
      "has a failed attempt recorded, and a second one on its way",
      [
        progress(),
        { usage: usage({ settle: false, status: "error", cost: "0.0003" }) },
        progress({ state: "backing_off", at: at(3) }),
        progress({ attempt: 2, cost: "0.0004", at: at(4) })
      ],
      { recorded: "0.0003", inFlight: "0.0004", state: "calling" }
    ],
    [
      "waits after a failed attempt that is recorded",
      [
        progress(),
        { usage: usage({ settle: false, status: "error", cost: "0.0003" }) },
        progress({ state: "backing_off", at: at(3) })
      ],
      { recorded: "0.0003", inFlight: "0", state: "backing_off" }
    ],
    [
      "is told by an old progress after a newer one",
      [progress({ cost: "0.0020", at: at(5) }), progress({ cost: "0.0001", at: at(4) })],
      { recorded: "0", inFlight: "0.002", state: "calling" }
    ],
    [
      "loses its actor without a record",
      [fact("started", "estimating", 0), progress(), fact("stopped", "calling", 6)],
      { recorded: "0", inFlight: "0", state: "ended" }
    ]
  ])("that %s is counted in one place", (_, events, expected) => {
    const { recorded, inFlight, state } = shown(
      reduce(
        start,
        events.map((one) => event(one))
      )
    )
    expect({ recorded, inFlight, state }).toEqual({
      recorded: parseAmount(expected.recorded),
      inFlight: parseAmount(expected.inFlight),
      state: expected.state
    })
  })

  it("that was refused says which budget, whatever is heard first", () => {
    const answer = { allowed: false, violations: [{ budget_id: "b1" }] }
    const payload = { request_id: "r1", provider: "openai", model: "m", agent: "researcher" }
    const refusal = record({ outcome: "refused", reason: "no room", payload, answer, at: at(2) })
    const events = [
      fact("started", "awaiting_budget", 1),
      { signal: refusal },
      fact("transition", "refused", 3)
    ]
    for (const order of [events, events.toReversed()]) {
      const call = reduce(
        start,
        order.map((one) => event(one))
      ).calls.get("r1")
      expect(call).toMatchObject({
        state: "refused",
        isOpen: false,
        provider: "openai",
        attribution: { agent: "researcher" }
      })
      expect(call?.refusal?.answer).toEqual(answer)
    }
  })

  it("that a snapshot of the actors does not know is over", () => {
    const model = reduce(start, [event(progress()), { kind: "actors", actors: [], now: NOW }])
    expect(inFlightOf(model.calls.values())).toEqual({ calls: 0, tokens: 0, cost: 0n })
  })

  it("of the snapshot moves on, even when the browser's clock is ahead of the server's", () => {
    const hourAhead = NOW + 3_600_000
    const model = reduce(start, [
      { kind: "actors", actors: [actor({ state: "estimating" })], now: hourAhead },
      event(progress(), hourAhead)
    ])
    expect(model.calls.get("r1")).toMatchObject({ state: "calling", isOpen: true, provider: "simulator" })
  })
})

describe("an actor", () => {
  it("keeps the path it took, stays a while after its end, and is forgotten", () => {
    const events = [
      fact("started", "estimating", 0),
      fact("transition", "awaiting_budget", 1),
      fact("transition", "calling", 2),
      fact("stopped", "calling", 3)
    ]
    const model = reduce(
      EMPTY_MODEL,
      events.map((one) => event(one))
    )
    const row = model.actors.get("call/default/r1")
    expect(row?.path.map(({ state }) => state)).toEqual(["estimating", "awaiting_budget", "calling"])
    expect(row?.endedAt).toBe(NOW)
    expect(reduce(model, [{ kind: "tick", now: NOW + ENDED_ACTOR_MS }]).actors.size).toBe(1)
    expect(reduce(model, [{ kind: "tick", now: NOW + ENDED_ACTOR_MS + 1 }]).actors.size).toBe(0)
  })
})

it("counts refused signals, and no look at what has no room", () => {
  const look = { request_id: "wf/a/look", hold: false }
  const { counters, calls } = reduce(EMPTY_MODEL, [
    event({ signal: record({ outcome: "refused" }) }),
    event({ signal: record({ signal: "complete", outcome: "BudgetExceeded" }) }),
    event({ signal: record({ outcome: "refused", request_id: "wf/a/look", payload: look }) }),
    event({ signal: record({ outcome: "NotFound" }) })
  ])
  expect(counters).toEqual({ signals: 4, refused: 2, failed: 1 })
  expect([...calls.keys()], "a look is no call").toEqual(["r1"])
})

it("an actor that started runs", () => {
  const started = event({
    actor: { version: 1, fact: "started", at: at(0), actor: actor({ status: "starting" }), detail: null }
  })
  const model = reduce(EMPTY_MODEL, [started])
  expect(model.actors.get("call/default/r1")?.info.status).toBe("running")
})

describe("budgets", () => {
  it("take their standing from events and keep what events do not carry", () => {
    const model = reduce(EMPTY_MODEL, [
      { kind: "budgets", budgets: [budget({ enforcement: "soft" })], isAll: true },
      event(standing({ state: "warning", resets_at: at(59) }))
    ])
    expect(model.budgets.get("b1")).toMatchObject({
      spent: "4",
      state: "warning",
      enforcement: "soft",
      period_end: at(59)
    })
    expect(model.unknownBudgets.size).toBe(0)
  })

  it("whoever stands in a default is beside it, from a reading or from an event", () => {
    const everybody = budget({ entity_id: "*", spent: "0", held: "0", remaining: "10" })
    const read: Change = {
      kind: "budgets",
      budgets: [everybody, budget({ entity_id: "ada", override_total: "2", pending_overrides: 1 })],
      isAll: true
    }
    const model = reduce(EMPTY_MODEL, [
      read,
      event(standing({ entity_id: "ada", spent: "5", held: "0", remaining: "7", state: "warning" })),
      event(standing({ entity_id: "mary", spent: "4", held: "1", remaining: "8" }))
    ])
    expect(model.budgets.get("b1")).toEqual(everybody)
    expect(model.budgets.get("b1/ada")).toMatchObject({
      spent: "5",
      state: "warning",
      override_total: "2",
      pending_overrides: 1
    })
    // 10 + 3 is what 4, 1 and 8 add up to.
    expect(model.budgets.get("b1/mary")).toMatchObject({ spent: "4", override_total: "3", carried_over: "0" })
    expect(standingsByDefault(model.budgets)).toEqual(new Map([["b1", 2]]))
    expect(model.unknownBudgets.size).toBe(0)
  })

  it("a key that sees one standing of a default keeps that one", () => {
    const model = reduce(EMPTY_MODEL, [
      { kind: "budgets", budgets: [budget({ entity_id: "ada" })], isAll: true },
      event(standing({ entity_id: "mary", spent: "9" })),
      event(standing({ entity_id: "ada", spent: "5" }))
    ])
    expect([...model.budgets]).toMatchObject([["b1", { entity_id: "ada", spent: "5" }]])
  })

  it("of a default, those who used most are kept", () => {
    const many = Array.from({ length: STANDINGS_MAX + 5 }, (_, index) =>
      event(
        standing({
          entity_id: `u${index}`,
          limit: "100",
          spent: String(index),
          remaining: String(100 - index)
        })
      )
    )
    const everybody = budget({ entity_id: "*", spent: "0", held: "0", remaining: "10" })
    const { budgets } = reduce(EMPTY_MODEL, [
      { kind: "budgets", budgets: [everybody, budget({ id: "b2" })], isAll: true },
      ...many
    ])
    expect(standingsByDefault(budgets)).toEqual(new Map([["b1", STANDINGS_MAX]]))
    expect(budgets.has("b2")).toBe(true)
    expect(budgets.has(`b1/u${STANDINGS_MAX + 4}`)).toBe(true)
    expect(budgets.has("b1/u0")).toBe(false)
  })

  it("that nobody has read yet are asked for", () => {
    const model = reduce(EMPTY_MODEL, [event(standing({ budget_id: "b2" }))])
    expect([...model.unknownBudgets]).toEqual(["b2"])
    expect(
      reduce(model, [{ kind: "budgets", budgets: [budget({ id: "b2" })], isAll: true }]).unknownBudgets.size
    ).toBe(0)
  })
})

describe("bounds", () => {
  it("hold for the log and for calls; calls that are over go first", () => {
    const many = Array.from({ length: LOG_MAX + 500 }, (_, index) =>
      event({ signal: record({ request_id: `s${index}` }) })
    )
    expect(reduce(EMPTY_MODEL, many).log).toHaveLength(LOG_MAX)
    const open = event(progress({ request_id: "open" }))
    const over = Array.from({ length: CALLS_MAX + 50 }, (_, index) =>
      event({ usage: usage({ request_id: `c${index}`, usage_seq: index + 1 }) })
    )
    const { calls } = reduce(EMPTY_MODEL, [open, ...over])
    expect(calls.size).toBe(CALLS_MAX)
    expect(calls.has("open")).toBe(true)
    expect(calls.has("c0")).toBe(false)
  })

  it("of a gap are told in the log, and gaps of one cause become one", () => {
    const gap = (count: number): Change => ({
      kind: "event",
      topic: "signals",
      event: { gap: count },
      now: NOW
    })
    const { log } = reduce(EMPTY_MODEL, [gap(3), gap(4), event({ signal: record() })])
    expect(log.map((entry) => (entry.kind === "gap" ? entry.count : entry.record.signal))).toEqual([
      7,
      "check_budget"
    ])
  })
})

it("slices that no change touched stay the same object, so that nothing is drawn for nothing", () => {
  const before = reduce(EMPTY_MODEL, [
    event(progress()),
    { kind: "budgets", budgets: [budget()], isAll: true }
  ])
  const after = reduce(before, [event({ signal: record({ signal: "get_usage" }) })])
  expect(after.log).not.toBe(before.log)
  for (const slice of ["budgets", "calls", "actors", "alerts", "totals"] as const)
    expect(after[slice]).toBe(before[slice])
})
