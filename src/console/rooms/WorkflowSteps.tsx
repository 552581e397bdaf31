/** The steps of a workflow: where each stands, what it took and cost, and what its agent answered. */
import type { SignalResult } from "../../signal/Catalogue.ts"
import { parseAmount } from "../../signal/Money.ts"
import { count, duration, exactMoney, roundedMoney } from "../model/Figures.ts"
import { CallState } from "../parts/CallState.tsx"
import { useModel, useNow } from "../parts/Console.ts"
import { CopyButton } from "../parts/Copy.tsx"
import { Json } from "../parts/Json.tsx"
import { hrefTo } from "../parts/Route.ts"

type Step = SignalResult<"get_workflow">["workflow"]["steps"][number]

export const stepId = (agent: string): string => `step-${agent}`

const Took = ({ step }: { readonly step: Step }) => {
  const now = useNow()
  if (step.started_at === null) return <>–</>
  const until = step.ended_at === null ? now : Date.parse(step.ended_at)
  return <>{duration(until - Date.parse(step.started_at))}</>
}

const Output = ({ step }: { readonly step: Step }) => {
  const { output } = step
  if (output === null) return null
  const text = typeof output === "string" ? output : JSON.stringify(output, null, 2)
  return (
    <>
      <h4 className="section-name">
        Answered <CopyButton text={text} what="answer" />
      </h4>
      {typeof output === "string" ? (
        <p className="step-output">{output}</p>
      ) : (
        <Json value={output} label={`What ${step.agent} answered`} />
      )}
    </>
  )
}

const WAITING: { readonly [S in Step["state"]]?: string } = {
  pending: "It has not begun.",
  running: "Its call is on its way; the answer is shown when it is there.",
  parked: "Budget refused its call; see above.",
  cancelled: "It was cancelled before it had answered."
}

const StepRow = ({ step, currency }: { readonly step: Step; readonly currency: string | null }) => {
  const tenant = useModel((model) => model.identity?.tenant ?? "default")
  const tokens = step.prompt_tokens + step.completion_tokens
  const cost = parseAmount(step.cost)
  const hasRun = step.tries > 0 && currency !== null
  return (
    <li>
      <details className="step" id={stepId(step.agent)}>
        <summary>
          <CallState state={step.state} />
          <b className="step-name">{step.agent}</b>
          <span className="step-model">
            {step.provider} / {step.model}
          </span>
          <span className={step.tries > 1 ? "step-tries is-warn" : "step-tries"}>
            {step.tries === 0 ? "–" : `${step.tries} ${step.tries === 1 ? "try" : "tries"}`}
          </span>
          <span className="step-tokens">{tokens === 0 ? "–" : `${count(tokens)} tokens`}</span>
          <span className="step-cost" title={hasRun ? exactMoney(cost, currency) : undefined}>
            {hasRun ? roundedMoney(cost, currency, 6) : "–"}
          </span>
          <span className="step-took">
            <Took step={step} />
          </span>
        </summary>
        <div className="step-body">
          {step.depends_on.length > 0 && (
            <p className="panel-note">Waits for {step.depends_on.join(", ")}.</p>
          )}
          {step.failure !== null && (
            <p className="failure">
              <b>{step.failure.error}:</b> {step.failure.message}
            </p>
          )}
          {step.output === null && WAITING[step.state] !== undefined && <p>{WAITING[step.state]}</p>}
          <Output step={step} />
          {step.request_id !== null && (
            <p className="panel-note">
              Its {step.state === "running" ? "call" : "last call"}:{" "}
              <a href={hrefTo("actors", `call/${tenant}/${step.request_id}`)}>
                <code>{step.request_id}</code>
              </a>
            </p>
          )}
        </div>
      </details>
    </li>
  )
}

interface WorkflowStepsProps {
  readonly steps: ReadonlyArray<Step>
  readonly currency: string | null
}

export const WorkflowSteps = ({ steps, currency }: WorkflowStepsProps) => (
  <ul className="workflow-steps" aria-label="Steps">
    {steps.map((step) => (
      <StepRow key={step.agent} step={step} currency={currency} />
    ))}
  </ul>
)
