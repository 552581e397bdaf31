/**
 * `bursar recording show`: a recording for a person to read.
 *
 * Owns: what is printed, and the exit codes. Does not decide: the words (RecordingSummary).
 */
import { type Recorded, RecordingUnreadable, readRecording } from "./RecordingReader.ts"
import { isWanted, lineOf, type RecordingFilter, RecordingSummary } from "./RecordingSummary.ts"

export interface ShowOptions extends RecordingFilter {
  readonly file: string
  /** Only what it comes to. */
  readonly isSummary: boolean
}

const lineFor = (recorded: Recorded): string => {
  switch (recorded.kind) {
    case "event":
      return lineOf(recorded.event)
    case "begun":
      return `--- begun ${recorded.recording.started_at}`
    case "ended":
      return `--- ended ${recorded.at}: ${recorded.why}`
    case "gap":
      return `--- ${recorded.events} events are ${recorded.isTold ? "lost: they came too fast" : "missing"}`
    case "damaged":
      return `--- line ${recorded.line} cannot be read: ${recorded.why}`
  }
}

/** Prints a recording. Exits with 0, or 2 where it could not be read. */
export const showRecording = async (
  { file, isSummary, ...filter }: ShowOptions,
  print: (text: string) => void,
  complain: (text: string) => void
): Promise<number> => {
  const summary = new RecordingSummary()
  try {
    for await (const recorded of readRecording(file)) {
      if (recorded.kind === "event" && !isWanted(recorded.event, filter)) continue
      summary.add(recorded)
      if (!isSummary) print(`${lineFor(recorded)}\n`)
    }
  } catch (error) {
    if (!(error instanceof RecordingUnreadable)) throw error
    complain(`bursar recording show: ${error.message}\n`)
    return 2
  }
  print(`${isSummary ? "" : "\n"}${summary.text()}`)
  return 0
}
