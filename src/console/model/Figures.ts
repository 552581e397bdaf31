/**
 * How figures are written.
 *
 * Owns: the look of amounts, counts, times and durations. Amounts stay exact integers until they are text.
 */
import { type Amount, divideHalfEven, formatAmount, parseAmount, UNIT } from "../../signal/Money.ts"
import type { WireBudget } from "./Model.ts"

/** Letters that fit three times beside each other in the narrowest card. */
const EXACT_MAX = 9

const SYMBOLS: { readonly [currency: string]: string } = { USD: "$", EUR: "€", GBP: "£", JPY: "¥" }

const group = (digits: string): string => digits.replace(/\B(?=(?:\d{3})+$)/gu, ",")

/** A decimal with grouped thousands and at least `fractionMin` digits after the point. */
const grouped = (decimal: string, fractionMin: number): string => {
  const isNegative = decimal.startsWith("-")
  const [whole = "0", fraction = ""] = (isNegative ? decimal.slice(1) : decimal).split(".")
  const padded = fraction.padEnd(fractionMin, "0")
  return `${isNegative ? "−" : ""}${group(whole)}${padded === "" ? "" : `.${padded}`}`
}

const withSymbol = (text: string, currency: string): string => {
  const symbol = SYMBOLS[currency]
  if (symbol === undefined) return `${text} ${currency}`
  return text.startsWith("−") ? `−${symbol}${text.slice(1)}` : symbol + text
}

/** An exact amount of money: `$0.0063`, `$12.50`. */
export const exactMoney = (amount: Amount, currency: string): string =>
  withSymbol(grouped(formatAmount(amount), 2), currency)

/** Money rounded half-even to `digits` places, always with all of them, so that columns align. */
export const roundedMoney = (amount: Amount, currency: string, digits: number): string => {
  const step = 10n ** BigInt(12 - digits)
  return withSymbol(grouped(formatAmount(divideHalfEven(amount, step) * step), digits), currency)
}

export const count = (value: number): string => {
  const text = String(Math.trunc(Math.abs(value)))
  return (value < 0 ? "−" : "") + group(text)
}

/** A count in few letters: `9,421`, `12.3k`, `4.56M`. */
export const shortCount = (value: number): string => {
  if (value < 10_000) return count(value)
  const [unit, size]: [string, number] = value < 1e6 ? ["k", 1e3] : value < 1e9 ? ["M", 1e6] : ["B", 1e9]
  const scaled = value / size
  return `${scaled >= 100 ? scaled.toFixed(0) : scaled.toFixed(scaled >= 10 ? 1 : 2)}${unit}`
}

/** Money in little room: seven digits that matter, and never more than six after the point. */
const compactMoney = (amount: Amount, currency: string): string => {
  const size = amount < 0n ? -amount : amount
  return roundedMoney(amount, currency, size >= 100n * UNIT ? 2 : size >= UNIT ? 4 : 6)
}

/** A budget's amount in its own measure: money, tokens or requests. Exact. */
export const inMeasure = (decimal: string, budget: Pick<WireBudget, "measure" | "currency">): string =>
  budget.measure === "cost"
    ? exactMoney(parseAmount(decimal), budget.currency)
    : grouped(formatAmount(parseAmount(decimal)), 0)

/** The same in little room: exact up to six digits after the point. */
export const inMeasureCompact = (
  decimal: string,
  budget: Pick<WireBudget, "measure" | "currency">
): string => {
  const exact = inMeasure(decimal, budget)
  if (budget.measure !== "cost" || exact.length <= EXACT_MAX) return exact
  return compactMoney(parseAmount(decimal), budget.currency)
}

const two = (value: number): string => String(value).padStart(2, "0")

/** The local time of day with milliseconds. */
export const clock = (at: number): string => {
  const time = new Date(at)
  const ms = String(time.getMilliseconds()).padStart(3, "0")
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${ms}`
}

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** A length of time in one or two units: `0.4 s`, `12 s`, `3 min`, `2 h 5 min`, `4 d`. */
export const duration = (ms: number): string => {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1000).toFixed(1)} s`
  if (ms < MINUTE) return `${Math.floor(ms / 1000)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  if (ms < DAY) return `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min`
  return `${Math.floor(ms / DAY)} d ${Math.floor((ms % DAY) / HOUR)} h`
}

/** How long ago, told calmly: seconds do not flicker. */
export const ago = (ms: number): string => {
  if (ms < 5_000) return "just now"
  if (ms < MINUTE) return `${Math.floor(ms / 5_000) * 5} s ago`
  return `${duration(ms)} ago`
}

/** How long a signal took: microseconds count here. */
export const latency = (ms: number): string => {
  if (ms < 1) return `${Math.round(ms * 1000)} µs`
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  return duration(ms)
}

/** A moment of another day: `24 Nov, 00:00 UTC`. */
export const moment = (at: number): string => {
  const time = new Date(at)
  const month = time.toLocaleString("en", { month: "short", timeZone: "UTC" })
  return `${time.getUTCDate()} ${month}, ${two(time.getUTCHours())}:${two(time.getUTCMinutes())} UTC`
}
