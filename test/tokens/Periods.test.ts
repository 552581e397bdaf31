/** Budget periods by the calendar, in UTC (signals.md, sections 3 and 4). */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { Period, Weekday } from "../../src/signal/Budget.ts"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import type { LedgerSignal } from "../../src/tokens/Decide.ts"
import { KEPT_PERIODS_MS } from "../../src/tokens/Ledger.ts"
import { windowAt } from "../../src/tokens/Period.ts"
import { PeriodSweep } from "../../src/tokens/PeriodSweep.ts"
import { Books, MORNING } from "./support/Books.ts"
import { stories } from "./support/Story.ts"

const day = (text: string): number => Date.parse(text)

const show = (period: Period, at: string, weekStartsOn: Weekday = "monday"): string => {
  const { start, end } = windowAt({ period, timeZone: "UTC", weekStartsOn }, day(at))
  const write = (moment: number) =>
    new Date(moment)
      .toISOString()
      .replace(/:00\.000Z$/u, "")
      .replace("T00:00", "")
  return `${write(start)} to ${end === null ? "no end" : write(end)}`
}

describe("lesson 11: periods are of the calendar", () => {
  const table: ReadonlyArray<readonly [Period, string, string]> = [
    ["hourly", "2026-03-10T10:00:00.000Z", "2026-03-10T10:00 to 2026-03-10T11:00"],
    ["hourly", "2026-03-10T10:59:59.999Z", "2026-03-10T10:00 to 2026-03-10T11:00"],
    ["hourly", "2026-12-31T23:59:59.999Z", "2026-12-31T23:00 to 2027-01-01"],
    ["daily", "2026-03-10T00:00:00.000Z", "2026-03-10 to 2026-03-11"],
    ["daily", "2026-03-10T23:59:59.999Z", "2026-03-10 to 2026-03-11"],
    ["daily", "2028-02-28T12:00:00.000Z", "2028-02-28 to 2028-02-29"],
    ["daily", "2028-02-29T12:00:00.000Z", "2028-02-29 to 2028-03-01"],
    ["daily", "2026-02-28T12:00:00.000Z", "2026-02-28 to 2026-03-01"],
    ["daily", "2026-03-29T01:30:00.000Z", "2026-03-29 to 2026-03-30"],
    ["weekly", "2026-03-09T00:00:00.000Z", "2026-03-09 to 2026-03-16"],
    ["weekly", "2026-03-15T23:59:59.999Z", "2026-03-09 to 2026-03-16"],
    ["weekly", "2026-03-16T00:00:00.000Z", "2026-03-16 to 2026-03-23"],
    ["weekly", "2027-01-01T12:00:00.000Z", "2026-12-28 to 2027-01-04"],
    ["monthly", "2026-01-31T23:59:59.999Z", "2026-01-01 to 2026-02-01"],
    ["monthly", "2026-02-01T00:00:00.000Z", "2026-02-01 to 2026-03-01"],
    ["monthly", "2028-02-29T12:00:00.000Z", "2028-02-01 to 2028-03-01"],
    ["monthly", "2026-12-31T12:00:00.000Z", "2026-12-01 to 2027-01-01"],
    ["quarterly", "2026-03-31T23:59:59.999Z", "2026-01-01 to 2026-04-01"],
    ["quarterly", "2026-04-01T00:00:00.000Z", "2026-04-01 to 2026-07-01"],
    ["quarterly", "2026-12-31T23:59:59.999Z", "2026-10-01 to 2027-01-01"],
    ["yearly", "2026-12-31T23:59:59.999Z", "2026-01-01 to 2027-01-01"],
    ["yearly", "2028-02-29T00:00:00.000Z", "2028-01-01 to 2029-01-01"],
    ["lifetime", "2026-03-10T10:00:00.000Z", "1970-01-01 to no end"]
  ]
  for (const [period, at, expected] of table) {
    it(`${period} at ${at} is ${expected}`, () => {
      assert.strictEqual(show(period, at), expected)
    })
  }

  const weeks: ReadonlyArray<readonly [Weekday, string]> = [
    ["monday", "2026-03-09 to 2026-03-16"],
    ["tuesday", "2026-03-10 to 2026-03-17"],
    ["wednesday", "2026-03-11 to 2026-03-18"],
    ["thursday", "2026-03-05 to 2026-03-12"],
    ["friday", "2026-03-06 to 2026-03-13"],
    ["saturday", "2026-03-07 to 2026-03-14"],
    ["sunday", "2026-03-08 to 2026-03-15"]
  ]
  for (const [startsOn, expected] of weeks) {
    it(`the week of a Wednesday that starts on ${startsOn} is ${expected}`, () => {
      assert.strictEqual(show("weekly", "2026-03-11T00:00:00Z", startsOn), expected)
    })
  }

  it("every moment lies in its window, and windows join without gap or overlap", () => {
    for (const period of ["hourly", "daily", "weekly", "monthly", "quarterly", "yearly"] as const) {
      const calendar = { period, timeZone: "UTC", weekStartsOn: "wednesday" } as const
      let at = day("2027-11-30T22:10:00Z")
      for (let count = 0; count < 200; count++) {
        const { start, end } = windowAt(calendar, at)
        if (end === null) throw new Error(`${period} has no end`)
        assert.isTrue(start <= at && at < end, `${period} ${at}`)
        assert.deepStrictEqual(windowAt(calendar, end - 1), { start, end })
        assert.strictEqual(windowAt(calendar, end).start, end)
        at = end
      }
    }
  })
})

