/**
 * Reads a recording back.
 *
 * Owns: that what a crash or a hand has damaged is named and read over, and that what is missing is told.
 * Does not decide: what is made of it (RecordingSummary).
 */
import { createReadStream } from "node:fs"
import { Result, Schema } from "effect"
import { INSPECTION_VERSION, type InspectionEvent } from "../signal/Inspection.ts"
import { RecordingLine } from "../signal/Recording.ts"

/** What stands in a recording, with the number of its line. Events are as on the wire: times are RFC 3339. */
export type Recorded = { readonly line: number } & (
  | { readonly kind: "begun"; readonly recording: Begun["recording"] }
  | { readonly kind: "event"; readonly seq: number; readonly event: typeof InspectionEvent.Encoded }
  /** Events that are not there. `told`: the recorder could not keep up; otherwise lines are missing. */
  | { readonly kind: "gap"; readonly events: number; readonly isTold: boolean }
  | { readonly kind: "damaged"; readonly why: string }
  | { readonly kind: "ended"; readonly at: string; readonly why: "closed" | "full" }
)
type Wire = typeof RecordingLine.Encoded
type Begun = Extract<Wire, { readonly recording: unknown }>

/** The file is no recording that can be read. */
export class RecordingUnreadable extends Schema.TaggedError<RecordingUnreadable>()("RecordingUnreadable", {
  message: Schema.String
}) {}

const LINE_BYTES_MAX = 8 * 1024 * 1024

interface Text {
  readonly text: string
  readonly isCut: boolean
}

/** Lines of a file; one that is too long is cut. */
async function* linesOf(file: string): AsyncGenerator<Text> {
  let parts: Array<Buffer> = []
  let bytes = 0
  const line = (isCut: boolean): Text => ({ text: Buffer.concat(parts).toString("utf8"), isCut })
  for await (const chunk of createReadStream(file)) {
    let from = 0
    const data = chunk as Buffer
    for (let end = data.indexOf(10); end >= 0; end = data.indexOf(10, from)) {
      if (bytes <= LINE_BYTES_MAX) parts.push(data.subarray(from, end))
      yield line(bytes > LINE_BYTES_MAX)
      parts = []
      bytes = 0
      from = end + 1
    }
    bytes += data.length - from
    if (bytes <= LINE_BYTES_MAX) parts.push(data.subarray(from))
  }
  if (bytes > 0) yield line(true)
}

const decode = Schema.decodeUnknownResult(RecordingLine)

const parse = ({ text, isCut }: Text): Wire | string => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return isCut ? "it is cut off" : "it is no JSON"
  }
  return Result.isSuccess(decode(value)) ? (value as Wire) : "it is no line of a recording"
}

const checkFirst = (file: string, text: string): void => {
  let version: unknown
  try {
    version = JSON.parse(text)?.recording?.version
  } catch {
    // said below
  }
  if (typeof version !== "number")
    throw new RecordingUnreadable({
      message: `${file} is no recording: its first line does not say that it is one`
    })
  if (version > INSPECTION_VERSION) {
    throw new RecordingUnreadable({
      message: `${file} is a recording of version ${version}, and this program reads up to ${INSPECTION_VERSION}: read it with a newer one`
    })
  }
}

/** Everything in a recording, in its order. Throws `RecordingUnreadable` where it is none, or cannot be opened. */
export async function* readRecording(file: string): AsyncGenerator<Recorded> {
  let line = 0
  let next = 1
  try {
    for await (const text of linesOf(file)) {
      line += 1
      if (line === 1) checkFirst(file, text.text)
      const read = parse(text)
      if (typeof read === "string") {
        // Where an end was put behind a line that a crash had cut, it may be empty.
        if (text.text !== "") yield { line, kind: "damaged", why: read }
        continue
      }
      if ("recording" in read) {
        next = 1
        yield { line, kind: "begun", recording: read.recording }
        continue
      }
      if (read.seq > next) yield { line, kind: "gap", events: read.seq - next, isTold: false }
      next = read.seq
      if ("event" in read) {
        next += 1
        yield { line, kind: "event", seq: read.seq, event: read.event }
      } else if ("gap" in read) {
        next += read.gap
        yield { line, kind: "gap", events: read.gap, isTold: true }
      } else yield { line, kind: "ended", at: read.end.at, why: read.end.why }
    }
  } catch (cause) {
    if (cause instanceof RecordingUnreadable) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new RecordingUnreadable({ message: `${file} cannot be read: ${why}` })
  }
  if (line === 0) throw new RecordingUnreadable({ message: `${file} is empty: nothing was recorded` })
}
