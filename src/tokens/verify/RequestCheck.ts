/**
 * Whether requests and usage rows name each other.
 *
 * Owns: that each row is named by its request, each attempt names its row, and a request counts once.
 * Does not decide: what a row or a hold must look like by itself (UsageCheck, HoldCheck).
 */
import { Effect } from "effect"
import type { TokenUsage } from "../../signal/Usage.ts"
import type { AttemptRow, RequestRow, StoreUnreachable, UsageRow } from "../LedgerStore.ts"
import { rowsOfAttempt } from "../RequestRecord.ts"
import { type UnpricedRow, unpricedRowOf } from "../UnpricedUse.ts"
import type { BooksReader, StoredRequest } from "./BooksReader.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import { type Findings, MISSING } from "./Findings.ts"
import { linesTokens } from "./UsageCheck.ts"

type Reading<A> = Effect.Effect<A, StoreUnreachable>

const rowsBySeq = (
  reader: BooksReader,
  tenant: string,
  seqs: ReadonlyArray<number>
): Reading<ReadonlyMap<number, UsageRow>> =>
  seqs.length === 0
    ? Effect.succeed(new Map())
    : Effect.map(reader.usageBySeq(tenant, seqs), (stored) => {
        const rows = new Map<number, UsageRow>()
        for (const { key, row } of stored) if (row !== undefined) rows.set(key, row)
        return rows
      })

const attemptOf = (request: RequestRow | undefined, usage: TokenUsage): AttemptRow | undefined =>
  request?.attempts.find(({ attempt }) => attempt === usage.attempt)

/** Each of these rows must be named by its request: as an attempt's row, or as what an attempt's row adjusts. */
export const checkNamed = Effect.fnUntraced(function* (
  reader: BooksReader,
  findings: Findings,
  rows: ReadonlyArray<UsageRow>
) {
  const ids = [...new Set(rows.map(({ usage }) => usage.request_id))]
  const requests = new Map<string, RequestRow>()
  for (const { key, row } of yield* reader.requestsById(findings.tenant, ids))
    if (row !== undefined) requests.set(key, row.request)
  for (const { usage } of rows) {
    const attempt = attemptOf(requests.get(usage.request_id), usage)
    if (attempt === undefined || !rowsOfAttempt(attempt).includes(usage.usage_seq)) unnamed(findings, usage)
  }
})

const unnamed = (findings: Findings, { request_id, attempt, usage_seq }: TokenUsage): void =>
  findings.differs(
    "request",
    `request_id ${request_id}`,
    `attempt ${attempt}`,
    MISSING,
    `usage_seq ${usage_seq}`
  )

const checkAttempt = (
  findings: Findings,
  { requestId }: RequestRow,
  attempt: AttemptRow,
  row: UsageRow | undefined
): void => {
  const key = `usage_seq ${attempt.usageSeq}`
  if (row === undefined) {
    findings.differs("usage", key, "row", MISSING, `attempt ${attempt.attempt} of request_id ${requestId}`)
    return
  }
  findings.same("usage", key, "request_id", row.usage.request_id, requestId)
  findings.same("usage", key, "attempt", row.usage.attempt, attempt.attempt)
  findings.same("usage", key, "adjusts", row.usage.adjusts ?? "nothing", "nothing")
}

/**
 * From the row on that has the first price, an attempt's lines are about all of its tokens: an adjustment that gives a
 * price to what had none has the lines of all rows before it, any other has those of its own difference.
 */
const checkLines = (findings: Findings, rows: ReadonlyArray<UsageRow>): void => {
  let left = 0
  for (const { usage } of rows) {
    left += usage.total_tokens
    const tokens = linesTokens(usage.cost_breakdown)
    const expected = usage.price_id === null ? 0 : left
    if (usage.adjusts !== undefined)
      findings.same(
        "usage",
        `usage_seq ${usage.usage_seq}`,
        "cost_breakdown",
        `${tokens} tokens`,
        `${expected} tokens`
      )
    left -= expected
  }
}

/** The rows that adjust an attempt name its first one. */
const checkAdjustments = (
  findings: Findings,
  { requestId }: RequestRow,
  attempt: AttemptRow,
  rows: ReadonlyMap<number, UsageRow>
): void => {
  const first = `use_${attempt.usageSeq}`
  for (const seq of attempt.adjustments) {
    const key = `usage_seq ${seq}`
    const row = rows.get(seq)
    if (row === undefined) {
      findings.differs("usage", key, "row", MISSING, `attempt ${attempt.attempt} of request_id ${requestId}`)
      continue
    }
    findings.same("usage", key, "adjusts", row.usage.adjusts ?? "nothing", first)
    findings.same("usage", key, "adjusts_seq", row.adjustsSeq ?? "nothing", attempt.usageSeq)
  }
  checkLines(
    findings,
    rowsOfAttempt(attempt).flatMap((seq) => rows.get(seq) ?? [])
  )
  const answer = rows.get(attempt.answerSeq)
  const field = `attempt ${attempt.attempt} is estimated`
  const isEstimated = answer?.usage.status === "estimated"
  findings.same("request", `request_id ${requestId}`, field, attempt.isEstimated, isEstimated)
}

/** A request counts with its first row, and only with it. */
const checkCounted = (findings: Findings, rows: ReadonlyArray<UsageRow>): void => {
  const first = Math.min(...rows.map(({ usage }) => usage.usage_seq))
  for (const { usage, requests } of rows) {
    const expected = usage.usage_seq === first ? 1 : 0
    findings.same("usage", `usage_seq ${usage.usage_seq}`, "requests", requests, expected)
  }
}

/** Each attempt of these requests must name a row that is its own. Says which of them have no price. */
export const checkAttempts = Effect.fnUntraced(function* (
  reader: BooksReader,
  findings: Findings,
  requests: ReadonlyArray<StoredRequest>,
  from: Checkpoint
) {
  const { tenant } = findings
  const seqs = requests.flatMap(({ request }) => request.attempts.flatMap(rowsOfAttempt))
  const rows = yield* rowsBySeq(
    reader,
    tenant,
    seqs.filter((seq) => seq > from.usageSeq)
  )
  const unpriced: Array<UnpricedRow> = []
  for (const { request } of requests) {
    const own: Array<UsageRow> = []
    for (const attempt of request.attempts) {
      if (attempt.usageSeq <= from.usageSeq) continue
      const row = rows.get(attempt.usageSeq)
      checkAttempt(findings, request, attempt, row)
      if (row === undefined) continue
      checkAdjustments(findings, request, attempt, rows)
      const all = rowsOfAttempt(attempt).flatMap((seq) => rows.get(seq) ?? [])
      if (all.every(({ usage }) => usage.price_id === null)) unpriced.push(unpricedRowOf(row.usage))
      own.push(...all)
    }
    if (request.attempts.every(({ usageSeq }) => usageSeq > from.usageSeq)) checkCounted(findings, own)
  }
  return unpriced
})
