/** The actors that live here, by kind, and a close look at one of them. */

import { memo, useMemo, useState } from "react"
import { isFinalState } from "../model/Calls.ts"
import { ago, count } from "../model/Figures.ts"
import type { ActorRow } from "../model/Model.ts"
import { toneOf } from "../parts/CallState.tsx"
import { useModel, useNow, useSteadyOrder } from "../parts/Console.ts"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { goTo, hrefTo, useRoute } from "../parts/Route.ts"
import { Search } from "../parts/Search.tsx"
import { ActorDetail } from "./ActorDetail.tsx"

const KIND_ORDER = ["token_manager", "provider", "workflow", "call"]
const KIND_TITLES: { readonly [kind: string]: string } = {
  token_manager: "Token managers",
  provider: "Providers",
  workflow: "Workflows",
  call: "Calls"
}
const ROWS_PER_KIND = 150

const rank = (kind: string): number => {
  const at = KIND_ORDER.indexOf(kind)
  return at === -1 ? KIND_ORDER.length : at
}

const Ended = ({ at }: { readonly at: number }) => <>{ago(useNow() - at)}</>

const nameOf = (row: ActorRow): string =>
  row.info.address
    .split("/")
    .slice(row.info.kind === "call" || row.info.kind === "workflow" ? 2 : 1)
    .join("/")

interface RowProps {
  readonly row: ActorRow
  readonly isSelected: boolean
}

const Row = memo(({ row, isSelected }: RowProps) => {
  const { info, endedAt } = row
  const state = info.state ?? info.status
  const isCutOff = endedAt !== null && info.state !== null && !isFinalState(info.state)
  const says = isCutOff ? `ended in ${state}` : state
  return (
    <li>
      <a
        href={hrefTo("actors", info.address)}
        className={endedAt === null ? "actor" : "actor is-ended"}
        aria-current={isSelected ? "true" : undefined}
        title={info.address}
      >
        <span
          className={`dot tone-${isCutOff ? "off" : info.state === null ? statusTone(info.status) : toneOf(info.state)}`}
        />
        <span className="actor-name">{nameOf(row)}</span>
        <span className="actor-state">{says.replace(/^working\./u, "").replaceAll("_", " ")}</span>
        <span className="actor-side">
          {endedAt !== null ? (
            <Ended at={endedAt} />
          ) : info.mailbox_depth > 0 ? (
            <b title={`${info.mailbox_depth} of ${info.mailbox_capacity} signals wait in the mailbox`}>
              {count(info.mailbox_depth)} waiting
            </b>
          ) : info.restarts > 0 ? (
            <b className="is-warn">{info.restarts} restarts</b>
          ) : (
            ""
          )}
        </span>
      </a>
    </li>
  )
})

const statusTone = (status: ActorRow["info"]["status"]): string =>
  status === "running" ? "good" : status === "failed" ? "bad" : status === "restarting" ? "warn" : "off"

const idOf = (row: ActorRow): string => row.info.address

const walk = (event: React.KeyboardEvent<HTMLElement>): void => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("a.actor")]
  const at = links.indexOf(document.activeElement as HTMLElement)
  const next = links[at + (event.key === "ArrowDown" ? 1 : -1)]
  if (at === -1 || next === undefined) return
  event.preventDefault()
  next.focus()
}

interface KindProps {
  readonly kind: string
  readonly all: ReadonlyArray<ActorRow>
  readonly selected: string | null
}

const Kind = ({ kind, all, selected }: KindProps) => {
  const { rows, hold } = useSteadyOrder(all, idOf)
  const alive = all.reduce((sum, row) => sum + (row.endedAt === null ? 1 : 0), 0)
  const shown = rows.slice(0, ROWS_PER_KIND)
  return (
    <section className="kind" aria-label={KIND_TITLES[kind] ?? kind} {...hold}>
      <h3>
        {KIND_TITLES[kind] ?? kind} <span>{count(alive)}</span>
      </h3>
      <ul>
        {shown.map((row) => (
          <Row key={row.info.address} row={row} isSelected={row.info.address === selected} />
        ))}
      </ul>
      {rows.length > shown.length && (
        <p className="kind-more">and {count(rows.length - shown.length)} more</p>
      )}
    </section>
  )
}

