/**
 * What clients were told, held against what is there.
 *
 * Owns: that an approval is kept in every budget that applies, within its room; that a refusal is right; that what
 * was acknowledged is there, once, and stays.
 * Does not decide: what must be true of the rows by themselves (Invariants).
 */
import { Result } from "effect"
import type { Approval } from "../../src/signal/Budgeting.ts"
import type { SignalSuccess } from "../../src/signal/Catalogue.ts"
import { formatAmount } from "../../src/signal/Money.ts"
import type { Override } from "../../src/signal/Overrides.ts"
import type { TokenUsage } from "../../src/signal/Usage.ts"
import { entityOf, type Subject } from "../../src/tokens/BudgetIndex.ts"
import { type BudgetRecord, remainingOf } from "../../src/tokens/BudgetRecord.ts"
import { requestIdOfHold } from "../../src/tokens/HoldLife.ts"
import type { Ledger } from "../../src/tokens/Ledger.ts"
import type { HoldRecord } from "../../src/tokens/RequestRecord.ts"
import { type Asked, askedOf } from "../../src/tokens/Room.ts"
import type { Rows } from "../tokens/support/Rows.ts"
import type { Answered } from "./Owner.ts"
import { type AnyCommand, ASKER, senderOf } from "./Signals.ts"

type Refusal = Extract<Approval, { readonly allowed: false }>

/** What a client may be told beside an answer. */
const REFUSALS: ReadonlyArray<string> = ["Conflict", "NotFound", "InvalidParams", "RateUnknown"]

const attemptKey = ({ request_id, attempt }: TokenUsage): string => `${request_id}/${attempt}`

const isSettling = ({ name, params }: AnyCommand): boolean =>
  name === "track_usage" && params.settle !== false

const isHard = ({ definition }: BudgetRecord): boolean =>
  definition.isActive && definition.enforcement === "hard"

const subjectOf = ({ attribution, provider, model }: HoldRecord): Subject => ({
  ...attribution,
  ...(provider === null ? {} : { provider }),
  ...(model === null ? {} : { model })
})

const applies = ({ definition: { type, entityId } }: BudgetRecord, subject: Subject): boolean =>
  entityOf(type, subject) === entityId

/** The budgets that apply, looked for the slow way; of a default, where the entity stands that has none of its own. */
const applying = (ledger: Ledger, subject: Subject): ReadonlyArray<BudgetRecord> => {
  const budgets = [...ledger.budgets.values()]
  return budgets.flatMap((budget) => {
    if (!budget.isDefault) return applies(budget, subject) ? [budget] : []
    const { id, type, period } = budget.definition
    const entity = entityOf(type, subject)
    const isOwn = ({ definition }: BudgetRecord) => definition.type === type && definition.period === period
    if (entity == null || budgets.some((own) => isOwn(own) && applies(own, subject))) return []
    const standing = ledger.budgetAt(`${id}/${entity}`)
    if (standing === undefined) throw new Error(`${entity} does not stand in the default ${id}`)
    return [standing]
  })
}

/** A call may go on: every budget that applies keeps what was asked for. */
const checkKept = (ledger: Ledger, hold: HoldRecord, when: string): void => {
  const subject = subjectOf(hold)
  const isCounted = (ledger.request(hold.requestId)?.attempts.length ?? 0) > 0
  const { estimatedCost: cost, estimatedTokens: tokens, rates } = hold
  const asked = { cost, tokens, requests: isCounted ? 0 : 1, rates }
  for (const budget of applying(ledger, subject)) {
    const period = budget.periodAt(hold.createdAt)
    const kept = hold.bookings.filter((booking) => booking.period === period)
    if (kept.length !== 1 || kept[0]?.amount !== askedOf(budget, asked)) {
      const amounts = kept.map(({ amount }) => formatAmount(amount)).join(" and ") || "nothing"
      throw new Error(
        `${when}: ${budget.definition.name} applies, was asked for ${formatAmount(askedOf(budget, asked))}, and keeps ${amounts}`
      )
    }
  }
}

/** No hard budget that was asked for something has admitted more than it has room for. */
const checkRoom = (ledger: Ledger, hold: HoldRecord, more: Asked, isNew: boolean, when: string): void => {
  for (const { period } of hold.bookings) {
    const budget = ledger.budgetAt(period.budgetId)
    if (budget === undefined || !isHard(budget) || (!isNew && askedOf(budget, more) <= 0n)) continue
    if (remainingOf(budget, period) < 0n)
      throw new Error(`${when}: ${budget.definition.name} has admitted beyond its room`)
  }
}

