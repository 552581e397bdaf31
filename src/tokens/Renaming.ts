/**
 * A user whose forgetting has begun: what is live has the new name, and the history gets it step by step.
 *
 * Owns: what the history says meanwhile, to whoever reads it.
 * Does not decide: how it is renamed (Forgetting, Forget).
 */
import type { TokenUsage } from "../signal/Usage.ts"
import type { HoldRow } from "./LedgerRows.ts"

/** A user whose live figures are renamed, and whose history is on its way: usage up to `upToSeq` is his. */
export interface Renaming {
  readonly from: string
  readonly to: string
  readonly upToSeq: number
}

/** A row of history as it is going to be. */
export const renamedUsage = (usage: TokenUsage, renamings: ReadonlyArray<Renaming>): TokenUsage => {
  const found = renamings.find(({ from, upToSeq }) => from === usage.user_id && usage.usage_seq <= upToSeq)
  return found === undefined ? usage : { ...usage, user_id: found.to }
}

/** A hold of history as it is going to be. */
export const renamedHold = (hold: HoldRow, renamings: ReadonlyArray<Renaming>): HoldRow => {
  const found = renamings.find(({ from }) => from === hold.attribution.user_id)
  return found === undefined ? hold : { ...hold, attribution: { ...hold.attribution, user_id: found.to } }
}
