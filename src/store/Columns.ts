/**
 * Columns of a batch as parameters of a statement.
 *
 * Owns: exactness on the way in; refusing text that Postgres would not keep as it is.
 * Does not decide: which columns there are.
 */
import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"
import { type Amount, formatAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"

/** A value that Postgres cannot keep: it was not sent. */
export class Unencodable extends Error {
  override readonly name = "Unencodable"
}

/** Whether Postgres keeps this text as it is: no U+0000, no lone surrogate (the encoder would replace it). */
export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes("\u0000")

const array = (values: ReadonlyArray<unknown>, elementOid: number): PgTypes.Parameter => {
  const parameter = PgTypes.array(values, elementOid)
  if (Result.isFailure(parameter)) throw new Unencodable(parameter.failure.message)
  return parameter.success
}

/** Postgres itself refuses U+0000; only lone surrogates would be changed without a word. */
export const textArray = (values: ReadonlyArray<string | null>): PgTypes.Parameter => {
  for (const value of values) {
    if (value !== null && !value.isWellFormed())
      throw new Unencodable("a text is not well-formed Unicode (it has a lone surrogate)")
  }
  return array(values, PgTypes.OID.text)
}

/** An escape that jsonb refuses and json does not: U+0000 or a lone surrogate. JSON escapes surrogates only when alone. */
const HOSTILE_ESCAPE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

/** JSON texts, to be cast to json in the statement. What jsonb would refuse is refused here. */
export const plainJsonArray = (values: ReadonlyArray<string | null>): PgTypes.Parameter => {
  for (const value of values) {
    if (value?.includes("\\u") && HOSTILE_ESCAPE.test(value))
      throw new Unencodable("a text has U+0000 or a lone surrogate")
  }
  return array(values, PgTypes.OID.text)
}

/** JSON texts, to be cast to jsonb in the statement, which refuses U+0000 and lone surrogates itself. */
export const jsonArray = (values: ReadonlyArray<string | null>): PgTypes.Parameter =>
  array(values, PgTypes.OID.text)

export const int8Array = (values: ReadonlyArray<number>): PgTypes.Parameter => {
  const wide = new Array<bigint>(values.length)
  for (let index = 0; index < values.length; index++) {
    const value = values[index] as number
    if (!Number.isSafeInteger(value)) throw new Unencodable(`${value} is not a safe integer`)
    wide[index] = BigInt(value)
  }
  return array(wide, PgTypes.OID.int8)
}

export const int4Array = (values: ReadonlyArray<number>): PgTypes.Parameter => array(values, PgTypes.OID.int4)

export const boolArray = (values: ReadonlyArray<boolean>): PgTypes.Parameter =>
  array(values, PgTypes.OID.bool)

/** `null` stays NULL. */
export const timeArray = (values: ReadonlyArray<Millis | null>): PgTypes.Parameter =>
  array(values, PgTypes.OID.timestamptz)

/** A literal, to be cast to numeric[] in the statement: the binary form costs more to make than to read. `null` stays NULL. */
export const amountArray = (values: ReadonlyArray<Amount | null>): string =>
  `{${values.map((value) => (value === null ? "NULL" : formatAmount(value))).join(",")}}`

/** Small arrays of integers, each as a literal, to be cast to integer[] row by row. */
export const integersLiteral = (values: ReadonlyArray<number>): string => `{${values.join(",")}}`

/**
 * One of an array, hidden in a sub-select so that the planner does not see how many there are: it would take a
 * thousand look-ups by key for dearer than reading a tenant whole, and does not know how fast a tenant grows.
 */
export const oneOf = (parameter: number, type: "text" | "int8"): string =>
  `ANY((SELECT $${parameter}::${type}[])::${type}[])`
