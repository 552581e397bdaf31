/**
 * What overrides add to the periods that they are of.
 *
 * Owns: adding them up. Does not decide: when an override counts (Overrides: in force, or it lasted until the end).
 */
import type { Amount } from "../../signal/Money.ts"
import type { OverrideRow } from "../LedgerStore.ts"
import type { Stored } from "./BooksReader.ts"
import { periodKey } from "./Checkpoint.ts"
import type { Findings } from "./Findings.ts"

const STATUSES: ReadonlyArray<string> = ["pending", "approved", "denied", "expired"]

const counts = ({ status, expiresAt, periodEnd }: OverrideRow): boolean =>
  status === "approved" || (status === "expired" && expiresAt === periodEnd)

/** Adds an override up. */
export const addOverride = (
  findings: Findings,
  totals: Map<string, Amount>,
  stored: Stored<number, OverrideRow>
): void => {
  const key = `override_seq ${stored.key}`
  if (stored.row === undefined) {
    findings.differs("budget_override", key, "row", stored.problem, "an override")
    return
  }
  const { row } = stored
  if (!STATUSES.includes(row.status))
    findings.differs("budget_override", key, "status", row.status, STATUSES.join(" or "))
  if (row.status === "approved" && row.approvedAmount === null)
    findings.differs("budget_override", key, "approved_amount", null, "an amount: it is approved")
  if (row.approvedAmount === null || !counts(row)) return
  const period = periodKey(row.budgetId, row.periodStart)
  totals.set(period, (totals.get(period) ?? 0n) + row.approvedAmount)
}
