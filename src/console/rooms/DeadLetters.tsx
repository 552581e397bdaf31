/**
 * Signals that nobody could take, and alerts that never arrived: looked at, and sent again.
 *
 * Owns: reading them, a page after the other, when somebody looks. They are no topic, so the page says when there are
 * newer ones and reads nothing by itself.
 */
import { type FormEvent, useEffect, useRef, useState } from "react"
import { count } from "../model/Figures.ts"
import { afterLetters, isBehind, LETTERS_MAX, type WireLetter } from "../model/Letters.ts"
import { maySend, neededFor } from "../model/Roles.ts"
import { useModel } from "../parts/Console.ts"
import { type Listing, PagesFoot, type Reading, useIsLive, usePages } from "../parts/Pages.tsx"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { When } from "../parts/When.tsx"
import { LetterDetail } from "./LetterDetail.tsx"

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

const LETTERS: Listing<WireLetter, Filter> = {
  after: afterLetters,
  ask: (client, filter, params) => client.request("list_dead_letters", { ...paramsOf(filter), ...params }),
  isBehind: (page, filter, model) => !isFiltered(filter) && isBehind(page, model.letterToldAt)
}

interface LettersRead extends Reading<WireLetter, Filter> {
  readonly filter: Filter
  /** Dead letters that were told since the first page was read. */
  readonly newer: number
}

const useLetters = (): LettersRead => {
  const isLive = useIsLive()
  const told = useModel((model) => model.lettersTold)
  const [filter, setFilter] = useState(EVERYTHING)
  const [toldBefore, setToldBefore] = useState(told)
  const toldNow = useRef(told)
  toldNow.current = told
  const reading = usePages(LETTERS, (wanted) => {
    setFilter(wanted)
    setToldBefore(toldNow.current)
  })
  const { read } = reading
  useEffect(() => {
    if (isLive) read(EVERYTHING)
  }, [isLive, read])
  return { ...reading, filter, newer: Math.max(0, told - toldBefore) }
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

const Tools = ({ filter, read }: Pick<LettersRead, "filter" | "read">) => {
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

const LetterRoom = () => {
  const { pages, filter, read, forget, newer } = useLetters()
  const [opened, setOpened] = useState<WireLetter | null>(null)
  if (!pages.isRead && pages.failure === null) return <Loading rows={4} />
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
      <div role="alert">{pages.failure !== null && <p className="failure">{pages.failure}</p>}</div>
      {pages.items.length === 0 && pages.isRead ? (
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
          {pages.items.map((letter) => (
            <Row key={letter.letter_id} letter={letter} onOpen={() => setOpened(letter)} />
          ))}
        </ul>
      )}
      <PagesFoot
        pages={pages}
        what="letters"
        kept={LETTERS_MAX}
        full={`The newest ${count(LETTERS_MAX)} are shown.`}
        onMore={(cursor) => read(filter, cursor)}
      />
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
