/**
 * Cursors of lists that later writes neither shift nor repeat.
 *
 * Owns: that a cursor belongs to its list, to its filter and to a snapshot (the newest number when the first page was
 * read). Does not decide: how rows are found.
 */
import { Result } from "effect"
import { type InvalidParams, invalidParam } from "../signal/Errors.ts"

export interface Place {
  /** The newest number of the snapshot. */
  readonly maxSeq: number
  /** The page's rows have smaller numbers. */
  readonly beforeSeq: number
  /** What else of the snapshot the list answers with each page. */
  readonly note?: string
}

export const writeCursor = (filter: string, { maxSeq, beforeSeq, note }: Place): string => {
  const parts = [filter, maxSeq, beforeSeq, ...(note === undefined ? [] : [note])]
  return Buffer.from(JSON.stringify(parts)).toString("base64url")
}

export const readCursor = (
  list: string,
  cursor: string,
  filter: string
): Result.Result<Place, InvalidParams> => {
  const wrong = (why: string) => Result.fail(invalidParam(["cursor"], why))
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString())
    if (!Array.isArray(parts)) return wrong(`This is not a cursor of ${list}`)
    const [known, maxSeq, beforeSeq, note] = parts
    if (!Number.isSafeInteger(maxSeq) || !Number.isSafeInteger(beforeSeq)) {
      return wrong(`This is not a cursor of ${list}`)
    }
    if (known !== filter)
      return wrong("This cursor belongs to another filter: send the filter that it came from")
    return Result.succeed({ maxSeq, beforeSeq, ...(typeof note === "string" ? { note } : {}) })
  } catch {
    return wrong(`This is not a cursor of ${list}`)
  }
}
