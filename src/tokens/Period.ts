/**
 * The calendar of budgets: which window a moment falls into.
 *
 * Owns: the windows, by calendar and never by counting days, in UTC.
 * Does not decide: what is booked into a window (Posting).
 */
import type { Period, Weekday } from "../signal/Budget.ts"
import type { Millis } from "../signal/Text.ts"

/** `[start, end)`; a lifetime starts at 0 and has no end. */
export interface PeriodWindow {
  readonly start: Millis
  readonly end: Millis | null
}

const WEEKDAYS: { readonly [Day in Weekday]: number } = {
  sunday: 0,
  monday: 1,
  tuesday: 2,
  wednesday: 3,
  thursday: 4,
  friday: 5,
  saturday: 6
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MONTHS_PER_QUARTER = 3

const weekStart = (at: Millis, startsOn: Weekday): Millis => {
  const day = Math.floor(at / DAY_MS) * DAY_MS
  const daysIn = (new Date(day).getUTCDay() - WEEKDAYS[startsOn] + 7) % 7
  return day - daysIn * DAY_MS
}

const months = (at: Millis, count: number): PeriodWindow => {
  const date = new Date(at)
  const first = Math.floor(date.getUTCMonth() / count) * count
  return {
    start: Date.UTC(date.getUTCFullYear(), first),
    end: Date.UTC(date.getUTCFullYear(), first + count)
  }
}

/** The window of a period that `at` falls into. */
export const windowAt = (period: Period, weekStartsOn: Weekday, at: Millis): PeriodWindow => {
  switch (period) {
    case "hourly": {
      const start = Math.floor(at / HOUR_MS) * HOUR_MS
      return { start, end: start + HOUR_MS }
    }
    case "daily": {
      const start = Math.floor(at / DAY_MS) * DAY_MS
      return { start, end: start + DAY_MS }
    }
    case "weekly": {
      const start = weekStart(at, weekStartsOn)
      return { start, end: start + 7 * DAY_MS }
    }
    case "monthly":
      return months(at, 1)
    case "quarterly":
      return months(at, MONTHS_PER_QUARTER)
    case "yearly":
      return months(at, 12)
    case "lifetime":
      return { start: 0, end: null }
  }
}
