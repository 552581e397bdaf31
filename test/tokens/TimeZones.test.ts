/** Budget periods by the calendar of a time zone (signals.md, section 4). Bounds are written in UTC. */
import { assert, describe, it } from "@effect/vitest"
import { Period } from "../../src/signal/Budget.ts"
import { canonicalTimeZone } from "../../src/signal/TimeZone.ts"
import { type Calendar, windowAt } from "../../src/tokens/Period.ts"
import { clockOf } from "../../src/tokens/ZoneClock.ts"
import { Random } from "../simulation/Random.ts"
import { stories } from "./support/Story.ts"

const write = (moment: number): string =>
  new Date(moment)
    .toISOString()
    .replace(/:00\.000Z$/u, "")
    .replace("T00:00", "")

const show = (timeZone: string, period: Calendar["period"], at: string): string => {
  const { start, end } = windowAt({ period, timeZone, weekStartsOn: "monday" }, Date.parse(at))
  return `${write(start)} to ${end === null ? "no end" : write(end)}`
}

type Row = readonly [period: Calendar["period"], at: string, expected: string]

const table = (timeZone: string, rows: ReadonlyArray<Row>): void => {
  describe(timeZone, () => {
    for (const [period, at, expected] of rows) {
      it(`${period} at ${at} is ${expected}`, () => assert.strictEqual(show(timeZone, period, at), expected))
    }
  })
}

