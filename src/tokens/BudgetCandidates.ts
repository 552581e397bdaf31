/**
 * Which budgets a get_budget_status is about.
 *
 * Owns: how a default is shown: itself (`*`) in a list of all; where an entity stands in it, seen before or not, to who
 * asks for that entity or is forced to it; all that is in memory to who asks for it by its id.
 * Does not decide: what is shown of each (BudgetRecord), or how many.
 */
import type { BudgetType } from "../signal/Budget.ts"
import type { Principal } from "../signal/Principal.ts"
import { entityOf, isCovered } from "./BudgetIndex.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import type { Ledger } from "./Ledger.ts"
import { EVERYBODY } from "./StandingKey.ts"

export interface Wanted {
  readonly type?: BudgetType
  readonly entity_id?: string
}

/** Whether a key may see a budget; of a default, where its own entity stands. */
export const covers = (budget: BudgetRecord, { attribution }: Principal): boolean => {
  const { type } = budget.definition
  if (isCovered(type, budget.entityId, attribution)) return true
  const entityId = entityOf(type, attribution)
  return budget.isDefault && entityId != null && isCovered(type, entityId, attribution)
}

const isForced = ({ attribution }: Principal): boolean => Object.keys(attribution).length > 0

/** Where one entity stands in a default, if that counts. */
const standingIn = (ledger: Ledger, budget: BudgetRecord, entityId: string): ReadonlyArray<BudgetRecord> => {
  const standing = ledger.index.defaults.standingOf(budget, entityId)
  return standing !== undefined && ledger.index.isInForce(standing) ? [standing] : []
}

/** Whom a default is shown for, if for one only. */
const onlyFor = (budget: BudgetRecord, wanted: Wanted, principal: Principal): string | undefined => {
  if (wanted.entity_id !== undefined && wanted.entity_id !== EVERYBODY) return wanted.entity_id
  return isForced(principal)
    ? (entityOf(budget.definition.type, principal.attribution) ?? undefined)
    : undefined
}

function* named(
  ledger: Ledger,
  budget: BudgetRecord,
  wanted: Wanted,
  principal: Principal
): Generator<BudgetRecord> {
  const entityId = budget.isDefault ? onlyFor(budget, wanted, principal) : undefined
  if (entityId !== undefined) {
    yield* standingIn(ledger, budget, entityId)
    return
  }
  yield budget
  for (const standing of ledger.index.defaults.standingsOf(budget)) {
    if (ledger.index.isInForce(standing)) yield standing
  }
}

function* listed(ledger: Ledger, wanted: Wanted, principal: Principal): Generator<BudgetRecord> {
  for (const budget of ledger.budgets.values()) {
    const entityId = budget.isDefault ? onlyFor(budget, wanted, principal) : undefined
    if (entityId === undefined) yield budget
    else {
      for (const standing of standingIn(ledger, budget, entityId)) {
        // Whether an id without a type is a user's or a team's is not known: who was never seen is neither.
        if (isForced(principal) || ledger.index.defaults.isAdopted(standing)) yield standing
      }
    }
  }
}

/** The budgets that may be meant. `budget`: the one that was named. */
export const candidatesFor = (
  ledger: Ledger,
  budget: BudgetRecord | undefined,
  wanted: Wanted,
  principal: Principal
): Iterable<BudgetRecord> => {
  if (budget !== undefined) return named(ledger, budget, wanted, principal)
  const { type, entity_id } = wanted
  if (type === undefined || type === "global" || entity_id === undefined || entity_id === EVERYBODY) {
    return listed(ledger, wanted, principal)
  }
  return [...ledger.index.of(type, entity_id), ...ledger.index.standingsOf(type, entity_id)]
}
