import { describe, expect, it } from "vitest"
import { byUrgency, meterOf } from "../../src/console/model/Budgets.ts"
import {
  count,
  duration,
  exactMoney,
  inMeasure,
  inMeasureCompact,
  latency,
  roundedMoney,
  shortCount
} from "../../src/console/model/Figures.ts"
import { filterOf, violationsIn } from "../../src/console/model/Log.ts"
import { LOG_MAX, PENDING_MAX } from "../../src/console/model/Model.ts"
import { Store } from "../../src/console/model/Store.ts"
import { hrefTo, routeOf } from "../../src/console/parts/Route.ts"
import { backoffMs } from "../../src/console/wire/Connection.ts"
import { parseAmount } from "../../src/signal/Money.ts"
import { budget, record, usage } from "./Fixtures.ts"

const signal = (index: number) =>
  ({
    kind: "event",
    topic: "signals",
    event: { signal: record({ request_id: `s${index}` }) },
    now: 0
  }) as const

describe("the store", () => {
  it("tells once per frame, however much came", () => {
    const frames: Array<() => void> = []
    const store = new Store((frame) => frames.push(frame))
    let told = 0
    store.subscribe(() => {
      told += 1
    })
    for (let index = 0; index < 5_000; index++) store.push(signal(index))
    expect([frames.length, told, store.model.log.length]).toEqual([1, 0, 0])
    frames[0]?.()
    expect([told, store.model.log.length]).toEqual([1, LOG_MAX])
  })

  it("bounds what waits: old signals go and are counted, money stays", () => {
    const store = new Store(() => undefined)
    store.push({ kind: "event", topic: "usage", event: { usage: usage() }, now: 0 })
    for (let index = 0; index < 3 * PENDING_MAX; index++) store.push(signal(index))
    expect(store.pendingCount).toBeLessThanOrEqual(PENDING_MAX)
    const waiting = store.pendingCount - 1
    store.flush()
    expect(store.model.calls.get("r1")?.attempts).toHaveLength(1)
    expect(store.model.counters.signals).toBe(waiting)
  })
})

describe("figures", () => {
  it.each([
    ["0.000000000001", "$0.000000000001", "$0.000000"],
    ["12.5", "$12.50", "$12.500000"],
    ["-1234567.891", "−$1,234,567.891", "−$1,234,567.891000"],
    ["0.0000005", "$0.0000005", "$0.000000"],
    ["0.0000015", "$0.0000015", "$0.000002"]
  ])("of %s are exact, or rounded half-even", (decimal, exact, rounded) => {
    expect(exactMoney(parseAmount(decimal), "USD")).toBe(exact)
    expect(roundedMoney(parseAmount(decimal), "USD", 6)).toBe(rounded)
  })

  it("are in the budget's own measure", () => {
    expect(inMeasure("3000000", { measure: "tokens", currency: "USD" })).toBe("3,000,000")
    expect(inMeasure("0.5", { measure: "cost", currency: "CHF" })).toBe("0.50 CHF")
  })

  it.each([
    ["0.00833884", "$0.008339"],
    ["0.0063", "$0.0063"],
    ["112.2918058", "$112.29"],
    ["-1.99730001", "−$1.9973"]
  ])("of %s are %s where there is little room", (decimal, text) => {
    expect(inMeasureCompact(decimal, { measure: "cost", currency: "USD" })).toBe(text)
  })

  it("are short where there is little room", () => {
    expect([count(1234567), shortCount(9_999), shortCount(12_345), shortCount(4_560_000)]).toEqual([
      "1,234,567",
      "9,999",
      "12.3k",
      "4.56M"
    ])
    expect([latency(0.2), latency(3.14), latency(250), duration(12_000), duration(3_700_000)]).toEqual([
      "200 µs",
      "3.1 ms",
      "250 ms",
      "12 s",
      "1 h 1 min"
    ])
  })
})

describe("budgets", () => {
  it.each([
    [
      { limit: "10", spent: "2.5", held: "1.5" },
      { spent: 25, held: 15, used: 40 }
    ],
    [
      { limit: "10", spent: "12", held: "1" },
      { spent: 100, held: 0, used: 130 }
    ],
    [
      { limit: "0", spent: "0", held: "0" },
      { spent: 0, held: 0, used: 100 }
    ],
    [
      { limit: "10", carried_over: "5", override_total: "5", spent: "10", held: "0" },
      { spent: 50, held: 0, used: 50 }
    ]
  ])("%o fill their meter as %o", (fields, meter) => expect(meterOf(budget(fields))).toEqual(meter))

  it("that need a person come first", () => {
    const list = [
      budget({ name: "off", active: false, state: "exceeded" }),
      budget({ name: "calm" }),
      budget({ name: "empty", remaining: "0", spent: "10", held: "0", state: "exceeded" }),
      budget({ name: "warned", state: "warning", spent: "8" })
    ]
    expect(list.sort(byUrgency).map(({ name }) => name)).toEqual(["empty", "warned", "calm", "off"])
  })
})

describe("the log's filter", () => {
  const refused = record({
    outcome: "refused",
    reason: "Research has no room",
    payload: { agent: "researcher" }
  })
  it.each([
    ["", "all", true],
    ["check room", "all", true],
    ["check nothing", "all", false],
    ["signal:check", "all", true],
    ["signal:track", "all", false],
    ["payload:researcher", "all", true],
    ["", "refused", true],
    ["", "failed", false]
  ] as const)("%j in %s: %s", (text, outcome, passes) => {
    expect(filterOf(text, outcome)({ id: 1, kind: "signal", record: refused })).toBe(passes)
  })

  it("reads violations only where there are any", () => {
    expect(violationsIn({ violations: [{ name: "b" }] })).toHaveLength(1)
    for (const answer of [null, "x", {}, { violations: 3 }]) expect(violationsIn(answer)).toEqual([])
  })
})

it("a room and its subject survive the address bar", () => {
  expect(routeOf(hrefTo("actors", "call/default/a b/#?"))).toEqual({
    room: "actors",
    subject: "call/default/a b/#?"
  })
  expect(routeOf("#/nowhere")).toEqual({ room: "overview", subject: null })
  expect(routeOf("#/actors/%E0%A4%A")).toEqual({ room: "actors", subject: null })
})

it("backoff doubles up to its bound, and is never the same for all", () => {
  expect([1, 2, 3].map((attempt) => backoffMs(attempt, 1))).toEqual([400, 800, 1600])
  expect([backoffMs(3, 0), backoffMs(30, 1), backoffMs(30, 0)]).toEqual([800, 15_000, 7_500])
})
