/** A usage as a row of the store: with what it counts. */
import type { TokenUsage } from "../signal/Usage.ts"

/** A usage row; `requests` is 1 for the first recorded attempt of a request, otherwise 0. */
export interface UsageRow {
  readonly usage: TokenUsage
  readonly requests: number
  /** Of an adjustment: the number of the row that it adjusts. */
  readonly adjustsSeq?: number
}
