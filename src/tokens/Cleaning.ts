/**
 * Old usage rows go, and their sums stay.
 *
 * Owns: what is kept of rows that are deleted: sums by quarter of an hour of `booked_at` and by all that a budget can be
 * about, apart where a budget was made in between. No period of any budget, in any time zone, begins within a quarter of
 * an hour: so the rows that are left, and the cells, add up exactly to every counter, also to what a budget that is made
 * tomorrow counts from before.
 * Does not decide: which rows are old (Cleanup), or how rows and cells are stored (store/).
 */
import { createHash } from "node:crypto"
import { Result } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import { SUBJECT_FIELDS, type Subject } from "./BudgetIndex.ts"
import { type AmountsIn, type CleanedCell, sumOfCells } from "./CleanedUsage.ts"
import { inCurrency } from "./Converting.ts"
import type { Ledger } from "./Ledger.ts"
import type { UsageRow } from "./LedgerStore.ts"

export const CELL_MS = 15 * 60_000

type Decision<A> = Result.Result<A, SignalError>

const NOTHING_ELSE: AmountsIn = {}

const FIELDS = Object.values(SUBJECT_FIELDS)

const subjectOf = (subject: Subject): Subject => {
  const kept: Record<string, unknown> = {}
  for (const field of FIELDS) if (subject[field] !== undefined) kept[field] = subject[field]
  return kept as Subject
}

/** A key of fixed length: what a cell is about may be longer than an index takes. */
export const cellKeyOf = (subject: Subject): string =>
  createHash("sha256")
    .update(JSON.stringify(FIELDS.map((field) => subject[field] ?? null)))
    .digest("base64url")

/** Where budgets were made, as far as it tells these rows apart: the last one before them, and those between them. */
const madeAmong = (rows: ReadonlyArray<UsageRow>, madeAt: Iterable<number>): ReadonlyArray<number> => {
  const first = rows[0]?.usage.usage_seq ?? 0
  const last = rows.at(-1)?.usage.usage_seq ?? 0
  let before = 0
  const between = new Set<number>()
  for (const seq of madeAt) {
    if (seq < first) before = Math.max(before, seq)
    else if (seq < last) between.add(seq)
  }
  return [before, ...[...between].sort((a, b) => a - b)]
}

/** What a usage has come to in the currencies of budgets that it was charged to. */
const convertedOf = ({ cost, budget_rates }: TokenUsage): AmountsIn => {
  if (budget_rates == null) return NOTHING_ELSE
  return Object.fromEntries(
    Object.keys(budget_rates).map((currency) => [currency, inCurrency(cost, currency, budget_rates)])
  )
}

/** The sums of rows, which are in their order, cell by cell. `madeAt`: the `sinceSeq` of all budgets. */
export const cellsOf = (
  rows: ReadonlyArray<UsageRow>,
  madeAt: Iterable<number>
): ReadonlyArray<CleanedCell> => {
  const made = madeAmong(rows, madeAt)
  let at = 0
  const cells = new Map<string, CleanedCell>()
  for (const { usage, requests } of rows) {
    const bookedFrom = usage.booked_at - (((usage.booked_at % CELL_MS) + CELL_MS) % CELL_MS)
    const subject = subjectOf(usage)
    const key = cellKeyOf(subject)
    while ((made[at + 1] ?? Number.POSITIVE_INFINITY) < usage.usage_seq) at += 1
    const afterSeq = made[at] ?? 0
    const place = `${bookedFrom} ${usage.currency} ${afterSeq} ${key}`
    const before = cells.get(place)
    const cell = {
      bookedFrom,
      currency: usage.currency,
      afterSeq,
      key,
      subject,
      rows: 1,
      requests,
      promptTokens: usage.prompt_tokens,
      completionTokens: usage.completion_tokens,
      totalTokens: usage.total_tokens,
      cost: usage.cost,
      converted: convertedOf(usage)
    }
    cells.set(place, before === undefined ? cell : sumOfCells(before, cell))
  }
  return [...cells.values()]
}

const isOld = ({ usage }: UsageRow, before: Millis): boolean =>
  usage.recorded_at < before && usage.booked_at < before

/** The first of these rows, up to one that is not old: numbers of rows that are gone are the first ones, without a gap. */
export const oldestOf = (rows: ReadonlyArray<UsageRow>, before: Millis): ReadonlyArray<UsageRow> => {
  const end = rows.findIndex((row) => !isOld(row, before))
  return end === -1 ? rows : rows.slice(0, end)
}

function* madeAt({ budgets }: Ledger): Generator<number> {
  for (const { definition } of budgets.values()) yield definition.sinceSeq
}

/** Takes the rows that were read for it. */
export const cleanUsage = (
  ledger: Ledger,
  { before }: SignalPayload<"clean_usage">
): Decision<SignalSuccess<"clean_usage">> => {
  const rows = ledger.cleaning.takeOld()
  if (rows.length > 0) {
    const seqs = rows.map(({ usage }) => usage.usage_seq)
    ledger.cleaning.put({ before, seqs, cells: cellsOf(rows, madeAt(ledger)) })
    // Memory knows no more of them than the store does, so that an answer does not depend on what is at hand.
    for (const { usage } of rows) ledger.request(usage.request_id)?.forgetUsage(usage.usage_seq)
  }
  return Result.succeed({ cleaned: rows.length })
}

export const recordCleanup = (
  ledger: Ledger,
  { before, usage_rows, ended_machines, refusals, answers }: SignalPayload<"record_cleanup">,
  principal: Principal,
  now: Millis
): Decision<SignalSuccess<"record_cleanup">> => {
  const after = {
    usage_rows,
    ...(ended_machines === undefined ? {} : { ended_machines }),
    ...(refusals === undefined ? {} : { refusals }),
    before: new Date(before).toISOString()
  }
  ledger.audit({
    principal,
    action: "cleanup_old_data",
    subject: ledger.tenant,
    before: null,
    after,
    at: now
  })
  if (answers !== null) {
    const { request_id: requestId, digest, result } = answers
    ledger.rememberCommand({ signal: "cleanup_old_data", requestId, digest, result })
  }
  return Result.succeed({ recorded: true })
}
