/**
 * What the clocks on the wall of a time zone show.
 *
 * Owns: the offset of a zone at an instant, exact to the second, and the instants at which its clocks reach a time.
 * Does not decide: where a period begins (Period), or which zones there are (signal/TimeZone).
 *
 * The offsets are those of the runtime's own time zone data (`Intl`). Asking them takes microseconds, so they are
 * asked once for the beginning of each day of UTC. Where two such days begin with the same offset, the clocks were
 * not moved between them: no zone has ever moved them there and back within a day.
 *
 * A time on the wall is a number of milliseconds as well: those of the same date and time in UTC.
 */
import type { Millis } from "../signal/Text.ts"

const SECOND_MS = 1_000
const DAY_MS = 86_400_000
/** Further than any zone has ever been from UTC. */
const OFFSET_MS_MAX = 16 * 3_600_000
/** Days whose offsets are kept for a zone; past it they are all asked again. */
const KEPT_DAYS_MAX = 4_096

const OFFSET = /GMT(?:(?<sign>[+-])(?<hours>[0-9]{2}):(?<minutes>[0-9]{2})(?::(?<seconds>[0-9]{2}))?)?$/u

/** Reads "GMT", "GMT+05:30" and "GMT-00:44:30". */
const readOffset = (text: string): Millis => {
  const groups = OFFSET.exec(text)?.groups
  if (groups === undefined) throw new Error(`the runtime wrote an offset as "${text}"`)
  const { sign, hours = "0", minutes = "0", seconds = "0" } = groups
  const magnitude = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * SECOND_MS
  return sign === "-" ? -magnitude : magnitude
}

/** A moment at which the clocks of a zone are moved. */
interface Move {
  readonly at: Millis
  readonly before: Millis
  readonly after: Millis
}

export class ZoneClock {
  readonly #format: Intl.DateTimeFormat
  /** The offset at the beginning of a day of UTC, by the day's number. */
  readonly #offsets = new Map<number, Millis>()
  /** The move within a day of UTC, by the day's number. */
  readonly #moves = new Map<number, Move>()

  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" })
  }

  /** How far the clocks are ahead of UTC. */
  offsetAt(at: Millis): Millis {
    const move = this.#moveOf(Math.floor(at / DAY_MS))
    return typeof move === "number" ? move : at < move.at ? move.before : move.after
  }

  /** The only move of `(from, to]`, which are at most a day and a half apart. */
  moveBetween(from: Millis, to: Millis): Move | undefined {
    for (let day = Math.floor(from / DAY_MS); day * DAY_MS <= to; day++) {
      const move = this.#moveOf(day)
      if (typeof move !== "number" && move.at > from && move.at <= to) return move
    }
    return undefined
  }

  /**
   * The first instant at which the clocks show `wall` or later. Where that time is skipped, it is the instant at
   * which they jump over it; where it comes twice, the first of the two.
   */
  reaches(wall: Millis): Millis {
    const from = wall - OFFSET_MS_MAX
    const before = wall - this.offsetAt(from)
    const move = this.moveBetween(from, wall + OFFSET_MS_MAX)
    if (move === undefined || before < move.at) return before
    return Math.max(move.at, wall - move.after)
  }

  /** The offset of a whole day of UTC, or the move in it. */
  #moveOf(day: number): Millis | Move {
    const offset = this.#offsetOf(day)
    const next = this.#offsetOf(day + 1)
    if (offset === next) return offset
    let move = this.#moves.get(day)
    if (move === undefined) {
      move = { at: this.#searchMove(day, offset), before: offset, after: next }
      this.#moves.set(day, move)
    }
    return move
  }

  /** The first second of the day with another offset than its beginning; at the latest the next day's beginning. */
  #searchMove(day: number, before: Millis): Millis {
    let earliest = day * DAY_MS
    let latest = (day + 1) * DAY_MS
    while (latest - earliest > SECOND_MS) {
      const middle = earliest + Math.floor((latest - earliest) / 2 / SECOND_MS) * SECOND_MS
      if (this.#ask(middle) === before) earliest = middle
      else latest = middle
    }
    return latest
  }

  #offsetOf(day: number): Millis {
    const known = this.#offsets.get(day)
    if (known !== undefined) return known
    if (this.#offsets.size >= KEPT_DAYS_MAX) {
      this.#offsets.clear()
      this.#moves.clear()
    }
    const offset = this.#ask(day * DAY_MS)
    this.#offsets.set(day, offset)
    return offset
  }

  #ask(at: Millis): Millis {
    return readOffset(this.#format.format(at))
  }
}

const clocks = new Map<string, ZoneClock>()

/** The clock of a zone, by its canonical name: there are some hundreds. */
export const clockOf = (timeZone: string): ZoneClock => {
  let clock = clocks.get(timeZone)
  if (clock === undefined) {
    clock = new ZoneClock(timeZone)
    clocks.set(timeZone, clock)
  }
  return clock
}
