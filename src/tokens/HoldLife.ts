/**
 * The life of a hold (held → posted | released | expired) and its deadline.
 *
 * Owns: booking a hold into periods, closing it, extending it, ending it when its deadline comes.
 * Does not decide: whether a request gets a hold (Holding), or what a call costs in the end (Posting).
 */
import { Result } from "effect"
import type { Approval } from "../signal/Budgeting.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { Conflict, invalidParam, NotFound, type SignalError } from "../signal/Errors.ts"
import { type Amount, convert, formatAmount } from "../signal/Money.ts"
import { hasRole, type Principal } from "../signal/Principal.ts"
import { type Millis, toSentence } from "../signal/Text.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import { ratesInto } from "./Converting.ts"
import type { Ledger } from "./Ledger.ts"
import { exchangeRateOf, priceOf } from "./PinnedPrice.ts"
import { priceCounts } from "./Pricing.ts"
import { type HoldRecord, keep, type RequestRecord } from "./RequestRecord.ts"
import { type Asked, approval, askedOf, refuseForRoom, roomIn } from "./Room.ts"

type Decision<A> = Result.Result<A, SignalError>

/** The request id that a hold's id carries. */
export const requestIdOfHold = (holdId: string): string => holdId.slice(holdId.indexOf(".") + 1)

/** Keeps `asked` in each budget, in the period of `at`. */
export const book = (
  ledger: Ledger,
  hold: HoldRecord,
  budgets: ReadonlyArray<BudgetRecord>,
  asked: Asked,
  at: Millis
): void => {
  for (const budget of budgets) {
    ledger.adopt(budget)
    const amount = askedOf(budget, asked)
    const period = budget.periodAt(at)
    const booking = hold.bookings.find((candidate) => candidate.period === period)
    if (booking === undefined) keep(hold, period, amount)
    else booking.amount += amount
    period.held += amount
    // Written even where nothing is kept: a reload must find every period that a hold is in.
    ledger.changePeriod(period)
  }
}

/** Gives back what a hold still keeps. The caller says what became of it. */
export const close = (ledger: Ledger, hold: HoldRecord, state: "posted" | "released" | "expired"): void => {
  for (const { period, amount } of hold.bookings) {
    period.openHolds -= 1
    if (amount === 0n) continue
    period.held -= amount
    ledger.changePeriod(period)
  }
  hold.bookings = []
  hold.remainingCost = 0n
  hold.remainingTokens = 0
  hold.state = state
  ledger.closeHold(hold)
}

const findHold = (
  ledger: Ledger,
  holdId: string,
  principal: Principal
): { readonly hold: HoldRecord; readonly request: RequestRecord } | undefined => {
  const request = ledger.request(requestIdOfHold(holdId))
  const hold = request?.hold
  if (request === undefined || hold == null || hold.id !== holdId) return undefined
  return hasRole(principal, "admin") || hold.keyId === principal.keyId ? { hold, request } : undefined
}

const noHold = (holdId: string): NotFound =>
  new NotFound({ kind: "hold", id: holdId, message: `There is no hold ${holdId}; check_budget makes one` })

const alreadyPosted = (hold: HoldRecord): Conflict =>
  new Conflict({
    reason: "hold_already_posted",
    message: `Hold ${hold.id} has been posted: its call was reported, so nothing is held any more`
  })

export const releaseHold = (
  ledger: Ledger,
  payload: SignalPayload<"release_hold">,
  principal: Principal
): Decision<SignalSuccess<"release_hold">> => {
  const found = findHold(ledger, payload.hold_id, principal)
  if (found === undefined) return Result.fail(noHold(payload.hold_id))
  if (found.hold.state === "posted") return Result.fail(alreadyPosted(found.hold))
  if (found.hold.state === "held") {
    close(ledger, found.hold, "released")
    ledger.changeRequest(found.request)
  }
  return Result.succeed({ released: true })
}

// --- extending

