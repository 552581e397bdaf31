/**
 * Calls, made out of three streams: their progress, what was recorded of them, and their actors.
 *
 * Owns: how one call's row follows from them, whatever the order they arrive in, so that no token is counted
 * both as recorded and as in flight.
 * Does not decide: what a call costs (the TokenManager).
 */
import type { Attribution } from "../../signal/Attribution.ts"
import { parseAmount } from "../../signal/Money.ts"
import type { CallProgress } from "../../signal/Subscriptions.ts"
import {
  type ActorRow,
  type Attempt,
  CALLS_MAX,
  type CallRow,
  type WireRecord,
  type WireUsage
} from "./Model.ts"

const FINAL_STATES = new Set(["done", "completed", "refused", "failed", "cancelled", "ended"])

/** A machine's state in which nothing more will happen. */
export const isFinalState = (state: string): boolean => FINAL_STATES.has(state)

/** Who a call was for, the narrowest first. */
export const forWhom = ({ agent, feature, user_id, team_id, project_id }: Attribution): string =>
  [agent ?? feature, user_id ?? team_id ?? project_id].filter((part) => part !== undefined).join(" · ")

const freshRow = (requestId: string, at: number): CallRow => ({
  requestId,
  provider: "",
  model: "",
  attempt: 1,
  state: "starting",
  isOpen: true,
  tokensInFlight: 0,
  costInFlight: 0n,
  currency: "USD",
  attribution: {},
  attempts: [],
  refusal: null,
  startedAt: at,
  at
})

const isRecorded = (row: CallRow, attempt: number): boolean =>
  row.attempts.some((recorded) => recorded.attempt === attempt)

export const withProgress = (known: CallRow | undefined, progress: typeof CallProgress.Encoded): CallRow => {
  const at = Date.parse(progress.at)
  // Heard of again after its end: sent again, unless it is only the rest of what is recorded already.
  const isAgain =
    known !== undefined &&
    !known.isOpen &&
    at > known.at &&
    !isFinalState(progress.state) &&
    !isRecorded(known, progress.attempt)
  const row = known === undefined || isAgain ? freshRow(progress.request_id, at) : known
  if (at < row.at) return row
  const isOpen = row.isOpen && !isFinalState(progress.state)
  const counts = isOpen && !isRecorded(row, progress.attempt)
  return {
    ...row,
    provider: progress.provider,
    model: progress.model,
    attempt: progress.attempt,
    state: row.isOpen ? progress.state : row.state,
    isOpen,
    tokensInFlight: counts ? progress.prompt_tokens + progress.completion_tokens : 0,
    costInFlight: counts ? parseAmount(progress.cost) : 0n,
    currency: progress.currency,
    attribution: progress,
    at
  }
}

const attemptOf = (usage: WireUsage): Attempt => ({
  attempt: usage.attempt,
  provider: usage.provider,
  model: usage.model,
  status: usage.status,
  tokens: usage.total_tokens,
  cost: parseAmount(usage.cost),
  isPriced: usage.cost_status !== "unpriced",
  latencyMs: usage.latency_ms ?? null
})

const STATE_AFTER: { readonly [Status in WireUsage["status"]]: string } = {
  success: "done",
  estimated: "done",
  error: "failed",
  cancelled: "cancelled"
}

export const withUsage = (known: CallRow | undefined, usage: WireUsage): CallRow => {
  const at = Date.parse(usage.recorded_at)
  const row = known ?? { ...freshRow(usage.request_id, at - (usage.latency_ms ?? 0)), state: "retrying" }
  const others = row.attempts.filter((recorded) => recorded.attempt !== usage.attempt)
  const attempts = [...others, attemptOf(usage)].sort((a, b) => a.attempt - b.attempt)
  const isOpen = row.isOpen && !usage.settle
  const isLatest = usage.attempt >= row.attempt
  return {
    ...row,
    provider: isLatest ? usage.provider : row.provider,
    model: isLatest ? usage.model : row.model,
    attempt: Math.max(row.attempt, usage.attempt),
    state: isOpen ? row.state : row.isOpen || row.state === "ended" ? STATE_AFTER[usage.status] : row.state,
    isOpen,
    tokensInFlight: isLatest || !isOpen ? 0 : row.tokensInFlight,
    costInFlight: isLatest || !isOpen ? 0n : row.costInFlight,
    currency: usage.currency,
    attribution: usage,
    attempts,
    at: Math.max(row.at, at)
  }
}

interface Check extends Attribution {
  readonly provider?: string
  readonly model?: string
}

/**
 * What a `check_budget` adds: who a call is for before it runs, and why it never will. A refused check that no actor
 * of ours made is a refused call too; an approved one is not a call yet.
 */
export const withCheck = (known: CallRow | undefined, record: WireRecord): CallRow | undefined => {
  const requestId = record.request_id
  const isRefused = record.outcome === "refused"
  if (requestId === null || (known === undefined && !isRefused)) return known
  const at = Date.parse(record.at)
  const check = record.payload as Check
  const row = known ?? freshRow(requestId, at)
  const named: CallRow =
    row.provider === ""
      ? { ...row, provider: check.provider ?? "", model: check.model ?? "", attribution: check }
      : row
  if (!isRefused || at < row.startedAt || row.attempts.length > 0) return named
  return { ...named, state: "refused", isOpen: false, refusal: record, tokensInFlight: 0, costInFlight: 0n }
}

/** The request id in the address of a call, or `null`. The id itself may hold slashes. */
export const requestIdOf = (address: string): string | null =>
  /^call\/[^/]+\/(.+)$/su.exec(address)?.[1] ?? null

/** What a call's actor adds: its state, and that it is gone. */
export const withActor = (known: CallRow | undefined, actor: ActorRow, at: number): CallRow | undefined => {
  const requestId = requestIdOf(actor.info.address)
  if (requestId === null) return known
  const hasEnded = actor.endedAt !== null
  if (known === undefined) {
    if (hasEnded) return undefined
    return {
      ...freshRow(requestId, Date.parse(actor.info.started_at)),
      state: actor.info.state ?? "starting"
    }
  }
  if (!known.isOpen || at < known.at) return known
  const state = actor.info.state ?? known.state
  const isOpen = !hasEnded && !isFinalState(state)
  return {
    ...known,
    state: hasEnded && !isFinalState(state) ? "ended" : state,
    isOpen,
    tokensInFlight: isOpen ? known.tokensInFlight : 0,
    costInFlight: isOpen ? known.costInFlight : 0n,
    at
  }
}

/** Drops the oldest calls past the bound, those that ended first. */
export const boundCalls = (calls: Map<string, CallRow>): void => {
  for (const wantsOpen of [false, true]) {
    if (calls.size <= CALLS_MAX) return
    for (const [id, row] of calls) {
      if (row.isOpen === wantsOpen) calls.delete(id)
      if (calls.size <= CALLS_MAX) return
    }
  }
}

/** Tokens and cost on their way, not recorded yet. */
export const inFlightOf = (calls: Iterable<CallRow>): { calls: number; tokens: number; cost: bigint } => {
  const sum = { calls: 0, tokens: 0, cost: 0n }
  for (const row of calls) {
    if (!row.isOpen) continue
    sum.calls += 1
    sum.tokens += row.tokensInFlight
    sum.cost += row.costInFlight
  }
  return sum
}
