/** Calls on their way and calls that ended, with what they used so far. */
import { memo, useMemo } from "react"
import { forWhom } from "../model/Calls.ts"
import { clock, count, duration, exactMoney, roundedMoney } from "../model/Figures.ts"
import type { CallRow } from "../model/Model.ts"
import { filterText } from "../model/Refusals.ts"
import { CallState } from "../parts/CallState.tsx"
import { useMay, useMedia, useModel, useNow, useSteadyOrder } from "../parts/Console.ts"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { goTo, hrefTo } from "../parts/Route.ts"

const ROWS_MAX = 120

const totalsOf = (call: CallRow): { tokens: number; cost: bigint; isPriced: boolean } => {
  const sum = { tokens: call.tokensInFlight, cost: call.costInFlight, isPriced: true }
  for (const attempt of call.attempts) {
    sum.tokens += attempt.tokens
    sum.cost += attempt.cost
    sum.isPriced &&= attempt.isPriced
  }
  return sum
}

const Age = ({ since }: { readonly since: number }) => <>{duration(useNow() - since)}</>

const attemptsSay = (call: CallRow): string =>
  call.attempts
    .map(
      (attempt) =>
        `${attempt.attempt}: ${attempt.provider}/${attempt.model} ${attempt.status}, ${count(attempt.tokens)} tokens`
    )
    .join("\n")

interface RowProps {
  readonly call: CallRow
  readonly tenant: string
  readonly mayListRefusals: boolean
}

/** A check that was refused had no actor, and a call's own is gone soon: why it was refused is kept. */
const lookAt = ({ call, tenant, mayListRefusals }: RowProps): string =>
  call.state === "refused" && mayListRefusals
    ? hrefTo("refusals", filterText({ request_id: call.requestId }))
    : hrefTo("actors", `call/${tenant}/${call.requestId}`)

const Row = memo(({ call, tenant, mayListRefusals }: RowProps) => {
  const { tokens, cost, isPriced } = totalsOf(call)
  const attempts = Math.max(call.attempt, call.attempts.length)
  const whom = forWhom(call.attribution)
  const hasRun = call.attempts.length > 0 || tokens > 0
  const why = call.refusal?.reason
  return (
    <li className={call.isOpen ? "call is-open" : "call"}>
      <CallState state={call.state} />
      <a className="call-name" href={lookAt({ call, tenant, mayListRefusals })} title={why ?? call.requestId}>
        <b>{whom === "" ? call.requestId : whom}</b>
        <span>{call.provider === "" ? "…" : `${call.provider} / ${call.model}`}</span>
        <i>{why ?? (whom === "" ? "" : call.requestId)}</i>
      </a>
      <span className={attempts > 1 ? "call-attempts is-warn" : "call-attempts"} title={attemptsSay(call)}>
        {attempts > 1 ? `×${attempts}` : ""}
      </span>
      <span className={call.isOpen ? "call-tokens pencil" : "call-tokens"}>
        {hasRun ? count(tokens) : "–"}
      </span>
      <span
        className={call.isOpen ? "call-cost pencil" : "call-cost"}
        title={isPriced ? exactMoney(cost, call.currency) : "There was no price for this model"}
      >
        {hasRun ? (isPriced ? roundedMoney(cost, call.currency, 6) : "unpriced") : "–"}
      </span>
      <span className="call-age" title={clock(call.startedAt)}>
        {call.isOpen ? <Age since={call.startedAt} /> : clock(call.at).slice(0, 8)}
      </span>
    </li>
  )
})

const idOf = (call: CallRow): string => call.requestId

const walkRows = (event: React.KeyboardEvent<HTMLElement>): void => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("a, button")]
  const at = links.indexOf(document.activeElement as HTMLElement)
  const next = links[at + (event.key === "ArrowDown" ? 1 : -1)]
  if (at === -1 || next === undefined) return
  event.preventDefault()
  next.focus()
}

const PHONE_MAX = 6

const CallList = ({ isAlone }: { readonly isAlone: boolean }) => {
  const isPhone = useMedia("(width < 760px)")
  const calls = useModel((model) => model.calls)
  const tenant = useModel((model) => model.status?.tenant ?? model.identity?.tenant ?? "default")
  const mayListRefusals = useMay("list_refusals")
  const sorted = useMemo(
    () =>
      [...calls.values()]
        .sort((a, b) => Number(b.isOpen) - Number(a.isOpen) || b.startedAt - a.startedAt)
        .slice(0, ROWS_MAX),
    [calls]
  )
  const { rows, hold } = useSteadyOrder(sorted, idOf)
  if (rows.length === 0) {
    return (
      <Empty title="No calls yet">
        <p>A call appears here when an agent asks for budget, and stays while it is on its way.</p>
        <button type="button" className="button" onClick={() => goTo("send", "complete")}>
          Make a call
        </button>
      </Empty>
    )
  }
  const shown = isPhone && !isAlone ? rows.slice(0, PHONE_MAX) : rows
  return (
    <>
      <div className="call call-titles" aria-hidden="true">
        <span>State</span>
        <span>For · model</span>
        <span />
        <span>Tokens</span>
        <span>Cost</span>
        <span>Since</span>
      </div>
      <ul className="calls" {...hold} onKeyDown={walkRows}>
        {shown.map((call) => (
          <Row key={call.requestId} call={call} tenant={tenant} mayListRefusals={mayListRefusals} />
        ))}
      </ul>
      {shown.length < rows.length && (
        <a className="all-of-them" href={hrefTo("calls")}>
          All {rows.length} calls
        </a>
      )}
    </>
  )
}

const Summary = () => {
  const calls = useModel((model) => model.calls)
  let open = 0
  for (const call of calls.values()) if (call.isOpen) open += 1
  return (
    <span className="panel-note">
      {open} in flight · {calls.size - open} ended
    </span>
  )
}

export const Calls = ({ isAlone }: { readonly isAlone: boolean }) => {
  const isLoaded = useModel((model) => model.isLoaded)
  const denied = useModel((model) => model.denied.get("usage"))
  return (
    <Panel title="Calls" room="calls" isAlone={isAlone} tools={<Summary />}>
      {denied !== undefined ? (
        <Denied why={denied} />
      ) : isLoaded ? (
        <CallList isAlone={isAlone} />
      ) : (
        <Loading rows={5} />
      )}
    </Panel>
  )
}
