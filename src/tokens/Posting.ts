/**
 * Charges what a call used.
 *
 * Owns: recording an attempt once, settling its hold, booking it.
 * Does not decide: what counts cost (Pricing), which price applies (PriceBook), what is charged (Charging), how a
 * report replaces an estimate (Adjusting).
 */
import { Result } from "effect"
import { ATTRIBUTION_FIELDS, attributionOf, mergeAttribution } from "../signal/Attribution.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { Conflict, NotFound, type SignalError } from "../signal/Errors.ts"
import { type Amount, amountOfCount, convert, UNIT } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import type { CostStatus, TokenUsage } from "../signal/Usage.ts"
import { type AttemptRows, adjust, netOf, pricedAsBefore } from "./Adjusting.ts"
import { raiseUnpricedAlert } from "./Alerting.ts"
import { LATE_WINDOW_MS } from "./BudgetPeriods.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import { charge, chargeOf, withRates } from "./Charging.ts"
import { priceUnknown } from "./Costing.ts"
import { usageDigest } from "./Digest.ts"
import { close, requestIdOfHold } from "./HoldLife.ts"
import type { Ledger } from "./Ledger.ts"
import type { AttemptRow } from "./LedgerStore.ts"
import { exchangeRateOf, pinnedRates, priceOf } from "./PinnedPrice.ts"
import { type Cost, isFree, priceCounts } from "./Pricing.ts"
import { problemWithOwner } from "./RequestOwner.ts"
import type { HoldRecord, RequestRecord } from "./RequestRecord.ts"
import { raiseUnattributedAlert } from "./RequiredAttribution.ts"
import { activeStandings } from "./Room.ts"

type Decision<A> = Result.Result<A, SignalError>
type Report = SignalPayload<"track_usage">
type Tracked = SignalSuccess<"track_usage">

// --- repeats

const reused = (report: Report): Conflict =>
  new Conflict({
    reason: "request_reused_with_different_content",
    message: `Attempt ${report.attempt} of request ${report.request_id} was recorded with other content; give a new call a new attempt number`
  })

/** Its request is known for ever; its row is not. */
const cleanedUp = (report: Report): NotFound =>
  new NotFound({
    kind: "usage",
    id: report.request_id,
    message: `Attempt ${report.attempt} of request ${report.request_id} was recorded and has been cleaned up since: it is counted, and cannot be counted again or changed`
  })

/** The first answer again, with today's budgets and no alerts. */
const repeated = (ledger: Ledger, usage: TokenUsage, now: Millis): Tracked => ({
  tracked: true,
  duplicate: true,
  usage,
  budgets: activeStandings(ledger.index.matching(usage), now),
  alerts: []
})

const isFinalAfterEstimate = (known: AttemptRow, report: Report): boolean =>
  known.isEstimated && report.status !== "estimated"

// --- booking

interface Booked {
  readonly at: Millis
  readonly late: boolean
}

/** The hold's creation if there is one, else the report's own time; never more than 48 h back, never ahead. */
const bookedAt = (report: Report, hold: HoldRecord | null, now: Millis): Booked => {
  const wished = hold?.createdAt ?? Math.min(report.timestamp ?? now, now)
  const earliest = now - LATE_WINDOW_MS
  const at = Math.max(wished, earliest)
  return { at, late: wished < earliest }
}

/** `cost` is in the tenant's currency, the lines are in the price's. */
interface Priced extends Cost {
  readonly status: CostStatus
  readonly priceId: string | null
  readonly currency: string
  readonly exchangeRate: Amount
}

const unpriced = (currency: string): Priced => ({
  cost: 0n,
  breakdown: [],
  status: "unpriced",
  priceId: null,
  currency,
  exchangeRate: UNIT
})

const pricedAt = (price: Price, exchangeRate: Amount, report: Report): Priced => {
  const { cost, breakdown } = priceCounts(price, report, report.service_tier)
  return {
    cost: exchangeRate === UNIT ? cost : convert(cost, exchangeRate),
    breakdown,
    status: isFree(price, report.service_tier) ? "free" : "priced",
    priceId: price.id,
    currency: price.currency,
    exchangeRate
  }
}

/** Without a price, or without a rate from its currency, usage is recorded all the same, and an alert says so. */
const priced = (ledger: Ledger, report: Report, hold: HoldRecord | null, at: Millis): Priced => {
  const price = priceOf(ledger, hold, report.provider, report.model, at)
  const exchangeRate = price && exchangeRateOf(ledger, hold, price, at)
  return price === undefined || exchangeRate === undefined
    ? unpriced(ledger.config.currency)
    : pricedAt(price, exchangeRate, report)
}

