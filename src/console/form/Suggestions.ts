/**
 * Values that a field probably wants, from what the page has seen: budgets, models, agents, actors.
 *
 * Owns: where they come from. They are offered, never filled in.
 */
import type { RJSFSchema } from "@rjsf/utils"
import { ATTRIBUTION_FIELDS } from "../../signal/Attribution.ts"
import type { Model } from "../model/Model.ts"
import type { Definition } from "./Definitions.ts"

const PER_FIELD = 30

type Suggestions = ReadonlyMap<string, ReadonlySet<string>>

export const suggestionsIn = (model: Model): Suggestions => {
  const found = new Map<string, Set<string>>()
  const add = (field: string, value: string | undefined) => {
    const values = found.get(field) ?? new Set<string>()
    if (value !== undefined && value !== "" && values.size < PER_FIELD) values.add(value)
    found.set(field, values)
  }
  for (const call of model.calls.values()) {
    add("provider", call.provider)
    add("model", call.model)
    for (const field of ATTRIBUTION_FIELDS) add(field, call.attribution[field])
  }
  for (const { id } of model.budgets.values()) add("budget_id", id)
  for (const budget of model.budgets.values()) add("entity_id", budget.entity_id ?? undefined)
  for (const id of model.workflows.keys()) add("workflow_id", id)
  for (const id of model.overrides.keys()) add("override_id", id)
  for (const address of model.actors.keys()) add("address", address)
  return found
}

/** The same definition with the suggestions beside its text fields. */
export const withSuggestions = (definition: Definition, suggestions: Suggestions): Definition => {
  const properties = Object.fromEntries(
    Object.entries(definition.schema.properties ?? {}).map(([field, schema]) => {
      const values = suggestions.get(field)
      if (values === undefined || values.size === 0 || typeof schema !== "object") return [field, schema]
      return [field, { ...(schema as RJSFSchema), examples: [...values] }]
    })
  )
  return { ...definition, schema: { ...definition.schema, properties } }
}
