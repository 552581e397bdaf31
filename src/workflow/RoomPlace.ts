/**
 * One workflow's place in the line for room.
 *
 * Owns: what it needs, and whether it wants a turn. Small, because it is all that memory has of a workflow that is at rest.
 * Does not decide: whose turn it is (RoomLine).
 */
import { Latch } from "effect"
import { type Amount, parseAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { Refusal, Refusing } from "./WorkflowContext.ts"

/** So much of one budget. */
export interface Need {
  readonly key: string
  readonly amount: Amount
}

export interface InLine {
  readonly tenant: string
  readonly workflowId: string
  /** Of the key that started it. */
  readonly keyId: string
  readonly since: Millis
  readonly overrides: ReadonlyArray<string>
  readonly refusals: ReadonlyArray<Pick<Refusal, "violations">>
}

/** Where a budget stands is known by this. */
export const keyOf = (budgetId: string, entityId: string | null): string => `${budgetId}\n${entityId ?? ""}`

/** The budget of a key. */
export const budgetOf = (key: string): { readonly budgetId: string; readonly entityId: string | null } => {
  const end = key.indexOf("\n")
  return { budgetId: key.slice(0, end), entityId: key.slice(end + 1) || null }
}

const needsOf = (violations: ReadonlyArray<Refusing>): ReadonlyArray<Need> => {
  const needs = new Map(
    violations.map(({ budget_id, entity_id, requested }) => [
      keyOf(budget_id, entity_id),
      parseAmount(requested)
    ])
  )
  return Array.from(needs, ([key, amount]) => ({ key, amount }))
}

/** The line that a place is in. */
interface Line {
  readonly mustLook: (place: Place) => void
  readonly approve: (place: Place) => void
  readonly end: (place: Place) => void
  readonly claim: (place: Place) => () => void
  readonly rest: (place: Place) => void
  readonly leave: (place: Place) => void
}

/** What is needed of all budgets, however it is spread over steps. */
const needsIn = (steps: Place["steps"]): string =>
  [...new Set(steps.flatMap((needs) => needs.map(({ key, amount }) => `${key} ${amount}`)))].toSorted().join()

export class Place {
  readonly workflowId: string
  readonly keyId: string
  readonly since: Millis
  readonly overrides: ReadonlyArray<string>
  /** What each of its steps needs, by budget; empty where no budget has refused it. */
  readonly steps: ReadonlyArray<ReadonlyArray<Need>>
  hasApproval = false
  /** It takes turns; until then others may still come that are before it. */
  isReady = false
  /** `room`: the last news says that there may be room; `must`: it looks whatever the news says. */
  wish: "none" | "room" | "must" = "none"
  /** Its workflow is not in memory: its turn brings it back. */
  isResting = false
  /** It was brought back, and will take its place itself; or it could not be. It keeps its wish, and wants no turn for a while. */
  isComing = false
  /** How often it was brought back without taking its place. */
  vain = 0
  /** Its workflow was at rest, and nothing that was told meanwhile is lost. */
  hasHeard = false
  readonly #line: Line
  #turn: Latch.Latch | undefined
  #approval: Latch.Latch | undefined

  constructor(line: Line, { workflowId, keyId, since, overrides, refusals }: InLine) {
    this.#line = line
    this.workflowId = workflowId
    this.keyId = keyId
    this.since = since
    this.overrides = overrides
    this.steps = refusals.map(({ violations }) => needsOf(violations))
  }

  /** Opens when it may look. */
  get turn(): Latch.Latch {
    this.#turn ??= Latch.makeUnsafe(false)
    return this.#turn
  }

  /** Opens when an override that it has asked for is approved. */
  get approval(): Latch.Latch {
    this.#approval ??= Latch.makeUnsafe(this.hasApproval)
    return this.#approval
  }

  *keys(): Iterable<string> {
    for (const needs of this.steps) for (const { key } of needs) yield key
  }

  /** Whether it stands where another one of the same workflow does, and waits for the same. */
  isLike(other: Place): boolean {
    return (
      this.since === other.since &&
      this.overrides.join() === other.overrides.join() &&
      needsIn(this.steps) === needsIn(other.steps)
    )
  }

  waitsFor(key: string): boolean {
    return this.steps.some((needs) => needs.some((need) => need.key === key))
  }

  isOf(budgetId: string): boolean {
    return this.steps.some((needs) => needs.some(({ key }) => key.startsWith(`${budgetId}\n`)))
  }

  /** Whether all that it needs of this budget is among these. */
  isToldOf(budgetId: string, told: ReadonlySet<string>): boolean {
    return this.steps.every((needs) =>
      needs.every(({ key }) => !key.startsWith(`${budgetId}\n`) || told.has(key))
    )
  }

  approve(): void {
    this.#line.approve(this)
    this.#approval?.openUnsafe()
  }

  /** Its turn comes even where no news says that there is room. */
  mustLook(): void {
    this.#line.mustLook(this)
  }

  /** It has looked, and found nothing. */
  pass(): void {
    this.#line.end(this)
  }

  /** It has looked, and goes on: what it needs is its own for a while. Returns how to end that. */
  goOn(): () => void {
    return this.#line.claim(this)
  }

  /** Its workflow leaves memory, or writes down that it has looked: the place is kept for it. */
  rest(): void {
    this.#line.rest(this)
  }

  leave(): void {
    this.#line.leave(this)
  }
}

export const isBefore = (one: Place, other: Place): boolean => {
  if (one.hasApproval !== other.hasApproval) return one.hasApproval
  if (one.since !== other.since) return one.since < other.since
  return one.workflowId < other.workflowId
}
