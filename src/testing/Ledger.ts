/**
 * What a ledger says, read as everybody reads it: by signals.
 *
 * Owns: short ways to ask for what tests ask most. Amounts are decimal strings.
 */
import type { Client } from "../host/Client.ts"
import type { HostParams, HostResult } from "../host/HostSignals.ts"

type Budgets = HostResult<"get_budget_status">["budgets"]
type BudgetType = Budgets[number]["type"]

/** Where a budget stands. Throws where there is not exactly one of that type and entity. */
export const standingOf = async (
  client: Client,
  type: BudgetType,
  entityId?: string
): Promise<Budgets[number]> => {
  const entity = entityId === undefined ? {} : { entity_id: entityId }
  const { budgets } = await client.get_budget_status({ type, ...entity })
  const [budget] = budgets
  if (budget === undefined || budgets.length > 1) {
    throw new Error(
      `There are ${budgets.length} budgets of the type ${type}${entityId === undefined ? "" : ` for ${entityId}`}`
    )
  }
  return budget
}

/** What was spent and what is held, of one budget. */
export const moneyOf = async (
  client: Client,
  type: BudgetType,
  entityId?: string
): Promise<{ readonly spent: string; readonly held: string; readonly remaining: string }> => {
  const { spent, held, remaining } = await standingOf(client, type, entityId)
  return { spent, held, remaining }
}

/** Every recorded attempt, the newest first: at most 1,000. */
export const usageOf = async (
  client: Client,
  filter: Omit<HostParams<"get_usage">, "limit" | "cursor"> = {}
): Promise<HostResult<"get_usage">["items"]> => (await client.get_usage({ ...filter, limit: 1000 })).items

/** How many calls hold money. Zero, once all have ended. */
export const openHoldsOf = async (client: Client): Promise<number> => (await client.get_status()).open_holds
