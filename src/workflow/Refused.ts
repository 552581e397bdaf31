/**
 * What is done while a workflow is parked.
 *
 * Owns: asking for an override where the workflow was told to, saying who may approve one, and waiting until there may
 * be room again.
 * Does not decide: whether there is room (the TokenManager), or what goes on then (Parking).
 *
 * Changes are heard when they are committed, and whoever is next in line looks (RoomLine). What no commit tells is found
 * by looking once a minute, and at the moment of a reset. While the workflow is at rest its place in line stays, and it looks at
 * the moment that its row has (`lookAt`): where it finds no room then, this ends, so that the row gets a later one.
 */
import { Clock, Effect, Result, type Scope } from "effect"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { parseAmount } from "../signal/Money.ts"
import { type Millis, toSentence } from "../signal/Text.ts"
import type { AgentDefinition } from "../signal/WorkflowDefinition.ts"
import { encodeViolation, untilTaken } from "./AgentCall.ts"
import { type AgentOrder, attributionFor, callerOf, insiderOf } from "./AgentOrder.ts"
import { keyFailure } from "./KeyEnds.ts"
import { type LookedAt, roomAfter, type Seen } from "./Parking.ts"
import type { WorkflowPorts } from "./Ports.ts"
import type { RoomLine } from "./RoomLine.ts"
import type { Place } from "./RoomPlace.ts"
import { agentOf, type Refusal, type Refusing, type WorkflowContext } from "./WorkflowContext.ts"

/** What no commit tells: a budget that took another's place, a rate. */
const LOOK_MS = 60_000
/** Whether its key has ended is asked more often; that is no signal. */
const KEY_MS = 30_000
/** Until workflows that were begun again are in line. */
const GATHER_MS = 2_000
/** Until the call of who goes on is admitted or refused; it is not waited for any longer. */
const CLAIM_MS = 10_000
/** So much before its moment a workflow may be back in memory: to look then is to look at its moment. */
const EARLY_MS = 10_000
const APPROVED_MAX = 1_000

export interface RefusedOrder
  extends Pick<AgentOrder, "workflowId" | "workflowName" | "principal" | "attribution"> {
  readonly round: number
  readonly since: Millis
  /** Until then it only waits. */
  readonly lookAt: Millis
  /** What it has asked for since it parked. */
  readonly overrides: ReadonlyArray<string>
  readonly refusals: ReadonlyArray<Refusal & { readonly definition: AgentDefinition }>
  readonly requestOverride: { readonly amount?: string; readonly reason?: string } | null
}

export const refusedOrderOf = (context: WorkflowContext): RefusedOrder => ({
  workflowId: context.id,
  workflowName: context.plan.name,
  principal: context.principal,
  attribution: context.attribution,
  round: context.parked?.round ?? 0,
  since: context.parked?.since ?? context.now,
  lookAt: context.parked?.lookAt ?? context.now,
  overrides: context.parked?.overrides ?? [],
  refusals: (context.parked?.refusals ?? []).map((refusal) => ({
    ...refusal,
    definition: agentOf(context, refusal.agent)
  })),
  requestOverride: context.plan.requestOverride
})

/** Every budget that refused, once, with the most that was missing in it. */
const refusing = ({ refusals }: RefusedOrder): ReadonlyArray<Refusing> => {
  const byBudget = new Map<string, Refusing>()
  for (const violation of refusals.flatMap(({ violations }) => violations)) {
    const known = byBudget.get(violation.budget_id)
    if (known === undefined || parseAmount(violation.shortfall) > parseAmount(known.shortfall))
      byBudget.set(violation.budget_id, violation)
  }
  return [...byBudget.values()]
}

/** The agents that this budget keeps waiting. */
const agentsOf = ({ refusals }: RefusedOrder, { budget_id }: Refusing): string =>
  refusals
    .filter(({ violations }) => violations.some((violation) => violation.budget_id === budget_id))
    .map(({ agent }) => agent)
    .join(", ")

const unitOf = ({ measure, currency }: Refusing): string => ` ${measure === "cost" ? currency : measure}`

const overrideFor = (
  order: RefusedOrder,
  violation: Refusing,
  isDefault: boolean
): SignalPayload<"request_override"> => ({
  // Once for each round: asked again after a crash, it is the same request.
  request_id: `${order.workflowId}/override/${violation.budget_id}/${order.round}`,
  budget_id: violation.budget_id,
  ...(isDefault && violation.entity_id !== null ? { entity_id: violation.entity_id } : {}),
  amount: parseAmount(order.requestOverride?.amount ?? violation.shortfall),
  reason:
    order.requestOverride?.reason ??
    toSentence(
      `For the workflow ${order.workflowId} (${order.workflowName}), which is parked at ${agentsOf(order, violation)}: ${violation.shortfall}${unitOf(violation)} is missing in ${violation.name}`
    )
})

