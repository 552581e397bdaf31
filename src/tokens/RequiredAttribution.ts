/**
 * Fields of attribution that the configuration requires.
 *
 * Owns: refusing to spend without them, and telling of a report that lacks them.
 * Does not decide: which budgets a field leads to (BudgetIndex).
 *
 * A call is refused before it is made. What was spent already is recorded, whatever is missing: refusing the report
 * would not bring the money back, and would lose the record of it.
 */
import type { Attribution, AttributionField } from "../signal/Attribution.ts"
import type { Alert } from "../signal/Budget.ts"
import { InvalidParams } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { type Millis, toSentence } from "../signal/Text.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import type { Ledger } from "./Ledger.ts"

const NONE: ReadonlyArray<AttributionField> = []

const missingIn = (ledger: Ledger, attribution: Attribution): ReadonlyArray<AttributionField> => {
  const required = ledger.config.required_attribution
  return required.length === 0 ? NONE : required.filter((field) => attribution[field] === undefined)
}

/** Why a call may not be made as it is attributed, or `undefined`. */
export const attributionProblem = (ledger: Ledger, attribution: Attribution): InvalidParams | undefined => {
  const missing = missingIn(ledger, attribution)
  if (missing.length === 0) return undefined
  const message = "This tenant requires it: say who or what the call is for"
  return new InvalidParams({
    message: `${missing.join(", ")}: ${message}`,
    issues: missing.map((field) => ({ path: [field], message }))
  })
}

/** Combinations of key and missing fields that are told of, until the next activation. */
const TOLD_MAX = 10_000

/** Says once for each key and what it leaves out, until the next activation, that usage is reported without it. */
export const raiseUnattributedAlert = (
  ledger: Ledger,
  usage: TokenUsage,
  principal: Principal,
  at: Millis
): ReadonlyArray<Alert> => {
  const missing = missingIn(ledger, usage)
  if (missing.length === 0) return []
  const key = `${principal.keyId}\n${missing.join()}`
  if (ledger.unattributedTold.has(key) || ledger.unattributedTold.size >= TOLD_MAX) return []
  ledger.unattributedTold.add(key)
  return [
    ledger.raiseAlert({
      kind: "anomaly",
      severity: "warning",
      message: toSentence(
        `Usage is reported without ${missing.join(", ")}, which this tenant requires; it is recorded, and budgets about them do not count it`
      ),
      at,
      data: { missing, key_id: principal.keyId, request_id: usage.request_id }
    })
  ]
}
