/**
 * Finding signals in the log, and reading why one was refused.
 *
 * Owns: the filter's little language (words, all must match; `field:word` looks in one field) and what a refusal says.
 */
import type { Violation } from "../../signal/Errors.ts"
import { isFailure, isRefusal } from "../../signal/Refusals.ts"
import type { LogEntry, WireRecord } from "./Model.ts"

export type WireViolation = typeof Violation.Encoded
export type OutcomeFilter = "all" | "refused" | "failed"

const FIELDS = {
  signal: (record: WireRecord) => record.signal,
  address: (record: WireRecord) => record.address,
  outcome: (record: WireRecord) => record.outcome,
  request: (record: WireRecord) => record.request_id ?? "",
  key: (record: WireRecord) => record.principal,
  reason: (record: WireRecord) => record.reason ?? "",
  payload: (record: WireRecord) => JSON.stringify(record.payload)
} as const

const haystack = (record: WireRecord): string =>
  `${record.signal}\n${record.address}\n${record.outcome}\n${record.request_id ?? ""}\n${record.principal}\n${record.reason ?? ""}`.toLowerCase()

type Test = (record: WireRecord) => boolean

const testOf = (word: string): Test => {
  const [, field, value] = /^([a-z]+):(.+)$/u.exec(word) ?? []
  if (field !== undefined && value !== undefined && Object.hasOwn(FIELDS, field)) {
    const read = FIELDS[field as keyof typeof FIELDS]
    return (record) => read(record).toLowerCase().includes(value)
  }
  return (record) => haystack(record).includes(word)
}

/** Does this entry pass? Gaps always do: they say what is missing between the others. */
export const filterOf = (text: string, outcome: OutcomeFilter): ((entry: LogEntry) => boolean) => {
  const tests = text
    .toLowerCase()
    .split(/\s+/u)
    .filter((word) => word !== "")
    .map(testOf)
  return (entry) => {
    if (entry.kind === "gap") return true
    const { record } = entry
    if (outcome === "refused" && !isRefusal(record)) return false
    if (outcome === "failed" && !isFailure(record)) return false
    return tests.every((test) => test(record))
  }
}

/** The budgets that said no, as the answer of a refused signal names them. */
export const violationsIn = (answer: unknown): ReadonlyArray<WireViolation> => {
  if (typeof answer !== "object" || answer === null || !("violations" in answer)) return []
  return Array.isArray(answer.violations) ? (answer.violations as ReadonlyArray<WireViolation>) : []
}

/** When asking again could work, if the answer says so. */
export const retryAtIn = (answer: unknown): string | null => {
  if (typeof answer !== "object" || answer === null || !("retry_at" in answer)) return null
  return typeof answer.retry_at === "string" ? answer.retry_at : null
}
