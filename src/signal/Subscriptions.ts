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
  provider: optional(Id),
  model: optional(Id),
  ...attributionFields,
  budget_id: optional(Id),
  address: optional(AddressText),
  signal: optional(Id),
  received: optional(
    Schema.Boolean.annotate({
      description: "whether signals are also told when they arrive, not only answered"
    })
  )
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
  request_id: Id,
  attempt: PositiveCount,
  provider: Id,
  model: Id,
  state: Schema.String,
  prompt_tokens: Count,
  completion_tokens: Count,
  cost: Decimal,
  currency: Currency,
  ...attributionFields,
  at: Timestamp
}).annotate({ identifier: "CallProgress" })
export type CallProgress = typeof CallProgress.Type

/** What happened, by topic. `gap` stands in place of events that were dropped: how many, or `null` for unknown. */
export const Event = Schema.Union([
  Schema.Struct({ usage: TokenUsage }),
  Schema.Struct({ in_flight: CallProgress }),
  Schema.Struct({ alert: Alert }),
  Schema.Struct({ budget: BudgetStanding }),
  Schema.Struct({ override: Override }),
  ...INSPECTION_EVENTS,
  Schema.Struct({ workflow: WorkflowFact }),
  Schema.Struct({ text: Schema.String }),
  Schema.Struct({
    finished: Schema.Struct({ finish_reason: FinishReason, completion: Schema.Json })
  }),
  Schema.Struct({ failed: Schema.Json }),
  Schema.Struct({ gap: Schema.NullOr(Count) })
]).annotate({ identifier: "Event" })
export type Event = typeof Event.Type

export const Subscribe = command("subscribe", {
  family: "bridge",
  roles: ["app", "analyst", "budget_admin", "operator"],
  description: "Opens a stream of events on this connection (WebSocket only).",
  payload: {
    topic: Topic,
    filter: optional(EventFilter),
    from_cursor: optional(Schema.String.check(Schema.isMaxLength(1024)))
  },
  rule: filterProblem,
  success: Schema.Struct({ subscription: Id, cursor: Schema.NullOr(Schema.String) })
})

export const Unsubscribe = command("unsubscribe", {
  family: "bridge",
  roles: ["app", "analyst", "budget_admin", "operator"],
  description: "Ends a subscription; of a streaming call, it cancels the call.",
  payload: { subscription: Id },
  success: Schema.Struct({ unsubscribed: Schema.Literal(true) })
})
