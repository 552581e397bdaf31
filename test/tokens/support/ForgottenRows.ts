/**
 * Forgetting a user in rows in memory, a table in a step, as a store does it; and whether rows still name him.
 *
 * What stands in place of a name is the product's own rule (Forgetting): here it is only where names are.
 */
import type { Schema } from "effect"
import type { CleanedCell } from "../../../src/tokens/CleanedUsage.ts"
import type { ForgetDone, ForgetStep, HistoryTable } from "../../../src/tokens/ForgetSteps.ts"
import {
  type Names,
  renamedAlert,
  renamedBooking,
  renamedCell,
  renamedJson,
  renamedKey
} from "../../../src/tokens/Forgetting.ts"
import type {
  AuditRow,
  BudgetDefinition,
  CommandRow,
  HoldRow,
  OpenHold,
  OverrideRow,
  PeriodRow,
  RaisedAlert,
  RequestRow,
  UsageRow
} from "../../../src/tokens/LedgerStore.ts"
import { type Renaming, renamedUsage } from "../../../src/tokens/Renaming.ts"
import { EVERYBODY } from "../../../src/tokens/StandingKey.ts"

/** What of a tenant's rows names users. */
interface Rows {
  readonly head: { readonly usageSeq: number }
  readonly usage: Array<UsageRow>
  readonly requests: Map<string, RequestRow>
  readonly open: Map<string, OpenHold & { readonly page: number }>
  readonly budgets: Map<string, BudgetDefinition>
  readonly periods: Map<string, PeriodRow>
  readonly overrides: Map<string, OverrideRow>
  readonly cells: Map<string, CleanedCell>
  readonly alerts: Array<RaisedAlert>
  readonly commands: Map<string, CommandRow>
  readonly audit: Array<AuditRow>
  readonly renamings: Array<Renaming>
}

const budgetsOf = ({ budgets }: Rows, entityId: string): ReadonlyArray<BudgetDefinition> =>
  [...budgets.values()].filter((budget) => budget.type === "user" && budget.entityId === entityId)

const renamedHold = (hold: HoldRow, names: Names): HoldRow => ({
  ...hold,
  bookings: hold.bookings.map((booking) => renamedBooking(booking, names)),
  attribution:
    hold.attribution.user_id === names.from ? { ...hold.attribution, user_id: names.to } : hold.attribution
})

/** Each row of a map as it is to be; where its place says a name, at another place. */
const renameAll = <Row>(
  rows: Map<string, Row>,
  rename: (row: Row) => Row,
  placeOf?: (row: Row) => string
) => {
  const renamed = [...rows].map(([place, row]) => {
    const next = rename(row)
    return [placeOf?.(next) ?? place, next] as const
  })
  rows.clear()
  for (const [place, row] of renamed) rows.set(place, row)
}

const renameLive = (rows: Rows, names: Names): void => {
  const { from, to } = names
  for (const budget of budgetsOf(rows, from)) rows.budgets.set(budget.id, { ...budget, entityId: to })
  renameAll(
    rows.periods,
    (row) => ({ ...row, budgetId: renamedKey(row.budgetId, names) }),
    ({ budgetId, start }) => `${budgetId} ${start}`
  )
  renameAll(rows.overrides, (row) => ({
    ...row,
    budgetId: renamedKey(row.budgetId, names),
    entityId: row.type === "user" && row.entityId === from ? to : row.entityId
  }))
  renameAll(rows.open, (row) => ({ ...row, hold: renamedHold(row.hold, names) }))
}

const HISTORIES: { readonly [Table in HistoryTable]: (rows: Rows, names: Names) => void } = {
  usage: (rows) => {
    for (const [index, row] of rows.usage.entries())
      rows.usage[index] = { ...row, usage: renamedUsage(row.usage, rows.renamings) }
  },
  requests: (rows, names) =>
    renameAll(rows.requests, (row) =>
      row.hold === null ? row : { ...row, hold: renamedHold(row.hold, names) }
    ),
  cells: (rows, names) =>
    renameAll(
      rows.cells,
      (cell) => (cell.subject.user_id === names.from ? renamedCell(cell, names) : cell),
      (cell) => `${cell.bookedFrom} ${cell.currency} ${cell.afterSeq} ${cell.key}`
    ),
  audit: (rows, names) => {
    for (const [index, row] of rows.audit.entries()) {
      const body = JSON.parse(row.body ?? "null") as Schema.Json
      if (renamedJson(body, names) !== body) rows.audit[index] = { ...row, salt: null, body: null }
    }
  },
  alerts: (rows, names) => {
    const own = new Set(budgetsOf(rows, names.to).map(({ id }) => id))
    for (const [index, row] of rows.alerts.entries())
      rows.alerts[index] = { ...row, alert: renamedAlert(row.alert, names, own) }
  },
  commands: (rows, names) =>
    renameAll(rows.commands, (row) => ({ ...row, result: renamedJson(row.result, names) }))
}

export const forgetRows = (rows: Rows, step: ForgetStep): ForgetDone => {
  const done: ForgetDone = { changed: 0, next: null }
  if (step.from === null) throw new Error("there are no pseudonyms here")
  if (step.kind === "end") {
    rows.renamings.length = 0
    return done
  }
  const ofUsers = new Set(budgetsOf(rows, EVERYBODY).map(({ id }) => id))
  const names: Names = { from: step.from, to: step.to, budgets: ofUsers }
  if (step.kind === "live") {
    // It was begun before, and is brought to its end.
    if (rows.renamings.length > 0) return done
    rows.renamings.push({ from: step.from, to: step.to, upToSeq: rows.head.usageSeq })
    renameLive(rows, names)
  } else HISTORIES[step.kind](rows, names)
  return done
}

/** Where the rows name a user, be it in somebody's words; `undefined`: nowhere. */
export const nameIn = (rows: Rows, user: string): string | undefined => {
  const word = new RegExp(`(?<!\\w)${user}(?!\\w)`, "u")
  const { usage, requests, open, budgets, periods, overrides, cells, alerts, commands, audit } = rows
  const tables = { usage, requests, open, budgets, periods, overrides, cells, alerts, commands, audit }
  for (const [table, held] of Object.entries(tables)) {
    for (const row of held instanceof Map ? held : held.values()) {
      const text = JSON.stringify(row, (_, value) => (typeof value === "bigint" ? `${value}` : value))
      if (word.test(text)) return `${table}: ${text}`
    }
  }
  return undefined
}
