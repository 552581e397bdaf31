/** Every budget with what is spent, what is held, and what remains; the one that needs a person comes first. */
import { useMemo } from "react"
import { byUrgency, meterOf, scopeOf } from "../model/Budgets.ts"
import { duration, inMeasure, inMeasureCompact, moment } from "../model/Figures.ts"
import type { WireBudget } from "../model/Model.ts"
import { filterText } from "../model/Refusals.ts"
import { isDefault, standingsByDefault } from "../model/Standings.ts"
import { sortedBudgets } from "../model/WorkflowBudgets.ts"
import { useMay, useMedia, useModel, useNow, useSteadyOrder } from "../parts/Console.ts"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { hrefTo } from "../parts/Route.ts"

const STATE_SAYS: { readonly [State in WireBudget["state"]]: string } = {
  ok: "ok",
  warning: "warning",
  exceeded: "exceeded"
}

const Resets = ({ at }: { readonly at: string | null }) => {
  const now = useNow()
  if (at === null) return <>never resets</>
  const end = Date.parse(at)
  return <span title={moment(end)}>resets {end > now ? `in ${duration(end - now)}` : "now"}</span>
}

const percentText = (percent: number): string => `${percent >= 10 ? Math.floor(percent) : percent} %`

const Meter = ({ budget }: { readonly budget: WireBudget }) => {
  const { spent, held, used } = meterOf(budget)
  const says = `${inMeasure(budget.spent, budget)} spent, ${inMeasure(budget.held, budget)} held, ${inMeasure(budget.remaining, budget)} remaining`
  return (
    // biome-ignore lint/a11y/useSemanticElements: <meter> cannot show two parts, and what is held must not look spent.
    <div
      className="meter"
      role="meter"
      aria-label={`${budget.name}: used`}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.min(100, used)}
      aria-valuetext={says}
    >
      <div className="meter-spent" style={{ inlineSize: `${spent}%` }} />
      <div className="meter-held" style={{ insetInlineStart: `${spent}%`, inlineSize: `${held}%` }} />
      {budget.alert_thresholds.map((threshold) =>
        threshold < 100 ? (
          <div key={threshold} className="meter-mark" style={{ insetInlineStart: `${threshold}%` }} />
        ) : null
      )}
    </div>
  )
}

/** Exact where there is room; where there is little, rounded, and exact on asking. */
const Sum = ({ decimal, budget, isExact }: SumProps) => (
  <dd className={decimal.startsWith("-") ? "is-bad" : ""} title={inMeasure(decimal, budget)}>
    {isExact ? inMeasure(decimal, budget) : inMeasureCompact(decimal, budget)}
  </dd>
)

interface SumProps {
  readonly decimal: string
  readonly budget: WireBudget
  readonly isExact: boolean
}

/** `daily $5.00`: what may be spent, and how often. */
const Terms = ({ budget }: { readonly budget: WireBudget }) => (
  <>
    {scopeOf(budget)} · {budget.period} {inMeasure(budget.limit, budget)}
    {budget.measure === "cost" ? "" : ` ${budget.measure}`}
    {budget.carried_over !== "0" && ` + ${inMeasure(budget.carried_over, budget)} carried over`}
    {budget.override_total !== "0" && ` + ${inMeasure(budget.override_total, budget)} by override`}
    {budget.pending_overrides > 0 &&
      ` · ${budget.pending_overrides} override${budget.pending_overrides === 1 ? "" : "s"} pending`}
    {budget.enforcement === "soft" && " · soft: warns, never refuses"}
  </>
)

/** What it refused; a soft one never does. */
const Refused = ({ budget }: { readonly budget: WireBudget }) => {
  const mayList = useMay("list_refusals")
  if (!mayList || budget.enforcement === "soft") return null
  return (
    <a
      href={hrefTo("refusals", filterText({ budget_id: budget.id }))}
      aria-label={`Refusals by ${budget.name}`}
    >
      Refusals
    </a>
  )
}

/** Nobody spends from a default itself: it says what each has, and who has used most of theirs has a card as well. */
const DefaultCard = ({ budget, standings }: { readonly budget: WireBudget; readonly standings: number }) => (
  <li className={`budget ${budget.active ? "" : "is-inactive"}`}>
    <div className="budget-head">
      <h3>{budget.name}</h3>
      <span className="state">{budget.active ? "default" : "inactive"}</span>
    </div>
    <p className="budget-foot">
      <span>
        <Terms budget={budget} />
      </span>
      <span className="budget-ends">
        {standings > 0 && `${standings} in use shown`}
        <Refused budget={budget} />
      </span>
    </p>
  </li>
)

