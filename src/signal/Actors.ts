/** The signals that look at actors (signals.md, section 8). */
import { Schema } from "effect"
import { query } from "./Signal.ts"
import { Count, optional, Timestamp } from "./Text.ts"
import { pageFields } from "./Tracking.ts"

/** `kind/…`: `token_manager/TENANT`, `call/TENANT/REQUEST_ID`, `provider/NAME`. */
export const AddressText = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(1024))

export const ActorInfo = Schema.Struct({
  /** `KIND/…`, such as `token_manager/TENANT` or `call/TENANT/REQUEST_ID`. */
  address: AddressText,
  /** The first part of the address. */
  kind: Schema.String,
  /** `failed`: it gave up, and does not come back by itself. */
  status: Schema.Literals(["starting", "running", "restarting", "stopping", "stopped", "failed"]),
  /** Who started it and decides about its failures; null where nobody did. */
  parent: Schema.NullOr(AddressText),
  /** When its present life began. */
  started_at: Timestamp,
  /** How often it has begun again. */
  restarts: Count,
  /** Signals that wait for it. */
  mailbox_depth: Count,
  /** How many may wait; what happens then is its mailbox's `policy`. */
  mailbox_capacity: Count,
  /** Since it was first started. */
  signals_handled: Count,
  /** The state of a machine, as a path of state names joined by dots; null where it is none. */
  state: Schema.NullOr(Schema.String)
}).annotate({ identifier: "ActorInfo" })
export type ActorInfo = typeof ActorInfo.Type

/** A statechart as nodes and edges, enough to draw it. */
export const MachineGraph = Schema.Struct({
  /** The machine's own id. */
  id: Schema.String,
  /** All states, at every depth. */
  states: Schema.Array(
    Schema.Struct({
      /** Its path in the machine. */
      id: Schema.String,
      /** The state that it is in; null for the machine itself. */
      parent: Schema.NullOr(Schema.String),
      /** As XState has it. */
      type: Schema.Literals(["atomic", "compound", "parallel", "final", "history"]),
      /** Whether its parent begins here. */
      is_initial: Schema.Boolean
    })
  ),
  /** All edges. */
  transitions: Schema.Array(
    Schema.Struct({
      /** The `id` of a state. */
      source: Schema.String,
      /** The `id` of a state. */
      target: Schema.String,
      /** What leads there; of a delay or an invoked actor, the event that XState makes. */
      event: Schema.String,
      /** What must hold; null: nothing. */
      guard: Schema.NullOr(Schema.String)
    })
  )
}).annotate({ identifier: "MachineGraph" })
export type MachineGraph = typeof MachineGraph.Type

/** What was decided when an actor failed, or when somebody wanted it to begin again. */
export const SupervisionDecision = Schema.Struct({
  /** When it was decided. */
  at: Timestamp,
  /** `asked`: somebody sent `restart_actor`; `escalate`: its parent decides. */
  decision: Schema.Literals(["restart", "stop", "escalate", "asked"]),
  /** The failure, without secrets. */
  why: Schema.String,
  /** How long it waits before it begins again; null where it does not. */
  pause_ms: Schema.NullOr(Count)
}).annotate({ identifier: "SupervisionDecision" })

/** What a full mailbox does, how often it was full, and who waits. */
export const MailboxState = Schema.Struct({
  /**
   * What a full mailbox does: `refuse` answers `Overloaded`, `backpressure` lets senders wait, `drop_oldest` makes
   * a dead letter of the oldest.
   */
  policy: Schema.Literals(["refuse", "backpressure", "drop_oldest"]),
  /** How many signals found it full. */
  refused: Count,
  /** How many gave way to others. */
  dropped: Count,
  /** How many had to wait for a place. */
  waited: Count,
  /** How many wait now. */
  senders_waiting: Count,
  /** Signals that the actor has put aside for later. */
  stashed: Count
}).annotate({ identifier: "MailboxState" })

export const ListActors = query("list_actors", {
  family: "actors",
  roles: ["operator"],
  description: "Lists the actors that live here: kind, state, mailbox.",
  payload: {
    /** Only of this kind. */
    kind: optional(Schema.String.check(Schema.isMaxLength(64))),
    ...pageFields
  },
  success: Schema.Struct({
    /** In the order of their addresses. */
    items: Schema.Array(ActorInfo),
    /** For the next page; null on the last. */
    next_cursor: Schema.NullOr(Schema.String)
  })
})

export const InspectActor = query("inspect_actor", {
  family: "actors",
  roles: ["operator"],
  description:
    "Looks into one actor: its state, its statechart, its redacted context, its mailbox, and what was decided when it failed.",
  fails: ["NotFound"],
  payload: {
    /** One of `list_actors`. */
    address: AddressText
  },
  success: Schema.Struct({
    ...ActorInfo.fields,
    /** At most a hundred. */
    children: Schema.Array(AddressText),
    /** How its mailbox is doing. */
    mailbox: MailboxState,
    /** The last 32, the oldest first. */
    supervision: Schema.Array(SupervisionDecision),
    /** The statechart, to draw it; null where it is no machine. */
    machine: Schema.NullOr(MachineGraph),
    /** Of a machine: the tags of the state that it is in. */
    tags: Schema.Array(Schema.String),
    /** Of a machine: the `meta` of each state that it is in, by the state's id. */
    meta: Schema.Record(Schema.String, Schema.Json),
    /** What it remembers, without prompt text and secrets. */
    context: Schema.Record(Schema.String, Schema.Json)
  })
})
