/**
 * The sums of deleted usage in memory.
 *
 * Owns: adding to them, and their order. Does not decide: what is deleted (tokens/Cleaning).
 */
import { type CleanedCell, type CleanedPlace, sumOfCells } from "../tokens/CleanedUsage.ts"

const textOf = ({ bookedFrom, currency, afterSeq, key }: CleanedPlace): string =>
  `${bookedFrom} ${currency} ${afterSeq} ${key}`

const order = (a: CleanedPlace, b: CleanedPlace): number =>
  a.afterSeq - b.afterSeq ||
  a.bookedFrom - b.bookedFrom ||
  (a.currency === b.currency ? 0 : a.currency < b.currency ? -1 : 1) ||
  (a.key === b.key ? 0 : a.key < b.key ? -1 : 1)

export class MemoryCells {
  readonly #cells = new Map<string, CleanedCell>()

  add(cells: ReadonlyArray<CleanedCell>): void {
    for (const cell of cells) {
      const before = this.#cells.get(textOf(cell))
      this.#cells.set(textOf(cell), before === undefined ? cell : sumOfCells(before, cell))
    }
  }

  /** Those about a user, under another place. */
  rename(userId: string, to: (cell: CleanedCell) => CleanedCell): number {
    const found = [...this.#cells.values()].filter(({ subject }) => subject.user_id === userId)
    for (const cell of found) this.#cells.delete(textOf(cell))
    this.add(found.map(to))
    return found.length
  }

  after(place: CleanedPlace | undefined, limit: number): ReadonlyArray<CleanedCell> {
    return [...this.#cells.values()]
      .filter((cell) => place === undefined || order(cell, place) > 0)
      .sort(order)
      .slice(0, limit)
  }

  /** Each as if it were one row. */
  get charges() {
    return Array.from(this.#cells.values(), ({ subject, bookedFrom, cost, totalTokens, requests }) => ({
      usage: { ...subject, booked_at: bookedFrom, cost, total_tokens: totalTokens },
      requests
    }))
  }
}
