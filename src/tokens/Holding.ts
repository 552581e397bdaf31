/**
 * Holds money before a call.
 *
 * Owns: approval of a request: the hold is in every budget that applies, or in none.
 * Does not decide: whether there is room (Room), or how a hold ends (HoldLife).
 */
import { Result } from "effect"
import { attributionOf } from "../signal/Attribution.ts"
import type { Approval } from "../signal/Budgeting.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { Conflict, invalidParam, Overloaded, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { alternativesTo } from "./Alternatives.ts"
import type { Subject } from "./BudgetIndex.ts"
import type { BudgetRecord } from "./BudgetRecord.ts"
import { ratesInto, rateUnknown } from "./Converting.ts"
import { priceHint } from "./Costing.ts"
import { holdDigest } from "./Digest.ts"
import { type Estimate, estimate, givenCost } from "./Estimate.ts"
import { book } from "./HoldLife.ts"
import type { Ledger } from "./Ledger.ts"
import { problemWithOwner } from "./RequestOwner.ts"
import type { HoldRecord } from "./RequestRecord.ts"
import { attributionProblem } from "./RequiredAttribution.ts"
import { type Asked, approval, refusal, refuseForRoom, roomIn } from "./Room.ts"

type Decision<A> = Result.Result<A, SignalError>

const subjectOf = (payload: SignalPayload<"check_budget">): Subject => payload as Subject

/** A request whose first attempt is recorded already counts, whatever hold it asks for now. */
const isCounted = (ledger: Ledger, payload: SignalPayload<"check_budget">): boolean =>
  (ledger.request(payload.request_id)?.attempts.length ?? 0) > 0

const place = (
  ledger: Ledger,
  payload: SignalPayload<"check_budget">,
  principal: Principal,
  budgets: ReadonlyArray<BudgetRecord>,
  estimated: Estimate,
  asked: Asked,
  now: Millis
): HoldRecord => {
  const request = ledger.requestOrNew(payload.request_id)
  const hold: HoldRecord = {
    id: `${ledger.nextId("hold")}.${payload.request_id}`,
    requestId: payload.request_id,
    state: "held",
    digest: holdDigest(payload),
    createdAt: now,
    expiresAt: now + payload.hold_ttl_ms,
    keyId: principal.keyId,
    provider: payload.provider ?? null,
    model: payload.model ?? null,
    estimatedTokens: estimated.tokens,
    estimatedCost: estimated.cost,
    remainingTokens: estimated.tokens,
    remainingCost: estimated.cost,
    bookings: [],
    attribution: attributionOf(payload),
    currency: ledger.config.currency,
    priceId: estimated.priceId,
    serviceTier: payload.service_tier ?? null,
    exchangeRate: estimated.exchangeRate,
    rates: asked.rates,
    page: undefined
  }
  request.hold = hold
  book(ledger, hold, budgets, asked, now)
  ledger.openHold(hold)
  ledger.changeRequest(request)
  return hold
}

const unpriceable = (
  ledger: Ledger,
  payload: SignalPayload<"check_budget">,
  budgets: ReadonlyArray<BudgetRecord>,
  estimated: Estimate
): Decision<Approval> | undefined => {
  if (estimated.costBasis !== "unknown") return undefined
  const costBudget = budgets.find(
    ({ definition }) =>
      definition.isActive && definition.measure === "cost" && definition.enforcement === "hard"
  )
  if (costBudget === undefined) return undefined
  const { provider, model } = payload
  if (provider === undefined || model === undefined) {
    return Result.fail(
      invalidParam(
        ["estimated_cost"],
        `Budget ${costBudget.definition.id} limits cost: give provider and model, or estimated_cost`
      )
    )
  }
  if (ledger.config.unknown_price_policy === "record_unpriced") return undefined
  if (estimated.missing !== undefined) {
    return Result.fail(rateUnknown(estimated.missing, ledger.config.currency))
  }
  return Result.succeed(
    refusal(
      ledger,
      "unknown_price",
      `Refused: ${provider}/${model} has no price and a hard cost budget applies${priceHint(ledger, provider, model)}. A budget_admin sets one with update_pricing; check_budget itself can be given an estimated_cost`,
      estimated
    )
  )
}

/** Open holds of one key past which it gets no more: one caller that forgets to report must not fill memory. */
export const HOLDS_OF_KEY_MAX = 10_000
const RETRY_AFTER_MS = 1_000