stories("lesson 11: resets", {
  "a new period starts with nothing spent, and the old one keeps what it has": `
    budget A limit=10
    at 2026-03-10T23:59:59.999Z
    post r1 8           -> posted 8, alerts A:50 A:80
    hold r2 3           -> refused A by 1
    wait 1ms
    see A               -> spent 0, held 0, left 10
    hold r2 3           -> held
  `,
  "every period resets at its own end": `
    budget H period=hourly
    budget D period=daily
    budget W period=weekly week=wednesday
    budget M period=monthly
    budget Q period=quarterly
    budget Y period=yearly
    budget L period=lifetime
    at 2026-03-10T23:30:00Z
    post r1 10
    at 2026-03-11T00:00:00Z
    see H               -> spent 0, held 0, left 100
    see D               -> spent 0, held 0, left 100
    see W               -> spent 0, held 0, left 100
    see M               -> spent 10, held 0, left 90
    at 2026-04-01T00:00:00Z
    see M               -> spent 0, held 0, left 100
    see Q               -> spent 0, held 0, left 100
    see Y               -> spent 10, held 0, left 90
    at 2027-01-01T00:00:00Z
    see Y               -> spent 0, held 0, left 100
    see L               -> spent 10, held 0, left 90
  `,
  "a reset during an open hold: the post lands in the old period": `
    budget A limit=10
    at 2026-03-10T23:59:00Z
    hold r1 10          -> held
    at 2026-03-11T00:01:00Z
    see A               -> spent 0, held 0, left 10
    hold r2 10          -> held
    post r1 10          -> posted 10, alerts A:50 A:80 A:90 A:100
    see A               -> spent 0, held 10, left 0
    release r2          -> released
    see A               -> spent 0, held 0, left 10
  `,
  "an extension of an old hold asks the old period": `
    budget A limit=10
    at 2026-03-10T23:59:00Z
    hold r1 6 ttl=1h    -> held
    at 2026-03-11T00:01:00Z
    hold r2 10          -> held
    extend r1 tokens=4  -> held
    extend r1 tokens=1  -> refused A by 1
    see A               -> spent 0, held 10, left 0
    at 2026-03-11T02:00:00Z
    see A               -> spent 0, held 0, left 10
  `,
  "late usage within 48 hours lands in its own period": `
    budget A limit=10
    wait 1d
    post r1 4 when=2026-03-10T09:00:00Z -> posted 4
    see A               -> spent 0, held 0, left 10
    post r2 4           -> posted 4
    see A               -> spent 4, held 0, left 6
  `,
  "older usage is clamped to 48 hours, and says that it is late": `
    budget A limit=100
    at 2026-03-10T00:00:00Z
    post r1 4 when=2026-03-08T00:00:00Z         -> posted 4
    post r2 4 when=2026-03-07T23:59:59.999Z     -> posted 4, late
    post r3 4 when=2001-01-01T00:00:00Z         -> posted 4, late
    see A               -> spent 0, held 0, left 100
  `,
  "a budget counts from the period in which it was made": `
    at 2026-03-10T22:00:00Z
    post r1 5                  -> posted 5
    hold r2 5 ttl=1h
    at 2026-03-11T10:00:00Z
    budget D                   -> spent 0, held 0
    budget M period=monthly    -> spent 5, held 0
    post r2 7                  -> posted 7, overage 7
    post r3 2 when=2026-03-10T23:00:00Z -> posted 2
    see D                      -> spent 0, held 0, left 100
    see M                      -> spent 14, held 0, left 86
  `,
  "a report from the future is of now": `
    budget A limit=100
    post r1 4 when=2030-01-01T00:00:00Z -> posted 4
    see A               -> spent 4, held 0, left 96
  `,
  "the hold's creation decides, whatever the report's own time": `
    budget A limit=100
    at 2026-03-10T23:59:00Z
    hold r1 10          -> held
    at 2026-03-11T00:01:00Z
    post r1 4 when=2026-03-11T00:00:30Z -> posted 4
    see A               -> spent 0, held 0, left 100
  `,
  "a hold that was kept open for days posts within the late window": `
    budget A limit=100
    hold r1 10 ttl=24h  -> held
    wait 23h
    extend r1 ttl=24h   -> held
    wait 23h
    extend r1 ttl=24h   -> held
    wait 23h
    post r1 4           -> posted 4, late
    see A               -> spent 0, held 0, left 100
    total               -> requests 1, tokens 4, cost 4
  `,
  "a hold over nothing survives the turn of a period": `
    budget T limit=10 measure=tokens
    wait 1d
    hold r1 0           -> held
    extend r1 tokens=11 -> refused T by 1
    extend r1 tokens=10 -> held
    see T               -> spent 0, held 10, left 0
  `,
  "months have their own length": `
    budget M period=monthly limit=10
    at 2028-02-29T23:59:59.999Z
    post r1 10          -> posted 10, alerts M:50 M:80 M:90 M:100
    hold r2 1           -> refused M by 1
    at 2028-03-01T00:00:00Z
    hold r2 10          -> held
    at 2028-03-31T23:59:59Z
    hold r3 10          -> held
    at 2028-04-01T00:00:00Z
    hold r4 10          -> held
  `
})

