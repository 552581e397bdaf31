/**
 * The key that the periods and holds of a standing of a default are kept under: `BUDGET_ID/ENTITY`.
 *
 * Owns: how it is made and taken apart. A budget's id has no "/"; an entity may have some.
 */

/** The entity of a default: everybody who has no budget of that type and period. */
export const EVERYBODY = "*"

export const standingKey = (budgetId: string, entityId: string): string => `${budgetId}/${entityId}`

/** The budget whose definition holds, for a budget's id as well as for a standing's key. */
export const definitionIdOf = (key: string): string => {
  const slash = key.indexOf("/")
  return slash === -1 ? key : key.slice(0, slash)
}

/** The entity of a standing's key; `undefined` for the id of a budget. */
export const entityOfKey = (key: string): string | undefined => {
  const slash = key.indexOf("/")
  return slash === -1 ? undefined : key.slice(slash + 1)
}
