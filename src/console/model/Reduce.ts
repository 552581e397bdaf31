/**
 * Turns snapshots and events into the next model.
 *
 * Owns: how a batch of changes becomes one new model; a slice that no change touched stays the same object.
 * Does not decide: when batches are applied (Store), how a call's row is made (Calls).
 *
 * A snapshot is applied before the events that came while it was read. All events of a topic arrive in order,
 * so the last one is never older than the snapshot, and the page converges on the truth.
 */

import type { ActorFact } from "../../signal/Inspection.ts"
import { parseAmount } from "../../signal/Money.ts"
import { foundNoRoom, isFailure, isRefusal } from "../../signal/Refusals.ts"
import type { Topic } from "../../signal/Subscriptions.ts"
import { boundCalls, requestIdOf, withActor, withCheck, withProgress, withUsage } from "./Calls.ts"
import {
  ACTORS_MAX,
  type ActorRow,
  ALERTS_MAX,
  type CallRow,
  type Change,
  EMPTY_MODEL,
  ENDED_ACTOR_MS,
  ENDED_ACTORS_MAX,
  type Identity,
  LOG_MAX,
  type LogEntry,
  type Model,
  PATH_MAX,
  type WireActor,
  type WireAlert,
  type WireBudget,
  type WireEvent,
  type WireOverride,
  type WireRecord,
  type WireUsage,
  type WorkflowRow
} from "./Model.ts"
import { boundOverrides, withOverride } from "./Overrides.ts"
import { afterEvent, boundStandings, keyOf } from "./Standings.ts"
import { boundWorkflowBudgets } from "./WorkflowBudgets.ts"
import { boundWorkflows, withFact, withProgress as withWorkflow } from "./Workflows.ts"

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type WireFact = typeof ActorFact.Encoded

/** The next model under construction: every slice is copied at most once, when it is first touched. */
interface Draft {
  readonly next: Mutable<Model>
  readonly budgets: () => Map<string, WireBudget>
  readonly actors: () => Map<string, ActorRow>
  readonly calls: () => Map<string, CallRow>
  readonly workflows: () => Map<string, WorkflowRow>
  readonly overrides: () => Map<string, WireOverride>
  readonly log: () => Array<LogEntry>
}

const draftOf = (model: Model): Draft => {
  const next: Mutable<Model> = { ...model }
  const once = <K extends "budgets" | "actors" | "calls" | "workflows" | "overrides">(slice: K) => {
    let copy: Map<string, never> | undefined
    return () => {
      if (copy === undefined) {
        copy = new Map(model[slice] as ReadonlyMap<string, never>)
        next[slice] = copy as Model[K]
      }
      return copy
    }
  }
  let log: Array<LogEntry> | undefined
  return {
    next,
    budgets: once("budgets") as () => Map<string, WireBudget>,
    actors: once("actors") as () => Map<string, ActorRow>,
    calls: once("calls") as () => Map<string, CallRow>,
    workflows: once("workflows") as () => Map<string, WorkflowRow>,
    overrides: once("overrides") as () => Map<string, WireOverride>,
    log: () => {
      if (log === undefined) {
        log = [...model.log]
        next.log = log
      }
      return log
    }
  }
}

let entryId = 0

const addGap = (draft: Draft, topic: Topic, count: number | null, why: string, at: number): void => {
  if (topic === "workflows") {
    const known = draft.next.workflowsGap
    const sum = known === null ? count : known.count === null || count === null ? null : known.count + count
    draft.next.workflowsGap = { count: sum, at }
  }
  if (topic !== "signals") return
  const log = draft.log()
  const last = log.at(-1)
  if (last?.kind === "gap" && last.why === why) {
    const sum = last.count === null || count === null ? null : last.count + count
    log[log.length - 1] = { ...last, count: sum, at }
  } else log.push({ id: ++entryId, kind: "gap", count, why, at })
}

const addSignal = (draft: Draft, record: WireRecord): void => {
  draft.log().push({ id: ++entryId, kind: "signal", record })
  const { signals, refused, failed } = draft.next.counters
  draft.next.counters = {
    signals: signals + 1,
    refused: refused + (isRefusal(record) ? 1 : 0),
    failed: failed + (isFailure(record) ? 1 : 0)
  }
}

const addCheck = (draft: Draft, record: WireRecord): void => {
  if (record.signal !== "check_budget" || record.request_id === null || foundNoRoom(record)) return
  const known = draft.next.calls.get(record.request_id)
  const call = withCheck(known, record)
  if (call !== undefined && call !== known) draft.calls().set(record.request_id, call)
}

const addUsage = (draft: Draft, usage: WireUsage): void => {
  const calls = draft.calls()
  const known = calls.get(usage.request_id)
  calls.set(usage.request_id, withUsage(known, usage))
  // A request counts with the first of its attempts.
  const isFirst = usage.attempt === 1 && (known === undefined || known.attempts.length === 0)
  const { totals, usageSeq } = draft.next
  if (totals === null || usage.usage_seq <= usageSeq) return
  draft.next.usageSeq = usage.usage_seq
  draft.next.totals = {
    requests: totals.requests + (isFirst ? 1 : 0),
    tokens: totals.tokens + usage.total_tokens,
    cost: totals.cost + parseAmount(usage.cost),
    currency: usage.currency
  }
}