const recordOf = (
  ledger: Ledger,
  report: Report,
  hold: HoldRecord | null,
  booked: Booked,
  cost: Priced,
  now: Millis
): TokenUsage => {
  ledger.usageSeq += 1
  const attributed = hold === null ? report : mergeAttribution(report, hold.attribution)
  const total = report.prompt_tokens + report.completion_tokens
  const kept = hold?.state === "held" ? hold.remainingCost : 0n
  return {
    ...attributed,
    ...(hold === null ? {} : { hold_id: hold.id }),
    id: `use_${ledger.usageSeq}`,
    usage_seq: ledger.usageSeq,
    timestamp: report.timestamp ?? now,
    recorded_at: now,
    booked_at: booked.at,
    total_tokens: total,
    cost: cost.cost,
    currency: ledger.config.currency,
    price_currency: cost.currency,
    exchange_rate: cost.exchangeRate,
    cost_breakdown: cost.breakdown,
    price_id: cost.priceId,
    cost_status: cost.status,
    overage: hold !== null && cost.cost > kept ? cost.cost - kept : 0n,
    late: booked.late,
    estimated_tokens: hold?.estimatedTokens ?? null,
    estimated_cost: hold?.currency === ledger.config.currency ? hold.estimatedCost : null
  }
}

// --- settling

/**
 * An attempt that will be retried takes its charge out of the hold, in the budgets that it is charged to, and leaves
 * the rest open: what it spends elsewhere frees nothing here.
 */
const reduce = (
  ledger: Ledger,
  hold: HoldRecord,
  charged: ReadonlyArray<BudgetRecord>,
  posted: Posted
): void => {
  const { usage, requests } = posted
  for (const booking of hold.bookings) {
    const budget = charged.find(({ key }) => key === booking.period.budgetId)
    if (budget === undefined) continue
    const amount = chargeOf(budget, usage, requests)
    const less = amount < booking.amount ? amount : booking.amount
    if (less <= 0n) continue
    booking.amount -= less
    booking.period.held -= less
    ledger.changePeriod(booking.period)
  }
  hold.remainingCost = usage.cost < hold.remainingCost ? hold.remainingCost - usage.cost : 0n
  hold.remainingTokens = Math.max(0, hold.remainingTokens - usage.total_tokens)
}

/** A usage, and whether it is the request's first. */
interface Posted {
  readonly usage: TokenUsage
  readonly requests: number
}

const settle = (
  ledger: Ledger,
  hold: HoldRecord | null,
  report: Report,
  charged: ReadonlyArray<BudgetRecord>,
  posted: Posted
): void => {
  if (hold === null) return
  if (hold.state === "held" && !report.settle) reduce(ledger, hold, charged, posted)
  else if (hold.state === "held") close(ledger, hold, "posted")
  else if (report.settle) hold.state = "posted"
}

/** The hold that a report belongs to, or why it cannot belong to the one it names. */
const holdFor = (
  ledger: Ledger,
  request: RequestRecord | undefined,
  report: Report
): Decision<HoldRecord | null> => {
  const hold = request?.hold ?? null
  if (report.hold_id === undefined || hold?.id === report.hold_id) return Result.succeed(hold)
  if (report.hold_id.includes(".") && requestIdOfHold(report.hold_id) !== report.request_id) {
    return Result.fail(
      new Conflict({
        reason: "hold_of_another_request",
        message: `Hold ${report.hold_id} was made for another request than ${report.request_id}; report under that request_id`
      })
    )
  }
  // An earlier hold of this request: it has ended, and that does not stop its usage.
  if (hold !== null && requestIdOfHold(report.hold_id) === report.request_id) return Result.succeed(hold)
  // In async mode a hold may be lost after it was answered: its usage is charged all the same.
  const isMadeForIt = report.hold_id.includes(".")
  if (isMadeForIt && ledger.config.budget_check_mode === "async") return Result.succeed(null)
  return Result.fail(
    new NotFound({
      kind: "hold",
      id: report.hold_id,
      message: `There is no hold ${report.hold_id}; leave hold_id out, and the usage is recorded all the same`
    })
  )
}

