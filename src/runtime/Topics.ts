/**
 * The topics that can be subscribed to.
 *
 * Owns: where each topic's events come from, and resuming from a cursor where the topic lives in the store.
 * Does not decide: who may watch a topic (signal/Authorization), or how a slow reader is treated (bridge/).
 */
import { Effect, Result, Stream } from "effect"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import type { Address } from "../actor/Address.ts"
import {
  type AnsweredSignal,
  type ArrivedSignal,
  arrivalOf,
  deadLetterOf,
  recordOf
} from "../actor/Inspection.ts"
import type { ActorInfo } from "../signal/Actors.ts"
import { ATTRIBUTION_FIELDS, type Attribution } from "../signal/Attribution.ts"
import type { BudgetStanding } from "../signal/Budget.ts"
import { type InvalidParams, invalidParam, type SignalError } from "../signal/Errors.ts"
import type { ActorFact } from "../signal/Inspection.ts"
import type { Principal } from "../signal/Principal.ts"
import type { OpenTopic, TopicEvent } from "../signal/SignalRouter.ts"
import type { EventFilter, Topic } from "../signal/Subscriptions.ts"
import { isCovered } from "../tokens/BudgetIndex.ts"
import type { LedgerStore, OverrideRow, UsageFilter } from "../tokens/LedgerStore.ts"
import { overrideOf } from "../tokens/Overrides.ts"
import { definitionIdOf } from "../tokens/StandingKey.ts"
import type { Hub } from "./Hub.ts"
import { Outbox } from "./Outbox.ts"
import { PAGE, startAt, stored } from "./StoredTopic.ts"
import { type WorkflowFeed, workflowsTopic } from "./WorkflowsTopic.ts"

export interface TopicSurroundings {
  readonly store: LedgerStore
  readonly hub: Hub
  readonly system: ActorSystem
  readonly feed: WorkflowFeed
}

const readCursor = (cursor: string | undefined): Result.Result<number | undefined, InvalidParams> => {
  if (cursor === undefined) return Result.succeed(undefined)
  const seq = Number(cursor)
  return /^[0-9]{1,15}$/u.test(cursor)
    ? Result.succeed(seq)
    : Result.fail(
        invalidParam(["from_cursor"], "This is not a cursor of this topic; leave it out to start now")
      )
}

/** Refuses a cursor of a topic that lives nowhere. */
export const withoutCursor = (
  topic: Topic,
  cursor: string | undefined
): Effect.Effect<void, InvalidParams> =>
  cursor === undefined
    ? Effect.void
    : Effect.fail(
        invalidParam(
          ["from_cursor"],
          `The topic ${topic} cannot be resumed: leave from_cursor out, and read a snapshot`
        )
      )

const usageFilterOf = (filter: EventFilter): UsageFilter => {
  const { budget_id: _budget, address: _address, signal: _signal, received: _received, ...usage } = filter
  return usage
}

const matches = (
  filter: EventFilter,
  subject: Attribution & { readonly provider?: string; readonly model?: string }
) => {
  if (filter.provider !== undefined && filter.provider !== subject.provider) return false
  if (filter.model !== undefined && filter.model !== subject.model) return false
  if (ATTRIBUTION_FIELDS.some((field) => filter[field] !== undefined && filter[field] !== subject[field]))
    return false
  return Object.entries(filter.tags ?? {}).every(([name, value]) => subject.tags?.[name] === value)
}

/** Calls under way on this node, as they go on. */
export const callsUnderWay = (
  env: TopicSurroundings,
  filter: EventFilter,
  isShown: () => boolean,
  tenant: string
): Stream.Stream<TopicEvent> => {
  const outbox = new Outbox()
  const stop = env.hub.listen(tenant, {
    onProgress: (progress) =>
      isShown() && matches(filter, progress) && outbox.put({ cursor: null, event: { in_flight: progress } })
  })
  return Stream.ensuring(outbox.events, Effect.sync(stop))
}

const usageTopic = (env: TopicSurroundings, filter: EventFilter, from: number | undefined, tenant: string) =>
  Effect.gen(function* () {
    const start = yield* startAt(from, env.store.lastUsageSeq(tenant))
    const outbox = new Outbox()
    const stop = env.hub.listen(tenant, {
      onCommit: (batch) => batch.usage.length > 0 && outbox.wake(),
      onProgress: (progress) =>
        matches(filter, progress) && outbox.put({ cursor: null, event: { in_flight: progress } })
    })
    const events = stored({
      from: start,
      outbox,
      read: (after) =>
        Effect.map(env.store.usageAfter(tenant, usageFilterOf(filter), after, PAGE), (rows) => ({ rows })),
      seqOf: (usage) => usage.usage_seq,
      eventOf: (usage) => ({ usage }),
      newest: env.store.lastUsageSeq(tenant)
    })
    return { cursor: String(start), events: Stream.ensuring(events, Effect.sync(stop)) }
  })

const alertsTopic = (env: TopicSurroundings, filter: EventFilter, from: number | undefined, tenant: string) =>
  Effect.gen(function* () {
    const start = yield* startAt(from, env.store.lastAlertSeq(tenant))
    const outbox = new Outbox()
    const stop = env.hub.listen(tenant, { onCommit: (batch) => batch.alerts.length > 0 && outbox.wake() })
    const events = stored({
      from: start,
      outbox,
      read: (after) => Effect.map(env.store.alertsAfter(tenant, after, PAGE), (rows) => ({ rows })),
      seqOf: (row) => row.seq,
      eventOf: (row) => ({ alert: row.alert }),
      newest: env.store.lastAlertSeq(tenant)
    }).pipe(
      Stream.filter(
        ({ event }) =>
          filter.budget_id === undefined || !("alert" in event) || event.alert.budget_id === filter.budget_id
      )
    )
    return { cursor: String(start), events: Stream.ensuring(events, Effect.sync(stop)) }
  })

