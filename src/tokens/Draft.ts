/** What one ledger has decided since its last seal; it becomes a batch (Ledger). */
import type { Price } from "../signal/Price.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { AuditRow, CommandRow, RaisedAlert, RecipientRow, UsageRow } from "./LedgerStore.ts"
import type { RequestRecord } from "./RequestRecord.ts"

/** What changed since the last seal. */
export interface Draft {
  usage: Array<UsageRow>
  /** Each once, told by `changedIn`; like the periods. */
  requests: Array<RequestRecord>
  budgets: Set<BudgetRecord>
  periods: Array<PeriodRecord>
  prices: Array<Price>
  alerts: Array<RaisedAlert>
  recipients: ReadonlyArray<RecipientRow> | undefined
  commands: Array<CommandRow>
  audit: Array<AuditRow>
  isConfigChanged: boolean
}

export const emptyDraft = (): Draft => ({
  usage: [],
  requests: [],
  budgets: new Set(),
  periods: [],
  prices: [],
  alerts: [],
  recipients: undefined,
  commands: [],
  audit: [],
  isConfigChanged: false
})
