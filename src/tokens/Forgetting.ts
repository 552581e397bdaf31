/**
 * A user who is forgotten, wherever something still names him.
 *
 * Owns: what of a row names a user, and what stands there afterwards. What is a figure is renamed; what is somebody's
 * wording keeps its words but for the name.
 * Does not decide: in which order rows are renamed (Forget), or how they are found (store/).
 */
import type { Schema } from "effect"
import type { Alert } from "../signal/Budget.ts"
import type { CleanedCell } from "./CleanedUsage.ts"
import { cellKeyOf } from "./Cleaning.ts"
import type { Booking } from "./LedgerRows.ts"
import { definitionIdOf, entityOfKey, standingKey } from "./StandingKey.ts"

/** From one name to another. */
export interface Names {
  readonly from: string
  readonly to: string
  /** The budgets about users: a standing in one of them is a user's. */
  readonly budgets: ReadonlySet<string>
}

/** The key of a standing under its new name; any other key stays. */
export const renamedKey = (key: string, { from, to, budgets }: Names): string =>
  entityOfKey(key) === from && budgets.has(definitionIdOf(key)) ? standingKey(definitionIdOf(key), to) : key

export const renamedBooking = (booking: Booking, names: Names): Booking => ({
  ...booking,
  budgetId: renamedKey(booking.budgetId, names)
})

const WORDS_MAX = 200

/** Somebody's wording about the user. */
export const renamedWords = (words: string, { from, to }: Pick<Names, "from" | "to">): string => {
  if (!words.includes(from)) return words
  const renamed = words.replaceAll(from, to)
  return renamed.length <= Math.max(WORDS_MAX, words.length)
    ? renamed
    : words.replaceAll(from, "…").slice(0, WORDS_MAX).toWellFormed()
}

export const renamedCell = (cell: CleanedCell, { to }: Pick<Names, "to">): CleanedCell => {
  const subject = { ...cell.subject, user_id: to }
  return { ...cell, subject, key: cellKeyOf(subject) }
}

type Fields = { readonly [field: string]: Schema.Json }

const isFields = (json: Schema.Json): json is Fields =>
  typeof json === "object" && json !== null && !Array.isArray(json)

/** Whether the fields themselves say that they are about the user. */
const isAbout = (fields: Fields, { from, budgets }: Names): boolean => {
  if (fields.user_id === from) return true
  if (fields.type === "user" && fields.entity_id === from) return true
  const data = fields.data
  const isAlert = data !== undefined && isFields(data) && typeof fields.budget_id === "string"
  return isAlert && data.entity_id === from && budgets.has(fields.budget_id as string)
}

/** What people read, in what is about the user. */
const WORDED: ReadonlySet<string> = new Set(["name", "message", "reason", "note"])

/** Any JSON of ours under the new name; the same value where nothing in it names the user. */
export const renamedJson = (json: Schema.Json, names: Names): Schema.Json => {
  if (Array.isArray(json)) {
    const items = json.map((item) => renamedJson(item, names))
    return items.some((item, index) => item !== json[index]) ? items : json
  }
  if (!isFields(json)) return json
  const isHis = isAbout(json, names)
  let isChanged = isHis
  const renamed: { [field: string]: Schema.Json } = {}
  for (const [field, value] of Object.entries(json)) {
    let now = renamedJson(value, names)
    if (isHis && value === names.from && (field === "user_id" || field === "entity_id")) now = names.to
    if (isHis && WORDED.has(field) && typeof value === "string") now = renamedWords(value, names)
    if (isHis && field === "data" && isFields(now) && now.entity_id === names.from)
      now = { ...now, entity_id: names.to }
    isChanged ||= now !== value
    renamed[field] = now
  }
  return isChanged ? renamed : json
}

/** Alerts of a user's own budget say its name, which may be his. */
export const renamedAlert = (alert: Alert, names: Names, own: ReadonlySet<string>): Alert => {
  const renamed = renamedJson(alert as unknown as Schema.Json, names) as unknown as Alert
  const isOwn = alert.budget_id !== undefined && own.has(alert.budget_id)
  return isOwn && renamed.message.includes(names.from)
    ? { ...renamed, message: renamedWords(renamed.message, names) }
    : renamed
}
