/** Every workflow with how far it is and what it has spent; what waits for a person comes first. */

import { memo, useMemo, useState } from "react"
import { parseAmount } from "../../signal/Money.ts"
import { ago, clock, count, duration, exactMoney, roundedMoney, shortCount } from "../model/Figures.ts"
import { type WireWorkflow, WORKFLOWS_MAX, type WorkflowsGap } from "../model/Model.ts"
import { chosenFrom, countsOf, forWhom, type WorkflowFilter, whyShort } from "../model/Workflows.ts"
import { Bar } from "../parts/Bar.tsx"
import { CallState } from "../parts/CallState.tsx"
import { Choice } from "../parts/Choice.tsx"
import { useConsole, useMay, useModel, useNow, useSteadyOrder } from "../parts/Console.ts"
import { More } from "../parts/More.tsx"
import { Denied, Empty, Loading, Panel } from "../parts/Panel.tsx"
import { hrefTo, useRoute } from "../parts/Route.ts"
import { Search } from "../parts/Search.tsx"
import { readOlderWorkflows } from "../wire/Reads.ts"
import { WorkflowDetail } from "./WorkflowDetail.tsx"

const Age = ({ workflow }: { readonly workflow: WireWorkflow }) => {
  const now = useNow()
  const { started_at, ended_at } = workflow
  return (
    <span className="workflow-age" title={`Started ${clock(Date.parse(started_at))}`}>
      {ended_at === null
        ? `for ${duration(now - Date.parse(started_at))}`
        : `ended ${ago(now - Date.parse(ended_at))}`}
    </span>
  )
}

interface RowProps {
  readonly workflow: WireWorkflow
  readonly isSelected: boolean
}

const Row = memo(({ workflow, isSelected }: RowProps) => {
  const { workflow_id: id, currency, budget_percent: ofBudget } = workflow
  const whom = forWhom(workflow)
  const why = whyShort(workflow)
  return (
    <li>
      <a
        className={`workflow is-${workflow.state}`}
        href={hrefTo("workflows", id)}
        aria-current={isSelected ? "true" : undefined}
      >
        <CallState state={workflow.state} />
        <span className="workflow-name">
          <b>{workflow.name}</b>
          <span title={id}>{why ?? (workflow.current_agents.join(", ") || id)}</span>
        </span>
        <span className="workflow-whom">
          <span>{whom === "" ? workflow.owner : whom}</span>
          <span>by {workflow.owner}</span>
        </span>
        <span className="workflow-bars">
          <Bar
            percent={workflow.completion_percent}
            label="Steps done"
            says={`${workflow.steps_done}/${workflow.steps_total} steps`}
          />
          {ofBudget !== null && (
            <Bar
              isBudget
              percent={ofBudget}
              label="Of its own budget"
              says={`${Math.floor(ofBudget)} % spent`}
            />
          )}
        </span>
        <span className="workflow-tokens" title={`${count(workflow.total_tokens)} tokens`}>
          {workflow.total_tokens === 0 ? "–" : shortCount(workflow.total_tokens)}
        </span>
        <span
          className="workflow-cost"
          title={currency === null ? undefined : exactMoney(parseAmount(workflow.cost), currency)}
        >
          {currency === null ? "–" : roundedMoney(parseAmount(workflow.cost), currency, 6)}
        </span>
        <Age workflow={workflow} />
      </a>
    </li>
  )
})

const idOf = ({ workflow_id }: WireWorkflow): string => workflow_id

/** What was missed is said; where each workflow stands was read again, so only what happened in between is not known. */
const Gap = ({ gap }: { readonly gap: WorkflowsGap }) => {
  const { store } = useConsole()
  return (
    <p className="notice" role="status">
      <span>
        {gap.count === null ? "Steps" : `Up to ${count(gap.count)} steps`} were not told to this page (
        {clock(gap.at).slice(0, 8)}). The list was read again, and is right; what happened meanwhile is not
        shown.
      </span>
      <button type="button" className="button small" onClick={() => store.push({ kind: "gap_read" })}>
        Understood
      </button>
    </p>
  )
}

const None = () => {
  const mayStart = useMay("start_workflow")
  return (
    <Empty title="No workflows yet">
      <p>
        A workflow is a graph of agents with a budget. Started with start_workflow, it appears here with each
        of its steps, and waits here when budget refuses it.
      </p>
      {mayStart && (
        <a className="button" href={hrefTo("send", "start_workflow")}>
          Start a workflow
        </a>
      )}
    </Empty>
  )
}

