/**
 * A recording: the events of the inspection protocol in a file, one line of JSON each (docs/inspection.md).
 *
 * Owns: the shapes of its lines. Does not decide: what is recorded, or how it is read (runtime/).
 *
 * A file may hold several recordings, one after the other. `seq` counts events, also those that were lost, anew in each.
 */
import { Schema } from "effect"
import { INSPECTION_VERSION, InspectionEvent } from "./Inspection.ts"
import { Count, PositiveCount, Timestamp } from "./Text.ts"

/** The first line of a recording. */
export const RecordingBegun = Schema.Struct({
  /** The first line of a recording. */
  recording: Schema.Struct({
    /** Of the inspection protocol. */
    version: Schema.Literal(INSPECTION_VERSION),
    /** When it was begun. */
    started_at: Timestamp,
    /** The version of the program that wrote it. */
    bursar: Schema.String,
    /** Whether prompt text and answers are in it. */
    content: Schema.Boolean,
    /** The file's bound; at it the recording ends. */
    max_bytes: PositiveCount
  })
}).annotate({ identifier: "RecordingBegun" })

export const RecordedEvent = Schema.Struct({
  /** The event's place in this recording, from 1 on; lost ones are counted too. */
  seq: PositiveCount,
  /** As the topics `signals` and `actors` tell it. */
  event: InspectionEvent
}).annotate({
  identifier: "RecordedEvent"
})

/** Stands for `gap` events that came faster than they could be written; the first of them would have been `seq`. */
export const RecordedGap = Schema.Struct({
  /** The place of the first event that is missing. */
  seq: PositiveCount,
  /** How many are missing: they came faster than they could be written. */
  gap: PositiveCount
}).annotate({
  identifier: "RecordedGap"
})

/** The last line. Where it is missing, the program died, or still writes. */
export const RecordingEnded = Schema.Struct({
  /** The place after the last event. */
  seq: PositiveCount,
  /** The last line. Where it is missing, the program died, or still writes. */
  end: Schema.Struct({
    /** When it was ended. */
    at: Timestamp,
    /** `full`: the file has reached its bound; what came afterwards is not in it. */
    why: Schema.Literals(["closed", "full"]),
    /** How many are in the recording. */
    events: Count
  })
}).annotate({ identifier: "RecordingEnded" })

export const RecordingLine = Schema.Union([
  RecordingBegun,
  RecordedEvent,
  RecordedGap,
  RecordingEnded
]).annotate({ identifier: "RecordingLine" })
export type RecordingLine = typeof RecordingLine.Type
