/**
 * A machine's statechart with its current state lit and the path it took.
 *
 * Owns: drawing boxes and ELK's bend points. The list of steps beside it says the same in words.
 */

import { useEffect, useState } from "react"
import type { MachineGraph } from "../../signal/Actors.ts"
import type { PathStep } from "../model/Model.ts"
import { toneOf } from "../parts/CallState.tsx"
import { ArrowTips, tipOf } from "./ArrowTips.tsx"
import { lineThrough } from "./Engine.ts"
import { type Arrow, type Box, type ChartLayout, layoutOf, type Shape } from "./Layout.ts"
import { trailOf } from "./Path.ts"

interface StatechartProps {
  readonly graph: MachineGraph
  readonly state: string | null
  readonly path: ReadonlyArray<PathStep>
  readonly shape: Shape
}

/** A chart in a wide room does not shout. */
const SCALE_MAX = 1.3

const LINE_HEIGHT = 15

const isLeaf = ({ type }: Box): boolean => type !== "compound" && type !== "parallel"

/** Lines stand in the middle of a box; around other boxes, at its top. */
const lineY = (box: Box, index: number): number => {
  const middle = isLeaf(box) ? box.y + box.height / 2 : box.y + LINE_HEIGHT
  return middle + (index - (box.lines.length - 1) / 2) * LINE_HEIGHT
}

const StateBox = ({ box, className }: { readonly box: Box; readonly className: string }) => (
  <g className={className}>
    <rect x={box.x} y={box.y} width={box.width} height={box.height} rx="7" />
    {box.type === "final" && (
      <rect
        className="chart-inner"
        x={box.x + 3}
        y={box.y + 3}
        width={box.width - 6}
        height={box.height - 6}
        rx="5"
      />
    )}
    {box.isInitial && <circle className="chart-initial" cx={box.x} cy={box.y + box.height / 2} r="3.5" />}
    <text>
      {box.lines.map((line, index) => (
        <tspan key={line} x={box.x + box.width / 2} y={lineY(box, index)}>
          {line}
        </tspan>
      ))}
    </text>
  </g>
)

const useLayout = (graph: MachineGraph, shape: Shape): ChartLayout | "failed" | null => {
  const [layout, setLayout] = useState<ChartLayout | "failed" | null>(null)
  useEffect(() => {
    let isCurrent = true
    layoutOf(graph, shape).then(
      (made) => isCurrent && setLayout(made),
      () => isCurrent && setLayout("failed")
    )
    return () => {
      isCurrent = false
    }
  }, [graph, shape])
  return layout
}

export default function Statechart({ graph, state, path, shape }: StatechartProps) {
  const layout = useLayout(graph, shape)
  if (layout === null)
    return <div className="chart chart-wait" role="status" aria-label="Drawing the statechart" />
  if (layout === "failed")
    return <p className="chart-failed">The statechart could not be drawn. Its steps are below.</p>
  const trail = trailOf(path, state, layout.arrows)
  const stateClass = (box: Box): string => {
    const isCurrent = trail.current.has(box.id)
    const tone = isCurrent
      ? `is-current tone-${toneOf(box.id)}`
      : trail.visited.has(box.id)
        ? "is-visited"
        : ""
    return `chart-state ${tone}`
  }
  const arrowClass = (arrow: Arrow): string =>
    `chart-arrow ${trail.arrows.has(arrow.id) ? "is-passed" : ""} ${trail.last === arrow.id ? "is-last" : ""}`
  const says = `Statechart of ${graph.id}. Current state: ${state ?? "none"}.`
  return (
    <svg
      style={{ maxInlineSize: layout.width * SCALE_MAX, maxBlockSize: layout.height * SCALE_MAX }}
      className="chart"
      viewBox={`0 0 ${layout.width} ${layout.height}`}
      role="img"
      aria-label={says}
    >
      <ArrowTips chart="state" />
      {/* What is around others lies under the arrows between them. */}
      {layout.boxes
        .filter((box) => !isLeaf(box))
        .map((box) => (
          <StateBox key={box.id} box={box} className={stateClass(box)} />
        ))}
      {layout.arrows.map((arrow) => (
        <g key={arrow.id} className={arrowClass(arrow)}>
          <path
            className="chart-arrow-line"
            d={lineThrough(arrow.points)}
            markerEnd={tipOf("state", trail.arrows.has(arrow.id))}
          />
          {arrow.label !== null && (
            <text className="chart-arrow-text" x={arrow.label.x} y={arrow.label.y + 10}>
              {arrow.label.text}
            </text>
          )}
        </g>
      ))}
      {layout.boxes.filter(isLeaf).map((box) => (
        <StateBox key={box.id} box={box} className={stateClass(box)} />
      ))}
    </svg>
  )
}
