/** The signals that look at actors (signals.md, section 8). */
import { Schema } from "effect"
import { query } from "./Signal.ts"
import { Count, optional, Timestamp } from "./Text.ts"
import { pageFields } from "./Tracking.ts"

/** `kind/…`: `token_manager/TENANT`, `call/TENANT/REQUEST_ID`, `provider/NAME`. */
export const AddressText = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(1024))

export const ActorInfo = Schema.Struct({
  address: AddressText,
  kind: Schema.String,
  status: Schema.Literals(["starting", "running", "restarting", "stopping", "stopped", "failed"]),
  parent: Schema.NullOr(AddressText),
  started_at: Timestamp,
  restarts: Count,
  mailbox_depth: Count,
  mailbox_capacity: Count,
  signals_handled: Count,
  /** The state of a machine, as a path of state names joined by dots. */
  state: Schema.NullOr(Schema.String)
}).annotate({ identifier: "ActorInfo" })
export type ActorInfo = typeof ActorInfo.Type

/** A statechart as nodes and edges, enough to draw it. */
export const MachineGraph = Schema.Struct({
  id: Schema.String,
  states: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      parent: Schema.NullOr(Schema.String),
      type: Schema.Literals(["atomic", "compound", "parallel", "final", "history"]),
      is_initial: Schema.Boolean
    })
  ),
  transitions: Schema.Array(
    Schema.Struct({
      source: Schema.String,
      target: Schema.String,
      event: Schema.String,
      guard: Schema.NullOr(Schema.String)
    })
  )
}).annotate({ identifier: "MachineGraph" })
export type MachineGraph = typeof MachineGraph.Type

/** What was decided when an actor failed, or when somebody wanted it to begin again. */
export const SupervisionDecision = Schema.Struct({
  at: Timestamp,
  decision: Schema.Literals(["restart", "stop", "escalate", "asked"]),
  why: Schema.String,
  pause_ms: Schema.NullOr(Count)
}).annotate({ identifier: "SupervisionDecision" })

/** What a full mailbox does, how often it was full, and who waits. */
export const MailboxState = Schema.Struct({
  policy: Schema.Literals(["refuse", "backpressure", "drop_oldest"]),
  refused: Count,
  dropped: Count,
  waited: Count,
  senders_waiting: Count,
  stashed: Count
}).annotate({ identifier: "MailboxState" })

export const ListActors = query("list_actors", {
  family: "actors",
  roles: ["operator"],
  description: "Lists the actors that live here: kind, state, mailbox.",
  payload: { kind: optional(Schema.String.check(Schema.isMaxLength(64))), ...pageFields },
  success: Schema.Struct({ items: Schema.Array(ActorInfo), next_cursor: Schema.NullOr(Schema.String) })
})

export const InspectActor = query("inspect_actor", {
  family: "actors",
  roles: ["operator"],
  description:
    "Looks into one actor: its state, its statechart, its redacted context, its mailbox, and what was decided when it failed.",
  payload: { address: AddressText },
  success: Schema.Struct({
    ...ActorInfo.fields,
    /** At most a hundred. */
    children: Schema.Array(AddressText),
    mailbox: MailboxState,
    /** The last 32, the oldest first. */
    supervision: Schema.Array(SupervisionDecision),
    machine: Schema.NullOr(MachineGraph),
    /** Of a machine: the tags of the state that it is in. */
    tags: Schema.Array(Schema.String),
    /** Of a machine: the `meta` of each state that it is in, by the state's id. */
    meta: Schema.Record(Schema.String, Schema.Json),
    context: Schema.Record(Schema.String, Schema.Json)
  })
})
