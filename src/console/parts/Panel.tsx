/** A titled part of the page, with the states that every room has: loading, empty, not allowed. */
import { type ReactNode, useId } from "react"
import { hrefTo, type Room } from "./Route.ts"

interface PanelProps {
  readonly title: string
  readonly room: Room
  /** Shown beside the title: counts, filters. */
  readonly tools?: ReactNode
  readonly isAlone: boolean
  readonly children: ReactNode
}

export const Panel = ({ title, room, tools, isAlone, children }: PanelProps) => {
  const id = useId()
  return (
    <section className={`panel panel-${room}`} aria-labelledby={id}>
      <header className="panel-head">
        <h2 id={id}>{isAlone ? title : <a href={hrefTo(room)}>{title}</a>}</h2>
        {tools}
      </header>
      <div className="panel-body">{children}</div>
    </section>
  )
}

interface EmptyProps {
  readonly title: string
  readonly children?: ReactNode
}

export const Empty = ({ title, children }: EmptyProps) => (
  <div className="empty">
    <p className="empty-title">{title}</p>
    {children !== undefined && <div className="empty-text">{children}</div>}
  </div>
)

export const Denied = ({ why }: { readonly why: string }) => (
  <Empty title="This key may not look here">{why}</Empty>
)

const PLACES = ["first", "second", "third", "fourth", "fifth"]

/** Stands in for rows that are being read; as tall as they will be. */
export const Loading = ({ rows = 4 }: { readonly rows?: number }) => (
  <div className="loading" role="status" aria-label="Loading">
    {PLACES.slice(0, rows).map((place) => (
      <div key={place} className="loading-row" />
    ))}
  </div>
)