/** Whether its key may spend no more: then it asks for nothing, and goes on to the call that says so. */
const hasLostKey = (ports: WorkflowPorts, { principal }: RefusedOrder): Effect.Effect<boolean> =>
  keyFailure(ports.keys, principal).pipe(
    Effect.map((failure) => failure !== undefined),
    Effect.catch(() => Effect.succeed(false))
  )

interface Asked {
  readonly overrides: ReadonlyArray<string>
  readonly notes: ReadonlyArray<string>
}

const NOT_ASKED: Asked = { overrides: [], notes: [] }

/** Refused, it leaves the workflow parked, which says why: whoever reads it would wait for an approval that nobody was asked for. */
const notTaken = (order: RefusedOrder, { budget_id }: Refusing, why: string): Effect.Effect<Asked> => {
  const note = `No override could be asked for: ${why}`
  const logged = Effect.logWarning(`The workflow ${order.workflowId} is parked on ${budget_id}. ${note}`)
  return Effect.as(logged, { overrides: [], notes: [note] })
}

/**
 * Asks for an override where it is told to. Also where the policy's cap leaves no room for it: the ledger says then which cap
 * that is and what is left, or the workflow was told to ask for less than is missing.
 */
const askFor = (
  ports: WorkflowPorts,
  order: RefusedOrder,
  violation: Refusing,
  isDefault: boolean
): Effect.Effect<Asked> => {
  if (order.requestOverride === null || violation.override === "pending") return Effect.succeed(NOT_ASKED)
  const payload = overrideFor(order, violation, isDefault)
  const ask = ports.money.ask("request_override", payload, callerOf(order.principal))
  const asked = (violation.override === "available" ? untilTaken(ask) : ask).pipe(
    Effect.map(({ override_id }): Asked => ({ overrides: [override_id], notes: [] })),
    Effect.catch(({ message }) => notTaken(order, violation, message))
  )
  return Effect.flatMap(hasLostKey(ports, order), (isLost) => (isLost ? Effect.succeed(NOT_ASKED) : asked))
}

const lookAtBudget = (ports: WorkflowPorts, order: RefusedOrder, violation: Refusing) =>
  Effect.gen(function* () {
    const { budgets } = yield* untilTaken(
      ports.money.ask(
        "get_budget_status",
        { budget_id: violation.budget_id, include_inactive: true },
        insiderOf(order.principal)
      )
    )
    const [budget] = budgets
    if (budget === undefined) return { approvers: [], ...NOT_ASKED }
    const isDefault = budgets.some(({ entity_id }) => entity_id === "*")
    const asked = yield* askFor(ports, order, violation, isDefault)
    return { approvers: budget.override_policy.approvers, ...asked }
  })

/** When its key ends by itself, as far as that can be said now. */
const keyEndOf = (ports: WorkflowPorts, { principal }: RefusedOrder): Effect.Effect<Millis | null> =>
  ports.keys.of(principal).pipe(
    Effect.map((standing) => ("holder" in standing ? (standing.expiresAt ?? null) : null)),
    Effect.orElseSucceed(() => null)
  )

/** Finds out who may approve more, and asks them where the workflow was told to. */
export const lookAtRefusals = (ports: WorkflowPorts, order: RefusedOrder): Effect.Effect<LookedAt> =>
  Effect.forEach(refusing(order), (violation) => lookAtBudget(ports, order, violation)).pipe(
    Effect.catch((error) =>
      Effect.as(
        Effect.logWarning(
          `What refused the workflow ${order.workflowId} could not be looked at: ${error.message}`
        ),
        []
      )
    ),
    Effect.zipWith(keyEndOf(ports, order), (found, keyEndsAt) => ({
      round: order.round,
      approvers: found.flatMap(({ approvers }) => approvers),
      overrides: found.flatMap(({ overrides }) => overrides),
      notes: found.flatMap(({ notes }) => notes),
      keyEndsAt
    }))
  )

/** What was asked for when it was refused, asked again without holding anything. */
const lookFor = (
  order: RefusedOrder,
  { agent, violations, definition }: RefusedOrder["refusals"][number]
): SignalPayload<"check_budget"> => {
  const cost = violations.find(({ measure }) => measure === "cost")
  const tokens = violations.find(({ measure }) => measure === "tokens")
  return {
    ...attributionFor(order, agent),
    request_id: `${order.workflowId}/${agent}/look`,
    provider: definition.provider,
    model: definition.model,
    estimated_tokens: tokens === undefined ? 0 : Number(tokens.requested),
    ...(cost === undefined ? {} : { estimated_cost: parseAmount(cost.requested), currency: cost.currency }),
    hold: false,
    hold_ttl_ms: 1
  }
}

/**
 * Whether one of the steps may go on, be it to its end; and how the others are refused now. What cannot be said now is not so.
 */