const budgetsTopic = (env: TopicSurroundings, filter: EventFilter, principal: Principal): OpenTopic => {
  const outbox = new Outbox()
  const show = (standings: ReadonlyArray<BudgetStanding>): void => {
    for (const budget of standings) {
      if (filter.budget_id !== undefined && filter.budget_id !== budget.budget_id) continue
      if (!isCovered(budget.type, budget.entity_id, principal.attribution)) continue
      outbox.put({ cursor: null, event: { budget } })
    }
  }
  const showOverrides = (rows: ReadonlyArray<OverrideRow>): void => {
    for (const row of rows) {
      if (filter.budget_id !== undefined && filter.budget_id !== definitionIdOf(row.budgetId)) continue
      if (!isCovered(row.type, row.entityId, principal.attribution)) continue
      outbox.put({ cursor: null, event: { override: overrideOf(row) } })
    }
  }
  const stop = env.hub.listen(principal.tenant, {
    // The standings first: whoever an override wakes has seen the room that it made.
    onCommit: ({ overrides }, standings) => {
      show(standings)
      showOverrides(overrides)
    },
    onReset: show
  })
  return { cursor: null, events: Stream.ensuring(outbox.events, Effect.sync(stop)) }
}

const signalsTopic = (env: TopicSurroundings, filter: EventFilter, principal: Principal): OpenTopic => {
  const outbox = new Outbox()
  const { inspection } = env.system
  const isWanted = ({ name, address, principal: sender }: Omit<ArrivedSignal, "mailboxDepth">): boolean =>
    sender.tenant === principal.tenant &&
    (filter.signal === undefined || filter.signal === name) &&
    (filter.address === undefined || filter.address === address.text)
  const onSignal = (signal: AnsweredSignal): void => {
    if (isWanted(signal)) outbox.put({ cursor: null, event: { signal: recordOf(signal) } })
  }
  const onArrival = (signal: ArrivedSignal): void => {
    if (isWanted(signal)) outbox.put({ cursor: null, event: { received: arrivalOf(signal) } })
  }
  for (const signal of inspection.recentSignals()) onSignal(signal)
  const stop = inspection.listen({ onSignal, ...(filter.received === true && { onArrival }) })
  return { cursor: null, events: Stream.ensuring(outbox.events, Effect.sync(stop)) }
}

/** A tenant sees its own actors, and that the shared ones are there. */
export const isVisible = (address: Address, principal: Principal): boolean =>
  address.tenant === undefined || address.tenant === principal.tenant

/** Of a shared actor, a tenant sees its health: not how busy others keep it, nor why it restarted. */
export const shownInfo = (info: ActorInfo, address: Address, principal: Principal): ActorInfo =>
  address.tenant !== undefined || principal.isInstallation
    ? info
    : { ...info, mailbox_depth: 0, signals_handled: 0, restarts: 0 }

const shownFact = (fact: ActorFact, address: Address, principal: Principal): ActorFact | undefined => {
  if (address.tenant !== undefined || principal.isInstallation) return fact
  if (fact.fact === "mailbox") return undefined
  return { ...fact, actor: shownInfo(fact.actor, address, principal), detail: null }
}

const actorsTopic = (env: TopicSurroundings, filter: EventFilter, principal: Principal): OpenTopic => {
  const outbox = new Outbox()
  const stop = env.system.inspection.listen({
    onFact: (fact, address) => {
      if (!isVisible(address, principal)) return
      if (filter.address !== undefined && filter.address !== address.text) return
      const shown = shownFact(fact, address, principal)
      if (shown !== undefined) outbox.put({ cursor: null, event: { actor: shown } })
    },
    onDeadLetter: (letter) => {
      if (letter.principal.tenant !== principal.tenant) return
      if (filter.address !== undefined && filter.address !== letter.address) return
      outbox.put({ cursor: null, event: { dead_letter: deadLetterOf(letter) } })
    }
  })
  return { cursor: null, events: Stream.ensuring(outbox.events, Effect.sync(stop)) }
}

export const openTopic = (
  env: TopicSurroundings,
  topic: Topic,
  filter: EventFilter,
  fromCursor: string | undefined,
  principal: Principal
): Effect.Effect<OpenTopic, SignalError> =>
  Effect.gen(function* () {
    switch (topic) {
      case "usage":
        return yield* usageTopic(
          env,
          filter,
          yield* Effect.fromResult(readCursor(fromCursor)),
          principal.tenant
        )
      case "alerts":
        return yield* alertsTopic(
          env,
          filter,
          yield* Effect.fromResult(readCursor(fromCursor)),
          principal.tenant
        )
      case "budgets":
        yield* withoutCursor(topic, fromCursor)
        return budgetsTopic(env, filter, principal)
      case "signals":
        yield* withoutCursor(topic, fromCursor)
        return signalsTopic(env, filter, principal)
      case "actors":
        yield* withoutCursor(topic, fromCursor)
        return actorsTopic(env, filter, principal)
      case "workflows":
        return yield* workflowsTopic(
          env.feed,
          filter,
          yield* Effect.fromResult(readCursor(fromCursor)),
          principal
        )
    }
  })
