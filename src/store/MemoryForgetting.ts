/**
 * Forgetting a user in a store in memory: the same steps as on Postgres.
 *
 * Owns: renaming what a tenant's maps hold, a whole table in a step. Keys, pseudonyms and finished calls are no part of
 * this store.
 */
import type { Schema } from "effect"
import type { ForgetDone, ForgetStep } from "../tokens/ForgetSteps.ts"
import {
  type Names,
  renamedAlert,
  renamedBooking,
  renamedCell,
  renamedJson,
  renamedKey,
  renamedWords
} from "../tokens/Forgetting.ts"
import type {
  AlertRow,
  AuditRow,
  BudgetDefinition,
  CommandRow,
  HoldRow,
  PeriodRow,
  UsageRow
} from "../tokens/LedgerStore.ts"
import { type Renaming, renamedUsage } from "../tokens/Renaming.ts"
import { EVERYBODY } from "../tokens/StandingKey.ts"
import type { MemoryCells } from "./MemoryCells.ts"
import type { MemoryOverrides } from "./MemoryOverrides.ts"
import type { EndedRequest, HoldPage } from "./OpenHolds.ts"

/** What of a tenant names users. */
export interface Forgettable {
  readonly head: { readonly usageSeq: number }
  readonly usage: Array<UsageRow>
  readonly cells: MemoryCells
  readonly requests: Map<string, EndedRequest>
  readonly pages: Map<number, HoldPage>
  readonly budgets: Map<string, BudgetDefinition>
  readonly periods: Map<string, Map<number, PeriodRow>>
  readonly overrides: MemoryOverrides
  readonly alerts: Map<number, AlertRow>
  readonly commands: Map<string, CommandRow>
  readonly audit: Array<AuditRow>
  readonly renamings: Map<string, Renaming>
}

const holdOf = (hold: HoldRow, names: Names): HoldRow => ({
  ...hold,
  bookings: hold.bookings.map((booking) => renamedBooking(booking, names)),
  attribution:
    hold.attribution.user_id === names.from ? { ...hold.attribution, user_id: names.to } : hold.attribution
})

const usersOf = (tenant: Forgettable, entityId: string): ReadonlyArray<BudgetDefinition> =>
  [...tenant.budgets.values()].filter((it) => it.type === "user" && it.entityId === entityId)

const namesOf = (tenant: Forgettable, from: string, to: string): Names => ({
  from,
  to,
  budgets: new Set(usersOf(tenant, EVERYBODY).map(({ id }) => id))
})

const renameLive = (tenant: Forgettable, names: Names) => {
  const { from, to } = names
  const own = usersOf(tenant, from)
  for (const budget of own)
    tenant.budgets.set(budget.id, { ...budget, entityId: to, name: renamedWords(budget.name, names) })
  let periods = 0
  for (const [key, rows] of [...tenant.periods]) {
    const renamed = renamedKey(key, names)
    if (renamed === key) continue
    periods += rows.size
    tenant.periods.delete(key)
    tenant.periods.set(
      renamed,
      new Map([...rows].map(([start, row]) => [start, { ...row, budgetId: renamed }]))
    )
  }
  const overrides = tenant.overrides
    .page(
      { about: [{ type: "user", entityId: from }], now: 0 },
      Number.MAX_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER
    )
    .map((row) => ({
      ...row,
      entityId: to,
      budgetId: renamedKey(row.budgetId, names),
      reason: renamedWords(row.reason, names),
      note: row.note === null ? null : renamedWords(row.note, names)
    }))
  tenant.overrides.write(overrides)
  for (const [seq, page] of tenant.pages) {
    const holds = page.holds.map(({ requestId, hold }) => ({ requestId, hold: holdOf(hold, names) }))
    tenant.pages.set(seq, { ...page, holds })
  }
  return { budgets: own.length, periods, overrides: overrides.length }
}

const live = (tenant: Forgettable, step: Extract<ForgetStep, { readonly kind: "live" }>): ForgetDone => {
  const { from } = step
  const counts = { budgets: 0, periods: 0, overrides: 0, keys: [] }
  const nothing = { to: step.to, isResumed: false, hadPseudonym: false, ...counts }
  if (from === null) return { changed: 0, next: null, live: nothing }
  const begun = tenant.renamings.get(from)
  if (begun !== undefined)
    return { changed: 0, next: null, live: { ...nothing, to: begun.to, isResumed: true } }
  tenant.renamings.set(from, { from, to: step.to, upToSeq: tenant.head.usageSeq })
  const renamed = renameLive(tenant, namesOf(tenant, from, step.to))
  return { changed: 0, next: null, live: { ...nothing, ...renamed } }
}

type Change = (tenant: Forgettable, names: Names) => number

/** Puts what is renamed in the place of what is not, and counts. */
const inPlace = <Key, Row>(rows: Map<Key, Row>, rename: (row: Row) => Row): number => {
  let changed = 0
  for (const [key, row] of rows) {
    const renamed = rename(row)
    if (renamed === row) continue
    rows.set(key, renamed)
    changed += 1
  }
  return changed
}

const HISTORIES: { readonly [Table in Exclude<ForgetStep["kind"], "live" | "end">]: Change } = {
  usage: (tenant, { from }) => {
    const renaming = tenant.renamings.get(from)
    let changed = 0
    for (const [index, row] of tenant.usage.entries()) {
      const usage = renaming === undefined ? row.usage : renamedUsage(row.usage, [renaming])
      if (usage === row.usage) continue
      tenant.usage[index] = { ...row, usage }
      changed += 1
    }
    return changed
  },
  requests: (tenant, names) =>
    inPlace(tenant.requests, (ended) => {
      const { hold } = ended.row
      if (hold === null || hold.attribution.user_id !== names.from) return ended
      return { ...ended, row: { ...ended.row, hold: holdOf(hold, names) } }
    }),
  cells: (tenant, names) => tenant.cells.rename(names.from, (cell) => renamedCell(cell, names)),
  audit: (tenant, names) => {
    let changed = 0
    for (const [index, row] of tenant.audit.entries()) {
      const json = JSON.parse(row.body ?? "null") as Schema.Json
      if (renamedJson(json, names) === json) continue
      tenant.audit[index] = { ...row, salt: null, body: null }
      changed += 1
    }
    return changed
  },
  alerts: (tenant, names) => {
    const own = new Set(usersOf(tenant, names.to).map(({ id }) => id))
    return inPlace(tenant.alerts, (row) => {
      const alert = renamedAlert(row.alert, names, own)
      return alert === row.alert ? row : { ...row, alert }
    })
  },
  commands: (tenant, names) =>
    inPlace(tenant.commands, (row) => {
      const result = renamedJson(row.result, names)
      return result === row.result ? row : { ...row, result }
    })
}

export const forgetInMemory = (tenant: Forgettable, step: ForgetStep): ForgetDone => {
  if (step.kind === "live") return live(tenant, step)
  if (step.kind === "end") {
    tenant.renamings.delete(step.from)
    return { changed: 0, next: null }
  }
  return { changed: HISTORIES[step.kind](tenant, namesOf(tenant, step.from, step.to)), next: null }
}