const addAlert = (draft: Draft, alert: WireAlert): void => {
  if (draft.next.alerts.some((known) => known.id === alert.id)) return
  draft.next.alerts = [alert, ...draft.next.alerts].slice(0, ALERTS_MAX)
}

const stepped = (path: ActorRow["path"], fact: WireFact): ActorRow["path"] => {
  const { state } = fact.actor
  if (state === null || path.at(-1)?.state === state) return path
  const step = { state, at: Date.parse(fact.at), event: fact.fact === "transition" ? fact.detail : null }
  return [...path, step].slice(-PATH_MAX)
}

/** An actor is told as started in the moment before it runs, and nothing tells that it does. */
const infoOf = ({ fact, actor }: WireFact): WireActor =>
  fact === "started" && actor.status === "starting" ? { ...actor, status: "running" } : actor

const addFact = (draft: Draft, fact: WireFact, now: number): void => {
  const actors = draft.actors()
  const { address } = fact.actor
  const known = actors.get(address)
  const at = Date.parse(fact.at)
  const hasEnded = fact.fact === "stopped" || (fact.fact === "failed" && fact.actor.status === "failed")
  const isAgain = fact.fact === "started" && known !== undefined && known.endedAt !== null
  const row: ActorRow = {
    info: infoOf(fact),
    endedAt: hasEnded ? now : isAgain || known === undefined ? null : known.endedAt,
    path: stepped(known === undefined || isAgain ? [] : known.path, fact)
  }
  if (known === undefined && (hasEnded || actors.size >= ACTORS_MAX)) return
  actors.set(address, row)
  if (fact.actor.kind === "call") addActorToCall(draft, row, at)
}

const addActorToCall = (draft: Draft, row: ActorRow, at: number): void => {
  const requestId = requestIdOf(row.info.address)
  if (requestId === null) return
  const known = draft.next.calls.get(requestId)
  const call = withActor(known, row, at)
  if (call !== undefined && call !== known) draft.calls().set(requestId, call)
}

/** The time of what is known of a call already, in the server's clock: a snapshot carries none of its own. */
const timeOf = (draft: Draft, info: WireActor): number =>
  draft.next.calls.get(requestIdOf(info.address) ?? "")?.at ?? Date.parse(info.started_at)

const snapshotActors = (draft: Draft, list: ReadonlyArray<WireActor>, now: number): void => {
  const actors = draft.actors()
  const alive = new Set<string>()
  for (const info of list.slice(0, ACTORS_MAX)) {
    alive.add(info.address)
    const known = actors.get(info.address)
    const isSame = known !== undefined && known.info.started_at === info.started_at
    const path = isSame ? known.path : []
    const step = { state: info.state ?? "", at: now, event: null }
    const row: ActorRow = {
      info,
      endedAt: null,
      path: info.state === null || path.at(-1)?.state === info.state ? path : [...path, step]
    }
    actors.set(info.address, row)
    if (info.kind === "call") addActorToCall(draft, row, timeOf(draft, info))
  }
  for (const [address, row] of actors) {
    if (alive.has(address) || row.endedAt !== null) continue
    const ended: ActorRow = { ...row, endedAt: now, info: { ...row.info, status: "stopped" } }
    actors.set(address, ended)
    if (row.info.kind === "call") addActorToCall(draft, ended, timeOf(draft, row.info))
  }
  const aliveCalls = new Set(list.map((info) => requestIdOf(info.address)))
  // Calls whose actor is gone are not on their way any more, whatever was heard of them last.
  for (const [id, call] of draft.next.calls) {
    if (!call.isOpen || aliveCalls.has(id)) continue
    draft.calls().set(id, { ...call, isOpen: false, state: "ended", tokensInFlight: 0, costInFlight: 0n })
  }
}

const forgetEnded = (draft: Draft, now: number): void => {
  const ended: Array<string> = []
  let mustForget = 0
  for (const [address, row] of draft.next.actors) {
    if (row.endedAt === null) continue
    ended.push(address)
    if (now - row.endedAt > ENDED_ACTOR_MS) mustForget += 1
  }
  if (mustForget === 0 && ended.length <= ENDED_ACTORS_MAX) return
  const surplus = Math.max(0, ended.length - ENDED_ACTORS_MAX)
  const actors = draft.actors()
  for (const [index, address] of ended.entries()) {
    const endedAt = actors.get(address)?.endedAt ?? now
    if (index < surplus || now - endedAt > ENDED_ACTOR_MS) actors.delete(address)
  }
}

