/**
 * Finds the budgets that apply to a call.
 *
 * Owns: the look-up by type and entity. It never scans, so its cost does not grow with the number of budgets.
 * Does not decide: whether they have room.
 */
import type { Attribution } from "../signal/Attribution.ts"
import type { BudgetType } from "../signal/Budget.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import { DefaultBudgets } from "./DefaultBudgets.ts"

/** What a budget can be about: a call's attribution, its provider and its model. */
export interface Subject extends Attribution {
  readonly provider?: string
  readonly model?: string
}

/** Which field of a call each type of budget is about. A global budget is about every call. */
export const SUBJECT_FIELDS: { readonly [Type in Exclude<BudgetType, "global">]: keyof Subject } = {
  team: "team_id",
  user: "user_id",
  project: "project_id",
  feature: "feature",
  provider: "provider",
  model: "model",
  agent: "agent",
  operation: "operation",
  workflow: "workflow_id",
  conversation: "conversation_id"
}

const FIELDS_BY_TYPE = Object.entries(SUBJECT_FIELDS) as ReadonlyArray<[BudgetType, keyof Subject]>

/** The entity that a budget type sees in a call, `null` for global, `undefined` where the call has none. */
export const entityOf = (type: BudgetType, subject: Subject): string | null | undefined =>
  type === "global" ? null : (subject[SUBJECT_FIELDS[type]] as string | undefined)

/** A key with forced attribution sees the budgets of what it is forced to; one without sees all of its tenant. */
export const isCovered = (type: BudgetType, entityId: string | null, forced: Attribution): boolean => {
  if (Object.keys(forced).length === 0) return true
  return type !== "global" && SUBJECT_FIELDS[type] in forced && entityOf(type, forced) === entityId
}

export class BudgetIndex {
  readonly defaults = new DefaultBudgets()
  readonly #global: Array<BudgetRecord> = []
  readonly #byEntity = new Map<BudgetType, Map<string, Array<BudgetRecord>>>()
  /** What a call is looked up by: the fields that budgets are about, in the order of types. */
  #fieldsInUse: ReadonlyArray<readonly [keyof Subject, ReadonlyMap<string, ReadonlyArray<BudgetRecord>>]> = []

  add(budget: BudgetRecord): void {
    const { type, entityId } = budget.definition
    if (budget.isDefault) {
      this.defaults.add(budget)
      return
    }
    if (type === "global" || entityId === null) {
      this.#global.push(budget)
      return
    }
    let entities = this.#byEntity.get(type)
    if (entities === undefined) {
      entities = new Map()
      this.#byEntity.set(type, entities)
      this.#fieldsInUse = FIELDS_BY_TYPE.flatMap(([type, field]) => {
        const used = this.#byEntity.get(type)
        return used === undefined ? [] : [[field, used] as const]
      })
    }
    const budgets = entities.get(entityId)
    if (budgets === undefined) entities.set(entityId, [budget])
    else budgets.push(budget)
  }

  /** The budgets of one entity, without where it stands in defaults. */
  of(type: BudgetType, entityId: string): ReadonlyArray<BudgetRecord> {
    return this.#byEntity.get(type)?.get(entityId) ?? []
  }

  /** Where one entity stands in the defaults that it has no budget of its own in place of. */
  standingsOf(type: BudgetType, entityId: string): ReadonlyArray<BudgetRecord> {
    return this.defaults.of(type, entityId, this.#byEntity.get(type)?.get(entityId))
  }

  /** Whether a budget counts: a standing does not where its entity has got a budget of its own. */
  isInForce({ definition: { type, period }, entityId, isStanding }: BudgetRecord): boolean {
    if (!isStanding || entityId === null) return true
    return !this.of(type, entityId).some(({ definition }) => definition.period === period)
  }

  /**
   * The budgets that apply, inactive ones too: they go on counting. A standing that nothing was booked into yet is
   * made for this; whoever books into it adopts it.
   */
  matching(subject: Subject): ReadonlyArray<BudgetRecord> {
    const found = this.#global.slice()
    for (const [field, entities] of this.#fieldsInUse) {
      const entity = subject[field] as string | undefined
      const budgets = entity === undefined ? undefined : entities.get(entity)
      if (budgets !== undefined) found.push(...budgets)
    }
    if (!this.defaults.isEmpty) this.#addStandings(subject, found)
    return found
  }

  #addStandings(subject: Subject, found: Array<BudgetRecord>): void {
    for (const [type, field] of FIELDS_BY_TYPE) {
      const entity = subject[field] as string | undefined
      if (entity !== undefined) found.push(...this.standingsOf(type, entity))
    }
  }
}
