/**
 * Rows into a table of the product, for contenders that are not the product.
 *
 * Owns: nothing of what a row is: columns and encodings are the store's own, so that a new column is never forgotten.
 */
import { type Column, type Columns, type Parameter, rowsOf } from "../../src/store/Columns.ts"

/** An INSERT of rows of the tenant `$1`; what it is given is pushed to `parameters`. */
export const insert = (
  table: string,
  columns: Columns,
  values: ReadonlyArray<Column>,
  parameters: Array<Parameter>
): string => {
  const names = columns.map(([name]) => name).join(", ")
  const selected = columns.map(([name]) => `x.${name}`).join(", ")
  return `INSERT INTO ${table} (tenant, ${names}) SELECT $1, ${selected} FROM ${rowsOf(columns, values, parameters)}`
}
