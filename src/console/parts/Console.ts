/**
 * How components reach the store and the connection.
 *
 * Owns: the context and the hooks that read it. A component names the slice it reads, and is drawn again only
 * when that slice is another object.
 */
import { createContext, useContext, useEffect, useRef, useState, useSyncExternalStore } from "react"
import type { Model } from "../model/Model.ts"
import { maySend, type Offered } from "../model/Roles.ts"
import type { Store } from "../model/Store.ts"
import type { Connection } from "../wire/Connection.ts"

interface Console {
  readonly store: Store
  readonly connection: Connection
}

export const ConsoleContext = createContext<Console | null>(null)

export const useConsole = (): Console => {
  const found = useContext(ConsoleContext)
  if (found === null) throw new Error("There is no ConsoleContext around this component")
  return found
}

/** One slice of the model. `select` answers a slice, never a fresh object. */
export const useModel = <T>(select: (model: Model) => T): T => {
  const { store } = useConsole()
  return useSyncExternalStore(store.subscribe, () => select(store.model))
}

/** Whether the roles of this session may send a signal: what they may not is not offered. */
export const useMay = (name: Offered): boolean => useModel((model) => maySend(model.identity, name))

const tickers = new Set<(now: number) => void>()
let ticking: ReturnType<typeof setInterval> | undefined

/** The time, told once a second to everybody at the same moment. */
export const useNow = (): number => {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    tickers.add(setNow)
    ticking ??= setInterval(() => {
      for (const tell of tickers) tell(Date.now())
    }, 1000)
    return () => {
      tickers.delete(setNow)
      if (tickers.size > 0) return
      clearInterval(ticking)
      ticking = undefined
    }
  }, [])
  return now
}

/** Whether a media query holds. */
export const useMedia = (query: string): boolean =>
  useSyncExternalStore(
    (tell) => {
      const list = matchMedia(query)
      list.addEventListener("change", tell)
      return () => list.removeEventListener("change", tell)
    },
    () => matchMedia(query).matches
  )

/**
 * Rows keep their places while somebody points at them or walks through them: what is under the pointer does not
 * slide away. New rows are appended; the order is taken up again when the pointer leaves.
 */
export const useSteadyOrder = <Row>(
  rows: ReadonlyArray<Row>,
  idOf: (row: Row) => string
): {
  readonly rows: ReadonlyArray<Row>
  readonly hold: {
    readonly onPointerEnter: () => void
    readonly onPointerLeave: () => void
  }
} => {
  const [isHeld, setHeld] = useState(false)
  const order = useRef<ReadonlyArray<string>>([])
  let shown = rows
  if (isHeld) {
    const byId = new Map(rows.map((row) => [idOf(row), row]))
    const kept = order.current.flatMap((id) => byId.get(id) ?? [])
    const keptIds = new Set(order.current)
    shown = [...kept, ...rows.filter((row) => !keptIds.has(idOf(row)))]
  }
  useEffect(() => {
    order.current = shown.map(idOf)
  })
  return {
    rows: shown,
    hold: { onPointerEnter: () => setHeld(true), onPointerLeave: () => setHeld(false) }
  }
}
