/**
 * Default budgets (`entity_id: "*"`): one definition, and a standing of its own for every entity that has no budget
 * of that type and period.
 *
 * Owns: which standings are in memory, and finding the ones that apply, by key.
 * Does not decide: what is booked into them (HoldLife, Posting), or whether they have room (Room).
 *
 * A standing that nothing was ever booked into is not kept: it is made anew whenever somebody looks, and is the same
 * each time. It is adopted with the first thing that is booked into it, and forgotten when its periods are over.
 */
import type { BudgetType } from "../signal/Budget.ts"
import { BudgetRecord } from "./BudgetRecord.ts"
import { definitionIdOf, entityOfKey } from "./StandingKey.ts"

/** Standings of one tenant in memory past which a hard default admits nobody new. Usage is counted all the same. */
export const STANDINGS_MAX = 1_000_000

/** A default with its standings by entity. */
interface Default {
  readonly budget: BudgetRecord
  readonly standings: Map<string, BudgetRecord>
}

const NONE: ReadonlyArray<BudgetRecord> = []

export class DefaultBudgets {
  /** The bound, which a test may set lower. */
  sizeMax = STANDINGS_MAX
  readonly #byId = new Map<string, Default>()
  readonly #byType = new Map<BudgetType, Array<Default>>()
  #size = 0

  /** Standings in memory. */
  get size(): number {
    return this.#size
  }

  get isEmpty(): boolean {
    return this.#byId.size === 0
  }

  add(budget: BudgetRecord): void {
    const { id, type } = budget.definition
    const added: Default = { budget, standings: new Map() }
    this.#byId.set(id, added)
    const ofType = this.#byType.get(type)
    if (ofType === undefined) this.#byType.set(type, [added])
    else ofType.push(added)
  }

  /** The standing of this key, if it is in memory. */
  find(key: string): BudgetRecord | undefined {
    const entityId = entityOfKey(key)
    return entityId === undefined ? undefined : this.#byId.get(definitionIdOf(key))?.standings.get(entityId)
  }

  /** The standing of this key, for taking over its rows; `undefined` where the key is none of a default. */
  restore(key: string): BudgetRecord | undefined {
    const entityId = entityOfKey(key)
    const found = this.#byId.get(definitionIdOf(key))
    if (entityId === undefined || found === undefined) return undefined
    const standing = this.#standingIn(found, entityId)
    this.adopt(standing)
    return standing
  }

  /** From now on it is in memory, until its periods are over. */
  adopt(standing: BudgetRecord): void {
    const { definition, entityId } = standing
    const standings = this.#byId.get(definition.id)?.standings
    if (standings === undefined || entityId === null || standings.has(entityId)) return
    standings.set(entityId, standing)
    this.#size += 1
  }

  /** Whether it is in memory: something was booked into it. */
  isAdopted({ definition, entityId }: BudgetRecord): boolean {
    return entityId !== null && this.#byId.get(definition.id)?.standings.has(entityId) === true
  }

  /** Whether there is room for a standing that is not in memory yet. */
  get isFull(): boolean {
    return this.#size >= this.sizeMax
  }

  forget({ definition, entityId }: BudgetRecord): void {
    if (entityId !== null && this.#byId.get(definition.id)?.standings.delete(entityId)) this.#size -= 1
  }

  /** Where an entity stands in a default, whether or not it was ever seen. */
  standingOf(budget: BudgetRecord, entityId: string): BudgetRecord | undefined {
    const found = this.#byId.get(budget.definition.id)
    return found && this.#standingIn(found, entityId)
  }

  /** The standings of one default that are in memory. */
  standingsOf(budget: BudgetRecord): Iterable<BudgetRecord> {
    return this.#byId.get(budget.definition.id)?.standings.values() ?? NONE
  }

  /** How many of them there are. */
  sizeOf(budget: BudgetRecord): number {
    return this.#byId.get(budget.definition.id)?.standings.size ?? 0
  }

  /** Every standing in memory. */
  *all(): Generator<BudgetRecord, undefined> {
    for (const { standings } of this.#byId.values()) yield* standings.values()
    return undefined
  }

  /** The standings of an entity in the defaults of a type that none of `own`, its own budgets of that type, replaces. */
  of(
    type: BudgetType,
    entityId: string,
    own: ReadonlyArray<BudgetRecord> | undefined
  ): ReadonlyArray<BudgetRecord> {
    const defaults = this.#byType.get(type)
    if (defaults === undefined) return NONE
    const found: Array<BudgetRecord> = []
    for (const candidate of defaults) {
      const { period } = candidate.budget.definition
      if (own?.some(({ definition }) => definition.period === period)) continue
      found.push(this.#standingIn(candidate, entityId))
    }
    return found
  }

  #standingIn({ budget, standings }: Default, entityId: string): BudgetRecord {
    return standings.get(entityId) ?? BudgetRecord.standing(budget, entityId)
  }
}
