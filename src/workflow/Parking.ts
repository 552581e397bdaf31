/**
 * A workflow that waits for budget.
 *
 * Owns: what it waits for, and what it is when it goes on. Pure.
 * Does not decide: whether there is room (the TokenManager), or who is asked for more (Refused).
 */
import type { Millis } from "../signal/Text.ts"
import { type ParkedRecord, type Refusal, stepOf, type WorkflowContext, withStep } from "./WorkflowContext.ts"

/** What is told brings it back at once; what nobody tells is found by looking, less and less often. */
const LOOK_MS = 1_800_000
const LOOK_MS_MAX = 3_600_000
/** It is in memory for this long in any case, and looks at nearer moments there. */
const NEAR_MS = 60_000

type Looking = Pick<ParkedRecord, "refusals" | "looks" | "keyEndsAt">

const nextLookAt = ({ refusals, looks, keyEndsAt }: Looking, now: Millis): Millis => {
  const at = now + Math.min(LOOK_MS * 2 ** looks, LOOK_MS_MAX)
  const moments = [at, roomAfter(refusals, now + NEAR_MS), keyEndsAt]
  return Math.min(...moments.filter((moment) => moment !== null && moment > now).map(Number))
}

/** What a look was answered: where the budgets stand now that refuse a step, and when there may be room. */
export type Seen = Pick<Refusal, "agent" | "violations" | "retryAt">

/** A look asks for less than the call does: what it says nothing of stays as it was. */
const asSeen =
  (seen: ReadonlyArray<Seen>) =>
  (refusal: Refusal): Refusal => {
    const found = seen.find(({ agent }) => agent === refusal.agent)
    if (found === undefined) return refusal
    const violations = refusal.violations.map(
      (violation) => found.violations.find(({ budget_id }) => budget_id === violation.budget_id) ?? violation
    )
    return { ...refusal, violations, retryAt: found.retryAt }
  }

/** It has looked at its moment, and found no room: there is another one. */
export const lookedInVain = (
  before: WorkflowContext,
  at: Millis,
  seen: ReadonlyArray<Seen> = []
): WorkflowContext => {
  if (before.parked === null) return before
  const now = Math.max(before.now, at)
  const { looks, refusals } = before.parked
  const parked = { ...before.parked, looks: looks + 1, refusals: refusals.map(asSeen(seen)) }
  return { ...before, now, parked: { ...parked, lookAt: nextLookAt(parked, now) } }
}

/** Waits for this, too. What already runs goes on; nothing more starts. */
export const parkOn = (context: WorkflowContext, refusal: Refusal): WorkflowContext => {
  const { parked } = context
  const others = (parked?.refusals ?? []).filter(({ agent }) => agent !== refusal.agent)
  const looking = { refusals: [...others, refusal], looks: 0, keyEndsAt: parked?.keyEndsAt ?? null }
  return {
    ...context,
    rounds: context.rounds + 1,
    parked: {
      ...looking,
      since: parked?.since ?? context.now,
      round: context.rounds + 1,
      lookedAtRound: parked?.lookedAtRound ?? 0,
      lookAt: nextLookAt(looking, context.now),
      approvers: parked?.approvers ?? [],
      overrides: parked?.overrides ?? [],
      notes: parked?.notes ?? []
    }
  }
}

/** What was found out about the refusals: who may approve more, and what was asked for. */
export interface LookedAt {
  readonly round: number
  readonly approvers: ReadonlyArray<string>
  readonly overrides: ReadonlyArray<string>
  /** Why it could not be asked for. */
  readonly notes: ReadonlyArray<string>
  /** When the key ends by itself. */
  readonly keyEndsAt: Millis | null
}

const joined = (...lists: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => [
  ...new Set(lists.flat())
]

export const lookedAt = (context: WorkflowContext, found: LookedAt): WorkflowContext => {
  if (context.parked === null) return context
  const { approvers, overrides, lookAt } = context.parked
  const { round, keyEndsAt } = found
  return {
    ...context,
    parked: {
      ...context.parked,
      lookedAtRound: round,
      approvers: joined(approvers, found.approvers),
      overrides: joined(overrides, found.overrides),
      notes: found.notes,
      keyEndsAt,
      lookAt: keyEndsAt === null ? lookAt : Math.min(lookAt, Math.max(keyEndsAt, context.now))
    }
  }
}

/** What was refused is tried again, under the request ids that it was refused under. */
export const goOn = (before: WorkflowContext, now: Millis): WorkflowContext => {
  if (before.parked === null) return before
  let context: WorkflowContext = { ...before, now: Math.max(before.now, now), parked: null }
  for (const { name } of context.plan.agents) {
    if (stepOf(context, name).state === "parked") context = withStep(context, name, { state: "pending" })
  }
  return context
}

/** The earliest moment at which one of them may have room: at it the workflow looks by itself. */
export const retryAtOf = (refusals: ReadonlyArray<Refusal>): Millis | null => {
  const moments = refusals.flatMap(({ retryAt }) => (retryAt === null ? [] : [retryAt]))
  return moments.length === 0 ? null : Math.min(...moments)
}

/** The next moment at which there may be room: what was only held did not come back, so it is the end of a period. */
export const roomAfter = (refusals: ReadonlyArray<Refusal>, after: Millis): Millis | null => {
  const moments = refusals.flatMap(({ retryAt, violations }) => [
    retryAt,
    ...violations.map(({ resets_at }) => (resets_at === null ? null : Date.parse(resets_at)))
  ])
  const later = moments.flatMap((moment) => (moment !== null && moment > after ? [moment] : []))
  return later.length === 0 ? null : Math.min(...later)
}
