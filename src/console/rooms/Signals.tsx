/**
 * The live log of signals.
 *
 * Owns: the filter's controls, pausing, and that what somebody reads does not move: away from the top, or paused,
 * the list stands still and the newer ones are counted.
 */

import { useVirtualizer } from "@tanstack/react-virtual"
import { memo, useEffect, useId, useMemo, useRef, useState } from "react"
import { foundNoRoom, isRefusal } from "../../signal/Refusals.ts"
import { clock, count, latency } from "../model/Figures.ts"
import { filterOf, type OutcomeFilter } from "../model/Log.ts"
import { LOG_MAX, type LogEntry, type WireRecord } from "../model/Model.ts"
import { Choice } from "../parts/Choice.tsx"
import { useMedia, useModel } from "../parts/Console.ts"
import { Icon } from "../parts/Icon.tsx"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { Search } from "../parts/Search.tsx"
import { outcomeTone, SignalDetail } from "./SignalDetail.tsx"

const ROW_PX = 30
const ROW_PHONE_PX = 56
const TOP_PX = 4

const GapRow = ({ entry }: { readonly entry: Extract<LogEntry, { kind: "gap" }> }) => (
  <span className="gap">
    {entry.count === null ? "Signals may be missing here" : `${count(entry.count)} signals are missing here`}:{" "}
    {entry.why}
  </span>
)

const SignalRow = memo(({ record }: { readonly record: WireRecord }) => (
  <>
    <time dateTime={record.at} title={`Sent at ${clock(Date.parse(record.at))}`}>
      {clock(Date.parse(record.at) + record.duration_ms)}
    </time>
    <span className={`outcome ${outcomeTone(record)}`} title={record.outcome}>
      {foundNoRoom(record) ? "no room" : isRefusal(record) ? "refused" : record.outcome}
    </span>
    <code className="signal-name">{record.signal}</code>
    <span className="signal-address">
      {record.reason === null ? record.address : <b className="signal-why">{record.reason}</b>}
    </span>
    <span className="signal-more">{record.request_id}</span>
    <span className="signal-more">{record.principal}</span>
    <span className="signal-took">{latency(record.duration_ms)}</span>
  </>
))

interface ListProps {
  readonly entries: ReadonlyArray<LogEntry>
  readonly onOpen: (record: WireRecord) => void
  readonly onAway: (isAway: boolean) => void
  /** Counts up when the list should go back to the top. */
  readonly toTop: number
}

const List = ({ entries, onOpen, onAway, toTop }: ListProps) => {
  const scroller = useRef<HTMLDivElement>(null)
  const isPhone = useMedia("(width < 760px)")
  const rowPx = isPhone ? ROW_PHONE_PX : ROW_PX
  const id = useId()
  const [activeId, setActiveId] = useState<number | null>(null)
  const rows = useVirtualizer({
    count: entries.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowPx,
    getItemKey: (index) => entries[index]?.id ?? index,
    overscan: 8
  })
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height of a row is read by the virtualizer itself.
  useEffect(() => {
    rows.measure()
  }, [rowPx])
  // biome-ignore lint/correctness/useExhaustiveDependencies: `toTop` is a wish, not a value.
  useEffect(() => {
    scroller.current?.scrollTo({ top: 0 })
  }, [toTop])

  const active = entries.findIndex((entry) => entry.id === activeId)
  const move = (index: number) => {
    const entry = entries[Math.max(0, Math.min(entries.length - 1, index))]
    if (entry === undefined) return
    setActiveId(entry.id)
    rows.scrollToIndex(entries.indexOf(entry))
    onAway(true)
  }
  const open = (entry: LogEntry | undefined) => {
    if (entry?.kind !== "signal") return
    setActiveId(entry.id)
    onOpen(entry.record)
  }
  const onKeyDown = (event: React.KeyboardEvent) => {
    const page = 10
    const moves: { readonly [key: string]: number } = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: entries.length - 1
    }
    const to = moves[event.key]
    if (to !== undefined) move(to)
    else if (event.key === "Enter") open(entries[active])
    else return
    event.preventDefault()
  }
  return (
    <div
      ref={scroller}
      className="log"
      role="listbox"
      tabIndex={0}
      aria-label="Signals, the newest first"
      aria-activedescendant={active === -1 ? undefined : `${id}-${activeId}`}
      onKeyDown={onKeyDown}
      onScroll={(event) => onAway(event.currentTarget.scrollTop > TOP_PX)}
    >
      <div className="log-rows" style={{ blockSize: rows.getTotalSize() }}>
        {rows.getVirtualItems().map((item) => {
          const entry = entries[item.index]
          if (entry === undefined) return null
          const tone = entry.kind === "signal" ? outcomeTone(entry.record) : "is-gap"
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled by the list, as a listbox does.
            <div
              key={item.key}
              id={`${id}-${entry.id}`}
              role="option"
              tabIndex={-1}
              aria-selected={entry.id === activeId}
              aria-setsize={entries.length}
              aria-posinset={item.index + 1}
              className={`log-row ${tone}`}
              style={{ blockSize: rowPx, transform: `translateY(${item.start}px)` }}
              onClick={() => open(entry)}
            >
              {entry.kind === "gap" ? <GapRow entry={entry} /> : <SignalRow record={entry.record} />}
            </div>
          )
        })}
      </div>
    </div>
  )
}

