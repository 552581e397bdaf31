/**
 * Exact amounts.
 *
 * Owns: the `Decimal` of the wire, its integer in memory, the only rounding rule, and how an amount is written.
 * Does not decide: what anything costs (PriceBook), or in which currency.
 *
 * An amount is a `bigint` counting 10⁻¹² of the unit: one dollar is 1_000_000_000_000n. Token and request
 * budgets use the same scale, so that every limit, hold and counter is one kind of number.
 */
import { Schema, SchemaTransformation } from "effect"
import { rememberingLast } from "./LastWritten.ts"

/** 10⁻¹² of a unit (a currency's unit, a token, a request). */
export type Amount = bigint

/** One unit, as an `Amount`. */
export const UNIT: Amount = 1_000_000_000_000n

const FRACTION_DIGITS = 12
const PATTERN = /^[+-]?[0-9]{1,15}(?:\.[0-9]{1,12})?$/u

/** The largest amount a `Decimal` can carry: 15 integer and 12 fractional digits. */
export const AMOUNT_MAX: Amount = 10n ** 27n - 1n

export const isDecimal = (text: string): boolean => PATTERN.test(text)

/** Reads a `Decimal`. The text must satisfy `isDecimal`. */
export const parseAmount = (text: string): Amount => {
  const isNegative = text.startsWith("-")
  const digits = isNegative || text.startsWith("+") ? text.slice(1) : text
  const point = digits.indexOf(".")
  const scaled =
    point === -1
      ? BigInt(digits) * UNIT
      : BigInt(digits.slice(0, point) + digits.slice(point + 1).padEnd(FRACTION_DIGITS, "0"))
  return isNegative ? -scaled : scaled
}

const ZERO_DIGIT = 48

/** All digits in one step: dividing by `UNIT` first takes three times as long. */
const digitsOf = (amount: Amount): string => {
  const sign = amount < 0n ? "-" : ""
  const digits = (amount < 0n ? -amount : amount).toString().padStart(FRACTION_DIGITS + 1, "0")
  const point = digits.length - FRACTION_DIGITS
  let end = digits.length
  while (end > point && digits.charCodeAt(end - 1) === ZERO_DIGIT) end -= 1
  const whole = `${sign}${digits.slice(0, point)}`
  return end === point ? whole : `${whole}.${digits.slice(point, end)}`
}

/** Writes an amount as the shortest `Decimal`: no exponent, no trailing zeros, no `-0`. */
export const formatAmount = rememberingLast<Amount>(8, digitsOf)

/** `numerator / denominator`, rounded half to even. The denominator is positive. */
export const divideHalfEven = (numerator: bigint, denominator: bigint): bigint => {
  const quotient = numerator / denominator
  const remainder = numerator % denominator
  if (remainder === 0n) return quotient
  const twice = (remainder < 0n ? -remainder : remainder) * 2n
  const isOdd = (quotient & 1n) === 1n
  if (twice < denominator || (twice === denominator && !isOdd)) return quotient
  return numerator < 0n ? quotient - 1n : quotient + 1n
}

const TOKENS_PER_PRICE = 1_000_000n

/** What `tokens` cost at `perMillion`, rounded half to even at 10⁻¹². */
export const costOfTokens = (tokens: number, perMillion: Amount): Amount =>
  divideHalfEven(BigInt(tokens) * perMillion, TOKENS_PER_PRICE)

/** What `tokens` cost at `factor` times `perMillion`: one product, rounded once. */
export const costOfTokensTimes = (tokens: number, perMillion: Amount, factor: Amount): Amount =>
  divideHalfEven(BigInt(tokens) * perMillion * factor, TOKENS_PER_PRICE * UNIT)

/** An amount at a rate: one product, rounded once. */
export const convert = (amount: Amount, rate: Amount): Amount => divideHalfEven(amount * rate, UNIT)

/** A count of tokens or requests as an amount. */
export const amountOfCount = (count: number): Amount => BigInt(count) * UNIT

/** The count in an amount that was made by `amountOfCount`. */
export const countOfAmount = (amount: Amount): number => Number(amount / UNIT)

/** `part / whole` in percent with two decimals, rounded down so that 100 means all of it. */
export const percentOf = (part: Amount, whole: Amount): number => {
  if (whole <= 0n) return 100
  return Number((part * 10_000n) / whole) / 100
}

const DECIMAL = 'a decimal string like "12.50" (at most 15 integer and 12 fractional digits), never a number'

const decimalText = Schema.String.annotate({ message: `Expected ${DECIMAL}` })
  .check(Schema.isPattern(PATTERN, { expected: DECIMAL }))
  .annotate({ examples: ["12.50"] })

const amount = Schema.BigInt.check(Schema.isBetweenBigInt({ minimum: -AMOUNT_MAX, maximum: AMOUNT_MAX }))

/** An exact decimal: a string on the wire, an `Amount` in memory. */
export const Decimal = decimalText.pipe(
  Schema.decodeTo(amount, SchemaTransformation.transform({ decode: parseAmount, encode: formatAmount }))
)

/** A decimal that is zero or more. */
export const NonNegativeDecimal = decimalText
  .check(
    Schema.makeFilter((text: string) => !text.startsWith("-") || "Expected a decimal that is zero or more")
  )
  .pipe(
    Schema.decodeTo(
      amount.check(Schema.isGreaterThanOrEqualToBigInt(0n)),
      SchemaTransformation.transform({ decode: parseAmount, encode: formatAmount })
    )
  )
