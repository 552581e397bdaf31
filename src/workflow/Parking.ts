/**
 * A workflow that waits for budget.
 *
 * Owns: what it waits for, and what it is when it goes on. Pure.
 * Does not decide: whether there is room (the TokenManager), or who is asked for more (Refused).
 */
import type { Millis } from "../signal/Text.ts"
import { type Refusal, stepOf, type WorkflowContext, withStep } from "./WorkflowContext.ts"

/** What is told brings it back at once; what nobody tells is found by looking, less and less often. */
const LOOK_MS = 1_800_000
const LOOK_MS_MAX = 3_600_000
/** It is in memory for this long in any case, and looks at nearer moments there. */
const NEAR_MS = 60_000

const nextLookAt = (refusals: ReadonlyArray<Refusal>, now: Millis, looks: number): Millis => {
  const at = now + Math.min(LOOK_MS * 2 ** looks, LOOK_MS_MAX)
  return Math.min(at, roomAfter(refusals, now + NEAR_MS) ?? at)
}

/** It has looked at its moment, and found no room: there is another one. */
export const lookedInVain = (before: WorkflowContext, at: Millis): WorkflowContext => {
  const { parked } = before
  if (parked === null) return before
  const now = Math.max(before.now, at)
  const looks = parked.looks + 1
  return { ...before, now, parked: { ...parked, looks, lookAt: nextLookAt(parked.refusals, now, looks) } }
}

/** Waits for this, too. What already runs goes on; nothing more starts. */
export const parkOn = (context: WorkflowContext, refusal: Refusal): WorkflowContext => {
  const { parked } = context
  const others = (parked?.refusals ?? []).filter(({ agent }) => agent !== refusal.agent)
  return {
    ...context,
    rounds: context.rounds + 1,
    parked: {
      refusals: [...others, refusal],
      since: parked?.since ?? context.now,
      round: context.rounds + 1,
      lookedAtRound: parked?.lookedAtRound ?? 0,
      lookAt: nextLookAt([...others, refusal], context.now, 0),
      looks: 0,
      approvers: parked?.approvers ?? [],
      overrides: parked?.overrides ?? []
    }
  }
}

/** What was found out about the refusals: who may approve more, and what was asked for. */
export interface LookedAt {
  readonly round: number
  readonly approvers: ReadonlyArray<string>
  readonly overrides: ReadonlyArray<string>
}

const joined = (...lists: ReadonlyArray<ReadonlyArray<string>>): ReadonlyArray<string> => [
  ...new Set(lists.flat())
]

export const lookedAt = (context: WorkflowContext, found: LookedAt): WorkflowContext =>
  context.parked === null
    ? context
    : {
        ...context,
        parked: {
          ...context.parked,
          lookedAtRound: found.round,
          approvers: joined(context.parked.approvers, found.approvers),
          overrides: joined(context.parked.overrides, found.overrides)
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