const OUTCOMES: ReadonlyArray<readonly [OutcomeFilter, string]> = [
  ["all", "All"],
  ["refused", "Refused"],
  ["failed", "Failed"]
]

const LogRoom = () => {
  const log = useModel((model) => model.log)
  const counters = useModel((model) => model.counters)
  const [text, setText] = useState("")
  const [outcome, setOutcome] = useState<OutcomeFilter>("all")
  const [isPaused, setPaused] = useState(false)
  const [isAway, setAway] = useState(false)
  const [frozen, setFrozen] = useState<ReadonlyArray<LogEntry> | null>(null)
  const [toTop, setToTop] = useState(0)
  const [opened, setOpened] = useState<WireRecord | null>(null)

  const isStill = isPaused || isAway
  if (isStill && frozen === null) setFrozen(log)
  if (!isStill && frozen !== null) setFrozen(null)
  const source = frozen ?? log
  const entries = useMemo(() => source.filter(filterOf(text, outcome)).reverse(), [source, text, outcome])
  const newest = source.at(-1)?.id ?? 0
  const newer = log.reduce((sum, entry) => sum + (entry.id > newest ? 1 : 0), 0)
  const goLive = () => {
    setPaused(false)
    setAway(false)
    setToTop((wish) => wish + 1)
  }
  const counts: { readonly [O in OutcomeFilter]: number | null } = {
    all: null,
    refused: counters.refused,
    failed: counters.failed
  }
  return (
    <>
      <div className="log-tools">
        <Search
          label="Filter signals"
          placeholder="Filter: a word, or signal: address: reason: key: payload:"
          value={text}
          onChange={setText}
        />
        <Choice
          name="outcome"
          legend="Outcome"
          options={OUTCOMES}
          counts={counts}
          value={outcome}
          onChange={setOutcome}
        />
        <button
          type="button"
          className="button small"
          data-shortcut="pause"
          aria-pressed={isPaused}
          onClick={() => (isPaused ? goLive() : setPaused(true))}
        >
          <Icon name={isPaused ? "play" : "pause"} />
          {isPaused ? "Go on" : "Pause"}
        </button>
      </div>
      <div className="log-frame">
        {entries.length === 0 ? (
          log.length === 0 ? (
            <Empty title="It is quiet">
              Every signal that an actor takes appears here the moment it is answered.
            </Empty>
          ) : (
            <Empty title="Nothing matches">
              <p>
                {count(source.length)} signals are kept (at most {count(LOG_MAX)}); none passes this filter.
              </p>
              <button type="button" className="button" onClick={() => [setText(""), setOutcome("all")]}>
                Clear the filter
              </button>
            </Empty>
          )
        ) : (
          <List entries={entries} onOpen={setOpened} onAway={setAway} toTop={toTop} />
        )}
        {isStill && (
          <button type="button" className="log-newer" onClick={goLive}>
            {newer > 0 ? `${count(newer)} newer · go to live` : isPaused ? "Paused · go on" : "Go to live"}
          </button>
        )}
      </div>
      {opened !== null && <SignalDetail record={opened} onClose={() => setOpened(null)} />}
    </>
  )
}

export const Signals = ({ isAlone }: { readonly isAlone: boolean }) => {
  const isLoaded = useModel((model) => model.isLoaded)
  const denied = useModel((model) => model.denied.get("signals"))
  return (
    <Panel title="Signals" room="signals" isAlone={isAlone}>
      {denied !== undefined ? <Denied why={denied} /> : isLoaded ? <LogRoom /> : <Loading rows={5} />}
    </Panel>
  )
}