describe("lesson 11: periods are of the calendar of a zone", () => {
  table("Europe/Berlin", [
    ["daily", "2026-03-29T12:00:00Z", "2026-03-28T23:00 to 2026-03-29T22:00"],
    ["daily", "2026-03-29T21:59:59.999Z", "2026-03-28T23:00 to 2026-03-29T22:00"],
    ["daily", "2026-03-29T22:00:00Z", "2026-03-29T22:00 to 2026-03-30T22:00"],
    ["daily", "2026-10-25T00:30:00Z", "2026-10-24T22:00 to 2026-10-25T23:00"],
    ["daily", "2026-10-25T22:59:59.999Z", "2026-10-24T22:00 to 2026-10-25T23:00"],
    // 02:00 to 03:00 comes twice, and is two hours.
    ["hourly", "2026-10-25T00:30:00Z", "2026-10-25 to 2026-10-25T01:00"],
    ["hourly", "2026-10-25T01:30:00Z", "2026-10-25T01:00 to 2026-10-25T02:00"],
    // 02:00 to 03:00 does not come at all.
    ["hourly", "2026-03-29T00:59:59.999Z", "2026-03-29 to 2026-03-29T01:00"],
    ["hourly", "2026-03-29T01:00:00Z", "2026-03-29T01:00 to 2026-03-29T02:00"],
    ["weekly", "2026-03-29T12:00:00Z", "2026-03-22T23:00 to 2026-03-29T22:00"],
    ["weekly", "2026-10-25T12:00:00Z", "2026-10-18T22:00 to 2026-10-25T23:00"],
    ["monthly", "2026-03-31T21:59:59.999Z", "2026-02-28T23:00 to 2026-03-31T22:00"],
    ["monthly", "2026-03-31T22:00:00Z", "2026-03-31T22:00 to 2026-04-30T22:00"],
    ["monthly", "2026-10-10T00:00:00Z", "2026-09-30T22:00 to 2026-10-31T23:00"],
    ["monthly", "2028-02-29T22:59:59.999Z", "2028-01-31T23:00 to 2028-02-29T23:00"],
    ["monthly", "2028-02-29T23:00:00Z", "2028-02-29T23:00 to 2028-03-31T22:00"],
    ["daily", "2028-02-29T12:00:00Z", "2028-02-28T23:00 to 2028-02-29T23:00"],
    ["quarterly", "2026-03-31T21:59:59.999Z", "2025-12-31T23:00 to 2026-03-31T22:00"],
    ["quarterly", "2026-12-31T22:59:59.999Z", "2026-09-30T22:00 to 2026-12-31T23:00"],
    ["yearly", "2026-12-31T22:59:59.999Z", "2025-12-31T23:00 to 2026-12-31T23:00"],
    ["yearly", "2026-12-31T23:00:00Z", "2026-12-31T23:00 to 2027-12-31T23:00"],
    ["lifetime", "2026-12-31T23:00:00Z", "1970-01-01 to no end"]
  ])

  table("America/New_York", [
    ["daily", "2026-03-08T12:00:00Z", "2026-03-08T05:00 to 2026-03-09T04:00"],
    ["daily", "2026-11-01T12:00:00Z", "2026-11-01T04:00 to 2026-11-02T05:00"],
    ["hourly", "2026-11-01T05:30:00Z", "2026-11-01T05:00 to 2026-11-01T06:00"],
    ["hourly", "2026-11-01T06:30:00Z", "2026-11-01T06:00 to 2026-11-01T07:00"],
    ["hourly", "2026-03-08T07:00:00Z", "2026-03-08T07:00 to 2026-03-08T08:00"],
    ["weekly", "2026-03-09T03:59:59.999Z", "2026-03-02T05:00 to 2026-03-09T04:00"],
    ["monthly", "2026-02-01T04:59:59.999Z", "2026-01-01T05:00 to 2026-02-01T05:00"],
    ["monthly", "2026-11-15T00:00:00Z", "2026-11-01T04:00 to 2026-12-01T05:00"],
    ["quarterly", "2026-04-01T03:59:59.999Z", "2026-01-01T05:00 to 2026-04-01T04:00"],
    ["yearly", "2027-01-01T04:59:59.999Z", "2026-01-01T05:00 to 2027-01-01T05:00"],
    ["yearly", "1970-01-01T00:00:00Z", "1969-01-01T05:00 to 1970-01-01T05:00"]
  ])

  table("Asia/Kolkata", [
    ["hourly", "2026-03-10T10:00:00Z", "2026-03-10T09:30 to 2026-03-10T10:30"],
    ["daily", "2026-03-10T18:29:59.999Z", "2026-03-09T18:30 to 2026-03-10T18:30"],
    ["daily", "2026-03-10T18:30:00Z", "2026-03-10T18:30 to 2026-03-11T18:30"],
    ["monthly", "2028-02-29T18:29:59.999Z", "2028-01-31T18:30 to 2028-02-29T18:30"],
    ["yearly", "2026-12-31T18:30:00Z", "2026-12-31T18:30 to 2027-12-31T18:30"]
  ])

  table("Asia/Kathmandu", [["hourly", "2026-03-10T10:00:00Z", "2026-03-10T09:15 to 2026-03-10T10:15"]])

  // It changed sides of the date line and had no 30 December 2011.
  table("Pacific/Apia", [
    ["daily", "2011-12-30T09:59:59.999Z", "2011-12-29T10:00 to 2011-12-30T10:00"],
    ["daily", "2011-12-30T10:00:00Z", "2011-12-30T10:00 to 2011-12-31T10:00"],
    ["hourly", "2011-12-30T10:00:00Z", "2011-12-30T10:00 to 2011-12-30T11:00"],
    ["weekly", "2011-12-30T10:00:00Z", "2011-12-26T10:00 to 2012-01-01T10:00"],
    ["monthly", "2011-12-30T10:00:00Z", "2011-12-01T10:00 to 2011-12-31T10:00"],
    ["yearly", "2011-12-30T10:00:00Z", "2011-01-01T10:00 to 2011-12-31T10:00"],
    ["daily", "2020-09-26T20:00:00Z", "2020-09-26T11:00 to 2020-09-27T10:00"],
    ["daily", "2021-04-03T20:00:00Z", "2021-04-03T10:00 to 2021-04-04T11:00"]
  ])

  // Clocks jump from 24:00 to 01:00, and are put back from 24:00 to 23:00.
  table("America/Sao_Paulo", [
    ["daily", "2018-11-04T02:59:59.999Z", "2018-11-03T03:00 to 2018-11-04T03:00"],
    ["daily", "2018-11-04T03:00:00Z", "2018-11-04T03:00 to 2018-11-05T02:00"],
    ["daily", "2018-02-18T02:30:00Z", "2018-02-17T02:00 to 2018-02-18T03:00"],
    ["hourly", "2018-02-18T01:30:00Z", "2018-02-18T01:00 to 2018-02-18T02:00"],
    ["hourly", "2018-02-18T02:30:00Z", "2018-02-18T02:00 to 2018-02-18T03:00"]
  ])
  table("Asia/Beirut", [
    ["daily", "2026-03-29T12:00:00Z", "2026-03-28T22:00 to 2026-03-29T21:00"],
    ["daily", "2026-10-24T21:30:00Z", "2026-10-23T21:00 to 2026-10-24T22:00"]
  ])
  table("Africa/Cairo", [
    ["daily", "2026-04-24T12:00:00Z", "2026-04-23T22:00 to 2026-04-24T21:00"],
    ["daily", "2026-10-29T21:30:00Z", "2026-10-28T21:00 to 2026-10-29T22:00"]
  ])
  // A month that begins at 01:00.
  table("America/Asuncion", [["monthly", "2023-10-10T00:00:00Z", "2023-10-01T04:00 to 2023-11-01T03:00"]])

  // Clocks were put back at 00:01: midnight came twice, and the day began with the first one.
  table("America/St_Johns", [
    ["daily", "2010-11-07T02:29:59.999Z", "2010-11-06T02:30 to 2010-11-07T02:30"],
    ["daily", "2010-11-07T03:00:00Z", "2010-11-07T02:30 to 2010-11-08T03:30"],
    ["hourly", "2010-11-07T02:30:30Z", "2010-11-07T02:30 to 2010-11-07T02:31"],
    ["hourly", "2010-11-07T03:00:00Z", "2010-11-07T02:31 to 2010-11-07T03:30"]
  ])

  // Clocks are moved by half an hour: the hour is cut.
  table("Australia/Lord_Howe", [
    ["hourly", "2026-04-04T14:30:00Z", "2026-04-04T14:00 to 2026-04-04T15:00"],
    ["hourly", "2026-04-04T15:10:00Z", "2026-04-04T15:00 to 2026-04-04T15:30"],
    ["hourly", "2026-04-04T15:30:00Z", "2026-04-04T15:30 to 2026-04-04T16:30"],
    ["hourly", "2026-10-03T15:29:59.999Z", "2026-10-03T14:30 to 2026-10-03T15:30"],
    ["hourly", "2026-10-03T15:30:00Z", "2026-10-03T15:30 to 2026-10-03T16:00"]
  ])
  table("America/Caracas", [
    ["hourly", "2016-05-01T06:45:00Z", "2016-05-01T06:30 to 2016-05-01T07:00"],
    ["hourly", "2016-05-01T07:00:00Z", "2016-05-01T07:00 to 2016-05-01T08:00"]
  ])
})

