/** Why a workflow does not go on: what refused it, how much is short, when there may be room, and what can be done now. */
import { duration, inMeasure, moment } from "../model/Figures.ts"
import type { WireOverride, WireWorkflow } from "../model/Model.ts"
import { openFor } from "../model/Overrides.ts"
import { filterText } from "../model/Refusals.ts"
import { useMay, useModel, useNow } from "../parts/Console.ts"
import { isTooLargeEver, Remedies, Violations } from "../parts/Refusal.tsx"
import { hrefTo } from "../parts/Route.ts"
import { OverrideDecision } from "./OverrideDecision.tsx"

type Parked = NonNullable<WireWorkflow["parked"]>

const list = (words: ReadonlyArray<string>): string =>
  words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`

const LooksAgain = ({ parked }: { readonly parked: Parked }) => {
  const now = useNow()
  if (parked.violations.some(isTooLargeEver))
    return (
      <>It asks for more than a whole limit: waiting does not help, an override or a higher limit does.</>
    )
  if (parked.retry_at === null)
    return <>When there is room. These budgets do not reset: it needs an override, or a higher limit.</>
  const roomAt = Date.parse(parked.retry_at)
  const looksAt = parked.looks_at === null ? 0 : Date.parse(parked.looks_at)
  return (
    <>
      By itself as soon as there is room
      {roomAt > now && (
        <>
          , which may be <b>in {duration(roomAt - now)}</b> ({moment(roomAt)})
        </>
      )}
      ; it also looks{" "}
      {looksAt > now ? <>in {duration(looksAt - now)} at the latest</> : "when it is its turn"}.
    </>
  )
}

interface OpenOverrideProps {
  readonly override: WireOverride
  readonly budget: string
}

const OpenOverride = ({ override, budget }: OpenOverrideProps) => (
  <div className="violation">
    <p className="violation-name">
      <b>
        {override.requested_by} asks for {inMeasure(override.amount, override)}
        {override.measure === "cost" ? "" : ` ${override.measure}`} more in {budget}
      </b>
      {override.expires_at !== null && (
        <span className="violation-scope">until {moment(Date.parse(override.expires_at))}</span>
      )}
    </p>
    <p className="violation-foot">“{override.reason}”</p>
    <OverrideDecision override={override} />
  </div>
)

/** Its own first; of those that others asked for in the same budgets, one stands here and the rest are counted. */
const shortlist = (open: ReadonlyArray<WireOverride>, asked: ReadonlyArray<string>) => {
  const own = open.filter(({ id }) => asked.includes(id))
  const shown = own.length > 0 ? own : open.slice(0, 1)
  return { shown, others: open.length - shown.length }
}

const Overrides = ({ parked }: { readonly parked: Parked }) => {
  const overrides = useModel((model) => model.overrides)
  const denied = useModel((model) => model.denied.get("overrides"))
  const open = openFor(overrides.values(), parked.violations, useNow())
  if (open.length > 0) {
    const { shown, others } = shortlist(open, parked.overrides)
    return (
      <>
        {shown.map((override) => (
          <OpenOverride
            key={override.id}
            override={override}
            budget={
              parked.violations.find(({ budget_id }) => budget_id === override.budget_id)?.name ??
              override.budget_id
            }
          />
        ))}
        {others > 0 && (
          <p>
            {others} more {others === 1 ? "is" : "are"} asked for in the same budgets:{" "}
            <a href={hrefTo("overrides")}>all overrides</a>.
          </p>
        )}
      </>
    )
  }
  const isAsked = parked.overrides.length > 0 || parked.violations.some((one) => one.override === "pending")
  if (denied !== undefined && isAsked) return <p>An override is asked for, and waits for a decision.</p>
  // One that it asked for and that is not open any more was decided: the newest says how.
  const decided = parked.overrides.flatMap((id) => overrides.get(id) ?? []).at(-1)
  if (decided?.status !== "denied") return null
  return (
    <p>
      Its override was declined{decided.decided_by !== null && ` by ${decided.decided_by}`}
      {decided.note === null ? "." : `: “${decided.note}”`}
    </p>
  )
}

/** What is short, in one line; the server's own words where no budget was the reason. */
const headline = ({ agents, violations, reason }: Parked): string => {
  const [first, ...others] = violations
  if (first === undefined) return reason
  const unit = first.measure === "cost" ? "" : ` ${first.measure}`
  const more = new Set(others.map(({ budget_id }) => budget_id)).size
  const besides =
    more === 0 ? "" : `, and ${more} other ${more === 1 ? "budget is" : "budgets are"} short, too`
  return `${list(agents)} waits for budget: ${first.name} is short by ${inMeasure(first.shortfall, first)}${unit}${besides}`
}

interface WaitsProps {
  readonly parked: Parked
  readonly id: string
}

const Next = ({ parked, id }: WaitsProps) => {
  const mayListRefusals = useMay("list_refusals")
  const overrides = useModel((model) => model.overrides)
  const isAsked = openFor(overrides.values(), parked.violations, useNow()).length > 0
  return (
    <p className="refusal-next">
      <Remedies violations={parked.violations} isAsked={isAsked} />
      {mayListRefusals && (
        <a className="button small" href={hrefTo("refusals", filterText({ workflow_id: id }))}>
          Its refusals
        </a>
      )}
    </p>
  )
}

const Waits = ({ parked, id }: WaitsProps) => (
  <section className="refusal" aria-label="Why it waits">
    <p className="refusal-reason">{headline(parked)}</p>
    <div className="why-violations">
      <Violations violations={parked.violations} />
    </div>
    <Overrides parked={parked} />
    <dl className="why-facts">
      <div>
        <dt>Looks again</dt>
        <dd>
          {parked.violations.length === 0 ? (
            <>When it is resumed, or the program is started again.</>
          ) : (
            <LooksAgain parked={parked} />
          )}
        </dd>
      </div>
      {parked.approvers.length > 0 && (
        <div>
          <dt>May approve</dt>
          <dd>{list(parked.approvers)}, with a key of another owner than the one that asked</dd>
        </div>
      )}
      <div>
        <dt>Waits since</dt>
        <dd>{moment(Date.parse(parked.since))}</dd>
      </div>
    </dl>
    {parked.violations.length > 0 && <Next parked={parked} id={id} />}
  </section>
)

const Failed = ({ failure }: { readonly failure: NonNullable<WireWorkflow["failure"]> }) => (
  <section className="refusal" aria-label="Why it failed">
    <p className="refusal-reason">
      {failure.agent === null ? "It failed: " : `${failure.agent} failed: `}
      {failure.message}
    </p>
    <p className="violation-foot">
      <code>{failure.error}</code>
    </p>
  </section>
)

export const WorkflowWhy = ({ workflow }: { readonly workflow: WireWorkflow }) => (
  <>
    {workflow.failure !== null && <Failed failure={workflow.failure} />}
    {workflow.parked !== null && <Waits parked={workflow.parked} id={workflow.workflow_id} />}
  </>
)