/** More tokens without a cost are priced as output of the hold's model. */
const costOfMore = (ledger: Ledger, hold: HoldRecord, tokens: number, now: Millis): Amount | undefined => {
  if (tokens === 0) return 0n
  if (hold.provider === null || hold.model === null) return undefined
  const price = priceOf(ledger, hold, hold.provider, hold.model, now)
  const exchangeRate = price && exchangeRateOf(ledger, hold, price, now)
  if (price === undefined || exchangeRate === undefined) return undefined
  const counts = { prompt_tokens: 0, completion_tokens: tokens }
  return convert(priceCounts(price, counts, hold.serviceTier ?? undefined).cost, exchangeRate)
}

/** Where a hold is booked; not the standing that a budget of the entity's own has replaced since. */
const holdBudgets = (ledger: Ledger, hold: HoldRecord): ReadonlyArray<BudgetRecord> =>
  hold.bookings
    .flatMap(({ period }) => ledger.budgetAt(period.budgetId) ?? [])
    .filter((budget) => ledger.index.isInForce(budget))

/** More room, or more time, for an open hold: booked where the hold is. */
export const extendHold = (
  ledger: Ledger,
  payload: SignalPayload<"extend_hold">,
  principal: Principal,
  now: Millis
): Decision<Approval> => {
  const found = findHold(ledger, payload.hold_id, principal)
  if (found === undefined) return Result.fail(noHold(payload.hold_id))
  const { hold, request } = found
  if (hold.state === "posted") return Result.fail(alreadyPosted(hold))
  if (hold.state !== "held") {
    return Result.fail(
      new Conflict({
        reason: "hold_already_released",
        message: `Hold ${hold.id} has ended; ask again with check_budget`
      })
    )
  }
  const tokens = payload.by?.tokens ?? 0
  const cost = payload.by?.cost ?? costOfMore(ledger, hold, tokens, now)
  if (cost === undefined) {
    return Result.fail(
      invalidParam(["by", "cost"], "This hold has no priced model: say how much more it may cost")
    )
  }
  const budgets = holdBudgets(ledger, hold)
  const rates = ratesInto(ledger, budgets, hold.createdAt, hold.rates)
  const more = { cost, tokens, requests: 0, rates }
  // More time alone asks for no money, so that no budget can refuse it.
  const asked = budgets.filter((budget) => askedOf(budget, more) > 0n)
  // The hold stays in its period: a later one has no room for it.
  const room = roomIn(asked, more, hold.createdAt, { hold, now })
  if (room.violations.length > 0) return Result.succeed(refuseForRoom(ledger, { tokens, cost }, room))
  book(ledger, hold, budgets, more, hold.createdAt)
  hold.estimatedTokens += tokens
  hold.estimatedCost += cost
  hold.remainingTokens += tokens
  hold.remainingCost += cost
  if (payload.ttl_ms !== undefined) {
    hold.expiresAt = Math.max(hold.expiresAt, now + payload.ttl_ms)
    ledger.watchDeadline(hold)
  }
  ledger.changeRequest(request)
  const estimated = { tokens: hold.estimatedTokens, cost: hold.estimatedCost }
  return Result.succeed(approval(ledger, hold, estimated, budgets, room.warnings, now))
}

// --- expiry

/** Requests in one batch past which no more holds end in it: it must stay one that the store can write in time. */
const EXPIRING_AT_ONCE = 2_000

/**
 * Ends the holds whose deadline has come, as many as one batch can carry: after an outage they are all due at once.
 * The others end with the next batches. One whose call never reported raises an alert.
 */
export const expireHolds = (ledger: Ledger, now: Millis): void => {
  while (ledger.changedRequests < EXPIRING_AT_ONCE) {
    const due = ledger.deadlines.takeDue(now)
    if (due === undefined) return
    const hold = ledger.holds.get(due.id)
    if (hold === undefined || hold.state !== "held" || hold.expiresAt > now) continue
    const request = ledger.requestOrNew(hold.requestId)
    const kept = hold.remainingCost
    close(ledger, hold, "expired")
    ledger.changeRequest(request)
    if (request.attempts.length > 0) continue
    ledger.raiseAlert({
      kind: "hold_unsettled",
      severity: "warning",
      message: toSentence(
        `Hold ${hold.id} expired and its call never reported; ${formatAmount(kept)} ${ledger.config.currency} went back`
      ),
      at: now,
      data: { hold_id: hold.id, request_id: hold.requestId, estimated_cost: formatAmount(hold.estimatedCost) }
    })
  }
}
