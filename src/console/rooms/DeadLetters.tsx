/**
 * Signals that nobody could take, and alerts that never arrived: looked at, and sent again.
 *
 * Owns: reading them, a page after the other, when somebody looks. They are no topic, so the page says when there are
 * newer ones and reads nothing by itself.
 */
import { type FormEvent, useCallback, useEffect, useReducer, useRef, useState } from "react"
import { ago, clock, count, moment } from "../model/Figures.ts"
import {
  afterChange,
  isBehind,
  LETTERS_MAX,
  type Letters,
  NO_LETTERS,
  type WireLetter
} from "../model/Letters.ts"
import { maySend, neededFor } from "../model/Roles.ts"
import { useConsole, useModel, useNow } from "../parts/Console.ts"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { LetterDetail } from "./LetterDetail.tsx"

const PAGE = 50
/** How often a page is read again that does not have what was told yet, and after how long. */
const TRIES_MAX = 10
const AGAIN_MS = 500

interface Filter {
  readonly address: string
  readonly signal: string
}

const EVERYTHING: Filter = { address: "", signal: "" }

const isFiltered = ({ address, signal }: Filter): boolean => address !== "" || signal !== ""

const paramsOf = ({ address, signal }: Filter) => ({
  ...(address === "" ? {} : { address }),
  ...(signal === "" ? {} : { signal })
})

interface Reading {
  readonly letters: Letters
  readonly filter: Filter
  readonly read: (filter: Filter, cursor?: string) => void
  readonly forget: (letterId: string) => void
  /** Dead letters that were told since the first page was read. */
  readonly newer: number
}

const useLetters = (): Reading => {
  const { connection, store } = useConsole()
  const isLive = useModel((model) => model.connection.kind === "live")
  const told = useModel((model) => model.lettersTold)
  const [letters, change] = useReducer(afterChange, NO_LETTERS)
  const [filter, setFilter] = useState(EVERYTHING)
  const [toldBefore, setToldBefore] = useState(told)
  const toldNow = useRef(told)
  toldNow.current = told
  /** Whoever filters while a page is on its way wants the other page. */
  const turn = useRef(0)
  const read = useCallback(
    (wanted: Filter, cursor?: string, tries = 0) => {
      const { client } = connection
      if (client === null) return change({ kind: "failed", why: "There is no connection now." })
      const mine = ++turn.current
      setFilter(wanted)
      change({ kind: "reading" })
      const isFirst = cursor === undefined
      if (isFirst) setToldBefore(toldNow.current)
      client
        .request("list_dead_letters", { ...paramsOf(wanted), limit: PAGE, ...(isFirst ? {} : { cursor }) })
        .then(
          (page) => {
            if (mine !== turn.current) return
            change({ kind: "page", page, isFirst })
            if (!isFirst || isFiltered(wanted) || !isBehind(page, store.model.letterToldAt)) return
            if (tries < TRIES_MAX)
              setTimeout(() => mine === turn.current && read(wanted, undefined, tries + 1), AGAIN_MS)
          },
          (error: unknown) =>
            mine === turn.current &&
            change({ kind: "failed", why: error instanceof Error ? error.message : String(error) })
        )
    },
    [connection, store]
  )
  useEffect(() => {
    if (isLive) read(EVERYTHING)
    return () => {
      turn.current += 1
    }
  }, [isLive, read])
  const forget = (letterId: string) => change({ kind: "gone", letterId })
  return { letters, filter, read, forget, newer: Math.max(0, told - toldBefore) }
}

const When = ({ at }: { readonly at: string }) => {
  const now = useNow()
  return (
    <time dateTime={at} title={`${moment(Date.parse(at))}, here ${clock(Date.parse(at)).slice(0, 8)}`}>
      {ago(now - Date.parse(at))}
    </time>
  )
}

interface RowProps {
  readonly letter: WireLetter
  readonly onOpen: () => void
}

