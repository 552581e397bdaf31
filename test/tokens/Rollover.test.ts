/**
 * What is left of a period is carried over to the next (signals.md, section 4):
 * `clamp(limit + carried in − spent − held, 0, max)`, below `min` nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { UNIT } from "../../src/signal/Money.ts"
import { BudgetPeriods } from "../../src/tokens/BudgetPeriods.ts"
import type { BudgetDefinition } from "../../src/tokens/LedgerStore.ts"
import { budget } from "../contract/LedgerRows.ts"
import { Books } from "./support/Books.ts"
import { stories } from "./support/Story.ts"

stories("what is carried over", {
  "what is left, and what may be spent is limit and carried over": `
    budget A limit=10 roll=100
    post r1 3           -> posted 3
    wait 1d
    see A               -> spent 0, held 0, left 17, carried 7
    hold r2 17          -> held
    hold r3 1           -> refused A by 1
    post r2 15          -> posted 15, alerts A:50 A:80
    wait 1d
    see A               -> spent 0, held 0, left 12, carried 2
    post r4 12          -> posted 12, alerts A:50 A:80 A:90 A:100
    wait 1d
    see A               -> spent 0, held 0, left 10
  `,
  "at most max": `
    budget A limit=10 roll=6
    post r1 3           -> posted 3
    wait 1d
    see A               -> spent 0, held 0, left 16, carried 6
    wait 1d
    see A               -> spent 0, held 0, left 16, carried 6
  `,
  "exactly min is carried over, one unit less is not": `
    budget A limit=10 roll=6/4
    budget B limit=10.000000000001 roll=6/4
    post r1 6
    wait 1d
    see A               -> spent 0, held 0, left 14, carried 4
    see B               -> spent 0, held 0, left 14.000000000002, carried 4.000000000001
    at 2026-03-12T10:00:00Z
    budget C limit=9.999999999999 roll=6/4
    post r2 6
    wait 1d
    see C               -> spent 0, held 0, left 9.999999999999
  `,
  "a max of nothing carries nothing": `
    budget A limit=10 roll=0
    wait 1d
    see A               -> spent 0, held 0, left 10
  `,
  "more than all of it was spent: nothing is carried over, and no debt either": `
    budget A limit=10 roll=100
    post r1 25          -> posted 25, alerts A:50 A:80 A:90 A:100
    wait 1d
    see A               -> spent 0, held 0, left 10
  `,
  "tokens, and requests": `
    budget T limit=10 measure=tokens roll=100
    budget Q limit=2 measure=requests roll=3
    post r1 4
    wait 1d
    see T               -> spent 0, held 0, left 16, carried 6
    see Q               -> spent 0, held 0, left 3, carried 1
    wait 1d
    see T               -> spent 0, held 0, left 26, carried 16
    see Q               -> spent 0, held 0, left 5, carried 3
    hold r2 26          -> held
    hold r3 1           -> refused T by 1
    hold r4 0           -> held
  `,
  "thresholds are percentages of all that may be spent": `
    budget A limit=10 roll=10 alerts=50
    wait 1d
    post r1 9           -> posted 9
    post r2 1           -> posted 1, alerts A:50
    post r3 9           -> posted 9
    post r4 1           -> posted 1, alerts A:100
    alerts              -> threshold A 50, exceeded A 100
  `,
  "what makes no sense is refused": `
    budget A period=lifetime roll=5                -> InvalidParams rollover
    budget A roll=5/6                              -> InvalidParams rollover.min
    budget A measure=tokens roll=1.5               -> InvalidParams rollover.max
    budget A measure=requests roll=2/1.5           -> InvalidParams rollover.min
    budget A roll=5/5                              -> spent 0, held 0
    change A roll=5/6                              -> InvalidParams updates.rollover.min
    budget L period=lifetime                       -> spent 0, held 0
    change L roll=5                                -> InvalidParams updates.rollover
    change L roll=none                             -> version 2
  `
})

stories("a budget that slept", {
  "each day hands over what it was handed and its own": `
    budget A limit=10 roll=35
    post r1 9
    at 2026-03-12T10:00:00Z
    see A               -> spent 0, held 0, left 21, carried 11
    at 2026-03-14T00:00:00Z
    see A               -> spent 0, held 0, left 41, carried 31
    at 2026-03-15T00:00:00Z
    see A               -> spent 0, held 0, left 45, carried 35
    at 2029-03-15T00:00:00Z
    see A               -> spent 0, held 0, left 45, carried 35
  `,
  "for three months, memory and all": `
    budget M limit=10 roll=100 period=monthly zone=Europe/Berlin
    post r1 7
    at 2026-06-30T22:00:00Z
    forget
    see M               -> spent 0, held 0, left 43, carried 33
    post r2 40          -> posted 40, alerts M:50 M:80 M:90
    at 2026-09-15T00:00:00Z
    forget
    see M               -> spent 0, held 0, left 23, carried 13
    forget
    see M               -> spent 0, held 0, left 23, carried 13
  `,
  "a limit below min never carries anything": `
    budget A limit=3 roll=10/5
    wait 10d
    see A               -> spent 0, held 0, left 3
  `,
  "hours of a year that nobody asked for": `
    budget H period=hourly limit=0.01 roll=1000 zone=Australia/Lord_Howe
    at 2027-03-10T10:00:00Z
    see H               -> spent 0, held 0, left 87.62, carried 87.61
  `,
  "usage that comes late, for a day of which nothing was known": `
    budget A limit=10 roll=100
    at 2026-03-13T10:00:00Z
    see A               -> spent 0, held 0, left 40, carried 30
    post r1 4 when=2026-03-12T00:00:00Z -> posted 4
    see A               -> spent 0, held 0, left 36, carried 26
    post r2 30 when=2026-03-11T23:59:59Z -> posted 30, alerts A:50 A:80 A:90 A:100
    see A               -> spent 0, held 0, left 16, carried 6
    wait 1d
    see A               -> spent 0, held 0, left 26, carried 16
  `
})

stories("what is carried over follows the old period until it is settled", {
  "late usage takes it back": `
    budget A limit=10 roll=100
    post r1 3           -> posted 3
    at 2026-03-11T08:00:00Z
    see A               -> spent 0, held 0, left 17, carried 7
    post r2 2 when=2026-03-10T12:00:00Z -> posted 2, alerts A:50
    see A               -> spent 0, held 0, left 15, carried 5
  `,
  "through several periods": `
    budget A limit=10 roll=100
    post r1 4           -> posted 4
    at 2026-03-11T10:00:00Z
    post r2 5           -> posted 5
    at 2026-03-12T09:00:00Z
    see A               -> spent 0, held 0, left 21, carried 11
    post r3 2 when=2026-03-10T12:00:00Z -> posted 2, alerts A:50
    see A               -> spent 0, held 0, left 19, carried 9
    post r4 9 when=2026-03-10T12:00:00Z -> posted 9, alerts A:80 A:90 A:100
    see A               -> spent 0, held 0, left 15, carried 5
  `,
  "to where max or nothing stops it": `
    budget A limit=10 roll=12
    at 2026-03-12T09:00:00Z
    see A               -> spent 0, held 0, left 22, carried 12
    post r1 5 when=2026-03-10T12:00:00Z -> posted 5, alerts A:50
    see A               -> spent 0, held 0, left 22, carried 12
    post r2 5 when=2026-03-10T12:00:00Z -> posted 5, alerts A:80 A:90 A:100
    see A               -> spent 0, held 0, left 20, carried 10
    post r3 5 when=2026-03-10T12:00:00Z -> posted 5
    see A               -> spent 0, held 0, left 20, carried 10
  `,
  "a hold keeps back what it may cost; posted or released, the rest is carried over": `
    budget A limit=10 roll=100
    at 2026-03-10T23:59:00Z
    hold r1 4 ttl=24h   -> held
    hold r2 5 ttl=24h   -> held
    at 2026-03-11T00:01:00Z
    see A               -> spent 0, held 0, left 11, carried 1
    post r1 1           -> posted 1
    see A               -> spent 0, held 0, left 14, carried 4
    release r2          -> released
    see A               -> spent 0, held 0, left 19, carried 9
  `,
  "a hold that is overrun, or ends unused": `
    budget A limit=10 roll=100
    at 2026-03-10T23:59:00Z
    hold r1 4 ttl=1h    -> held
    hold r2 2 ttl=1h    -> held
    at 2026-03-11T00:01:00Z
    see A               -> spent 0, held 0, left 14, carried 4
    post r1 9           -> posted 9, overage 5, alerts A:50 A:80 A:90
    see A               -> spent 0, held 0, left 10
    at 2026-03-11T02:00:00Z
    see A               -> spent 0, held 0, left 11, carried 1
  `,
  "a hold that is extended, and one that is used in part": `
    budget A limit=10 roll=100
    at 2026-03-10T23:59:00Z
    hold r1 4 ttl=24h   -> held
    at 2026-03-11T00:01:00Z
    extend r1 tokens=3  -> held
    see A               -> spent 0, held 0, left 13, carried 3
    extend r1 tokens=4  -> refused A by 1
    post r1 2 settle=no -> posted 2
    see A               -> spent 0, held 0, left 13, carried 3
    post r1 1 attempt=2 -> posted 1
    see A               -> spent 0, held 0, left 17, carried 7
  `,
  "remaining may become negative, and no hold is revoked": `
    budget A limit=10 roll=10
    at 2026-03-11T10:00:00Z
    hold r1 20          -> held
    post r2 6 when=2026-03-10T12:00:00Z -> posted 6, alerts A:50
    see A               -> spent 0, held 20, left -6, carried 4
    hold r3 1           -> refused A by 7
    post r1 20          -> posted 20, alerts A:50 A:80 A:90 A:100
    see A               -> spent 20, held 0, left -6, carried 4
    wait 1d
    see A               -> spent 0, held 0, left 10
  `,
  "a replaced estimate gives back what it did not cost": `
    budget A limit=10 roll=100
    at 2026-03-10T23:00:00Z
    post r1 6 status=estimated -> posted 6, alerts A:50
    at 2026-03-11T01:00:00Z
    see A               -> spent 0, held 0, left 14, carried 4
    post r1 2           -> adjusted -4
    see A               -> spent 0, held 0, left 18, carried 8
  `,
  "a hold over many periods hands over when it ends at last": `
    budget A limit=10 roll=100
    hold r1 10 ttl=24h  -> held
    wait 23h
    extend r1 ttl=24h   -> held
    see A               -> spent 0, held 0, left 10
    wait 23h
    extend r1 ttl=24h   -> held
    post r2 4           -> posted 4
    wait 23h
    extend r1 ttl=24h   -> held
    wait 23h
    forget
    see A               -> spent 0, held 0, left 36, carried 26
    release r1          -> released
    see A               -> spent 0, held 0, left 46, carried 36
    forget
    see A               -> spent 0, held 0, left 46, carried 36
  `,
  "after 48 hours late usage is booked at the edge, and the settled period stays": `
    budget A limit=10 roll=100
    at 2026-03-13T00:00:00Z
    forget
    see A               -> spent 0, held 0, left 40, carried 30
    post r1 5 when=2026-03-10T12:00:00Z -> posted 5, late
    see A               -> spent 0, held 0, left 35, carried 25
  `
})

stories("terms that change", {
  "the limit of a period that is over is the one it ended with": `
    budget A limit=10 roll=100
    post r1 3           -> posted 3
    at 2026-03-11T10:00:00Z
    change A limit=50   -> version 2
    see A               -> spent 0, held 0, left 57, carried 7
    post r2 1 when=2026-03-10T12:00:00Z -> posted 1
    see A               -> spent 0, held 0, left 56, carried 6
    wait 1d
    see A               -> spent 0, held 0, left 106, carried 56
  `,
  "the limit at the end counts for the whole period": `
    budget A limit=10 roll=100
    change A limit=20   -> version 2
    change A limit=15   -> version 3
    wait 1d
    see A               -> spent 0, held 0, left 30, carried 15
  `,
  "days that nobody asked for had the limit of then, asked or not": `
    budget A limit=1 roll=100
    budget B limit=1 roll=100
    at 2026-03-13T10:00:00Z
    see A               -> spent 0, held 0, left 4, carried 3
    at 2026-03-15T10:00:00Z
    change A limit=50   -> version 2
    change B limit=50   -> version 2
    see A               -> spent 0, held 0, left 55, carried 5
    see B               -> spent 0, held 0, left 55, carried 5
    post r1 0 when=2026-03-14T10:00:00Z
    wait 1d
    see A               -> spent 0, held 0, left 105, carried 55
    see B               -> spent 0, held 0, left 105, carried 55
  `,
  "late usage of a day of then, after the limit has changed": `
    budget A limit=2 roll=100
    at 2026-03-15T10:00:00Z
    change A limit=50   -> version 2
    post r1 1 when=2026-03-14T10:00:00Z -> posted 1
    see A               -> spent 0, held 0, left 59, carried 9
  `,
  "a rollover begins with the period in which it is given": `
    budget A limit=10
    post r1 3           -> posted 3
    at 2026-03-11T10:00:00Z
    change A roll=100   -> version 2
    see A               -> spent 0, held 0, left 10
    post r2 1 when=2026-03-10T12:00:00Z -> posted 1
    see A               -> spent 0, held 0, left 10
    post r3 4           -> posted 4
    wait 1d
    see A               -> spent 0, held 0, left 16, carried 6
  `,
  "and usage of before, when that period is forgotten, changes nothing either": `
    budget A limit=10
    wait 7d
    forget
    change A roll=100   -> version 2
    post r1 3 when=2026-03-16T12:00:00Z -> posted 3
    see A               -> spent 0, held 0, left 10
    wait 1d
    see A               -> spent 0, held 0, left 20, carried 10
  `,
  "without a rollover, what was carried over stays until the period ends": `
    budget A limit=10 roll=100
    post r1 3           -> posted 3
    at 2026-03-11T10:00:00Z
    change A roll=none  -> version 2
    see A               -> spent 0, held 0, left 17, carried 7
    post r2 2 when=2026-03-10T12:00:00Z -> posted 2, alerts A:50
    see A               -> spent 0, held 0, left 15, carried 5
    wait 1d
    see A               -> spent 0, held 0, left 10
    wait 10d
    forget
    change A roll=3     -> version 3
    see A               -> spent 0, held 0, left 10
    wait 1d
    see A               -> spent 0, held 0, left 13, carried 3
  `,
  "another max or min counts from the running period on": `
    budget A limit=10 roll=6
    wait 1d
    change A roll=4     -> version 2
    see A               -> spent 0, held 0, left 16, carried 6
    wait 1d
    see A               -> spent 0, held 0, left 14, carried 4
    change A roll=20/15 -> version 3
    wait 1d
    see A               -> spent 0, held 0, left 10
  `,
  "anything else that changes leaves the rollover alone": `
    budget A limit=10 roll=100
    post r1 3           -> posted 3
    wait 1d
    change A rename=B   -> version 2
    change A active=no  -> version 3
    see A               -> spent 0, held 0, left 17, carried 7
  `,
  "a budget that is made in the middle of a period hands over what is left of it": `
    post r1 4           -> posted 4
    hold r2 1 ttl=24h   -> held
    wait 1h
    budget A limit=10 roll=100 -> spent 4, held 1
    at 2026-03-11T00:00:00Z
    see A               -> spent 0, held 0, left 15, carried 5
    post r2 1
    see A               -> spent 0, held 0, left 15, carried 5
  `
})

stories("across the calendar", {
  "months of Berlin, over the changes of the clock and a leap day": `
    at 2028-01-31T22:59:59.999Z
    budget M period=monthly zone=Europe/Berlin limit=10 roll=100
    post r1 4           -> posted 4
    at 2028-01-31T23:00:00Z
    see M               -> spent 0, held 0, left 16, carried 6
    at 2028-02-29T22:59:59.999Z
    post r2 1           -> posted 1
    at 2028-02-29T23:00:00Z
    see M               -> spent 0, held 0, left 25, carried 15
    at 2028-03-31T22:00:00Z
    see M               -> spent 0, held 0, left 35, carried 25
    at 2028-10-31T22:59:59.999Z
    see M               -> spent 0, held 0, left 95, carried 85
    at 2028-10-31T23:00:00Z
    see M               -> spent 0, held 0, left 105, carried 95
  `,
  "the hour that comes twice hands over twice": `
    at 2026-10-24T23:30:00Z
    budget H period=hourly zone=Europe/Berlin limit=1 roll=100
    at 2026-10-25T00:30:00Z
    see H               -> spent 0, held 0, left 2, carried 1
    at 2026-10-25T01:30:00Z
    see H               -> spent 0, held 0, left 3, carried 2
    at 2026-10-25T02:30:00Z
    see H               -> spent 0, held 0, left 4, carried 3
  `,
  "the day that Apia left out hands over nothing": `
    at 2011-12-29T20:00:00Z
    budget A zone=Pacific/Apia limit=1 roll=100
    at 2011-12-30T10:00:00Z
    see A               -> spent 0, held 0, left 2, carried 1
    at 2011-12-31T10:00:00Z
    see A               -> spent 0, held 0, left 3, carried 2
  `
})

stories("when a refused call may be tried again", {
  "in the first period that has room if nothing else happens": `
    budget A limit=10 roll=15
    post r1 8
    retry r2 10         -> 2026-03-11
    retry r2 12         -> 2026-03-11
    retry r2 13         -> 2026-03-12
    retry r2 25         -> 2026-03-13
    retry r2 26         -> never
    at 2026-03-13T00:00:00Z
    retry r2 25         -> held
  `,
  "never, where that is out of sight": `
    budget A limit=0.000001 roll=1000000
    retry r1 1          -> never
  `,
  "an extension stays where its hold is, so that waiting does not help": `
    budget A limit=10
    hold r1 10 as=h     -> held
    extend h tokens=1   -> refused A by 1
  `
})

describe("rollover", () => {
  it("overrides never roll", () => {
    const definition: BudgetDefinition = budget("b", {
      period: "daily",
      limit: 10n * UNIT,
      rollover: { max: 100n * UNIT }
    })
    const carried = (spent: bigint): bigint => {
      const periods = new BudgetPeriods("b")
      const today = periods.at(definition, definition.createdAt)
      today.overrideTotal = 5n * UNIT
      today.spent = spent * UNIT
      return periods.at(definition, definition.createdAt + 86_400_000).carriedOver / UNIT
    }
    assert.deepStrictEqual([0n, 4n, 10n, 13n, 15n].map(carried), [10n, 6n, 0n, 0n, 0n])
  })

  it.effect("is shown, and an extension's refusal names no time", () =>
    Effect.gen(function* () {
      const books = new Books()
      const made = yield* books.ask("create_budget", {
        name: "a",
        type: "global",
        period: "daily",
        limit: "10",
        rollover: { max: "8" },
        time_zone: "asia/calcutta"
      })
      const { budget: shown } = Result.getOrThrow(made)
      assert.deepStrictEqual(shown.rollover, { max: 8n * UNIT })
      assert.strictEqual(shown.time_zone, "Asia/Kolkata")
      const held = Result.getOrThrow(
        yield* books.ask("check_budget", { request_id: "r1", estimated_cost: "10" })
      )
      if (!held.allowed || held.hold_id === undefined) throw new Error("no hold")
      const more = Result.getOrThrow(
        yield* books.ask("extend_hold", { hold_id: held.hold_id, by: { cost: "1" } })
      )
      assert.isTrue(!more.allowed && more.retry_at === null)
    })
  )

  it.effect("a refusal says what there is in all", () =>
    Effect.gen(function* () {
      const books = new Books()
      const fields = { type: "global", period: "daily", limit: "10", rollover: { max: "8" } } as const
      yield* books.ask("create_budget", { name: "a", ...fields })
      books.now += 86_400_000
      const refused = Result.getOrThrow(
        yield* books.ask("check_budget", { request_id: "r1", estimated_cost: "19" })
      )
      assert.isTrue(!refused.allowed)
      assert.include(refused.allowed ? "" : refused.reason, "has 18 USD left of 18 USD")
    })
  )
})
