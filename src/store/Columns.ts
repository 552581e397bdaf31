/**
 * Columns of a batch as parameters of a statement.
 *
 * Owns: exactness on the way in; refusing text that Postgres would not keep as it is; that a value which is the same
 * in all rows goes once.
 * Does not decide: which columns there are.
 */
import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"
import { type Amount, formatAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"

export type Parameter = PgTypes.Parameter | string | number | bigint | null

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

/** What a column of some type sends: the values of all rows, or one value. */
interface Encoding<A> {
  readonly all: (values: ReadonlyArray<A>) => Parameter
  readonly one: (value: A) => Parameter
}

/** The values of one column, row by row. */
export interface Column {
  readonly rows: number
  /** Whether all rows have the same value. */
  readonly isUniform: boolean
  /** As an array. */
  readonly all: Parameter
  /** The first row's value. */
  readonly one: Parameter
}

class Values<A> implements Column {
  readonly #values: ReadonlyArray<A>
  readonly #encoding: Encoding<A>

  constructor(values: ReadonlyArray<A>, encoding: Encoding<A>) {
    this.#values = values
    this.#encoding = encoding
  }

  get rows(): number {
    return this.#values.length
  }

  get isUniform(): boolean {
    const values = this.#values
    const first = values[0]
    for (let index = 1; index < values.length; index++) if (values[index] !== first) return false
    return true
  }

  get all(): Parameter {
    return this.#encoding.all(this.#values)
  }

  get one(): Parameter {
    return this.#encoding.one(this.#values[0] as A)
  }
}

const TEXT: Encoding<string | null> = {
  all: (values) => array(values, PgTypes.OID.text),
  one: PgTypes.text
}

/** Postgres itself refuses U+0000; only lone surrogates would be changed without a word. */
export const textColumn = (values: ReadonlyArray<string | null>): Column => {
  for (const value of values) {
    if (value !== null && !value.isWellFormed())
      throw new Unencodable("a text is not well-formed Unicode (it has a lone surrogate)")
  }
  return new Values(values, TEXT)
}

/** An escape that jsonb refuses and text does not: U+0000 or a lone surrogate. JSON escapes surrogates only when alone. */
const HOSTILE_ESCAPE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/

/** Throws where jsonb would refuse a JSON text. */
export const mustBePlain = (json: string): void => {
  if (json.includes("\\u") && HOSTILE_ESCAPE.test(json))
    throw new Unencodable("a text has U+0000 or a lone surrogate")
}

/** JSON that is kept as the text that it is. What jsonb would refuse is refused here. */
export const plainJsonColumn = (values: ReadonlyArray<string | null>): Column => {
  for (const value of values) if (value !== null) mustBePlain(value)
  return new Values(values, TEXT)
}

/** JSON texts, to be cast to jsonb in the statement, which refuses U+0000 and lone surrogates itself. */
export const jsonColumn = (values: ReadonlyArray<string | null>): Column => new Values(values, TEXT)

/** Small arrays of integers, each as a literal, to be cast to integer[] row by row. */
export const integersColumn = (values: ReadonlyArray<ReadonlyArray<number>>): Column =>
  new Values(
    values.map((integers) => `{${integers.join(",")}}`),
    TEXT
  )

const wide = (value: number | null): bigint | null => {
  if (value === null) return null
  if (!Number.isSafeInteger(value)) throw new Unencodable(`${value} is not a safe integer`)
  return BigInt(value)
}

const INT8: Encoding<number | null> = {
  all: (values) => array(values.map(wide), PgTypes.OID.int8),
  one: (value) => PgTypes.int8(wide(value))
}
export const int8Column = (values: ReadonlyArray<number | null>): Column => new Values(values, INT8)

const INT4: Encoding<number> = { all: (values) => array(values, PgTypes.OID.int4), one: PgTypes.int4 }
export const int4Column = (values: ReadonlyArray<number>): Column => new Values(values, INT4)

const BOOL: Encoding<boolean> = { all: (values) => array(values, PgTypes.OID.bool), one: PgTypes.bool }
export const boolColumn = (values: ReadonlyArray<boolean>): Column => new Values(values, BOOL)

const TIME: Encoding<Millis | null> = {
  all: (values) => array(values, PgTypes.OID.timestamptz),
  one: PgTypes.timestamptz
}
/** `null` stays NULL. */
export const timeColumn = (values: ReadonlyArray<Millis | null>): Column => new Values(values, TIME)

const AMOUNT: Encoding<Amount | null> = {
  all: (values) => `{${values.map((value) => (value === null ? "NULL" : formatAmount(value))).join(",")}}`,
  one: (value) => (value === null ? null : formatAmount(value))
}
/** As a literal, to be cast to numeric in the statement: the binary form costs more to make than to read. */
export const amountColumn = (values: ReadonlyArray<Amount | null>): Column => new Values(values, AMOUNT)

/** For `oneOf` and `unnest` in a query. */
export const textArray = (values: ReadonlyArray<string | null>): Parameter => textColumn(values).all
export const int8Array = (values: ReadonlyArray<number>): Parameter => int8Column(values).all
export const timeArray = (values: ReadonlyArray<Millis | null>): Parameter => timeColumn(values).all

/**
 * One of an array, hidden in a sub-select so that the planner does not see how many there are: it would take a
 * thousand look-ups by key for dearer than reading a tenant whole, and does not know how fast a tenant grows.
 */
export const oneOf = (parameter: number, type: "text" | "int8"): string =>
  `ANY((SELECT $${parameter}::${type}[])::${type}[])`

/** What a table's columns are: the type on the way in, and where it differs the type that it is cast to. */
export type Columns = ReadonlyArray<readonly [name: string, type: string, cast?: string]>

/**
 * Rows as a sub-select named `x`, whose parameters are pushed. What is the same in all rows goes once; the rest goes
 * as arrays that are taken apart side by side in a select list, which, unlike in a FROM, keeps no copy of each.
 */
export const rowsOf = (
  columns: Columns,
  values: ReadonlyArray<Column>,
  parameters: Array<Parameter>
): string => {
  const fields = columns.map(([name, type, cast], index) => {
    const column = values[index] as Column
    // The first is a key: of several rows it always tells how many there are.
    const goesOnce = column.isUniform && (index > 0 || column.rows === 1)
    parameters.push(goesOnce ? column.one : column.all)
    const value = goesOnce ? `$${parameters.length}::${type}` : `unnest($${parameters.length}::${type}[])`
    return { name, value, cast }
  })
  const selected = fields.map(({ name, value }) => `${value} AS ${name}`).join(", ")
  if (fields.every(({ cast }) => cast === undefined)) return `(SELECT ${selected}) AS x`
  const casted = fields.map(({ name, cast }) =>
    cast === undefined ? `y.${name}` : `y.${name}::${cast} AS ${name}`
  )
  return `(SELECT ${casted.join(", ")} FROM (SELECT ${selected}) AS y) AS x`
}