const FILTERS: ReadonlyArray<readonly [WorkflowFilter, string]> = [
  ["all", "All"],
  ["parked", "Parked"],
  ["running", "Running"],
  ["completed", "Completed"],
  ["failed", "Failed"],
  ["cancelled", "Cancelled"]
]
const ROWS = 100

const walk = (event: React.KeyboardEvent<HTMLElement>): void => {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return
  const links = [...event.currentTarget.querySelectorAll<HTMLElement>("a.workflow")]
  const at = links.indexOf(document.activeElement as HTMLElement)
  const next = links[at + (event.key === "ArrowDown" ? 1 : -1)]
  if (at === -1 || next === undefined) return
  event.preventDefault()
  next.focus()
}

const WorkflowList = ({ subject }: { readonly subject: string | null }) => {
  const workflows = useModel((model) => model.workflows)
  const more = useModel((model) => model.workflowsMore)
  const [filter, setFilter] = useState<WorkflowFilter>("all")
  const [text, setText] = useState("")
  const [rowsMax, setRowsMax] = useState(ROWS)
  const counts = useMemo(() => countsOf(workflows.values()), [workflows])
  const chosen = useMemo(() => chosenFrom(workflows.values(), filter, text), [workflows, filter, text])
  const { rows, hold } = useSteadyOrder(chosen, idOf)
  if (workflows.size === 0) return <None />
  const shown = rows.slice(0, rowsMax)
  return (
    <div className="workflows-list">
      <div className="log-tools">
        <Search
          label="Filter workflows"
          placeholder="Filter: name, id, agent, who it is for, or the budget that refused"
          value={text}
          onChange={setText}
        />
        <Choice
          name="workflow-state"
          legend="State"
          options={FILTERS}
          counts={counts}
          value={filter}
          onChange={setFilter}
        />
      </div>
      <div className="workflows-scroll">
        <div className="workflow workflow-titles" aria-hidden="true">
          <span>State</span>
          <span>Workflow</span>
          <span>For</span>
          <span>Progress</span>
          <span>Tokens</span>
          <span>Cost</span>
          <span>Since</span>
        </div>
        <ul className="workflows" {...hold} onKeyDown={walk}>
          {shown.map((workflow) => (
            <Row
              key={workflow.workflow_id}
              workflow={workflow}
              isSelected={workflow.workflow_id === subject}
            />
          ))}
        </ul>
        {shown.length === 0 && (
          <Empty title="No workflow matches">
            <p>{count(workflows.size)} are read; none passes this filter.</p>
            <button type="button" className="button" onClick={() => [setText(""), setFilter("all")]}>
              Clear the filter
            </button>
          </Empty>
        )}
        {rows.length > shown.length ? (
          <p className="more">
            <button type="button" className="button" onClick={() => setRowsMax((max) => max + ROWS)}>
              Show {Math.min(ROWS, rows.length - shown.length)} more
            </button>
          </p>
        ) : (
          <More
            cursor={more}
            isFull={workflows.size >= WORKFLOWS_MAX}
            read={readOlderWorkflows}
            what="workflows"
            full={`The newest ${count(WORKFLOWS_MAX)} are kept here; list_workflows finds older ones.`}
          />
        )}
      </div>
    </div>
  )
}

const WorkflowRoom = () => {
  const { subject } = useRoute()
  const gap = useModel((model) => model.workflowsGap)
  return (
    <>
      {gap !== null && <Gap gap={gap} />}
      <div className={subject === null ? "workflows-room" : "workflows-room has-subject"}>
        <WorkflowList subject={subject} />
        {subject !== null && (
          <div className="workflows-look">
            <WorkflowDetail key={subject} id={subject} />
          </div>
        )}
      </div>
    </>
  )
}

const Summary = () => {
  const workflows = useModel((model) => model.workflows)
  const { parked, running } = useMemo(() => countsOf(workflows.values()), [workflows])
  if (workflows.size === 0) return null
  return (
    <span className="panel-note">
      {count(running)} running
      {parked > 0 && <b className="is-warn"> · {count(parked)} parked</b>}
    </span>
  )
}

export const Workflows = () => {
  const isLoaded = useModel((model) => model.isLoaded)
  const denied = useModel((model) => model.denied.get("workflows"))
  return (
    <Panel title="Workflows" room="workflows" isAlone tools={<Summary />}>
      {denied !== undefined ? <Denied why={denied} /> : isLoaded ? <WorkflowRoom /> : <Loading rows={5} />}
    </Panel>
  )
}
