/**
 * What a ledger has decided since its last seal.
 *
 * Owns: the list of it, so that nothing that is decided can be left out of a batch. Does not decide: what is in it.
 */
import type { Price } from "../signal/Price.ts"
import type { PeriodRecord } from "./BudgetPeriods.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { AuditRow, CommandRow, RaisedAlert, RecipientRow, UsageRow } from "./LedgerStore.ts"
import type { RateRow } from "./RateBook.ts"
import type { RequestRecord } from "./RequestRecord.ts"

export interface Draft {
  usage: Array<UsageRow>
  /** Each once, told by `changedIn`; like the periods. */
  requests: Array<RequestRecord>
  /** Made when one changes: that is seldom. */
  budgets: Set<BudgetRecord> | undefined
  periods: Array<PeriodRecord>
  prices: Array<Price>
  rates: Array<RateRow>
  alerts: Array<RaisedAlert>
  recipients: ReadonlyArray<RecipientRow> | undefined
  commands: Array<CommandRow>
  audit: Array<AuditRow>
  isConfigChanged: boolean
}

export const emptyDraft = (): Draft => ({
  usage: [],
  requests: [],
  budgets: undefined,
  periods: [],
  prices: [],
  rates: [],
  alerts: [],
  recipients: undefined,
  commands: [],
  audit: [],
  isConfigChanged: false
})

/** Recipients never change without the configuration. */
export const hasEntries = (draft: Draft): boolean =>
  draft.requests.length > 0 ||
  draft.usage.length > 0 ||
  draft.periods.length > 0 ||
  draft.budgets !== undefined ||
  draft.alerts.length > 0 ||
  draft.prices.length > 0 ||
  draft.rates.length > 0 ||
  draft.commands.length > 0 ||
  draft.audit.length > 0 ||
  draft.isConfigChanged