/** The newest call, unless somebody chose an actor. */
const useChosen = (): { readonly chosen: ActorRow | null; readonly isFollowing: boolean } => {
  const actors = useModel((model) => model.actors)
  const { subject } = useRoute()
  const newest = useMemo(() => {
    let found: ActorRow | null = null
    for (const row of actors.values()) {
      if (row.info.kind !== "call") continue
      if (found === null || isBetter(row, found)) found = row
    }
    return found
  }, [actors])
  if (subject !== null) return { chosen: actors.get(subject) ?? null, isFollowing: false }
  return { chosen: newest, isFollowing: true }
}

/** A call that lives before one that ended; among those that live the older one, so that it is watched to its end. */
const isBetter = (row: ActorRow, than: ActorRow): boolean => {
  if ((row.endedAt === null) !== (than.endedAt === null)) return row.endedAt === null
  if (row.endedAt !== null && than.endedAt !== null) return row.endedAt > than.endedAt
  return row.info.started_at < than.info.started_at
}

const ActorTree = () => {
  const actors = useModel((model) => model.actors)
  const [text, setText] = useState("")
  const { subject } = useRoute()
  const { chosen, isFollowing } = useChosen()
  const kinds = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/u)
    const byKind = new Map<string, Array<ActorRow>>()
    for (const row of actors.values()) {
      const hay = `${row.info.address} ${row.info.state ?? ""} ${row.info.status}`.toLowerCase()
      if (!words.every((word) => hay.includes(word))) continue
      const rows = byKind.get(row.info.kind) ?? []
      rows.push(row)
      byKind.set(row.info.kind, rows)
    }
    for (const rows of byKind.values()) {
      rows.sort(
        (a, b) =>
          Number(a.endedAt !== null) - Number(b.endedAt !== null) ||
          (b.endedAt ?? 0) - (a.endedAt ?? 0) ||
          (a.info.started_at < b.info.started_at ? 1 : -1)
      )
    }
    return [...byKind].sort(([a], [b]) => rank(a) - rank(b))
  }, [actors, text])
  return (
    <div className={subject === null ? "actors" : "actors has-subject"}>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: the arrows only move the focus between the links in it. */}
      <div className="actors-list" onKeyDown={walk}>
        <Search
          label="Filter actors"
          placeholder="Filter actors"
          value={text}
          onChange={setText}
          isReached={false}
        />
        <div className="actors-scroll">
          {kinds.map(([kind, rows]) => (
            <Kind key={kind} kind={kind} all={rows} selected={chosen?.info.address ?? null} />
          ))}
          {kinds.length === 0 && <Empty title={text === "" ? "No actors yet" : "No actor matches"} />}
        </div>
      </div>
      <div className="actors-look">
        {chosen !== null ? (
          <ActorDetail row={chosen} isFollowing={isFollowing} />
        ) : subject !== null ? (
          <Empty title="This actor is not here any more">
            <p>
              <code>{subject}</code>
            </p>
            <button type="button" className="button" onClick={() => goTo("actors")}>
              Back to the newest call
            </button>
          </Empty>
        ) : (
          <Empty title="No call to watch">
            When an agent makes a call, its states are drawn here as it passes them.
          </Empty>
        )}
      </div>
    </div>
  )
}

const Summary = () => {
  const actors = useModel((model) => model.actors)
  let alive = 0
  for (const row of actors.values()) if (row.endedAt === null) alive += 1
  return <span className="panel-note">{count(alive)} alive</span>
}

export const Actors = ({ isAlone }: { readonly isAlone: boolean }) => {
  const isLoaded = useModel((model) => model.isLoaded)
  const denied = useModel((model) => model.denied.get("actors"))
  return (
    <Panel title="Actors" room="actors" isAlone={isAlone} tools={<Summary />}>
      {denied !== undefined ? <Denied why={denied} /> : isLoaded ? <ActorTree /> : <Loading rows={5} />}
    </Panel>
  )
}
