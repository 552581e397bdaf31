/** Overrides: who asks for more room in which budget, and why; those that wait for a decision come first. */
import { memo, useMemo, useState } from "react"
import { scopeOf } from "../model/Budgets.ts"
import { ago, count, duration, inMeasure, moment } from "../model/Figures.ts"
import { OVERRIDES_MAX, type WireBudget, type WireOverride } from "../model/Model.ts"
import { chosenFrom, type OverrideFilter, openCount, waitingFor } from "../model/Overrides.ts"
import { neededFor } from "../model/Roles.ts"
import { keyOf } from "../model/Standings.ts"
import { Choice } from "../parts/Choice.tsx"
import { useMay, useModel, useNow } from "../parts/Console.ts"
import { More } from "../parts/More.tsx"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { hrefTo } from "../parts/Route.ts"
import { readOlderOverrides } from "../wire/Reads.ts"
import { OverrideDecision } from "./OverrideDecision.tsx"

const TONES: { readonly [S in WireOverride["status"]]: string } = {
  pending: "hold",
  approved: "good",
  denied: "bad",
  expired: "off"
}
const STATUS_SAYS: { readonly [S in WireOverride["status"]]: string } = {
  pending: "open",
  approved: "approved",
  denied: "declined",
  expired: "expired"
}

const amountOf = (decimal: string, override: WireOverride): string =>
  `${inMeasure(decimal, override)}${override.measure === "cost" ? "" : ` ${override.measure}`}`

const useBudget = (override: WireOverride): WireBudget | undefined =>
  useModel((model) =>
    model.budgets.get(keyOf(model.budgets, { id: override.budget_id, entity_id: override.entity_id }))
  )

/** Where the budget stands, for whoever has to judge whether it needs more. */
const Standing = ({ budget }: { readonly budget: WireBudget }) => (
  <p className="override-standing">
    {inMeasure(budget.spent, budget)} spent and {inMeasure(budget.held, budget)} held of{" "}
    {inMeasure(budget.limit, budget)}
    {budget.override_total !== "0" && ` + ${inMeasure(budget.override_total, budget)} by override`}. At most{" "}
    {budget.override_policy.max_override_percentage} % of the limit can be approved in a period, by{" "}
    {budget.override_policy.approvers.join(" or ") || "admin"}.
  </p>
)

const Waiting = ({ override }: { readonly override: WireOverride }) => {
  const workflows = useModel((model) => model.workflows)
  const waiting = waitingFor(override, workflows.values())
  const [first] = waiting
  if (first === undefined) return null
  return (
    <p className="override-standing">
      Waits for it:{" "}
      <a href={hrefTo("workflows", first.workflow_id)}>
        workflow {first.name} ({first.workflow_id})
      </a>
      {waiting.length > 1 && ` and ${count(waiting.length - 1)} more`}
    </p>
  )
}

const Ends = ({ override }: { readonly override: WireOverride }) => {
  const now = useNow()
  if (override.expires_at === null) return <>with its budget</>
  const at = Date.parse(override.expires_at)
  return (
    <span title={moment(at)}>
      {moment(at)}
      {at > now && ` (in ${duration(at - now)})`}
    </span>
  )
}

const Asked = ({ at }: { readonly at: string }) => {
  const now = useNow()
  return <span title={moment(Date.parse(at))}>{ago(now - Date.parse(at))}</span>
}

const Decided = ({ override }: { readonly override: WireOverride }) => {
  if (override.decided_at === null)
    return <p className="override-standing">Nobody decided it before its time was over.</p>
  const by = override.decided_by === null ? "the budget's policy" : override.decided_by
  return (
    <p className="override-standing">
      {override.approved_amount === null
        ? "Declined"
        : `${amountOf(override.approved_amount, override)} approved`}{" "}
      by {by}, {moment(Date.parse(override.decided_at))}
      {override.note !== null && `: “${override.note}”`}
    </p>
  )
}

