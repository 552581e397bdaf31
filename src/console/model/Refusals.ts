/**
 * Kept refusals, as they are found and shown.
 *
 * Owns: the words of the filter (`field: value`, all must match; a word alone is a request) and back into text, so that
 * a filter stands in an address.
 * Does not decide: what is kept, and what matches (the runtime, which compares whole values).
 */
import { ATTRIBUTION_FIELDS } from "../../signal/Attribution.ts"
import type { SignalParams, SignalResult } from "../../signal/Catalogue.ts"
import { pagesOf } from "./Pages.ts"

export type WireRefusal = SignalResult<"list_refusals">["items"][number]

/** What the runtime keeps of a tenant. */
export const REFUSALS_KEPT = 10_000
/** Refusals shown at once; others are found by a filter. */
export const REFUSALS_MAX = 1_000

export const afterRefusals = pagesOf<WireRefusal>(({ refusal_id }) => refusal_id, REFUSALS_MAX)

const FIELDS = ["request_id", "budget_id", ...ATTRIBUTION_FIELDS] as const
export type RefusalField = (typeof FIELDS)[number]
export type RefusalFilter = Pick<SignalParams<"list_refusals">, RefusalField>

export type FilterRead =
  | { readonly filter: RefusalFilter; readonly problem: null }
  | { readonly filter: null; readonly problem: string }

/** `request:` and `request_id:` are the same. */
const fieldNamed = (name: string): RefusalField | undefined =>
  FIELDS.find((field) => field === name.toLowerCase() || field === `${name.toLowerCase()}_id`)

const WORD = /(?:([a-z_]+):\s*)?("(?:[^"\\]|\\.)*"|\S+)/giu

/** A value with blanks or quotes stands in quotes, as in JSON. */
const unquoted = (text: string): string => {
  if (!text.startsWith('"')) return text
  try {
    return String(JSON.parse(text))
  } catch {
    return text
  }
}

export const readFilter = (text: string): FilterRead => {
  const filter: { [F in RefusalField]?: string } = {}
  const failed = (problem: string): FilterRead => ({ filter: null, problem })
  for (const [word, name, rest = ""] of text.trim().matchAll(WORD)) {
    const field = name === undefined ? undefined : fieldNamed(name)
    // An id may hold colons of its own: only one with a blank behind it was meant for a field.
    if (name !== undefined && field === undefined && /^\S+:\s/u.test(word))
      return failed(`There is no field ${name}: there are ${FIELDS.join(", ")}.`)
    if (name === undefined && word.endsWith(":") && fieldNamed(word.slice(0, -1)) !== undefined)
      return failed(`${word} needs a value.`)
    const wanted = field ?? "request_id"
    const value = unquoted(field === undefined ? word : rest)
    if (filter[wanted] !== undefined)
      return failed(
        `There are two values for ${wanted}, ${filter[wanted]} and ${value}. A value with blanks stands in quotes: user_id:"Ann Lee".`
      )
    filter[wanted] = value
  }
  return { filter, problem: null }
}

/** Whether a request's id would be read as a field and its value. */
const looksLikeField = (id: string): boolean => fieldNamed(/^([a-z_]+):/iu.exec(id)?.[1] ?? "") !== undefined

/** A filter as the words that mean it. */
export const filterText = (filter: RefusalFilter): string =>
  filterParts(filter)
    .map(([field, value]) => {
      const text = /[\s"]/u.test(value) ? JSON.stringify(value) : value
      return field === "request_id" && !looksLikeField(value) ? text : `${field}:${text}`
    })
    .join(" ")

/** What it asks for, field by field. */
export const filterParts = (filter: RefusalFilter): ReadonlyArray<readonly [RefusalField, string]> =>
  FIELDS.flatMap((field) => {
    const value = filter[field]
    return value === undefined ? [] : [[field, value] as const]
  })

/** Whom and what a refused call was for, field by field; tags last. */
export const forWhomParts = ({
  attribution
}: Pick<WireRefusal, "attribution">): ReadonlyArray<readonly [string, string, RefusalFilter | null]> => [
  ...ATTRIBUTION_FIELDS.flatMap((field) => {
    const value = attribution[field]
    return value === undefined ? [] : [[field, value, { [field]: value }] as const]
  }),
  ...Object.entries(attribution.tags ?? {}).map(([name, value]) => [`tag ${name}`, value, null] as const)
]

export const KIND_SAYS: { readonly [Kind in WireRefusal["kind"]]: string } = {
  no_room: "no room",
  unknown_price: "unknown price",
  no_standing: "no standing"
}