const checkRefusal = (ledger: Ledger, { violations }: Refusal, when: string): void => {
  for (const { shortfall, remaining, requested, budget_id } of violations) {
    const budget = ledger.budgets.get(budget_id)
    if (budget === undefined || !isHard(budget))
      throw new Error(`${when}: ${budget_id} cannot refuse anything`)
    if (shortfall <= 0n || shortfall !== requested - remaining) {
      const left = formatAmount(remaining)
      throw new Error(
        `${when}: ${budget_id} was asked for ${formatAmount(requested)}, has ${left}, and refuses`
      )
    }
  }
}

/** All rows of an attempt add up to what its last correction says. */
const checkCorrected = (
  command: AnyCommand,
  { usage, duplicate, alerts }: SignalSuccess<"correct_usage">,
  ledger: Ledger,
  when: string
): void => {
  if (duplicate && alerts.length > 0) throw new Error(`${when}: alerts are told again`)
  if (duplicate || command.name !== "correct_usage") return
  const request = ledger.request(usage.request_id)
  const attempt = request?.attempts.find((it) => it.attempt === usage.attempt)
  const rows = attempt && request?.rowsOf(attempt)
  if (rows === undefined) throw new Error(`${when}: what was corrected is not there`)
  let [prompt, completion, cached] = [0, 0, 0]
  for (const row of rows) {
    prompt += row.prompt_tokens
    completion += row.completion_tokens
    cached += row.prompt_tokens_details?.cached_tokens ?? 0
  }
  const meant = command.params.usage
  const isRight =
    prompt === meant.prompt_tokens &&
    completion === meant.completion_tokens &&
    cached === (meant.prompt_tokens_details?.cached_tokens ?? 0)
  if (!isRight) throw new Error(`${when}: it amounts to ${prompt} + ${completion} after its correction`)
}

export class Claims {
  readonly #rows: Rows
  /** What a client was told for good, by request and attempt. */
  readonly #told = new Map<string, TokenUsage>()
  /** Requests that were reported on for good: nothing may be held for them any more. */
  readonly #settled = new Set<string>()
  /** Approvals of overrides that were seen when they were decided. */
  readonly #approvals = new Set<string>()
  /** How often a request's attempt is there: by itself, and as the final report of an estimate. */
  readonly #recorded = new Map<string, { rows: number; replaced: number; isPriced: boolean }>()
  #counted = 0

  constructor(rows: Rows) {
    this.#rows = rows
  }

  /** A signal was decided; what follows from it is in memory. */
  decided(answered: Answered, ledger: Ledger, when: string): void {
    const { answer } = answered
    if (Result.isFailure(answer)) {
      const { _tag: tag } = answer.failure
      const isOwn = answered.command.name === "decide_override" && senderOf(answered.command) === ASKER
      if (!REFUSALS.includes(tag) && !(isOwn && tag === "Forbidden"))
        throw new Error(`${when}: answered ${tag}`)
      return
    }
    const success = answer.success
    if ("allowed" in success) this.#approved(answered, success, ledger, when)
    if ("override" in success) this.#overridden(success.override, answered.command, ledger, when)
    if ("corrected" in success) checkCorrected(answered.command, success, ledger, when)
    if ("settled" in success) this.#settledBySomebody(answered.command, ledger, when)
    if (!("tracked" in success)) return
    if (success.duplicate && success.alerts.length > 0) throw new Error(`${when}: alerts are told again`)
    const hold = ledger.request(success.usage.request_id)?.hold
    if (isSettling(answered.command) && hold != null && ledger.holds.has(hold.id))
      throw new Error(`${when}: it was reported on for good, and its hold is open`)
  }