const Row = ({ letter, onOpen }: RowProps) => (
  <li>
    <button type="button" className="letter" onClick={onOpen} aria-haspopup="dialog">
      <When at={letter.at} />
      <code className="letter-signal">{letter.signal}</code>
      <span className="letter-to" title={letter.address}>
        to {letter.address}
      </span>
      <span className="letter-from" title="The key that sent it">
        from {letter.principal}
      </span>
      <span className="letter-why" title={letter.why}>
        {letter.why}
      </span>
    </button>
  </li>
)

const Tools = ({ filter, read }: Pick<Reading, "filter" | "read">) => {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    read({
      address: String(form.get("address") ?? "").trim(),
      signal: String(form.get("signal") ?? "").trim()
    })
  }
  return (
    <form className="log-tools" onSubmit={submit} key={`${filter.address}\n${filter.signal}`}>
      <label className="search">
        <span className="unseen">Sent to, the whole address</span>
        <input
          type="search"
          name="address"
          defaultValue={filter.address}
          placeholder="Sent to: token_manager/default"
          data-shortcut="filter"
        />
      </label>
      <label className="search">
        <span className="unseen">Signal, its whole name</span>
        <input type="search" name="signal" defaultValue={filter.signal} placeholder="Signal: track_usage" />
      </label>
      <button type="submit" className="button small">
        Find
      </button>
      <button type="button" className="button small" onClick={() => read(filter)}>
        Read again
      </button>
    </form>
  )
}

const Foot = ({ letters, filter, read }: Pick<Reading, "letters" | "filter" | "read">) => (
  <div className="more">
    {letters.next !== null && (
      <button
        type="button"
        className="button"
        disabled={letters.isReading}
        onClick={() => read(filter, letters.next ?? undefined)}
      >
        {letters.isReading ? "Reading…" : "Read older letters"}
      </button>
    )}
    {letters.dropped > 0 && (
      <p className="panel-note">
        {count(letters.dropped)} older ones are gone: the newest {count(LETTERS_MAX)} are kept.
      </p>
    )}
  </div>
)

const LetterRoom = () => {
  const { letters, filter, read, forget, newer } = useLetters()
  const [opened, setOpened] = useState<WireLetter | null>(null)
  if (!letters.isRead && letters.failure === null) return <Loading rows={4} />
  return (
    <>
      <Tools filter={filter} read={read} />
      {newer > 0 && (
        <p className="notice" role="status">
          <span>
            {count(newer)} {newer === 1 ? "letter has" : "letters have"} come since this list was read.
          </span>
          <button type="button" className="button small" onClick={() => read(filter)}>
            Show {newer === 1 ? "it" : "them"}
          </button>
        </p>
      )}
      <div role="alert">{letters.failure !== null && <p className="failure">{letters.failure}</p>}</div>
      {letters.items.length === 0 && letters.isRead ? (
        isFiltered(filter) ? (
          <Empty title="No letter matches">
            <p>Address and signal are compared as a whole.</p>
            <button type="button" className="button" onClick={() => read(EVERYTHING)}>
              Show all
            </button>
          </Empty>
        ) : (
          <Empty title="No dead letters">
            A signal that was told and that nobody could take, and an alert that never reached its channel, is
            kept here with the reason until it is sent again.
          </Empty>
        )
      ) : (
        <ul className="letters">
          {letters.items.map((letter) => (
            <Row key={letter.letter_id} letter={letter} onOpen={() => setOpened(letter)} />
          ))}
        </ul>
      )}
      <Foot letters={letters} filter={filter} read={read} />
      {opened !== null && (
        <LetterDetail
          letter={opened}
          onGone={() => forget(opened.letter_id)}
          onClose={() => setOpened(null)}
        />
      )}
    </>
  )
}

export const DeadLetters = () => {
  const isLoaded = useModel((model) => model.isLoaded)
  const mayList = useModel((model) => maySend(model.identity, "list_dead_letters"))
  return (
    <Panel title="Dead letters" room="letters" isAlone>
      {!isLoaded ? (
        <Loading rows={4} />
      ) : mayList ? (
        <LetterRoom />
      ) : (
        <Denied
          why={`Dead letters are for the role ${neededFor("list_dead_letters")}; ask an admin for a key that has it.`}
        />
      )}
    </Panel>
  )
}
