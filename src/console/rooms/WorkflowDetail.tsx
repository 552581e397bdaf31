/**
 * One workflow: why it waits, its agents, their steps, and what it was started with.
 *
 * Owns: reading it again when something happened to it, never by the clock.
 */
import { lazy, Suspense, useEffect, useState } from "react"
import type { SignalResult } from "../../signal/Catalogue.ts"
import { parseAmount } from "../../signal/Money.ts"
import { clock, count, duration, exactMoney, inMeasure, moment, roundedMoney } from "../model/Figures.ts"
import type { WireWorkflow, WorkflowHappened, WorkflowRow } from "../model/Model.ts"
import { forWhom, hasEnded } from "../model/Workflows.ts"
import { type Failed, Failure, useAction } from "../parts/Action.tsx"
import { Bar } from "../parts/Bar.tsx"
import { CallState } from "../parts/CallState.tsx"
import { useConsole, useMay, useMedia, useModel, useNow } from "../parts/Console.ts"
import { Icon } from "../parts/Icon.tsx"
import { Json } from "../parts/Json.tsx"
import { Empty, Loading } from "../parts/Panel.tsx"
import { hrefTo } from "../parts/Route.ts"
import { RpcFailure } from "../wire/RpcClient.ts"
import { stepId, WorkflowSteps } from "./WorkflowSteps.tsx"
import { WorkflowWhy } from "./WorkflowWhy.tsx"

const AgentGraph = lazy(() => import("../chart/AgentGraph.tsx"))

type Whole = SignalResult<"get_workflow">["workflow"]

interface Read {
  readonly whole: Whole | null
  readonly failed: Failed | null
}

/** The workflow as it was after the last thing that happened to it. */
const useWorkflow = (id: string, row: WorkflowRow | undefined): Read => {
  const { connection, store } = useConsole()
  const isLive = useModel((model) => model.connection.kind === "live")
  const [read, setRead] = useState<Read>({ whole: null, failed: null })
  const version = row?.progress.updated_at
  // biome-ignore lint/correctness/useExhaustiveDependencies: `version` says that there is something new to read.
  useEffect(() => {
    const { client } = connection
    if (!isLive || client === null) return
    let isCurrent = true
    client.request("get_workflow", { workflow_id: id }).then(
      ({ workflow }) => {
        if (!isCurrent) return
        setRead({ whole: workflow, failed: null })
        const { input, definition, steps, ...progress } = workflow
        store.push({ kind: "workflows", workflows: [progress] })
      },
      (error: unknown) => {
        if (isCurrent && error instanceof RpcFailure)
          setRead((before) => ({ ...before, failed: { tag: error.tag, message: error.message } }))
      }
    )
    return () => {
      isCurrent = false
    }
  }, [connection, store, isLive, id, version])
  return read
}

const Since = ({ workflow }: { readonly workflow: WireWorkflow }) => {
  const now = useNow()
  const started = Date.parse(workflow.started_at)
  if (workflow.ended_at !== null) return <>{duration(Date.parse(workflow.ended_at) - started)}</>
  return <>{duration(now - started)} so far</>
}

const Figures = ({ workflow }: { readonly workflow: WireWorkflow }) => {
  const { budget, currency } = workflow
  const ofTenant = useModel((model) => model.status?.currency ?? model.totals?.currency ?? "USD")
  const whom = forWhom(workflow)
  const unit = budget === null || budget.measure === "cost" ? "" : ` ${budget.measure}`
  const of = budget === null ? null : { measure: budget.measure, currency: currency ?? ofTenant }
  return (
    <dl className="facts workflow-facts">
      <div className="fact-bar">
        <dt>Steps</dt>
        <dd>
          <Bar
            percent={workflow.completion_percent}
            label="Steps done"
            says={`${workflow.steps_done} of ${workflow.steps_total} done`}
          />
        </dd>
      </div>
      {budget !== null && of !== null && (
        <div className="fact-bar">
          <dt>Its own budget</dt>
          <dd>
            <Bar
              isBudget
              percent={workflow.budget_percent ?? 0}
              label="Of its own budget"
              says={`${inMeasure(budget.remaining, of)} of ${inMeasure(budget.limit, of)}${unit} left`}
            />
          </dd>
        </div>
      )}
      <div>
        <dt>Tokens</dt>
        <dd title={`${count(workflow.prompt_tokens)} in, ${count(workflow.completion_tokens)} out`}>
          {count(workflow.total_tokens)}
        </dd>
      </div>
      <div>
        <dt>Cost</dt>
        <dd title={currency === null ? undefined : exactMoney(parseAmount(workflow.cost), currency)}>
          {currency === null ? "–" : roundedMoney(parseAmount(workflow.cost), currency, 6)}
        </dd>
      </div>
      <div>
        <dt>Started by</dt>
        <dd>{workflow.owner}</dd>
      </div>
      {whom !== "" && (
        <div>
          <dt>For</dt>
          <dd>{whom}</dd>
        </div>
      )}
      <div>
        <dt>Started</dt>
        <dd>{moment(Date.parse(workflow.started_at))}</dd>
      </div>
      <div>
        <dt>{workflow.ended_at === null ? "Runs" : "Took"}</dt>
        <dd>
          <Since workflow={workflow} />
        </dd>
      </div>
    </dl>
  )
}

