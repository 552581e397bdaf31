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
  recording: Schema.Struct({
    version: Schema.Literal(INSPECTION_VERSION),
    started_at: Timestamp,
    bursar: Schema.String.annotate({ description: "the version of the program that wrote it" }),
    content: Schema.Boolean.annotate({ description: "whether prompt text and answers are in it" }),
    max_bytes: PositiveCount
  })
}).annotate({ identifier: "RecordingBegun" })

export const RecordedEvent = Schema.Struct({ seq: PositiveCount, event: InspectionEvent }).annotate({
  identifier: "RecordedEvent"
})

/** Stands for `gap` events that came faster than they could be written; the first of them would have been `seq`. */
export const RecordedGap = Schema.Struct({ seq: PositiveCount, gap: PositiveCount }).annotate({
  identifier: "RecordedGap"
})

/** The last line. Where it is missing, the program died, or still writes. */
export const RecordingEnded = Schema.Struct({
  seq: PositiveCount,
  end: Schema.Struct({
    at: Timestamp,
    why: Schema.Literals(["closed", "full"]).annotate({
      description: "`full`: the file has reached its bound; what came afterwards is not in it"
    }),
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