  #settledBySomebody({ name, params }: AnyCommand, ledger: Ledger, when: string): void {
    if (name === "settle_hold" && ledger.holds.has(params.hold_id))
      throw new Error(`${when}: it was settled for good, and its hold is open`)
  }

  /** What is approved has somebody else's eyes or the policy's word for it, and stays within the cap. */
  #overridden(override: Override, command: AnyCommand, ledger: Ledger, when: string): void {
    if (override.decided_by === override.requested_by) throw new Error(`${when}: two eyes decided`)
    const row = ledger.overrides.get(override.id)
    const approval = `${override.id} ${override.decided_at} ${override.approved_amount}`
    // Sent again, it is answered as it was then, also when the budget has another limit by now.
    if (override.status !== "approved" || row?.status !== "approved" || this.#approvals.has(approval)) return
    this.#approvals.add(approval)
    const definition = ledger.budgets.get(row.budgetId)?.definition
    if (definition === undefined) throw new Error(`${when}: there is no such budget`)
    const { limit, overridePolicy } = definition
    if (command.name === "request_override" && overridePolicy.requires_approval)
      throw new Error(`${when}: nobody has approved it`)
    let sum = 0n
    const ids = [...this.#rows.overrides.keys(), ...ledger.overrides.live().map(({ id }) => id)]
    for (const id of new Set(ids)) {
      const known = ledger.overrides.get(id) ?? this.#rows.overrides.get(id)
      if (known?.budgetId === row.budgetId && known.periodStart === row.periodStart)
        sum += known.approvedAmount ?? 0n
    }
    if (sum * 100n > limit * BigInt(overridePolicy.max_override_percentage))
      throw new Error(`${when}: ${formatAmount(sum)} were approved, which is past the cap`)
  }

  #approved({ before }: Answered, approval: Approval, ledger: Ledger, when: string): void {
    if (!approval.allowed) checkRefusal(ledger, approval, when)
    if (!approval.allowed || approval.hold_id === undefined) return
    const hold = ledger.holds.get(approval.hold_id)
    if (hold === undefined) throw new Error(`${when}: it may go on, and nothing is held`)
    const isNew = before === undefined
    if (isNew) checkKept(ledger, hold, when)
    const more = {
      cost: hold.estimatedCost - (before?.cost ?? 0n),
      tokens: hold.estimatedTokens - (before?.tokens ?? 0),
      requests: 0,
      rates: hold.rates
    }
    checkRoom(ledger, hold, more, isNew, when)
  }

  /** The answer went out: from now on its client relies on it. Answers the hold that it names. */
  acknowledged({ command, answer }: Answered, when: string): string | undefined {
    if (Result.isFailure(answer)) return undefined
    const success = answer.success
    if ("tracked" in success) {
      this.#toldOf(success.usage, when)
      if (isSettling(command)) this.#settled.add(success.usage.request_id)
    }
    if ("settled" in success && success.settled && command.name === "settle_hold")
      this.#settled.add(requestIdOfHold(command.params.hold_id))
    if ("corrected" in success) this.#checkTold(attemptKey(success.usage), success.usage, when)
    if (!("allowed" in success) || !success.allowed || success.hold_id === undefined) return undefined
    if (this.#rows.holdStateOf(requestIdOfHold(success.hold_id)) === undefined)
      throw new Error(`${when}: the hold ${success.hold_id} was acknowledged, and is not there`)
    return success.hold_id
  }

  #toldOf(usage: TokenUsage, when: string): void {
    const key = attemptKey(usage)
    const before = this.#told.get(key)
    if (before !== undefined && before.id !== usage.id && usage.adjusts !== before.id)
      throw new Error(`${when}: ${key} is answered by ${usage.id}, and was answered by ${before.id}`)
    this.#told.set(key, usage)
    this.#checkTold(key, usage, when)
  }

  #checkTold(key: string, told: TokenUsage, when: string): void {
    if (told.usage_seq <= this.#rows.cleanedTo) return
    const row = this.#rows.rowOf(told.usage_seq)?.usage
    if (row?.id !== told.id || attemptKey(row) !== key || row.cost !== told.cost)
      throw new Error(`${when}: ${key} was acknowledged, and is not there`)
  }

  /** Something was written. */
  check(when: string): void {
    const { lastSeq, open } = this.#rows
    while (this.#counted < lastSeq) {
      const row = this.#rows.rowOf(++this.#counted)?.usage
      if (row === undefined) throw new Error(`${when}: the row ${this.#counted} was cleaned up as it came`)
      const key = attemptKey(row)
      const recorded = this.#recorded.get(key) ?? { rows: 0, replaced: 0, isPriced: false }
      const isRepriced = row.adjusts !== undefined && row.price_id !== null && !recorded.isPriced
      if (row.adjusts === undefined) recorded.rows += 1
      else if (row.reason === undefined && !isRepriced) recorded.replaced += 1
      recorded.isPriced ||= row.price_id !== null
      if (recorded.rows > 1) throw new Error(`${when}: ${key} is counted twice`)
      if (recorded.replaced > 1) throw new Error(`${when}: the estimate of ${key} is replaced twice`)
      this.#recorded.set(key, recorded)
    }
    for (const requestId of open.keys()) {
      if (this.#settled.has(requestId))
        throw new Error(`${when}: ${requestId} was reported on for good, and something is held for it`)
    }
  }

  /** Everything that anybody was ever told is there. */
  checkAll(when: string): void {
    for (const [key, told] of this.#told) this.#checkTold(key, told, when)
  }
}
