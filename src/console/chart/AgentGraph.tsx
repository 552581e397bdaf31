/**
 * A workflow's agents with what each waits for, where each of them stands, and what it has used.
 *
 * Owns: drawing the boxes and ELK's arrows. The list of steps beside it says the same in words, and more of it.
 */

import { useEffect, useMemo, useState } from "react"
import type { SignalResult } from "../../signal/Catalogue.ts"
import { parseAmount } from "../../signal/Money.ts"
import { roundedMoney, shortCount } from "../model/Figures.ts"
import { toneOf } from "../parts/CallState.tsx"
import { type AgentLayout, agentLayoutOf, BOX_HEIGHT, BOX_WIDTH, type Direction } from "./AgentLayout.ts"
import { ArrowTips, tipOf } from "./ArrowTips.tsx"
import { lineThrough } from "./Engine.ts"

type Step = SignalResult<"get_workflow">["workflow"]["steps"][number]

interface AgentGraphProps {
  readonly steps: ReadonlyArray<Step>
  readonly currency: string | null
  readonly direction: Direction
  readonly onChoose: (agent: string) => void
}

const useAgentLayout = (steps: ReadonlyArray<Step>, direction: Direction): AgentLayout | "failed" | null => {
  const [layout, setLayout] = useState<AgentLayout | "failed" | null>(null)
  // A graph does not change while its workflow runs: it is laid out once, however often its steps are read again.
  const shape = JSON.stringify(steps.map(({ agent, depends_on }) => ({ agent, depends_on })))
  useEffect(() => {
    let isCurrent = true
    agentLayoutOf(JSON.parse(shape), direction).then(
      (made) => isCurrent && setLayout(made),
      () => isCurrent && setLayout("failed")
    )
    return () => {
      isCurrent = false
    }
  }, [shape, direction])
  return layout
}

const usedSays = ({ total, cost, currency }: { total: number; cost: string; currency: string | null }) =>
  total === 0
    ? ""
    : `${shortCount(total)} tokens${currency === null ? "" : ` · ${roundedMoney(parseAmount(cost), currency, 6)}`}`

export default function AgentGraph({ steps, currency, direction, onChoose }: AgentGraphProps) {
  const layout = useAgentLayout(steps, direction)
  const byAgent = useMemo(() => new Map(steps.map((step) => [step.agent, step])), [steps])
  if (layout === null)
    return <div className="agents agents-wait" role="status" aria-label="Drawing the agents" />
  if (layout === "failed")
    return <p className="chart-failed">The graph could not be drawn. Its steps are below.</p>
  const isPassed = (agent: string) => byAgent.get(agent)?.state === "done"
  return (
    <section className="agents" aria-label="Agents, and what each waits for">
      <div className="agents-sheet" style={{ inlineSize: layout.width, blockSize: layout.height }}>
        <svg viewBox={`0 0 ${layout.width} ${layout.height}`} aria-hidden="true">
          <ArrowTips chart="agent" />
          {layout.arrows.map((arrow) => (
            <g key={arrow.id} className={isPassed(arrow.from) ? "chart-arrow is-passed" : "chart-arrow"}>
              <path
                className="chart-arrow-line"
                d={lineThrough(arrow.points)}
                markerEnd={tipOf("agent", isPassed(arrow.from))}
              />
            </g>
          ))}
        </svg>
        {layout.boxes.map(({ agent, x, y }) => {
          const step = byAgent.get(agent)
          if (step === undefined) return null
          const total = step.prompt_tokens + step.completion_tokens
          return (
            <button
              key={agent}
              type="button"
              className={`agent tone-${toneOf(step.state)} is-${step.state}`}
              style={{
                insetInlineStart: x,
                insetBlockStart: y,
                inlineSize: BOX_WIDTH,
                blockSize: BOX_HEIGHT
              }}
              onClick={() => onChoose(agent)}
              title={`${agent}: ${step.provider} / ${step.model}`}
            >
              <b>{agent}</b>
              <span className="agent-state">
                {step.state}
                {step.tries > 1 && ` · try ${step.tries}`}
              </span>
              <span className="agent-used">
                {usedSays({ total, cost: step.cost, currency }) || step.model}
              </span>
            </button>
          )
        })}
      </div>
    </section>
  )
}