const Card = memo(({ override }: { readonly override: WireOverride }) => {
  const budget = useBudget(override)
  const isOpen = override.status === "pending"
  const mayDecide = useMay("decide_override")
  return (
    <li className={`override is-${override.status}`}>
      <div className="override-head">
        <span className={`pill tone-${TONES[override.status]}`}>{STATUS_SAYS[override.status]}</span>
        <h3>
          {amountOf(override.amount, override)} more for{" "}
          {budget === undefined ? scopeOf(override) : budget.name}
        </h3>
        <span className="override-scope">{scopeOf(override)}</span>
      </div>
      <p className="override-reason">“{override.reason}”</p>
      <dl className="facts override-facts">
        <div>
          <dt>Asked by</dt>
          <dd>{override.requested_by}</dd>
        </div>
        <div>
          <dt>Asked</dt>
          <dd>
            <Asked at={override.requested_at} />
          </dd>
        </div>
        <div>
          <dt>{isOpen ? "Would last until" : "Until"}</dt>
          <dd>
            <Ends override={override} />
          </dd>
        </div>
      </dl>
      {isOpen ? (
        <>
          {budget !== undefined && <Standing budget={budget} />}
          <Waiting override={override} />
          {mayDecide ? (
            <OverrideDecision key={override.id} override={override} />
          ) : (
            <p className="override-standing">Deciding it needs the role {neededFor("decide_override")}.</p>
          )}
        </>
      ) : (
        <Decided override={override} />
      )}
    </li>
  )
})

const EMPTY: { readonly [F in OverrideFilter]: readonly [string, string] } = {
  open: [
    "Nothing waits for a decision",
    "When budget refuses somebody, request_override asks for more room in it; what is asked for is decided here."
  ],
  approved: ["None approved", "What is approved counts in its budget at once, until its period ends."],
  denied: ["None declined", "What was declined stands here with the reason."],
  expired: ["None expired", "What nobody decided in time, and what was approved and is over, stands here."],
  all: ["No overrides yet", "When budget refuses somebody, request_override asks for more room in it."]
}

const ROWS = 60

const OverrideList = () => {
  const now = useNow()
  const overrides = useModel((model) => model.overrides)
  const more = useModel((model) => model.overridesMore)
  const [filter, setFilter] = useState<OverrideFilter>("open")
  const [rowsMax, setRowsMax] = useState(ROWS)
  const chosen = useMemo(() => chosenFrom(overrides.values(), filter, now), [overrides, filter, now])
  const mayAsk = useMay("request_override")
  const shown = chosen.slice(0, rowsMax)
  return (
    <>
      <div className="log-tools">
        <Choice
          name="override-state"
          legend="State"
          options={[
            ["open", "Open"],
            ["approved", "Approved"],
            ["denied", "Declined"],
            ["expired", "Expired"],
            ["all", "All"]
          ]}
          counts={{ open: openCount(overrides.values(), now) }}
          value={filter}
          onChange={setFilter}
        />
        {mayAsk && (
          <a className="button small" href={hrefTo("send", "request_override")}>
            Ask for an override
          </a>
        )}
      </div>
      {shown.length === 0 ? (
        <Empty title={EMPTY[filter][0]}>{EMPTY[filter][1]}</Empty>
      ) : (
        <ul className="overrides">
          {shown.map((override) => (
            <Card key={override.id} override={override} />
          ))}
        </ul>
      )}
      {chosen.length > shown.length ? (
        <p className="more">
          <button type="button" className="button" onClick={() => setRowsMax((max) => max + ROWS)}>
            Show {Math.min(ROWS, chosen.length - shown.length)} more
          </button>
        </p>
      ) : (
        filter !== "open" && (
          <More
            cursor={more}
            isFull={overrides.size >= OVERRIDES_MAX}
            read={readOlderOverrides}
            what="overrides"
            full={`The newest ${count(OVERRIDES_MAX)} are kept here; list_overrides finds older ones.`}
          />
        )
      )}
    </>
  )
}

export const Overrides = () => {
  const isLoaded = useModel((model) => model.isLoaded)
  const denied = useModel((model) => model.denied.get("overrides"))
  return (
    <Panel title="Overrides" room="overrides" isAlone>
      {denied !== undefined ? <Denied why={denied} /> : isLoaded ? <OverrideList /> : <Loading rows={4} />}
    </Panel>
  )
}
