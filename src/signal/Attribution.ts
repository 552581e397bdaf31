/**
 * Who and what a call is for.
 *
 * Owns: the fields of attribution and how a key's forced attribution joins a payload.
 * Does not decide: which budgets match (tokens/), or who may ask (Authorization).
 */
import { Schema } from "effect"
import { isPseudonym } from "./Pseudonym.ts"
import { Id, optional, Tags } from "./Text.ts"

/** The attribution fields that hold one id each; `tags` stands beside them. */
export const ATTRIBUTION_FIELDS = [
  "user_id",
  "team_id",
  "project_id",
  "feature",
  "agent",
  "operation",
  "operation_id",
  "task_id",
  "workflow_id",
  "conversation_id",
  "parent_request_id"
] as const

export const AttributionField = Schema.Literals(ATTRIBUTION_FIELDS)
export type AttributionField = typeof AttributionField.Type

/** The same optional fields in every signal that spends, asks or filters. */
export const attributionFields = {
  /**
   * The user whom it is for; matches budgets of the type `user`. With `anonymize_users` a pseudonym stands in its
   * place.
   */
  user_id: optional(Id),
  /** Matches budgets of the type `team`. */
  team_id: optional(Id),
  /** Matches budgets of the type `project`. */
  project_id: optional(Id),
  /** The part of a product that it is for; matches budgets of the type `feature`. */
  feature: optional(Id),
  /** The agent that acts; matches budgets of the type `agent`. */
  agent: optional(Id),
  /** The kind of work, such as a workflow's name; matches budgets of the type `operation`. */
  operation: optional(Id),
  /** One run of an operation; for filters, no budget matches it. */
  operation_id: optional(Id),
  /** One task; for filters, no budget matches it. */
  task_id: optional(Id),
  /** One run of a workflow; matches budgets of the type `workflow`. */
  workflow_id: optional(Id),
  /** One conversation; matches budgets of the type `conversation`. */
  conversation_id: optional(Id),
  /** The request that led to this one; for filters, no budget matches it. */
  parent_request_id: optional(Id),
  /** Up to 16 of your own names with a value each; for filters, no budget matches them. */
  tags: optional(Tags)
}

export const Attribution = Schema.Struct(attributionFields).annotate({ identifier: "Attribution" })
export type Attribution = typeof Attribution.Type

/** Only the attribution out of a payload that carries more. */
export const attributionOf = (payload: Attribution): Attribution => {
  const attribution: Record<string, unknown> = {}
  for (const field of ATTRIBUTION_FIELDS) {
    if (payload[field] !== undefined) attribution[field] = payload[field]
  }
  if (payload.tags !== undefined) attribution.tags = payload.tags
  return attribution as Attribution
}

/** Most keys force nothing, and every signal asks. */
const isEmpty = (attribution: Attribution): boolean => {
  for (const _ in attribution) return false
  return true
}

type IsSame = (field: AttributionField, said: string, must: string) => boolean

const isEqual: IsSame = (_, said, must) => said === must

/** A user and a pseudonym may be the same. */
const mayBeSame: IsSame = (field, said, must) =>
  said === must || (field === "user_id" && isPseudonym(said) !== isPseudonym(must))

const contradiction = (payload: Attribution, forced: Attribution, isSame: IsSame): string | undefined => {
  if (isEmpty(forced)) return undefined
  for (const field of ATTRIBUTION_FIELDS) {
    const [said, must] = [payload[field], forced[field]]
    if (must !== undefined && said !== undefined && !isSame(field, said, must)) return field
  }
  for (const [name, value] of Object.entries(forced.tags ?? {})) {
    const given = payload.tags?.[name]
    if (given !== undefined && given !== value) return `tags.${name}`
  }
  return undefined
}

/** The first field in which `payload` contradicts `forced`, or `undefined`. Tags are compared one by one. */
export const contradictionWith = (payload: Attribution, forced: Attribution): string | undefined =>
  contradiction(payload, forced, isEqual)

/** The same as far as a door can tell: whether a user has some pseudonym is found out behind it (runtime/Disguise). */
export const contradictionAtDoor = (payload: Attribution, forced: Attribution): string | undefined =>
  contradiction(payload, forced, mayBeSame)

/** Whether something is attributed as `forced` says, in every field. Whatever a forced key does is. */
export const isAttributedAs = (attribution: Attribution, forced: Attribution): boolean => {
  if (isEmpty(forced)) return true
  for (const field of ATTRIBUTION_FIELDS) {
    if (forced[field] !== undefined && forced[field] !== attribution[field]) return false
  }
  return Object.entries(forced.tags ?? {}).every(([name, value]) => attribution.tags?.[name] === value)
}

/** Whether `fallback` has nothing to add: then nothing has to be copied. */
const hasAllOf = (payload: Attribution, fallback: Attribution): boolean => {
  if (isEmpty(fallback)) return true
  if (fallback.tags !== undefined) return false
  for (const field of ATTRIBUTION_FIELDS) {
    if (fallback[field] !== undefined && payload[field] === undefined) return false
  }
  return true
}

/** `payload` with the fields of `fallback` where it has none of its own. Tags are merged one by one. */
export const mergeAttribution = <P extends Attribution>(payload: P, fallback: Attribution): P => {
  if (hasAllOf(payload, fallback)) return payload
  const merged: Record<string, unknown> = { ...fallback, ...payload }
  if (fallback.tags !== undefined && payload.tags !== undefined) {
    merged.tags = { ...fallback.tags, ...payload.tags }
  }
  return merged as P
}
