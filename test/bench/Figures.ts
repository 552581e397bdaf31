/**
 * The figures of a row, and how they become text.
 *
 * Owns: median, percentile, spread, number formats, the table.
 * Does not decide: what is measured, or which ratio is good enough (the rows).
 */

/** What a ratio has to be. A row reports it; nothing fails by it. */
export type Target = { readonly atLeast: number } | { readonly atMost: number }

/** One measured thing beside its named baseline, from the same run. */
export interface Comparison {
  readonly what: string
  readonly measured: string
  readonly baseline: string
  readonly ratio: number
  readonly target?: Target
}

/** What one row found. `facts` are the conditions it ran under, and checks that it passed. */
export interface RowReport {
  readonly facts: ReadonlyArray<string>
  readonly comparisons: ReadonlyArray<Comparison>
}

export const sorted = (values: ReadonlyArray<number>): ReadonlyArray<number> =>
  values.toSorted((a, b) => a - b)

/** The value that a share of `ascending` does not exceed; `share` from 0 to 1. */
export const percentile = (ascending: ArrayLike<number>, share: number): number =>
  ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? Number.NaN

export const median = (values: ReadonlyArray<number>): number => {
  const ascending = sorted(values)
  const middle = ascending.length / 2
  if (!Number.isInteger(middle)) return ascending[Math.floor(middle)] ?? Number.NaN
  return ((ascending[middle - 1] ?? Number.NaN) + (ascending[middle] ?? Number.NaN)) / 2
}

const decimals = (value: number, digits: number): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

export const number = (value: number): string => decimals(value, value < 10 ? 2 : value < 100 ? 1 : 0)

/** Rates of several rounds: the median, and from the slowest to the fastest. */
export const rates = (perSecond: ReadonlyArray<number>, unit: string): string => {
  const ascending = sorted(perSecond)
  const [low, high] = [ascending[0] ?? Number.NaN, ascending.at(-1) ?? Number.NaN]
  return `${number(median(perSecond))} ${unit} (${number(low)} to ${number(high)})`
}

export const micros = (milliseconds: number): string => `${number(milliseconds * 1000)} µs`

const ratioText = (ratio: number): string => `${number(ratio)} ×`

const targetText = (target: Target | undefined): string => {
  if (target === undefined) return ""
  return "atLeast" in target ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`
}

const verdict = ({ target, ratio }: Comparison): string => {
  if (target === undefined) return ""
  return ("atLeast" in target ? ratio >= target.atLeast : ratio <= target.atMost) ? "met" : "missed"
}

const HEADINGS = ["row", "measured", "", "baseline", "ratio", "target", ""]

/** All comparisons as a table of Markdown that also reads well as it is. */
export const tableOf = (rows: ReadonlyArray<readonly [name: string, report: RowReport]>): string => {
  const lines = rows.flatMap(([name, { comparisons }]) =>
    comparisons.map((it) => [
      name,
      it.what,
      it.measured,
      it.baseline,
      ratioText(it.ratio),
      targetText(it.target),
      verdict(it)
    ])
  )
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...lines.map((line) => line[column]?.length ?? 0))
  )
  const write = (cells: ReadonlyArray<string>) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  return [write(HEADINGS), rule, ...lines.map(write)].join("\n")
}