describe("windows tile time", () => {
  const zones = [
    ...new Set(Intl.supportedValuesOf("timeZone").map((zone) => canonicalTimeZone(zone) ?? zone))
  ]
  const fields = new Map<string, Intl.DateTimeFormat>()

  /** What the runtime itself writes for a moment: date, weekday and hour on the wall. */
  const wallAt = (timeZone: string, at: number) => {
    let format = fields.get(timeZone)
    if (format === undefined) {
      format = new Intl.DateTimeFormat("en-CA", {
        timeZone,
        hourCycle: "h23",
        year: "numeric",
        month: "2-digit",
        day: "2-digit",
        weekday: "long",
        hour: "2-digit"
      })
      fields.set(timeZone, format)
    }
    return Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]))
  }

  /** The name of the period of a moment; two moments are in the same one where it is the same. */
  const nameOf = (calendar: Calendar, at: number): string => {
    const { year, month, day, hour } = wallAt(calendar.timeZone, at)
    switch (calendar.period) {
      case "hourly":
        return `${year}-${month}-${day} ${hour} ${clockOf(calendar.timeZone).offsetAt(at)}`
      case "daily":
        return `${year}-${month}-${day}`
      case "monthly":
        return `${year}-${month}`
      case "quarterly":
        return `${year}-${Math.floor((Number(month) - 1) / 3)}`
      default:
        return `${year}`
    }
  }

  const check = (calendar: Calendar, at: number, when: string): void => {
    let window = windowAt(calendar, at)
    assert.isTrue(window.start <= at && (window.end ?? 0) > at, when)
    for (let count = 0; count < 4; count++) {
      const { start, end } = window
      if (end === null) throw new Error(`${when}: no end`)
      for (const inside of [start, start + Math.floor((end - start) / 2), end - 1]) {
        assert.deepStrictEqual(windowAt(calendar, inside), window, when)
      }
      const next = windowAt(calendar, end)
      assert.strictEqual(next.start, end, `${when}: one begins where the other ends`)
      assert.strictEqual(windowAt(calendar, start - 1).end, start, `${when}: and the other way round`)
      if (calendar.period === "weekly") {
        assert.strictEqual(
          wallAt(calendar.timeZone, start).weekday?.toLowerCase(),
          calendar.weekStartsOn,
          when
        )
      } else {
        assert.strictEqual(nameOf(calendar, end - 1), nameOf(calendar, start), `${when}: it is one period`)
        assert.notStrictEqual(nameOf(calendar, end), nameOf(calendar, start), `${when}: it is all of it`)
      }
      window = next
    }
  }

  const BLOCKS = 8
  for (let block = 0; block < BLOCKS; block++) {
    it(`random zones, periods and moments, ${block + 1} of ${BLOCKS}`, () => {
      for (let seed = block * 250; seed < (block + 1) * 250; seed++) {
        const random = new Random(seed)
        const calendar: Calendar = {
          timeZone: random.pick(zones),
          period: random.pick(Period.literals.filter((period) => period !== "lifetime")),
          weekStartsOn: random.pick(["sunday", "monday", "saturday"])
        }
        // Since 2012 no zone has put its clocks back over a midnight that they had reached, nor left out a day.
        const at = Date.UTC(2012, 0) + Math.floor(random.next() * 28 * 365.25 * 86_400_000)
        check(calendar, at, `seed ${seed}: ${JSON.stringify(calendar)} at ${new Date(at).toISOString()}`)
      }
    })
  }

  it("around every move of the clocks of half a century, in zones that move them in unusual ways", () => {
    const unusual = ["Pacific/Apia", "America/St_Johns", "Africa/Casablanca", "Asia/Gaza", "Africa/Monrovia"]
    for (const timeZone of [...unusual, "Australia/Lord_Howe", "America/Caracas", "Pacific/Kwajalein"]) {
      const clock = clockOf(timeZone)
      for (let day = Date.UTC(1970, 0, 2); day < Date.UTC(2030, 0); day += 86_400_000) {
        const move = clock.moveBetween(day - 1, day + 86_400_000 - 1)
        if (move === undefined) continue
        for (const period of ["hourly", "daily", "weekly", "monthly"] as const) {
          const calendar: Calendar = { timeZone, period, weekStartsOn: "sunday" }
          for (const at of [-36, -24, -1, 0, 1, 24].map((hours) => move.at + hours * 3_600_000)) {
            const { start, end } = windowAt(calendar, at)
            const when = `${timeZone} ${period} ${new Date(at).toISOString()}`
            assert.isTrue(start <= at && at < (end ?? 0), when)
            assert.strictEqual(windowAt(calendar, end ?? 0).start, end, when)
            assert.strictEqual(windowAt(calendar, start - 1).end, start, when)
          }
        }
      }
    }
  })
})

