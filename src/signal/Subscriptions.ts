/**
 * Subscriptions: topics, their filters, and what an event of each looks like (signals.md, section 9).
 *
 * Owns: the shapes. Does not decide: who may see which topic (Authorization), or how events are buffered (bridge/).
 */
import { Schema } from "effect"
import { AddressText } from "./Actors.ts"
import { attributionFields } from "./Attribution.ts"
import { Alert, BudgetStanding } from "./Budget.ts"
import { Currency } from "./Currency.ts"
import { INSPECTION_EVENTS } from "./Inspection.ts"
import { Decimal } from "./Money.ts"
import { Override } from "./Overrides.ts"
import { FinishReason } from "./Providers.ts"
import { command } from "./Signal.ts"
import { Count, Id, optional, PositiveCount, Timestamp } from "./Text.ts"
import { TokenUsage } from "./Usage.ts"
import { WorkflowFact } from "./Workflows.ts"

/** `usage`, `alerts` and `workflows` live in the store and resume from a cursor without loss. */
export const Topic = Schema.Literals(["usage", "alerts", "budgets", "signals", "actors", "workflows"])
export type Topic = typeof Topic.Type

export const EventFilter = Schema.Struct({
  /** Topic `usage`: only of this provider. */
  provider: optional(Id),
  /** Topic `usage`: only of this model. */
  model: optional(Id),
  ...attributionFields,
  /** Topics `alerts` and `budgets`: only of this budget. */
  budget_id: optional(Id),
  /** Topics `signals` and `actors`: only of this actor. */
  address: optional(AddressText),
  /** Topic `signals`: only of this name. */
  signal: optional(Id),
  /** Topic `signals`: whether signals are also told when they arrive, not only answered; default: no. */
  received: optional(Schema.Boolean)
}).annotate({ identifier: "EventFilter" })
export type EventFilter = typeof EventFilter.Type

const USAGE_FILTER: ReadonlyArray<string> = ["provider", "model", ...Object.keys(attributionFields)]

/** What each topic can be filtered by. */
const FILTERS: { readonly [T in Topic]: ReadonlyArray<string> } = {
  usage: USAGE_FILTER,
  alerts: ["budget_id"],
  budgets: ["budget_id"],
  signals: ["signal", "address", "received"],
  actors: ["address"],
  workflows: ["workflow_id", "user_id", "team_id", "project_id", "feature"]
}

/** A filter that a topic does not know would show everything: it is refused. */
const filterProblem = ({ topic, filter }: { readonly topic: Topic; readonly filter?: EventFilter }) => {
  const field = Object.keys(filter ?? {}).find((name) => !FILTERS[topic].includes(name))
  return field === undefined
    ? undefined
    : {
        path: ["filter", field],
        message: `The topic ${topic} cannot be filtered by ${field}, but by ${FILTERS[topic].join(", ")}`
      }
}

/** A call on its way, with what it has used so far. `state` is the state of its machine. */
export const CallProgress = Schema.Struct({
  /** The call. */
  request_id: Id,
  /** Which try this is, from 1 on. */
  attempt: PositiveCount,
  /** Who is called. */
  provider: Id,
  /** Who is called. */
  model: Id,
  /** The state of the call's machine. */
  state: Schema.String,
  /** Input so far, as the provider said or as it was estimated. */
  prompt_tokens: Count,
  /** Output so far. */
  completion_tokens: Count,
  /** So far, in `currency`; what is charged is worked out from the report. */
  cost: Decimal,
  /** The tenant's. */
  currency: Currency,
  ...attributionFields,
  /** When it stood so. */
  at: Timestamp
}).annotate({ identifier: "CallProgress" })
export type CallProgress = typeof CallProgress.Type

/** What happened, by topic. `gap` stands in place of events that were dropped: how many, or `null` for unknown. */
export const Event = Schema.Union([
  Schema.Struct({
    /** Topic `usage`: a row was recorded. */
    usage: TokenUsage
  }),
  Schema.Struct({
    /** Topic `usage`: where a call on its way stands. */
    in_flight: CallProgress
  }),
  Schema.Struct({
    /** Topic `alerts`. */
    alert: Alert
  }),
  Schema.Struct({
    /** Topic `budgets`: a budget has changed, and stands so. */
    budget: BudgetStanding
  }),
  Schema.Struct({
    /** Topic `budgets`: an override was asked for, decided, or has ended. */
    override: Override
  }),
  ...INSPECTION_EVENTS,
  Schema.Struct({
    /** Topic `workflows`: what a workflow has done. */
    workflow: WorkflowFact
  }),
  Schema.Struct({
    /** Of a streaming call: the next piece of its text. */
    text: Schema.String
  }),
  Schema.Struct({
    /** Of a streaming call: its end. */
    finished: Schema.Struct({
      /** Why it ended. */
      finish_reason: FinishReason,
      /** The whole answer, as `complete` gives it without `stream`. */
      completion: Schema.Json
    })
  }),
  Schema.Struct({
    /** Of a streaming call: the error that it ended with, `message` and `data`. */
    failed: Schema.Json
  }),
  Schema.Struct({
    /** In place of events that were dropped because the reader was slow: how many, or null for unknown. */
    gap: Schema.NullOr(Count)
  })
]).annotate({ identifier: "Event" })
export type Event = typeof Event.Type

export const Subscribe = command("subscribe", {
  family: "bridge",
  roles: ["app", "analyst", "budget_admin", "operator"],
  description: "Opens a stream of events on this connection (WebSocket only).",
  payload: {
    /** `usage`, `alerts` and `workflows` go on from a cursor, also after a restart; the others start now. */
    topic: Topic,
    /** Which events; a field that the topic cannot be filtered by is refused. Default: all that the key may see. */
    filter: optional(EventFilter),
    /** Goes on after the event that had this cursor; default: from now. */
    from_cursor: optional(Schema.String.check(Schema.isMaxLength(1024)))
  },
  rule: filterProblem,
  success: Schema.Struct({
    /** Its events carry it; `unsubscribe` takes it. */
    subscription: Id,
    /** Where it begins; null where the topic cannot be resumed. */
    cursor: Schema.NullOr(Schema.String)
  })
})

export const Unsubscribe = command("unsubscribe", {
  family: "bridge",
  roles: ["app", "analyst", "budget_admin", "operator"],
  description: "Ends a subscription; of a streaming call, it cancels the call.",
  fails: ["NotFound"],
  payload: {
    /** One of this connection. */
    subscription: Id
  },
  success: Schema.Struct({
    /** No more of its events come. */
    unsubscribed: Schema.Literal(true)
  })
})
