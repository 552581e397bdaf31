/**
 * How calls ended, in memory: for tests.
 *
 * Owns: the same promises as the log on Postgres. Nothing outlives the object.
 */
import { Effect } from "effect"
import type { CompletionLog, FinishedCall } from "../provider/BudgetKeeper.ts"

export class MemoryCompletionLog implements CompletionLog {
  readonly calls = new Map<string, FinishedCall>()
  readonly find: CompletionLog["find"] = (tenant, id) => Effect.sync(() => this.calls.get(`${tenant}/${id}`))
  readonly save: CompletionLog["save"] = (tenant, id, finished) =>
    Effect.sync(() => void this.calls.set(`${tenant}/${id}`, finished))
}