/** Records an attempt that is not recorded yet. `isGuess`: it is reported by somebody else than who called. */
export const post = (
  ledger: Ledger,
  report: Report,
  request: RequestRecord,
  hold: HoldRecord | null,
  digest: string,
  principal: Principal,
  now: Millis,
  isGuess = false
): Tracked => {
  const booked = bookedAt(report, hold, now)
  const cost = priced(ledger, report, hold, booked.at)
  const record = recordOf(ledger, report, hold, booked, cost, now)
  const requests = request.attempts.length === 0 ? 1 : 0
  const budgets = ledger.index.matching(record)
  const usage = withRates(ledger, record, budgets, pinnedRates(ledger, hold))
  settle(ledger, hold, report, budgets, { usage, requests })
  const alerts = [...charge(ledger, budgets, usage, requests, now), ...raiseUnpricedAlert(ledger, usage, now)]
  if (ledger.config.required_attribution.length > 0)
    alerts.push(...raiseUnattributedAlert(ledger, usage, principal, now))
  remember(ledger, request, usage, requests, digest, isGuess)
  return { tracked: true, duplicate: false, usage, budgets: activeStandings(budgets, now), alerts }
}

const NO_ADJUSTMENTS: ReadonlyArray<number> = []

const remember = (
  ledger: Ledger,
  request: RequestRecord,
  usage: TokenUsage,
  requests: number,
  digest: string,
  isGuess: boolean
): void => {
  const row: AttemptRow = {
    attempt: usage.attempt,
    digest,
    usageSeq: usage.usage_seq,
    isEstimated: usage.status === "estimated",
    isGuess,
    adjustments: NO_ADJUSTMENTS,
    answerSeq: usage.usage_seq
  }
  request.attempts = request.attempts.length === 0 ? [row] : [...request.attempts, row]
  request.keepUsage(usage)
  ledger.changeRequest(request)
  ledger.addUsage({ usage, requests })
  if (usage.cost_status === "unpriced") ledger.unpriced.add(usage)
  ledger.tracked += requests
  ledger.tokens += amountOfCount(usage.total_tokens)
  ledger.cost += usage.cost
}

// --- a final report after an estimate

/** Whether a final report is about what was estimated: the difference must land in the budgets of the estimate. */
const isAbout = (estimated: TokenUsage, report: Report): boolean =>
  report.provider === estimated.provider &&
  report.model === estimated.model &&
  ATTRIBUTION_FIELDS.every((field) => report[field] === undefined || report[field] === estimated[field]) &&
  Object.entries(report.tags ?? {}).every(([name, value]) => estimated.tags?.[name] === value)

/** A final report replaces an estimate once: a row of its own carries the difference, booked where the estimate was. */
const replaceEstimate = (
  ledger: Ledger,
  report: Report,
  request: RequestRecord,
  attempt: AttemptRow,
  rows: AttemptRows,
  digest: string,
  now: Millis
): Decision<Tracked> => {
  const net = netOf(rows)
  const pricedAt = pricedAsBefore(ledger, net)
  if (pricedAt === undefined) return Result.fail(priceUnknown(ledger, report.provider, report.model))
  const facts = {
    ...report,
    ...attributionOf(net.first),
    timestamp: report.timestamp ?? now,
    ...(request.hold === null ? {} : { hold_id: request.hold.id })
  }
  const to = { net, counts: report, pricedAt, facts }
  const changes = { digest, isEstimated: false, isGuess: false, answers: true }
  const { usage, budgets, alerts } = adjust(ledger, request, attempt, to, now, changes)
  if (request.hold !== null && report.settle) {
    if (request.hold.state === "held") close(ledger, request.hold, "posted")
    else request.hold.state = "posted"
  }
  return Result.succeed({
    tracked: true,
    duplicate: false,
    usage,
    budgets: activeStandings(budgets, now),
    alerts
  })
}

/** Records one attempt, once. Usage is never refused for lack of budget. */
export const trackUsage = (
  ledger: Ledger,
  report: Report,
  principal: Principal,
  now: Millis
): Decision<Tracked> => {
  const known = ledger.request(report.request_id)
  const foreign = problemWithOwner(known, principal)
  if (foreign !== undefined) return Result.fail(foreign)
  const digest = usageDigest(report)
  const attempt = known?.attempts.find((row) => row.attempt === report.attempt)
  if (known === undefined || attempt === undefined) {
    const hold = holdFor(ledger, known, report)
    if (Result.isFailure(hold)) return Result.fail(hold.failure)
    return Result.succeed(
      post(
        ledger,
        report,
        known ?? ledger.requestOrNew(report.request_id),
        hold.success,
        digest,
        principal,
        now
      )
    )
  }
  const answer = known.usageBySeq(attempt.answerSeq)
  if (attempt.digest === digest && answer !== undefined) return Result.succeed(repeated(ledger, answer, now))
  if (answer === undefined) return Result.fail(cleanedUp(report))
  const rows = isFinalAfterEstimate(attempt, report) ? known.rowsOf(attempt) : undefined
  if (rows !== undefined && isAbout(rows[0], report)) {
    return replaceEstimate(ledger, report, known, attempt, rows, digest, now)
  }
  return Result.fail(reused(report))
}