const BudgetCard = ({ budget, name, isExact, isStanding = false }: BudgetCardProps) => {
  const { used } = meterOf(budget)
  return (
    <li className={`budget is-${budget.state} ${budget.active ? "" : "is-inactive"}`}>
      <div className="budget-head">
        <h3>{name}</h3>
        <span className={`state state-${budget.state}`}>
          {budget.active ? STATE_SAYS[budget.state] : "inactive"}
        </span>
        <span className="budget-percent">{percentText(used)}</span>
      </div>
      <Meter budget={budget} />
      <dl className="budget-figures">
        <div className="key-spent">
          <dt>Spent</dt>
          <Sum decimal={budget.spent} budget={budget} isExact={isExact} />
        </div>
        <div className="key-held">
          <dt>Held</dt>
          <Sum decimal={budget.held} budget={budget} isExact={isExact} />
        </div>
        <div className="key-rest">
          <dt>Remaining</dt>
          <Sum decimal={budget.remaining} budget={budget} isExact={isExact} />
        </div>
      </dl>
      <p className="budget-foot">
        <span>
          <Terms budget={budget} />
        </span>
        <span className="budget-ends">
          <Resets at={budget.period_end} />
          {!isStanding && <Refused budget={budget} />}
        </span>
      </p>
    </li>
  )
}

interface BudgetCardProps {
  readonly budget: WireBudget
  readonly name: string
  readonly isExact: boolean
  /** Somebody's part of a default: what that refused is listed for all who stand in it. */
  readonly isStanding?: boolean
}

const idOf = ({ id, entity_id }: WireBudget): string => `${id}/${entity_id}`

/** One for each workflow that has not ended; of those that have, the workflow itself says what became of it. */
const OfWorkflows = ({ budgets }: { readonly budgets: ReadonlyArray<WireBudget> }) => {
  const isPhone = useMedia("(width < 760px)")
  const tooMany = useModel((model) => model.budgetsTooMany)
  return (
    <>
      {budgets.length > 0 && (
        <>
          <h3 className="budgets-title">Of workflows that have not ended</h3>
          <ul className="budgets">
            {[...budgets].sort(byUrgency).map((budget) => (
              <BudgetCard key={idOf(budget)} budget={budget} name={budget.name} isExact={!isPhone} />
            ))}
          </ul>
        </>
      )}
      {tooMany.length > 0 && (
        <p className="panel-note budgets-more">
          There are too many budgets of type {tooMany.join(", ")} to be listed; those that change are shown.
        </p>
      )}
    </>
  )
}

const PHONE_MAX = 4

const BudgetList = ({ isAlone }: { readonly isAlone: boolean }) => {
  const isPhone = useMedia("(width < 760px)")
  const budgets = useModel((model) => model.budgets)
  const workflows = useModel((model) => model.workflows)
  const { common, own } = useMemo(() => sortedBudgets(budgets.values(), workflows), [budgets, workflows])
  const sorted = useMemo(() => [...common].sort(byUrgency), [common])
  const standings = useMemo(() => standingsByDefault(budgets), [budgets])
  const { rows, hold } = useSteadyOrder(sorted, idOf)
  if (rows.length === 0 && own.length === 0) {
    return (
      <Empty title="No budgets yet">
        <p>Nothing limits what agents may spend here.</p>
        <a className="button" href={hrefTo("send", "create_budget")}>
          Create a budget
        </a>
      </Empty>
    )
  }
  const shown = isPhone && !isAlone ? rows.slice(0, PHONE_MAX) : rows
  return (
    <>
      <ul className="budgets" {...hold}>
        {shown.map((budget) => {
          const count = standings.get(budget.id)
          if (count === undefined || !isDefault(budget)) {
            const name = count === undefined ? budget.name : `${budget.name}: ${budget.entity_id}`
            return (
              <BudgetCard
                key={idOf(budget)}
                budget={budget}
                name={name}
                isExact={isAlone && !isPhone}
                isStanding={count !== undefined}
              />
            )
          }
          return <DefaultCard key={idOf(budget)} budget={budget} standings={count} />
        })}
      </ul>
      {shown.length < rows.length && (
        <a className="all-of-them" href={hrefTo("budgets")}>
          All budgets
        </a>
      )}
      {isAlone && <OfWorkflows budgets={own} />}
    </>
  )
}

const Summary = () => {
  const budgets = useModel((model) => model.budgets)
  const workflows = useModel((model) => model.workflows)
  const { common } = useMemo(() => sortedBudgets(budgets.values(), workflows), [budgets, workflows])
  const needing = common.filter((budget) => budget.active && budget.state !== "ok").length
  if (common.length === 0) return null
  return (
    <span className="panel-note">
      {new Set(common.map(({ id }) => id)).size}{" "}
      {needing > 0 && <b className="is-warn">· {needing} near or past the limit</b>}
    </span>
  )
}

export const Budgets = ({ isAlone }: { readonly isAlone: boolean }) => {
  const isLoaded = useModel((model) => model.isLoaded)
  const denied = useModel((model) => model.denied.get("budgets"))
  return (
    <Panel title="Budgets" room="budgets" isAlone={isAlone} tools={<Summary />}>
      {denied !== undefined ? (
        <Denied why={denied} />
      ) : isLoaded ? (
        <BudgetList isAlone={isAlone} />
      ) : (
        <Loading rows={4} />
      )}
    </Panel>
  )
}