const Buttons = ({ workflow }: { readonly workflow: WireWorkflow }) => {
  const { store } = useConsole()
  const mayResume = useMay("resume_workflow")
  const mayCancel = useMay("cancel_workflow")
  const resume = useAction("resume_workflow")
  const cancel = useAction("cancel_workflow")
  const [isSure, setSure] = useState(false)
  if (hasEnded(workflow)) return null
  const workflow_id = workflow.workflow_id
  const take = (answer: { readonly workflow: WireWorkflow } | undefined) => {
    if (answer !== undefined) store.push({ kind: "workflows", workflows: [answer.workflow] })
  }
  const isSending = resume.isSending || cancel.isSending
  return (
    <div className="workflow-actions">
      {mayResume && workflow.state === "parked" && (
        <button
          type="button"
          className="button small strong"
          disabled={isSending}
          title="Asks for budget again now, instead of waiting"
          onClick={() => void resume.send({ workflow_id }).then(take)}
        >
          Resume
        </button>
      )}
      {mayCancel && workflow.state !== "cancelling" && (
        <button
          type="button"
          className="button small"
          disabled={isSending}
          aria-expanded={isSure}
          onClick={() => setSure((before) => !before)}
        >
          {isSure ? "Keep it" : "Cancel…"}
        </button>
      )}
      {mayCancel && isSure && workflow.state !== "cancelling" && (
        <button
          type="button"
          className="button small danger"
          disabled={isSending}
          onClick={() => void cancel.send({ workflow_id, reason: "cancelled in the console" }).then(take)}
        >
          End it for good
        </button>
      )}
      <Failure failed={resume.failed ?? cancel.failed} />
    </div>
  )
}

const HAPPENED: { readonly [W in WorkflowHappened["what"]]: string } = {
  started: "started",
  step_started: "began",
  step_done: "done",
  step_retried: "tries again",
  step_failed: "failed",
  parked: "parked",
  resumed: "goes on",
  cancelling: "is being cancelled",
  completed: "completed",
  failed: "failed",
  cancelled: "cancelled"
}

const Happened = ({ facts }: { readonly facts: ReadonlyArray<WorkflowHappened> }) =>
  facts.length === 0 ? null : (
    <section aria-label="What happened">
      <h3 className="section-name">What happened since this page was opened</h3>
      <ol className="happened">
        {facts.map((fact, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: facts are appended, and several can be of one moment.
          <li key={`${fact.at} ${index}`}>
            <time dateTime={fact.at}>{clock(Date.parse(fact.at))}</time>
            <b>{fact.agent ?? "the workflow"}</b> {HAPPENED[fact.what]}
            {fact.detail !== null && <span className="happened-why"> {fact.detail}</span>}
          </li>
        ))}
      </ol>
    </section>
  )

const show = (agent: string): void => {
  const step = document.getElementById(stepId(agent))
  if (!(step instanceof HTMLDetailsElement)) return
  step.open = true
  step.scrollIntoView({ block: "nearest" })
  step.querySelector("summary")?.focus({ preventScroll: true })
}

export const WorkflowDetail = ({ id }: { readonly id: string }) => {
  const row = useModel((model) => model.workflows.get(id))
  const tenant = useModel((model) => model.identity?.tenant ?? "default")
  const isPhone = useMedia("(width < 760px)")
  const { whole, failed } = useWorkflow(id, row)
  const workflow = row?.progress ?? whole
  if (workflow === null) {
    return failed === null ? (
      <Loading rows={4} />
    ) : (
      <Empty title="This workflow cannot be shown">
        <p>{failed.message}</p>
        <a className="button" href={hrefTo("workflows")}>
          All workflows
        </a>
      </Empty>
    )
  }
  return (
    <article className="look workflow-look" aria-label={`${workflow.name} ${id}`}>
      <header className="workflow-head">
        <a className="button quiet square small" href={hrefTo("workflows")}>
          <Icon name="back" />
          <span className="unseen">All workflows</span>
        </a>
        <h3>{workflow.name}</h3>
        <CallState state={workflow.state} />
        <code className="workflow-id">{id}</code>
        <Buttons key={id} workflow={workflow} />
      </header>
      <WorkflowWhy workflow={workflow} />
      <Figures workflow={workflow} />
      {whole === null ? (
        <Failure failed={failed} />
      ) : (
        <>
          <Suspense fallback={<div className="agents agents-wait" />}>
            <AgentGraph
              steps={whole.steps}
              currency={workflow.currency}
              direction={isPhone ? "DOWN" : "RIGHT"}
              onChoose={show}
            />
          </Suspense>
          <WorkflowSteps steps={whole.steps} currency={workflow.currency} />
        </>
      )}
      <Happened facts={row?.facts ?? []} />
      {whole !== null && (
        <>
          <details className="context">
            <summary>What it was started with</summary>
            <Json value={whole.input} label="Input" />
          </details>
          <details className="context">
            <summary>Its definition</summary>
            <Json value={whole.definition} label="Definition" />
          </details>
        </>
      )}
      <p className="panel-note">
        <a href={hrefTo("actors", `workflow/${tenant}/${id}`)}>Its machine among the actors</a>
      </p>
    </article>
  )
}
