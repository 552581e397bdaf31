/**
 * Every rule of a hold and of a report, told across the end of a period, wherever the calendar does something there:
 * clocks that go forward and back, a day that is left out, a leap day, ends of months, quarters and years.
 */
import type { Period } from "../../src/signal/Budget.ts"
import { windowAt } from "../../src/tokens/Period.ts"
import { stories } from "./support/Story.ts"

const MINUTE_MS = 60_000

/** What ends, where, and when. */
const ENDS: ReadonlyArray<readonly [what: string, zone: string, period: Period, end: string]> = [
  ["the day on which clocks go forward", "Europe/Berlin", "daily", "2026-03-29T22:00"],
  ["the day on which clocks go back", "Europe/Berlin", "daily", "2026-10-25T23:00"],
  ["the hour before the one that is left out", "Europe/Berlin", "hourly", "2026-03-29T01:00"],
  ["the first of the hour that comes twice", "Europe/Berlin", "hourly", "2026-10-25T01:00"],
  ["the day on which clocks go forward", "America/New_York", "daily", "2026-03-09T04:00"],
  ["the day on which clocks go back", "America/New_York", "daily", "2026-11-02T05:00"],
  ["the week in which clocks go back", "America/New_York", "weekly", "2026-11-02T05:00"],
  ["a day of half an hour's zone", "Asia/Kolkata", "daily", "2026-03-10T18:30"],
  ["the day before the one that is left out", "Pacific/Apia", "daily", "2011-12-30T10:00"],
  ["the week that leaves out a day", "Pacific/Apia", "weekly", "2012-01-01T10:00"],
  ["29 February", "Europe/Berlin", "daily", "2028-02-29T23:00"],
  ["a February of 29 days", "Asia/Kolkata", "monthly", "2028-02-29T18:30"],
  ["a February of 28 days", "America/New_York", "monthly", "2026-03-01T05:00"],
  ["a month of 31 days in which clocks go forward", "Europe/Berlin", "monthly", "2026-03-31T22:00"],
  ["a quarter", "Europe/Berlin", "quarterly", "2026-06-30T22:00"],
  ["a year", "Pacific/Apia", "yearly", "2026-12-31T11:00"]
]

interface End {
  readonly zone: string
  readonly period: Period
  readonly end: string
}

const atEnd = ({ end }: End, moreMs: number): string =>
  `at ${new Date(Date.parse(`${end}Z`) + moreMs).toISOString()}`

/** Five seconds after half an hour before the end. */
const soonBefore = ({ end }: End): string =>
  new Date(Date.parse(`${end}Z`) - 30 * MINUTE_MS + 5_000).toISOString()

/** In the third period after the end. */
const threeLater = ({ zone, period, end }: End): string => {
  const calendar = { period, timeZone: zone, weekStartsOn: "monday" } as const
  let at = Date.parse(`${end}Z`)
  for (let count = 0; count < 3; count++) at = windowAt(calendar, at).end ?? at
  return `at ${new Date(at).toISOString()}`
}

/** One token costs one dollar, so that cost and tokens are told in the same words. */
const ofAmounts = (of: End, measure: "cost" | "tokens"): string => `
  ${atEnd(of, -30 * MINUTE_MS)}
  budget A limit=30 measure=${measure} period=${of.period} zone=${of.zone} alerts=
  hold r1 10 ttl=24h       -> held
  hold r2 10 ttl=24h       -> held
  hold r3 10 ttl=40m       -> held            // exactly the limit
  hold r4 1                -> refused A by 1  // one unit more
  retry r4 1               -> ${soonBefore(of)}  // it is only held
  ${atEnd(of, -1)}
  retry r4 1               -> ${of.end}       // and not later than this
  see A                    -> spent 0, held 30, left 0
  ${atEnd(of, 0)}
  see A                    -> spent 0, held 0, left 30
  ${atEnd(of, 0)}                             // the same tick again
  see A                    -> spent 0, held 0, left 30
  hold r5 30 ttl=24h       -> held
  hold r4 1                -> refused A by 1
  post r1 4                -> posted 4        // it was asked for before the end, and is charged there
  see A                    -> spent 0, held 30, left 0
  extend r2 tokens=6       -> held            // there were six left
  extend r2 tokens=1       -> refused A by 1
  ${atEnd(of, 10 * MINUTE_MS)}                // r3 expires
  extend r2 tokens=10      -> held            // and what it held came back, there
  extend r2 tokens=1       -> refused A by 1
  release r2               -> released
  post r6 3 when=${new Date(Date.parse(`${of.end}Z`) - 1).toISOString()} -> posted 3
  see A                    -> spent 0, held 30, left 0
  release r5               -> released
  see A                    -> spent 0, held 0, left 30
  post r7 29               -> posted 29
  hold r8 2                -> refused A by 1
  hold r8 1                -> held
  ${threeLater(of)}
  see A                    -> spent 0, held 0, left 30
  hold r9 31               -> refused A by 1
  hold r9 30               -> held
`

const ofRequests = (of: End): string => `
  ${atEnd(of, -30 * MINUTE_MS)}
  budget A limit=2 measure=requests period=${of.period} zone=${of.zone} alerts=
  hold r1 10 ttl=24h       -> held
  hold r2 10 ttl=40m       -> held
  hold r3 0                -> refused A by 1
  retry r3 0               -> ${soonBefore(of)}
  ${atEnd(of, -1)}
  retry r3 0               -> ${of.end}
  ${atEnd(of, 0)}
  ${atEnd(of, 0)}
  see A                    -> spent 0, held 0, left 2
  hold r3 10 ttl=24h       -> held
  post r1 4                -> posted 4
  see A                    -> spent 0, held 1, left 1
  ${atEnd(of, 10 * MINUTE_MS)}
  post r3 4 settle=no      -> posted 4
  see A                    -> spent 1, held 0, left 1
  post r3 4 attempt=2      -> posted 4        // counted already
  see A                    -> spent 1, held 0, left 1
  hold r4 1                -> held
  hold r5 1                -> refused A by 1
  ${threeLater(of)}
  see A                    -> spent 0, held 0, left 2
`

stories(
  "lesson 11: at the end of a period, whatever the calendar does there",
  Object.fromEntries(
    ENDS.flatMap(([what, zone, period, end]) => {
      const of = { zone, period, end }
      return [
        [`${what}, ${zone} (cost)`, ofAmounts(of, "cost")],
        [`${what}, ${zone} (tokens)`, ofAmounts(of, "tokens")],
        [`${what}, ${zone} (requests)`, ofRequests(of)]
      ]
    })
  )
)