const looked = (ports: WorkflowPorts, order: RefusedOrder) =>
  Effect.gen(function* () {
    const seen: Array<Seen> = []
    if (yield* hasLostKey(ports, order)) return { mayGoOn: true, seen }
    for (const refusal of order.refusals) {
      const approval = yield* Effect.result(
        ports.money.ask("check_budget", lookFor(order, refusal), callerOf(order.principal))
      )
      if (Result.isFailure(approval)) continue
      if (approval.success.allowed) return { mayGoOn: true, seen }
      const { violations, retry_at } = approval.success
      seen.push({
        agent: refusal.agent,
        violations: violations.map((violation) => encodeViolation(violation)),
        retryAt: retry_at
      })
    }
    return { mayGoOn: false, seen }
  })

/** Whether an override that it has asked for is approved: after a restart nobody tells it again. */
const hasApproval = (ports: WorkflowPorts, order: RefusedOrder): Effect.Effect<boolean> =>
  Effect.gen(function* () {
    if (order.overrides.length === 0) return false
    for (const { budget_id } of refusing(order)) {
      const payload = { status: "approved", budget_id, limit: APPROVED_MAX } as const
      const { items } = yield* ports.money.ask("list_overrides", payload, insiderOf(order.principal))
      if (items.some(({ id }) => order.overrides.includes(id))) return true
    }
    return false
  }).pipe(Effect.catch(() => Effect.succeed(false)))

/** Gives up its place when what it waits for is over, and keeps it where it is only interrupted. */
const placeIn = (
  line: RoomLine,
  { workflowId, principal: { tenant, keyId }, since, overrides, refusals }: RefusedOrder,
  isOver: () => boolean
) =>
  Effect.acquireRelease(
    Effect.sync(() => line.enter({ workflowId, keyId, tenant, since, overrides, refusals })),
    (place) => Effect.sync(() => (isOver() ? place.leave() : place.rest()))
  )

/** Its turn has come; or it has lost its key. */
const turnOf = (ports: WorkflowPorts, order: RefusedOrder, place: Place) =>
  Effect.gen(function* () {
    const begunAt = yield* Clock.currentTimeMillis
    const moment = order.lookAt > begunAt ? order.lookAt : Infinity
    const lookAt = Math.min(roomAfter(order.refusals, begunAt) ?? Infinity, moment, begunAt + LOOK_MS)
    let now = begunAt
    while (true) {
      const pauseMs = now < lookAt ? Math.min(KEY_MS, lookAt - now) : KEY_MS
      const isMine = yield* Effect.race(
        Effect.as(place.turn.await, true),
        Effect.as(Effect.sleep(pauseMs), false)
      )
      if (isMine) return "look"
      if (yield* hasLostKey(ports, order)) return "lost key"
      now = yield* Clock.currentTimeMillis
      if (now >= lookAt) place.mustLook()
    }
  })

/** What it finds: room, or none at the moment at which it was to look by itself. */
export interface RoomFound {
  readonly at: Millis
  readonly hasRoom: boolean
  /** Where there is none: what the look was answered. */
  readonly seen?: ReadonlyArray<Seen>
}

/** Gets in line. What changes between this and the first look is heard. */
const getInLine = (ports: WorkflowPorts, line: RoomLine, order: RefusedOrder, isOver: () => boolean) =>
  Effect.gen(function* () {
    const place = yield* placeIn(line, order, isOver)
    if (place.hasHeard) {
      const now = yield* Clock.currentTimeMillis
      if (now >= order.lookAt) place.mustLook()
      return place
    }
    if (yield* hasApproval(ports, order)) place.approve()
    // After a restart all of them come back at once: whoever is before this one may still be on its way.
    yield* Effect.race(place.approval.await, Effect.sleep(GATHER_MS))
    place.mustLook()
    return place
  })

const goOnIn = (
  runtime: Scope.Scope,
  ports: WorkflowPorts,
  line: RoomLine,
  order: RefusedOrder,
  isOver: () => boolean
) =>
  Effect.gen(function* () {
    const place = yield* getInLine(ports, line, order, isOver)
    while ((yield* turnOf(ports, order, place)) === "look") {
      const { mayGoOn, seen } = yield* looked(ports, order)
      if (mayGoOn) {
        const end = place.goOn()
        yield* Effect.forkIn(Effect.andThen(Effect.sleep(CLAIM_MS), Effect.sync(end)), runtime)
        break
      }
      place.pass()
      const at = yield* Clock.currentTimeMillis
      if (at >= order.lookAt - EARLY_MS) return { at, hasRoom: false, seen }
    }
    return { at: yield* Clock.currentTimeMillis, hasRoom: true }
  })

/**
 * Waits until a step that was refused may go on, and it is this workflow's turn. `isOver`: asked when it is interrupted. What is
 * kept for its call is given back in the scope that this is run in, which is the runtime's.
 */
export const awaitRoom = (
  ports: WorkflowPorts,
  line: RoomLine,
  order: RefusedOrder,
  isOver: () => boolean = () => true
): Effect.Effect<RoomFound, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (runtime) => Effect.scoped(goOnIn(runtime, ports, line, order, isOver)))
