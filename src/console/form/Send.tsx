/** The room where any signal is sent by hand. */

import { useEffect, useState } from "react"
import { isSignalName, type SignalName } from "../../signal/Catalogue.ts"
import { useConsole } from "../parts/Console.ts"
import { CopyButton } from "../parts/Copy.tsx"
import { Empty } from "../parts/Panel.tsx"
import { goTo, hrefTo } from "../parts/Route.ts"
import { Search } from "../parts/Search.tsx"
import "../style/form.css"
import { Answer, isRefusing } from "./Answer.tsx"
import {
  curlOf,
  definitionOf,
  familiesOf,
  type Issue,
  initialParams,
  issuesWith,
  type Params,
  SIGNAL_NAMES,
  withoutEmpty
} from "./Definitions.ts"
import { issuesIn, type Outcome, send } from "./Sending.ts"
import { SignalForm } from "./SignalForm.tsx"
import { suggestionsIn, withSuggestions } from "./Suggestions.ts"

const FIRST: SignalName = "check_budget"

const SignalList = ({ chosen }: { readonly chosen: SignalName }) => {
  const [filter, setFilter] = useState("")
  return (
    <div className="signal-list">
      <Search label="Find a signal" placeholder="Find a signal" value={filter} onChange={setFilter} />
      <div className="signal-names">
        {familiesOf(filter).map(([family, names]) => (
          <section key={family} aria-label={family}>
            <h3>{family}</h3>
            <ul>
              {names.map((name) => (
                <li key={name}>
                  <a href={hrefTo("send", name)} aria-current={name === chosen ? "true" : undefined}>
                    <code>{name}</code>
                  </a>
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
      <label className="signal-pick field">
        <span>Signal</span>
        <select value={chosen} onChange={(event) => goTo("send", event.target.value)}>
          {SIGNAL_NAMES.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
    </div>
  )
}

interface SenderProps {
  readonly name: SignalName
  /** Fields that the link to here filled in. */
  readonly given: Params
}

const Sender = ({ name, given }: SenderProps) => {
  const { connection, store } = useConsole()
  const [definition] = useState(() => withSuggestions(definitionOf(name), suggestionsIn(store.model)))
  const [params, setParams] = useState<Params>(() => ({ ...initialParams(definition), ...given }))
  const [found, setFound] = useState<ReadonlyArray<Issue>>([])
  const [outcome, setOutcome] = useState<Outcome | null>(null)
  const issues = found.length > 0 ? found : issuesIn(outcome)
  const change = (changed: Params) => {
    setParams(changed)
    if (found.length > 0) setFound(issuesWith(name, withoutEmpty(changed)))
    else if (issuesIn(outcome).length > 0) setOutcome(null)
  }
  const submit = (sent: Params) => {
    const wrong = issuesWith(name, sent)
    setFound(wrong)
    if (wrong.length > 0) return
    send(connection.client, name, sent, setOutcome).catch(() => setOutcome(null))
  }
  const stop = (subscription: string) => {
    connection.client?.request("unsubscribe", { subscription }).catch(() => undefined)
  }
  // A refusal and an error are not kept under the request id: they are decided anew.
  const isKept =
    outcome?.kind === "streaming" || (outcome?.kind === "answered" && !isRefusing(outcome.result))
  const again = isKept && params.request_id !== undefined
  return (
    <>
      <SignalForm
        definition={definition}
        params={params}
        issues={issues}
        isSending={outcome?.kind === "sending"}
        onChange={change}
        onSend={submit}
      />
      <section className="answer" aria-label="Answer" aria-live="polite">
        <h2>Answer</h2>
        {outcome === null ? (
          <Empty title="Nothing sent yet">
            <p>The answer appears here. The same signal from a shell:</p>
            <pre className="curl">{curlOf(location.origin, name, withoutEmpty(params))}</pre>
            <CopyButton text={curlOf(location.origin, name, withoutEmpty(params))} what="curl" />
          </Empty>
        ) : (
          <Answer outcome={outcome} onStop={stop} />
        )}
        {again && (
          <p className="again">
            Sent again as it is, it answers the same: the request id is the same.{" "}
            <button
              type="button"
              className="button small"
              onClick={() =>
                setParams({ ...params, ...initialParams({ ...definition, required: ["request_id"] }) })
              }
            >
              New request id
            </button>
          </p>
        )}
      </section>
    </>
  )
}

/** `update_budget?budget_id=b1`: a signal's name, and what is known of its params. */
const readSubject = (subject: string | null): { readonly name: string; readonly given: Params } => {
  const [name = "", query = ""] = (subject ?? FIRST).split("?")
  return { name, given: Object.fromEntries(new URLSearchParams(query)) }
}

export default function Send({ subject }: { readonly subject: string | null }) {
  const { name, given } = readSubject(subject)
  useEffect(() => {
    if (!isSignalName(name)) goTo("send", FIRST)
  }, [name])
  const chosen = isSignalName(name) ? name : FIRST
  return (
    <div className="send">
      <SignalList chosen={chosen} />
      <Sender key={subject} name={chosen} given={given} />
    </div>
  )
}