const addEvent = (draft: Draft, topic: Topic, event: WireEvent, now: number): void => {
  if ("signal" in event) {
    addSignal(draft, event.signal)
    addCheck(draft, event.signal)
  } else if ("actor" in event) addFact(draft, event.actor, now)
  else if ("in_flight" in event) {
    const calls = draft.calls()
    const id = event.in_flight.request_id
    calls.set(id, withProgress(calls.get(id), event.in_flight))
  } else if ("usage" in event) addUsage(draft, event.usage)
  else if ("budget" in event) {
    const after = afterEvent(draft.next.budgets, event.budget)
    if (after !== undefined) draft.budgets().set(keyOf(draft.next.budgets, after), after)
    else draft.next.unknownBudgets = new Set(draft.next.unknownBudgets).add(event.budget.budget_id)
  } else if ("override" in event) {
    // What is approved and what is pending is not in a standing: the budget is read again.
    draft.next.unknownBudgets = new Set(draft.next.unknownBudgets).add(event.override.budget_id)
    withOverride(draft.overrides(), event.override)
  } else if ("workflow" in event) withFact(draft.workflows(), event.workflow)
  else if ("dead_letter" in event) {
    draft.next.lettersTold += 1
    draft.next.letterToldAt = Date.parse(event.dead_letter.at)
  } else if ("alert" in event) addAlert(draft, event.alert)
  else if ("gap" in event)
    addGap(draft, topic, event.gap, "the server dropped them, because this page was slow", now)
}

const readUsage = (draft: Draft, answer: Extract<Change, { kind: "usage" }>["answer"]): void => {
  if (answer.totals !== undefined) {
    draft.next.totals = {
      requests: answer.totals.requests,
      tokens: answer.totals.total_tokens,
      cost: parseAmount(answer.totals.cost),
      currency: answer.totals.currency
    }
    draft.next.usageSeq = answer.items.reduce((seq, usage) => Math.max(seq, usage.usage_seq), 0)
  }
  for (const usage of answer.items.toReversed()) addUsage(draft, usage)
}

const readBudgets = (
  draft: Draft,
  { budgets: list, isAll, asked = [], tooMany }: Extract<Change, { kind: "budgets" }>
): void => {
  const budgets = draft.budgets()
  if (isAll) budgets.clear()
  const unknown = new Set(isAll ? [] : draft.next.unknownBudgets)
  for (const budget of list) {
    // A default that was asked for by its id comes first, and then all who stand in it.
    budgets.set(keyOf(budgets, budget), budget)
    unknown.delete(budget.id)
  }
  for (const id of asked) unknown.delete(id)
  if (tooMany !== undefined) draft.next.budgetsTooMany = tooMany
  draft.next.unknownBudgets = unknown
}

/** Whether another key has signed in: what one may see is none of the next one's business. */
export const isSomebodyElse = (known: Identity | null, identity: Identity): boolean =>
  known !== null && (known.tenant !== identity.tenant || known.key_id !== identity.key_id)

const applyChange = (draft: Draft, change: Change): void => {
  const { next } = draft
  switch (change.kind) {
    case "event":
      addEvent(draft, change.topic, change.event, change.now)
      break
    case "connection":
      next.connection = change.connection
      break
    case "identity":
      next.identity = change.identity
      break
    case "status":
      next.status = change.status
      break
    case "budgets":
      readBudgets(draft, change)
      break
    case "actors":
      snapshotActors(draft, change.actors, change.now)
      break
    case "usage":
      readUsage(draft, change.answer)
      break
    case "workflows":
      for (const workflow of change.workflows) withWorkflow(draft.workflows(), workflow)
      if (change.more !== undefined) next.workflowsMore = change.more
      break
    case "overrides":
      for (const override of change.overrides) withOverride(draft.overrides(), override)
      if (change.more !== undefined) next.overridesMore = change.more
      break
    case "gap_read":
      next.workflowsGap = null
      break
    case "denied":
      next.denied = new Map(next.denied).set(change.what, change.why)
      break
    case "gap":
      addGap(draft, change.topic, change.count, change.why, change.now)
      break
    case "loaded":
      next.isLoaded = true
      break
    case "tick":
      forgetEnded(draft, change.now)
      break
  }
}

/** The model after a batch of changes. */
export const reduce = (model: Model, changes: ReadonlyArray<Change>): Model => {
  let draft = draftOf(model)
  for (const change of changes) {
    if (change.kind === "identity" && isSomebodyElse(draft.next.identity, change.identity))
      draft = draftOf({ ...EMPTY_MODEL, connection: draft.next.connection })
    applyChange(draft, change)
  }
  if (draft.next.log.length > LOG_MAX) draft.next.log = draft.next.log.slice(-LOG_MAX)
  if (draft.next.calls !== model.calls) boundCalls(draft.calls())
  if (draft.next.budgets !== model.budgets) {
    boundStandings(draft.budgets())
    boundWorkflowBudgets(draft.budgets(), draft.next.workflows)
  }
  if (draft.next.workflows !== model.workflows) boundWorkflows(draft.workflows())
  if (draft.next.overrides !== model.overrides) boundOverrides(draft.overrides())
  return draft.next
}