stories("budgets in a time zone", {
  "each resets when its own day ends": `
    budget U
    budget B zone=Europe/Berlin
    budget N zone=America/New_York
    budget K zone=asia/kolkata
    post r1 10
    period U            -> 2026-03-10 to 2026-03-11
    period B            -> 2026-03-09T23:00 to 2026-03-10T23:00
    period N            -> 2026-03-10T04:00 to 2026-03-11T04:00
    period K            -> 2026-03-09T18:30 to 2026-03-10T18:30
    at 2026-03-10T18:30:00Z
    see K               -> spent 0, held 0, left 100
    see B               -> spent 10, held 0, left 90
    at 2026-03-10T23:00:00Z
    see B               -> spent 0, held 0, left 100
    see U               -> spent 10, held 0, left 90
    at 2026-03-11T00:00:00Z
    see U               -> spent 0, held 0, left 100
    see N               -> spent 10, held 0, left 90
    at 2026-03-11T04:00:00Z
    see N               -> spent 0, held 0, left 100
  `,
  "the hour that comes twice in autumn is two periods, the one that is left out in spring is none": `
    at 2026-10-25T00:10:00Z
    budget H period=hourly zone=Europe/Berlin limit=10
    hold r1 10 ttl=1h   -> held
    retry r2 10         -> 2026-10-25T00:10:05.000Z  // it is only held
    at 2026-10-25T00:59:59.999Z
    retry r2 10         -> 2026-10-25T01:00
    at 2026-10-25T01:00:00Z
    hold r2 10          -> held
    post r1 4           -> posted 4
    see H               -> spent 0, held 10, left 0
    at 2027-03-28T00:59:59.999Z
    post r3 4           -> posted 4
    at 2027-03-28T01:00:00Z
    period H            -> 2027-03-28T01:00 to 2027-03-28T02:00
    see H               -> spent 0, held 0, left 10
  `,
  "usage is booked into the day of the zone that it happened in": `
    budget A zone=Asia/Kolkata limit=10
    at 2026-03-10T18:40:00Z
    post r1 4 when=2026-03-10T18:29:59Z -> posted 4
    post r2 3 when=2026-03-10T18:30:00Z -> posted 3
    see A               -> spent 3, held 0, left 7
  `,
  "what was spent and is held today counts from the start, and today is the zone's": `
    at 2026-03-10T03:30:00Z
    post r1 5           -> posted 5
    hold r2 2 ttl=24h   -> held
    at 2026-03-10T10:00:00Z
    post r3 3           -> posted 3
    hold r4 1           -> held
    budget U            -> spent 8, held 3
    budget N zone=America/New_York -> spent 3, held 1
    budget M zone=America/New_York period=monthly -> spent 8, held 3
    post r2 2           -> posted 2
    see N               -> spent 3, held 1, left 96
  `,
  "a refusal names the moment at which the last of the violated budgets is reset": `
    budget N zone=America/New_York limit=10
    budget B zone=Europe/Berlin limit=10
    budget W period=weekly zone=Europe/Berlin limit=10
    post r1 8
    retry r2 3          -> 2026-03-15T23:00
    retry r2 11         -> never
    change W active=no
    retry r2 3          -> 2026-03-11T04:00
    at 2026-03-11T04:00:00Z
    retry r2 3          -> held
  `,
  "a budget of a zone counts from its own first day": `
    at 2026-03-11T01:00:00Z
    budget N zone=America/New_York
    post r1 4 when=2026-03-10T04:00:00Z -> posted 4
    post r2 5 when=2026-03-10T03:59:59Z -> posted 5
    see N               -> spent 4, held 0, left 96
  `
})