it.effect(
  "what nothing can be booked into any more is forgotten hour by hour, and looked for no more often",
  () =>
    Effect.gen(function* () {
      const books = new Books()
      const ask = <Name extends LedgerSignal>(name: Name, params: SignalParams<Name>) =>
        Effect.map(books.ask(name, params), Result.getOrThrow)
      const { budget } = yield* ask("create_budget", {
        name: "A",
        type: "global",
        period: "hourly",
        limit: "1000"
      })
      const record = books.ledger.budgets.get(budget.id)
      const report = { provider: "test", model: "dollar", prompt_tokens: 1, completion_tokens: 0 }
      const HOURS = 60
      for (let hour = 0; hour < HOURS; hour++) {
        yield* ask("track_usage", { request_id: `r${hour}`, ...report })
        books.now += 3_600_000
      }
      yield* ask("track_usage", { request_id: "last", ...report })
      const known = Array.from({ length: HOURS }, (_, hour) => record?.periodFrom(MORNING + hour * 3_600_000))
      const kept = KEPT_PERIODS_MS / 3_600_000
      assert.deepStrictEqual(
        known.map((period) => period !== undefined),
        Array.from({ length: HOURS }, (_, hour) => hour + 1 > HOURS - kept)
      )
      const sweep = new PeriodSweep(books.ledger.index.defaults, MORNING)
      const due = (minutes: number) => sweep.isDue(MORNING + minutes * 60_000)
      assert.deepStrictEqual([due(0), due(14), due(15)], [false, false, true])
      sweep.start([], MORNING + 15 * 60_000)
      assert.isFalse(due(90), "while it is under way")
      sweep.step(1)
      assert.deepStrictEqual([due(29), due(30)], [false, true])
    })
)

it.effect("a period that a hold is in stays, though the hold keeps nothing in it yet", () =>
  Effect.gen(function* () {
    const books = new Books()
    const ask = <Name extends LedgerSignal>(name: Name, params: SignalParams<Name>) =>
      Effect.map(books.ask(name, params), Result.getOrThrow)
    yield* ask("create_budget", {
      name: "A",
      type: "global",
      period: "hourly",
      limit: "10"
    })
    const held = yield* ask("check_budget", { request_id: "r1", estimated_cost: "0" })
    if (!held.allowed || held.hold_id === undefined) throw new Error("no hold")
    yield* ask("track_usage", {
      request_id: "r2",
      provider: "test",
      model: "dollar",
      prompt_tokens: 6,
      completion_tokens: 0
    })
    for (let day = 0; day < 3; day++) {
      yield* ask("extend_hold", { hold_id: held.hold_id, ttl_ms: 86_400_000 })
      books.now += 86_400_000 - 1
    }
    books.ledger.forgetPeriods(books.now - KEPT_PERIODS_MS)
    const more = yield* ask("extend_hold", { hold_id: held.hold_id, by: { cost: "10" } })
    assert.isFalse(more.allowed)
  })
)
