/**
 * The results of commands that were sent under a `request_id`.
 *
 * Owns: which of them are at hand, and how many. The store has them all.
 * Does not decide: whether a repeat is the same command (Decide).
 */
import type { CommandRow } from "./LedgerStore.ts"

/** Command results that are kept at hand for repeats. */
const RECENT_COMMANDS_MAX = 10_000

const commandKey = (signal: string, requestId: string): string => `${signal}\n${requestId}`

export class CommandBook {
  readonly #rows = new Map<string, CommandRow>()

  has(signal: string, requestId: string): boolean {
    return this.#rows.has(commandKey(signal, requestId))
  }

  get(signal: string, requestId: string): CommandRow | undefined {
    return this.#rows.get(commandKey(signal, requestId))
  }

  put(row: CommandRow): void {
    this.#rows.set(commandKey(row.signal, row.requestId), row)
  }

  /** Drops the oldest past the bound. */
  forgetOldest(): void {
    for (const key of this.#rows.keys()) {
      if (this.#rows.size <= RECENT_COMMANDS_MAX) break
      this.#rows.delete(key)
    }
  }
}
