/**
 * Which holds are open, whether they make sense, and what they keep.
 *
 * Owns: the consistency of a hold's state, and the sum of bookings by period.
 * Does not decide: which version of a hold counts (the reader's pages and requests say, by OpenHolds' rule).
 */
import type { Amount } from "../../signal/Money.ts"
import { formatAmount } from "../../signal/Money.ts"
import { formatTimestamp } from "../../signal/Text.ts"
import { requestIdOfHold } from "../HoldLife.ts"
import type { BudgetDefinition, HoldRow, OpenHold } from "../LedgerStore.ts"
import { definitionIdOf } from "../StandingKey.ts"
import type { StoredHead, StoredRequest } from "./BooksReader.ts"
import { periodKey } from "./Checkpoint.ts"
import type { Findings } from "./Findings.ts"

/** The version of an open hold in the last page that has one. */
export interface LastVersion extends OpenHold {
  readonly page: number
}

const problemOf = (hold: HoldRow): readonly [field: string, stored: string, expected: string] | undefined => {
  if (hold.expiresAt < hold.createdAt)
    return ["expires_at", formatTimestamp(hold.expiresAt), `after ${formatTimestamp(hold.createdAt)}`]
  if (hold.remainingCost < 0n || hold.remainingCost > hold.estimatedCost) {
    const expected = `0 to ${formatAmount(hold.estimatedCost)}`
    return ["remaining_cost", formatAmount(hold.remainingCost), expected]
  }
  if (hold.remainingTokens < 0 || hold.remainingTokens > hold.estimatedTokens)
    return ["remaining_tokens", String(hold.remainingTokens), `0 to ${hold.estimatedTokens}`]
  return undefined
}

/** What must be true of a hold in a page. */
export const checkOpen = (
  findings: Findings,
  { requestId, hold, page }: LastVersion,
  budgets: ReadonlyMap<string, BudgetDefinition>
): void => {
  const key = `journal_seq ${page}, request_id ${requestId}`
  findings.same("hold_page", key, "hold_id", requestIdOfHold(hold.id), requestId)
  const problem = problemOf(hold)
  if (problem !== undefined) findings.differs("hold_page", key, ...problem)
  for (const { budgetId, periodStart, amount } of hold.bookings) {
    if (!budgets.has(definitionIdOf(budgetId)))
      findings.differs("hold_page", key, "booking", budgetId, "a budget that is there")
    if (amount < 0n)
      findings.differs("hold_page", key, `booking in ${budgetId}`, formatAmount(amount), "0 or more")
    if (periodStart > hold.createdAt) {
      const expected = `until ${formatTimestamp(hold.createdAt)}`
      findings.differs("hold_page", key, `booking in ${budgetId}`, formatTimestamp(periodStart), expected)
    }
  }
}

/** Adds up what open holds keep. */
export const addHeld = (held: Map<string, Amount>, { bookings }: HoldRow): void => {
  for (const { budgetId, periodStart, amount } of bookings) {
    const key = periodKey(budgetId, periodStart)
    held.set(key, (held.get(key) ?? 0n) + amount)
  }
}

/** What must be true of a request whose last hold has ended, or that never had one. */
export const checkEnded = (
  findings: Findings,
  { request, endedIn }: StoredRequest,
  head: StoredHead
): void => {
  const key = `request_id ${request.requestId}`
  const differs = (field: string, stored: string, expected: string) =>
    findings.differs("request", key, field, stored, expected)
  const { hold, attempts } = request
  if (hold === null) {
    if (endedIn !== null) differs("ended_in", String(endedIn), "none: it has no hold")
    if (attempts.length === 0) differs("attempts", "none", "a hold or an attempt")
    return
  }
  findings.same("request", key, "hold_id", requestIdOfHold(hold.id), request.requestId)
  if (endedIn === null || endedIn >= head.journalSeq)
    differs("ended_in", endedIn === null ? "none" : String(endedIn), `a batch before ${head.journalSeq}`)
  if (hold.state === "held") differs("state", "held", "posted, released or expired")
  if (hold.state === "posted" && attempts.length === 0)
    differs("state", "posted", "released or expired: no attempt was recorded")
  if (hold.bookings.length > 0) differs("hold", `${hold.bookings.length} bookings`, "none: it has ended")
  if (hold.remainingCost !== 0n || hold.remainingTokens !== 0)
    differs("hold", `${formatAmount(hold.remainingCost)} remaining`, "0: it has ended")
}
