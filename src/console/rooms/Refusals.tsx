/**
 * Why calls were refused, the newest first.
 *
 * Owns: finding them by what they were for. They are no topic: a page is read when somebody looks, and again when told
 * to. The filter stands in the address, so that a call, a budget or a workflow leads to its own.
 */
import { type FormEvent, useEffect, useMemo, useState } from "react"
import { forWhom } from "../model/Calls.ts"
import { count, moment } from "../model/Figures.ts"
import {
  afterRefusals,
  filterParts,
  filterText,
  KIND_SAYS,
  REFUSALS_KEPT,
  REFUSALS_MAX,
  type RefusalFilter,
  readFilter,
  type WireRefusal
} from "../model/Refusals.ts"
import { maySend, neededFor } from "../model/Roles.ts"
import { useModel } from "../parts/Console.ts"
import { type Listing, PagesFoot, useIsLive, usePages } from "../parts/Pages.tsx"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { goTo } from "../parts/Route.ts"
import { When } from "../parts/When.tsx"
import { RefusalDetail } from "./RefusalDetail.tsx"

const REFUSALS: Listing<WireRefusal, RefusalFilter> = {
  after: afterRefusals,
  ask: (client, filter, params) => client.request("list_refusals", { ...filter, ...params })
}

const all = (): void => goTo("refusals")

interface ToolsProps {
  readonly text: string
  readonly problem: string | null
  readonly isFiltered: boolean
  readonly onAgain: () => void
}

const Tools = ({ text, problem, isFiltered, onAgain }: ToolsProps) => {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const wanted = String(new FormData(event.currentTarget).get("filter") ?? "").trim()
    if (wanted === text) onAgain()
    else goTo("refusals", wanted === "" ? undefined : wanted)
  }
  return (
    <form className="log-tools" onSubmit={submit} key={text}>
      <label className="search">
        <span className="unseen">Find refusals</span>
        <input
          type="search"
          name="filter"
          defaultValue={text}
          placeholder="Find: a request, or agent: user: team: workflow: budget:"
          title="The whole value, such as agent:researcher. A value with blanks stands in quotes."
          aria-invalid={problem !== null}
          data-shortcut="filter"
        />
      </label>
      <button type="submit" className="button small">
        Find
      </button>
      {isFiltered && (
        <button type="button" className="button small" onClick={all}>
          Show all
        </button>
      )}
      <button type="button" className="button small" onClick={onAgain}>
        Read again
      </button>
    </form>
  )
}

interface RowProps {
  readonly refusal: WireRefusal
  readonly onOpen: () => void
}

const Row = ({ refusal, onOpen }: RowProps) => {
  const whom = forWhom(refusal.attribution)
  const { first_at, last_at, provider, model } = refusal
  return (
    <li>
      <button type="button" className="letter refused" onClick={onOpen} aria-haspopup="dialog">
        <span className="refused-when">
          <When at={last_at} />
          {refusal.count > 1 && (
            <i title={`First ${moment(Date.parse(first_at))}, last ${moment(Date.parse(last_at))}`}>
              {count(refusal.count)} times, first <When at={first_at} />
            </i>
          )}
        </span>
        <span className="refused-whom" title={refusal.request_id}>
          <b>{whom === "" ? refusal.request_id : whom}</b>
          {whom !== "" && <i>{refusal.request_id}</i>}
        </span>
        <span className="refused-model">
          {provider ?? "any provider"}
          {model !== null && ` / ${model}`}
        </span>
        <span className="refused-kind">
          <span className="pill tone-bad">{KIND_SAYS[refusal.kind]}</span>
        </span>
        <span className="letter-why">{refusal.reason}</span>
      </button>
    </li>
  )
}

/** What is looked for, with a budget's name where it is known. */
const useSought = (filter: RefusalFilter): string => {
  const budgets = useModel((model) => model.budgets)
  return filterParts(filter)
    .map(([field, value]) => {
      const name = field === "budget_id" ? budgets.get(value)?.name : undefined
      return name === undefined ? `${field} ${value}` : `budget ${name}`
    })
    .join(", ")
}

const Nothing = ({ filter }: { readonly filter: RefusalFilter }) => {
  const sought = useSought(filter)
  if (sought === "")
    return (
      <Empty title="Nothing was refused">
        A call that a budget has no room for, or whose price nobody knows, stands here with the reason, what
        is short and when to ask again. The newest {count(REFUSALS_KEPT)} are kept.
      </Empty>
    )
  return (
    <Empty title="No refusal matches">
      <p>
        Looked for {sought}: values are compared as a whole. A check with <code>hold: false</code> only looks,
        and is not kept.
      </p>
      <button type="button" className="button" onClick={all}>
        Show all
      </button>
    </Empty>
  )
}

const List = ({ filter, text }: { readonly filter: RefusalFilter; readonly text: string }) => {
  const isLive = useIsLive()
  const { pages, read } = usePages(REFUSALS)
  const [opened, setOpened] = useState<WireRefusal | null>(null)
  const sought = useSought(filter)
  useEffect(() => {
    if (isLive) read(filter)
  }, [isLive, read, filter])
  const isFiltered = sought !== ""
  return (
    <>
      <Tools text={text} problem={null} isFiltered={isFiltered} onAgain={() => read(filter)} />
      {isFiltered && pages.items.length > 0 && <p className="panel-note refused-of">Only of {sought}.</p>}
      <div role="alert">{pages.failure !== null && <p className="failure">{pages.failure}</p>}</div>
      {!pages.isRead ? (
        pages.failure === null && <Loading rows={4} />
      ) : pages.items.length === 0 ? (
        <Nothing filter={filter} />
      ) : (
        <ul className="letters">
          {pages.items.map((refusal) => (
            <Row key={refusal.refusal_id} refusal={refusal} onOpen={() => setOpened(refusal)} />
          ))}
        </ul>
      )}
      <PagesFoot
        pages={pages}
        what="refusals"
        kept={REFUSALS_KEPT}
        full={`The newest ${count(REFUSALS_MAX)} are shown. Older ones are found by what they were for.`}
        onMore={(cursor) => read(filter, cursor)}
      />
      {opened !== null && <RefusalDetail refusal={opened} onClose={() => setOpened(null)} />}
    </>
  )
}

const RefusalRoom = ({ subject }: { readonly subject: string | null }) => {
  const text = subject ?? ""
  const { filter, problem } = useMemo(() => readFilter(text), [text])
  if (filter !== null) return <List key={filterText(filter)} filter={filter} text={text} />
  return (
    <>
      <Tools text={text} problem={problem} isFiltered onAgain={() => undefined} />
      <div role="alert">
        <p className="failure">{problem}</p>
      </div>
    </>
  )
}

export const Refusals = ({ subject }: { readonly subject: string | null }) => {
  const isLoaded = useModel((model) => model.isLoaded)
  const mayList = useModel((model) => maySend(model.identity, "list_refusals"))
  return (
    <Panel title="Refusals" room="refusals" isAlone>
      {!isLoaded ? (
        <Loading rows={4} />
      ) : mayList ? (
        <RefusalRoom subject={subject} />
      ) : (
        <Denied
          why={`Refusals are for the role ${neededFor("list_refusals")}; ask an admin for a key that has it.`}
        />
      )}
    </Panel>
  )
}
