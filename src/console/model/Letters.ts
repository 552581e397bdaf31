/**
 * Dead letters, as they are shown.
 *
 * Owns: what a letter is to the page: whether a list lacks one that was told, whether it is an alert, what it carried.
 * Does not decide: what is kept of a letter, or whether it can be sent again (the runtime).
 */
import type { SignalResult } from "../../signal/Catalogue.ts"
import { type Page, pagesOf } from "./Pages.ts"

export type WireLetter = SignalResult<"list_dead_letters">["items"][number]

/** Letters shown at once; the runtime keeps no more of them. */
export const LETTERS_MAX = 1_000

export const afterLetters = pagesOf<WireLetter>(({ letter_id }) => letter_id, LETTERS_MAX)

/**
 * A letter is told before it is written: whether a first page is older than what was told, so that it is worth to look
 * again in a moment. It may also be gone, sent again by somebody else.
 */
export const isBehind = (page: Pick<Page<WireLetter>, "items">, toldAt: number): boolean => {
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
