/**
 * A list that is read a page after the other, the newest first.
 *
 * Owns: what is shown while pages are read and when one fails, and how much of it.
 * Does not decide: what is kept, or what passes a filter (the runtime).
 */

export interface Page<Item> {
  readonly items: ReadonlyArray<Item>
  readonly next_cursor: string | null
  readonly dropped: number
}

export interface Pages<Item> {
  readonly items: ReadonlyArray<Item>
  /** Where the next page begins; `null` after the last one, and where there is no room for more. */
  readonly next: string | null
  /** Whether there are more than are shown at once. */
  readonly isFull: boolean
  /** How many are gone because there were too many. */
  readonly dropped: number
  readonly isReading: boolean
  /** False until a first page came. */
  readonly isRead: boolean
  readonly failure: string | null
}

export const NO_PAGES: Pages<never> = {
  items: [],
  next: null,
  isFull: false,
  dropped: 0,
  isReading: false,
  isRead: false,
  failure: null
}

export type PagesChange<Item> =
  | { readonly kind: "reading" }
  | { readonly kind: "page"; readonly page: Page<Item>; readonly isFirst: boolean }
  | { readonly kind: "failed"; readonly why: string }
  | { readonly kind: "gone"; readonly id: string }

export type AfterPages<Item> = (pages: Pages<Item>, change: PagesChange<Item>) => Pages<Item>

/** Items that came since the page before shift nothing: a cursor is a place, and nobody is listed twice. */
const joined = <Item>(
  known: ReadonlyArray<Item>,
  page: ReadonlyArray<Item>,
  idOf: (item: Item) => string
): ReadonlyArray<Item> => {
  const ids = new Set(known.map(idOf))
  return [...known, ...page.filter((item) => !ids.has(idOf(item)))]
}

/** What a list of at most `max` items is after a change of it. */
export const pagesOf =
  <Item>(idOf: (item: Item) => string, max: number): AfterPages<Item> =>
  (pages, change) => {
    switch (change.kind) {
      case "reading":
        return { ...pages, isReading: true, failure: null }
      case "failed":
        return { ...pages, isReading: false, failure: change.why }
      case "gone":
        return { ...pages, items: pages.items.filter((item) => idOf(item) !== change.id) }
      case "page": {
        const { items, next_cursor, dropped } = change.page
        const all = change.isFirst ? items : joined(pages.items, items, idOf)
        const isFull = all.length > max || (all.length === max && next_cursor !== null)
        return {
          items: all.slice(0, max),
          next: isFull ? null : next_cursor,
          isFull,
          dropped,
          isReading: false,
          isRead: true,
          failure: null
        }
      }
    }
  }