const tooManyHolds = (ledger: Ledger, { keyId }: Principal): Overloaded | undefined =>
  ledger.holdsByKey.of(keyId) < HOLDS_OF_KEY_MAX
    ? undefined
    : new Overloaded({
        message: `This key has ${HOLDS_OF_KEY_MAX} open holds, which is the bound: report or release them, or ask for a shorter hold_ttl_ms`,
        retry_after_ms: RETRY_AFTER_MS
      })

/** Memory is bounded: a hard default admits nobody whom it has not seen yet where it cannot keep where they stand. */
const crowded = (
  ledger: Ledger,
  budgets: ReadonlyArray<BudgetRecord>,
  estimated: Estimate
): Approval | undefined => {
  const { defaults } = ledger.index
  if (!defaults.isFull) return undefined
  const full = budgets.find(
    (budget) =>
      budget.isStanding &&
      budget.definition.isActive &&
      budget.definition.enforcement === "hard" &&
      !defaults.isAdopted(budget)
  )
  return (
    full &&
    refusal(
      ledger,
      "no_standing",
      `Refused: ${defaults.size} entities stand in default budgets, which is the bound, and "${full.definition.name}" has not seen this ${full.definition.type} yet; a budget of its own admits it`,
      estimated
    )
  )
}

/** The hold that this request already has, the reason why it cannot have one, or `undefined` to decide afresh. */
const known = (
  ledger: Ledger,
  payload: SignalPayload<"check_budget">,
  principal: Principal,
  now: Millis
): Decision<Approval> | undefined => {
  const request = ledger.request(payload.request_id)
  const foreign = problemWithOwner(request, principal)
  if (foreign !== undefined) return Result.fail(foreign)
  const hold = request?.hold
  if (request?.isPosted === true) {
    return Result.fail(
      new Conflict({
        reason: "hold_already_posted",
        message: `Request ${payload.request_id} has been reported already; a new call needs a new request_id`
      })
    )
  }
  if (hold?.state !== "held") return undefined
  if (hold.digest !== holdDigest(payload)) {
    return Result.fail(
      new Conflict({
        reason: "request_reused_with_different_content",
        message: `Request ${payload.request_id} has an open hold for something else; release it, or use a new request_id`
      })
    )
  }
  // Written again, although nothing changes: an owner that has lost the tenant must not admit anything from memory.
  if (request !== undefined) ledger.changeRequest(request)
  const budgets = ledger.index.matching(subjectOf(payload))
  const estimated = { tokens: hold.estimatedTokens, cost: hold.estimatedCost }
  return Result.succeed(approval(ledger, hold, estimated, budgets, [], now))
}

/** Approval before a call: the hold is in every budget that applies, or in none. */
export const checkBudget = (
  ledger: Ledger,
  payload: SignalPayload<"check_budget">,
  principal: Principal,
  now: Millis
): Decision<Approval> => {
  const given = givenCost(ledger, payload, now)
  if (Result.isFailure(given)) return Result.fail(given.failure)
  const before = payload.hold ? known(ledger, payload, principal, now) : undefined
  if (before !== undefined) return before
  const problem =
    attributionProblem(ledger, payload) ?? (payload.hold ? tooManyHolds(ledger, principal) : undefined)
  if (problem !== undefined) return Result.fail(problem)
  const budgets = ledger.index.matching(subjectOf(payload))
  const estimated = estimate(ledger, payload, given.success, now)
  const unknownPrice = unpriceable(ledger, payload, budgets, estimated)
  if (unknownPrice !== undefined) return unknownPrice
  const crowdedOut = crowded(ledger, budgets, estimated)
  if (crowdedOut !== undefined) return Result.succeed(crowdedOut)
  const asked = {
    cost: estimated.cost,
    tokens: estimated.tokens,
    requests: isCounted(ledger, payload) ? 0 : 1,
    rates: ratesInto(ledger, budgets, now, undefined)
  }
  const room = roomIn(budgets, asked, now)
  if (room.violations.length > 0) {
    const cheaper =
      estimated.costBasis === "priced"
        ? alternativesTo(ledger, payload, asked, room.violations, now)
        : undefined
    return Result.succeed(refuseForRoom(ledger, estimated, room, cheaper))
  }
  const hold = payload.hold ? place(ledger, payload, principal, budgets, estimated, asked, now) : undefined
  return Result.succeed(approval(ledger, hold, estimated, budgets, room.warnings, now))
}
