/**
 * Whether a usage row agrees with itself, and all of them with the head.
 *
 * Owns: that a cost is the sum of its lines, a total the sum of its parts, and the head's counters the sums of rows.
 * Does not decide: what a line costs (Pricing, Money), or what a budget has spent (PeriodReplay).
 */
import { type Amount, amountOfCount, divideHalfEven, formatAmount, UNIT } from "../../signal/Money.ts"
import { type CostLine, countsProblem, type TokenUsage } from "../../signal/Usage.ts"
import type { UsageRow } from "../LedgerStore.ts"
import { costAt } from "../Pricing.ts"
import type { StoredHead } from "./BooksReader.ts"
import { Sequence } from "./ChainCheck.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import type { Findings } from "./Findings.ts"

const keyOf = ({ usage_seq }: TokenUsage): string => `usage_seq ${usage_seq}`

/** What the lines are about: tokens, and not requests. */
export const linesTokens = (lines: ReadonlyArray<CostLine>): number =>
  lines.reduce((sum, { token_type, tokens }) => (token_type === "request" ? sum : sum + tokens), 0)

/** Two roundings of the same sum may differ in the last digit where a row is the difference of two others. */
const isNear = (a: Amount, b: Amount): boolean => a - b <= 1n && b - a <= 1n

const checkCost = (findings: Findings, usage: TokenUsage): void => {
  const key = keyOf(usage)
  const { cost, cost_breakdown: lines, exchange_rate, price_id, cost_status } = usage
  for (const [index, line] of lines.entries()) {
    const expected = costAt(line.tokens, line.price_per_million, line.factor)
    const isRight = usage.adjusts === undefined ? line.cost === expected : isNear(line.cost, expected)
    if (!isRight) {
      const field = `cost_breakdown[${index}].cost`
      findings.differs("usage", key, field, formatAmount(line.cost), formatAmount(expected))
    }
  }
  const sum = lines.reduce((total, line) => total + line.cost, 0n)
  const expected = exchange_rate === UNIT ? sum : divideHalfEven(sum * exchange_rate, UNIT)
  const isRight =
    usage.adjusts === undefined || exchange_rate === UNIT ? cost === expected : isNear(cost, expected)
  if (!isRight) findings.differs("usage", key, "cost", formatAmount(cost), formatAmount(expected))
  if ((price_id === null) !== (cost_status === "unpriced"))
    findings.differs(
      "usage",
      key,
      "cost_status",
      cost_status,
      price_id === null ? "unpriced" : "priced or free"
    )
  // What an adjustment's lines are about depends on the rows before it (RequestCheck).
  if (price_id !== null && usage.adjusts === undefined) {
    const total = `${usage.total_tokens} tokens`
    findings.same("usage", key, "cost_breakdown", `${linesTokens(lines)} tokens`, total)
  }
}

const checkRow = (findings: Findings, { usage, requests }: UsageRow, head: StoredHead): void => {
  const key = keyOf(usage)
  findings.same("usage", key, "id", usage.id, `use_${usage.usage_seq}`)
  findings.same("usage", key, "currency", usage.currency, head.config.currency)
  findings.same(
    "usage",
    key,
    "total_tokens",
    usage.total_tokens,
    usage.prompt_tokens + usage.completion_tokens
  )
  if (requests !== 0 && requests !== 1) findings.differs("usage", key, "requests", requests, "0 or 1")
  const problem = usage.adjusts === undefined ? countsProblem(usage as never) : undefined
  if (problem !== undefined) findings.differs("usage", key, problem.path.join("."), "more", problem.message)
  checkCost(findings, usage)
}

export class UsageCheck {
  readonly #findings: Findings
  readonly #head: StoredHead
  readonly sequence: Sequence
  #tracked: number
  #tokens: Amount
  #cost: Amount

  constructor(findings: Findings, head: StoredHead, from: Checkpoint) {
    this.#findings = findings
    this.#head = head
    this.sequence = new Sequence(findings, "usage", "usage_seq", from.usageSeq)
    this.#tracked = from.tracked
    this.#tokens = from.tokens
    this.#cost = from.cost
  }

  next(row: UsageRow): void {
    checkRow(this.#findings, row, this.#head)
    this.#tracked += row.requests
    this.#tokens += amountOfCount(row.usage.total_tokens)
    this.#cost += row.usage.cost
  }

  end(): void {
    const { counters } = this.#head
    this.sequence.end(counters.usageSeq)
    const same = <A extends string | number>(field: string, stored: A, expected: A) =>
      this.#findings.same("tenant_head", this.#findings.tenant, field, stored, expected)
    same("tracked", counters.tracked, this.#tracked)
    same("tokens", formatAmount(counters.tokens), formatAmount(this.#tokens))
    same("cost", formatAmount(counters.cost), formatAmount(this.#cost))
  }
}
