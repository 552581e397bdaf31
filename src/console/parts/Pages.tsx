/**
 * Reading a list a page after the other, when somebody looks.
 *
 * Owns: that only the page that was wanted last is taken, and that a first page which lacks what was told is read again.
 */
import { useCallback, useEffect, useReducer, useRef } from "react"
import { count } from "../model/Figures.ts"
import type { Model } from "../model/Model.ts"
import { type AfterPages, NO_PAGES, type Page, type Pages } from "../model/Pages.ts"
import type { RpcClient } from "../wire/RpcClient.ts"
import { useConsole, useModel } from "./Console.ts"

const PAGE = 50
/** How often a page is read again that does not have what was told yet, and after how long. */
const TRIES_MAX = 10
const AGAIN_MS = 500

interface PageParams {
  readonly limit: number
  readonly cursor?: string
}

export interface Listing<Item, Filter> {
  readonly after: AfterPages<Item>
  readonly ask: (client: RpcClient, filter: Filter, params: PageParams) => Promise<Page<Item>>
  /** Whether a first page does not have yet what the page was told of. */
  readonly isBehind?: (page: Page<Item>, filter: Filter, model: Model) => boolean
}

export interface Reading<Item, Filter> {
  readonly pages: Pages<Item>
  readonly read: (filter: Filter, cursor?: string) => void
  readonly forget: (id: string) => void
}

/** Whether there is a connection to read by. */
export const useIsLive = (): boolean => useModel((model) => model.connection.kind === "live")

/** Reads nothing by itself; `onFirst` is told of each first page that is asked for. */
export const usePages = <Item, Filter>(
  { after, ask, isBehind }: Listing<Item, Filter>,
  onFirst?: (filter: Filter) => void
): Reading<Item, Filter> => {
  const { connection, store } = useConsole()
  const [pages, change] = useReducer(after, NO_PAGES)
  const tell = useRef(onFirst)
  tell.current = onFirst
  /** Whoever filters while a page is on its way wants the other page. */
  const turn = useRef(0)
  const read = useCallback(
    (filter: Filter, cursor?: string, tries = 0) => {
      const { client } = connection
      if (client === null) return change({ kind: "failed", why: "There is no connection now." })
      const mine = ++turn.current
      change({ kind: "reading" })
      const isFirst = cursor === undefined
      if (isFirst) tell.current?.(filter)
      ask(client, filter, { limit: PAGE, ...(isFirst ? {} : { cursor }) }).then(
        (page) => {
          if (mine !== turn.current) return
          change({ kind: "page", page, isFirst })
          if (!isFirst || isBehind?.(page, filter, store.model) !== true || tries >= TRIES_MAX) return
          setTimeout(() => mine === turn.current && read(filter, undefined, tries + 1), AGAIN_MS)
        },
        (error: unknown) =>
          mine === turn.current &&
          change({ kind: "failed", why: error instanceof Error ? error.message : String(error) })
      )
    },
    [connection, store, ask, isBehind]
  )
  const isLive = useIsLive()
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was asked over a connection ends with it.
  useEffect(
    () => () => {
      turn.current += 1
    },
    [isLive]
  )
  return { pages, read, forget: (id) => change({ kind: "gone", id }) }
}

interface FootProps {
  readonly pages: Pages<unknown>
  readonly what: string
  /** How many the runtime keeps. */
  readonly kept: number
  readonly full: string
  readonly onMore: (cursor: string) => void
}

export const PagesFoot = ({ pages, what, kept, full, onMore }: FootProps) => {
  const { next, isFull, isReading, dropped } = pages
  return (
    <div className="more">
      {next !== null && (
        <button type="button" className="button" disabled={isReading} onClick={() => onMore(next)}>
          {isReading ? "Reading…" : `Read older ${what}`}
        </button>
      )}
      {isFull && <p className="panel-note">{full}</p>}
      {dropped > 0 && (
        <p className="panel-note">
          {count(dropped)} older ones are gone: the newest {count(kept)} are kept.
        </p>
      )}
    </div>
  )
}
