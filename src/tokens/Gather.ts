/**
 * Reads what a batch needs before it is decided, so that the decision itself needs no I/O.
 *
 * Owns: which requests, command results, overrides and old periods have to be looked up, in one query each.
 * Does not decide: anything about them.
 */
import { Effect } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import type { Millis } from "../signal/Text.ts"
import { ENTITIES_AT_START_MAX, NOTHING_SPENT, type SpentBefore } from "./BudgetStart.ts"
import { CLEANED_AT_ONCE } from "./Cleanup.ts"
import { commandIdOf, type LedgerSignal } from "./Decide.ts"
import { requestIdOfHold } from "./HoldLife.ts"
import type { Ledger } from "./Ledger.ts"
import type { LedgerStore, StoreUnreachable } from "./LedgerStore.ts"
import { adjustable, borrowPeriods } from "./OldPeriods.ts"
import { windowAt } from "./Period.ts"
import { EVERYBODY } from "./StandingKey.ts"

const requestIdOf = (envelope: Envelope<LedgerSignal>): string | undefined => {
  switch (envelope.name) {
    case "track_usage":
    case "correct_usage":
    case "check_budget":
    case "find_request":
    case "find_attempt":
      return envelope.payload.request_id
    case "extend_hold":
    case "release_hold":
    case "settle_hold":
      return requestIdOfHold(envelope.payload.hold_id)
    default:
      return undefined
  }
}

/** Whether any of the requests has attempts already, so that one of them may be adjusted. */
interface Trail {
  mayAdjust: boolean
}

/** Whatever these signals name, the store has and memory lacks. */
const lookUp = (
  store: LedgerStore,
  ledger: Ledger,
  envelopes: ReadonlyArray<Envelope<LedgerSignal>>,
  trail: Trail
): Effect.Effect<void, StoreUnreachable> | undefined => {
  const requestIds = new Set<string>()
  let overrideIds: Set<string> | undefined
  const commands: Array<{ readonly signal: string; readonly requestId: string }> = []
  let cleaning: Envelope<"clean_usage"> | undefined
  for (const envelope of envelopes) {
    if (envelope.name === "clean_usage") cleaning = envelope
    const requestId = requestIdOf(envelope)
    if (requestId !== undefined) {
      const known = ledger.request(requestId)
      if (known?.hasAllUsage !== true) requestIds.add(requestId)
      else if (known.attempts.length > 0) trail.mayAdjust = true
    }
    if (
      envelope.name === "decide_override" &&
      ledger.overrides.get(envelope.payload.override_id) === undefined
    ) {
      overrideIds ??= new Set()
      overrideIds.add(envelope.payload.override_id)
    }
    const commandId = commandIdOf(envelope)
    if (commandId !== undefined && !ledger.knowsCommand(envelope.name, commandId)) {
      commands.push({ signal: envelope.name, requestId: commandId })
    }
  }
  const lookUps: Array<Effect.Effect<void, StoreUnreachable>> = []
  if (requestIds.size > 0) {
    lookUps.push(
      Effect.map(store.findRequests(ledger.tenant, [...requestIds]), (known) => {
        for (const request of known) ledger.learnRequest(request)
        trail.mayAdjust ||= known.length > 0
      })
    )
  }
  if (commands.length > 0) {
    lookUps.push(
      Effect.map(store.findCommands(ledger.tenant, commands), (rows) => {
        for (const row of rows) ledger.learnCommand(row)
      })
    )
  }
  if (overrideIds !== undefined) {
    lookUps.push(
      Effect.map(store.findOverrides(ledger.tenant, [...overrideIds]), (rows) => {
        for (const row of rows) ledger.overrides.learn(row)
      })
    )
  }
  if (cleaning !== undefined) lookUps.push(oldUsage(store, ledger, cleaning.payload.before))
  return lookUps.length > 1 ? Effect.all(lookUps, { discard: true }) : lookUps[0]
}

/**
 * Lets the ledger know everything that these signals are about and the store has, if any of it is missing: requests,
 * command results, and the periods of long ago that an adjustment is charged to.
 */
export const gather = (
  store: LedgerStore,
  ledger: Ledger,
  envelopes: ReadonlyArray<Envelope<LedgerSignal>>
): Effect.Effect<void, StoreUnreachable> | undefined => {
  const trail: Trail = { mayAdjust: false }
  const lookedUp = lookUp(store, ledger, envelopes, trail)
  const borrow = () =>
    trail.mayAdjust ? borrowPeriods(store, ledger, adjustable(ledger, envelopes)) : undefined
  if (lookedUp === undefined) return borrow()
  return Effect.andThen(
    lookedUp,
    Effect.suspend(() => borrow() ?? Effect.void)
  )
}
const oldUsage = (
  store: LedgerStore,
  ledger: Ledger,
  before: Millis
): Effect.Effect<void, StoreUnreachable> =>
  Effect.map(store.oldUsage(ledger.tenant, before, CLEANED_AT_ONCE), (rows) => ledger.cleaning.learn(rows))

/** What was spent before a budget is made. Nothing may be on its way to the store meanwhile. */
export const spentBefore = (
  store: LedgerStore,
  tenant: string,
  envelope: Envelope<"create_budget">,
  now: Millis
): Effect.Effect<SpentBefore, StoreUnreachable> => {
  const { type, entity_id, measure, period, time_zone, week_starts_on } = envelope.payload
  const window = windowAt({ period, timeZone: time_zone, weekStartsOn: week_starts_on }, now)
  const span = { measure, from: window.start, to: window.end }
  if (type !== "global" && entity_id === EVERYBODY) {
    const all = store.spentByEntity(tenant, { ...span, type }, ENTITIES_AT_START_MAX + 1)
    return Effect.map(all, (byEntity) => ({ amount: 0n, byEntity }))
  }
  const one = store.spent(tenant, { ...span, type, entityId: entity_id ?? null })
  return Effect.map(one, (amount) => ({ ...NOTHING_SPENT, amount }))
}
