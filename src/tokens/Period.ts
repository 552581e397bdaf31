/**
 * The calendar of budgets: which window a moment falls into.
 *
 * Owns: the windows, by the calendar of a time zone and never by counting days.
 * Does not decide: what the clocks of a zone show (ZoneClock), or what is booked into a window (Posting).
 *
 * Windows tile time: each begins where the one before ends. A day, and all that is made of days, begins when the
 * zone's clocks first reach midnight or, where they jump over it, at the jump; a day that a zone leaves out has no
 * window. An hour is an hour on the clock: where clocks are put back, the same hour comes twice and is two windows;
 * where they are moved by a part of an hour, the hour is cut there.
 */
import type { Period, Weekday } from "../signal/Budget.ts"
import type { Millis } from "../signal/Text.ts"
import { clockOf } from "./ZoneClock.ts"

/** `[start, end)`; a lifetime starts at 0 and has no end. */
export interface PeriodWindow {
  readonly start: Millis
  readonly end: Millis | null
}

/** What a budget's windows depend on. */
export interface Calendar {
  readonly period: Period
  /** By its canonical name. */
  readonly timeZone: string
  readonly weekStartsOn: Weekday
}

/** Periods end on a quarter of an hour: the offsets of all zones are made of them. */
export const PERIODS_END_EVERY_MS = 15 * 60_000

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

const MONTHS = { monthly: 1, quarterly: 3, yearly: 12 } as const

type OfDays = Exclude<Period, "hourly" | "lifetime">

/** Where the period of a time on the wall begins, `ahead` periods later; on the wall as well. */
const beginning = (period: OfDays, weekStartsOn: Weekday, wall: Millis, ahead: 0 | 1): Millis => {
  if (period === "daily") return (Math.floor(wall / DAY_MS) + ahead) * DAY_MS
  const date = new Date(wall)
  if (period === "weekly") {
    const daysIn = (date.getUTCDay() - WEEKDAYS[weekStartsOn] + 7) % 7
    return (Math.floor(wall / DAY_MS) - daysIn + 7 * ahead) * DAY_MS
  }
  const months = MONTHS[period]
  const first = Math.floor(date.getUTCMonth() / months) * months
  return Date.UTC(date.getUTCFullYear(), first + months * ahead)
}

const windowOfDays = (period: OfDays, { timeZone, weekStartsOn }: Calendar, at: Millis): PeriodWindow => {
  const clock = clockOf(timeZone)
  let start = beginning(period, weekStartsOn, at + clock.offsetAt(at), 0)
  for (;;) {
    const next = beginning(period, weekStartsOn, start, 1)
    const end = clock.reaches(next)
    if (end > at) return { start: clock.reaches(start), end }
    // The clocks had reached the next period already when they were put back.
    start = next
  }
}

const hourAt = (timeZone: string, at: Millis): PeriodWindow => {
  const clock = clockOf(timeZone)
  const offset = clock.offsetAt(at)
  const start = Math.floor((at + offset) / HOUR_MS) * HOUR_MS - offset
  const end = start + HOUR_MS
  const move = clock.moveBetween(start, end - 1)
  if (move === undefined) return { start, end }
  return move.at <= at ? { start: move.at, end } : { start, end: move.at }
}

/** The window of a calendar's period that `at` falls into. */
export const windowAt = (calendar: Calendar, at: Millis): PeriodWindow => {
  switch (calendar.period) {
    case "hourly":
      return hourAt(calendar.timeZone, at)
    case "lifetime":
      return { start: 0, end: null }
    default:
      return windowOfDays(calendar.period, calendar, at)
  }
}
