/** Signals that nobody could take, and signals that end or begin an actor again (signals.md, section 8). */
import { Schema } from "effect"
import { AddressText } from "./Actors.ts"
import { command, query } from "./Signal.ts"
import { Count, Id, optional, Timestamp } from "./Text.ts"
import { pageFields } from "./Tracking.ts"

export const DeadLetterInfo = Schema.Struct({
  /** For `redrive_dead_letter`. */
  letter_id: Id,
  /** When nobody could take it. */
  at: Timestamp,
  /**
   * Where it was sent; `bridge` where a notification failed before it reached an actor; `alerts` of an alert to a
   * channel.
   */
  address: Schema.String,
  /** Its name. */
  signal: Schema.String,
  /** The id of the key that sent it; `alerts` of an alert. */
  principal: Schema.String,
  /** Why nobody could take it. */
  why: Schema.String,
  /** The beginning of what it carried, without prompt text and secrets. */
  payload: Schema.String,
  /** False where its payload is not kept: it was too large, held prompt text or a secret, or could not be read. */
  redrivable: Schema.Boolean
}).annotate({ identifier: "DeadLetter" })

export const ListDeadLetters = query("list_dead_letters", {
  family: "actors",
  roles: ["operator"],
  description:
    "Lists signals that nobody could take, and alerts that never reached a channel (address alerts), the newest first. The newest thousand are kept.",
  payload: {
    /** Only those that were sent there. */
    address: optional(AddressText),
    /** Only of this name. */
    signal: optional(Schema.String.check(Schema.isMaxLength(256))),
    ...pageFields
  },
  success: Schema.Struct({
    /** Newest first. */
    items: Schema.Array(DeadLetterInfo),
    /** For the next page; null on the last. */
    next_cursor: Schema.NullOr(Schema.String),
    /** How many are gone because there were too many. */
    dropped: Count
  })
})

export const RedriveDeadLetter = command("redrive_dead_letter", {
  family: "actors",
  roles: ["operator"],
  description:
    "Sends a dead letter again, as the key that sent it first. It is gone when it is answered, and stays when it fails again. An alert is owed to its channel again, with fresh tries.",
  fails: ["NotFound"],
  payload: {
    /** One of `list_dead_letters` that is `redrivable`. */
    letter_id: Id
  },
  success: Schema.Struct({
    /** Whether it was taken now, and is gone. */
    redriven: Schema.Boolean,
    /** The letter. */
    letter_id: Id,
    /** Why it failed again; null where it did not. */
    error: Schema.NullOr(
      Schema.Struct({
        /** The error's. */
        _tag: Schema.String,
        /** What to do about it. */
        message: Schema.String
      })
    )
  })
})

export const StopActor = command("stop_actor", {
  family: "actors",
  roles: ["operator"],
  description:
    "Ends an actor, its children first. What it has answered is kept; one that is made on demand comes back when it is asked.",
  fails: ["NotFound"],
  payload: {
    /** One of `list_actors`. */
    address: AddressText
  },
  success: Schema.Struct({
    /** It has ended, its children too. */
    stopped: Schema.Boolean,
    /** The actor. */
    address: AddressText,
    /** What becomes of it, for people. */
    message: Schema.String
  })
})

export const RestartActor = command("restart_actor", {
  family: "actors",
  roles: ["operator"],
  description: "Ends the life of an actor and begins another, with the state that it finds in the store.",
  fails: ["NotFound"],
  payload: {
    /** One of `list_actors`; one that lives once is a `Conflict`. */
    address: AddressText
  },
  success: Schema.Struct({
    /** It has begun again. */
    restarted: Schema.Boolean,
    /** The actor. */
    address: AddressText,
    /** What becomes of what waited for it, for people. */
    message: Schema.String
  })
})
