/**
 * Overrides: what was asked for, what was decided, and which of them would let a parked workflow go on.
 *
 * Owns: their order, and which are kept.
 * Does not decide: who may decide one, or how much (the TokenManager).
 */
import type { Violation } from "../../signal/Errors.ts"
import { OVERRIDES_MAX, type WireOverride, type WireWorkflow, type WorkflowRow } from "./Model.ts"

export type OverrideFilter = "open" | "approved" | "denied" | "expired" | "all"

const isOpen = ({ status }: WireOverride): boolean => status === "pending"

/** An event and a list can cross: what is decided does not become open again. */
export const withOverride = (overrides: Map<string, WireOverride>, override: WireOverride): void => {
  const known = overrides.get(override.id)
  if (known !== undefined && !isOpen(known) && isOpen(override)) return
  overrides.set(override.id, override)
}

const FAR = Number.MAX_SAFE_INTEGER

/** Open ones first, the one that ends soonest before the others; then the newest. */
export const byDecision = (a: WireOverride, b: WireOverride): number => {
  if (isOpen(a) !== isOpen(b)) return isOpen(a) ? -1 : 1
  const ends = (one: WireOverride) => (one.expires_at === null ? FAR : Date.parse(one.expires_at))
  const byEnd = isOpen(a) ? ends(a) - ends(b) : 0
  return byEnd || Date.parse(b.requested_at) - Date.parse(a.requested_at) || (a.id < b.id ? -1 : 1)
}

export const boundOverrides = (overrides: Map<string, WireOverride>): void => {
  if (overrides.size <= OVERRIDES_MAX) return
  const sorted = [...overrides.values()].sort(byDecision)
  for (const { id } of sorted.slice(OVERRIDES_MAX)) overrides.delete(id)
}

/** As it is at `now`: what the clock has ended is not open any more, also where nobody has told so. */
export const asOf = (override: WireOverride, now: number): WireOverride =>
  (override.status === "pending" || override.status === "approved") &&
  override.expires_at !== null &&
  Date.parse(override.expires_at) <= now
    ? { ...override, status: "expired" }
    : override

const passes = ({ status }: WireOverride, filter: OverrideFilter): boolean =>
  filter === "all" || status === (filter === "open" ? "pending" : filter)

export const chosenFrom = (
  overrides: Iterable<WireOverride>,
  filter: OverrideFilter,
  now: number
): ReadonlyArray<WireOverride> =>
  [...overrides]
    .map((override) => asOf(override, now))
    .filter((override) => passes(override, filter))
    .sort(byDecision)

export const openCount = (overrides: Iterable<WireOverride>, now: number): number => {
  let count = 0
  for (const override of overrides) if (isOpen(asOf(override, now))) count += 1
  return count
}

type WireViolation = typeof Violation.Encoded

const isOf = (override: WireOverride, { budget_id, entity_id }: WireViolation): boolean =>
  override.budget_id === budget_id && override.entity_id === entity_id

/** Open overrides of the budgets that refused: approved, they would let it go on. */
export const openFor = (
  overrides: Iterable<WireOverride>,
  violations: ReadonlyArray<WireViolation>,
  now: number
): ReadonlyArray<WireOverride> =>
  chosenFrom(overrides, "open", now).filter((override) =>
    violations.some((violation) => isOf(override, violation))
  )

/** Workflows that are parked on the budget that it is for. */
export const waitingFor = (
  override: WireOverride,
  workflows: Iterable<WorkflowRow>
): ReadonlyArray<WireWorkflow> => {
  const waiting: Array<WireWorkflow> = []
  for (const { progress } of workflows) {
    if (progress.parked?.violations.some((violation) => isOf(override, violation)) === true)
      waiting.push(progress)
  }
  return waiting
}
