/**
 * The port's part in which a user is forgotten.
 *
 * Owns: which steps there are, and what a store promises of each: it writes nothing unless the tenant is still this
 * claim's, it can be done again, and it takes a bounded number of rows.
 * Does not decide: in which order they are done (Forget), or what stands in place of a name (Forgetting).
 */
import type { Effect } from "effect"
import type { Claim } from "./LedgerRows.ts"
import type { Fenced, StoreUnreachable } from "./StoreFailures.ts"

/** What is renamed step by step, after all that is in memory. */
export const HISTORY = ["usage", "requests", "cells", "audit", "alerts", "commands"] as const
export type HistoryTable = (typeof HISTORY)[number]

/**
 * - `live`: budgets, periods, open holds and overrides, in one statement; the user's keys end, and his pseudonym is
 *   nobody's. Memory must be read again afterwards. Where a renaming is under way already, nothing live is renamed
 *   (`isResumed`): what is live under the old name is of a user who has come back, and gets a name of its own.
 * - the tables of the history, from after a place on; a place of `null` is the beginning.
 * - `end`: nothing is under way any more.
 *
 * `from` is `null` where only a pseudonym is known, so that nothing can be renamed.
 */
export type ForgetStep =
  | {
      readonly kind: "live"
      readonly from: string | null
      /** The name that is taken; one that was forgotten halfway keeps the one that it has. */
      readonly to: string
      readonly userKey: string
      readonly pseudonym: string | null
    }
  | {
      readonly kind: HistoryTable
      readonly from: string
      readonly to: string
      readonly after: string | null
    }
  | { readonly kind: "end"; readonly from: string }

/** Whether it changes what may be in memory. */
export const isOfMemory = ({ kind }: ForgetStep): boolean => kind === "live" || kind === "end"

export interface ForgetDone {
  /** Rows that were changed. */
  readonly changed: number
  /** Where the next step goes on; `null` where there is nothing left. */
  readonly next: string | null
  /** Of `live`: what was renamed, and the name in whose place it is. */
  readonly live?: {
    readonly to: string
    /** It was begun before, and is to be brought to its end first. */
    readonly isResumed: boolean
    readonly hadPseudonym: boolean
    readonly budgets: number
    readonly periods: number
    readonly overrides: number
    readonly keys: ReadonlyArray<string>
  }
}

export interface ForgetWrites {
  readonly forget: (claim: Claim, step: ForgetStep) => Effect.Effect<ForgetDone, StoreUnreachable | Fenced>
}
