/**
 * Dead letters, a page after the other.
 *
 * Owns: what is shown while pages are read, letters are sent again, and one of the two fails.
 * Does not decide: what is kept of a letter, or whether it can be sent again (the runtime).
 */
import type { SignalResult } from "../../signal/Catalogue.ts"

type Page = SignalResult<"list_dead_letters">
export type WireLetter = Page["items"][number]

/** Letters shown at once; the runtime keeps no more of them. */
export const LETTERS_MAX = 1_000

export interface Letters {
  readonly items: ReadonlyArray<WireLetter>
  /** Where the next page begins; `null` after the last one. */
  readonly next: string | null
  /** How many are gone because there were too many. */
  readonly dropped: number
  readonly isReading: boolean
  /** False until a first page came. */
  readonly isRead: boolean
  readonly failure: string | null
}

export const NO_LETTERS: Letters = {
  items: [],
  next: null,
  dropped: 0,
  isReading: false,
  isRead: false,
  failure: null
}

export type LettersChange =
  | { readonly kind: "reading" }
  | { readonly kind: "page"; readonly page: Page; readonly isFirst: boolean }
  | { readonly kind: "failed"; readonly why: string }
  | { readonly kind: "gone"; readonly letterId: string }

/** Letters that came since the page before shift nothing: a cursor is a place, and nobody is listed twice. */
const joined = (known: ReadonlyArray<WireLetter>, page: ReadonlyArray<WireLetter>) => {
  const ids = new Set(known.map(({ letter_id }) => letter_id))
  return [...known, ...page.filter(({ letter_id }) => !ids.has(letter_id))]
}

export const afterChange = (letters: Letters, change: LettersChange): Letters => {
  switch (change.kind) {
    case "reading":
      return { ...letters, isReading: true, failure: null }
    case "failed":
      return { ...letters, isReading: false, failure: change.why }
    case "gone":
      return { ...letters, items: letters.items.filter(({ letter_id }) => letter_id !== change.letterId) }
    case "page": {
      const { items, next_cursor, dropped } = change.page
      const all = change.isFirst ? items : joined(letters.items, items)
      return {
        items: all.slice(0, LETTERS_MAX),
        next: all.length >= LETTERS_MAX ? null : next_cursor,
        dropped,
        isReading: false,
        isRead: true,
        failure: null
      }
    }
  }
}

/**
 * A letter is told before it is written: whether a first page is older than what was told, so that it is worth to look
 * again in a moment. It may also be gone, sent again by somebody else.
 */
export const isBehind = (page: Pick<Page, "items">, toldAt: number): boolean => {
  const [newest] = page.items
  return toldAt > (newest === undefined ? 0 : Date.parse(newest.at))
}

/** An alert that never reached its channel: nobody's signal, and owed again where it is sent again. */
export const isAlert = ({ address }: Pick<WireLetter, "address">): boolean => address === "alerts"

/** What it carried, where that is JSON and not cut off in the middle. */
export const payloadOf = (letter: Pick<WireLetter, "payload">): { readonly json: unknown } | null => {
  try {
    const json: unknown = JSON.parse(letter.payload)
    return typeof json === "object" && json !== null ? { json } : null
  } catch {
    return null
  }
}
