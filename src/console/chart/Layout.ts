/**
 * Where a statechart's states and arrows lie.
 *
 * Owns: turning a machine's graph into what ELK lays out, and reading back boxes and bend points.
 * Does not decide: how they are drawn (Statechart).
 */
import type { ElkExtendedEdge, ElkNode } from "elkjs/lib/elk-api.js"
import type { MachineGraph } from "../../signal/Actors.ts"
import { layOut, type Point, pointsOf } from "./Engine.ts"

export interface Box {
  readonly id: string
  /** One word a line, where it is long. */
  readonly lines: ReadonlyArray<string>
  readonly type: MachineGraph["states"][number]["type"]
  readonly isInitial: boolean
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface Arrow {
  readonly id: string
  readonly source: string
  readonly target: string
  readonly points: ReadonlyArray<Point>
  readonly label: { readonly text: string; readonly x: number; readonly y: number } | null
}

export interface ChartLayout {
  readonly width: number
  readonly height: number
  readonly boxes: ReadonlyArray<Box>
  readonly arrows: ReadonlyArray<Arrow>
}

const GLYPH_PX = 7.6
const SMALL_GLYPH_PX = 6.1
const LINE_HEIGHT = 15
const LINE_MAX = 10
const LABEL_HEIGHT = 14
const LABEL_MAX = 18

/** The last part of a state's path, in words: one line if it is short, otherwise a line a word. */
const stateLines = (id: string): ReadonlyArray<string> => {
  const words = (id.split(".").at(-1) ?? id).split("_")
  const text = words.join(" ")
  return text.length <= LINE_MAX ? [text] : words
}

/** An event's name without XState's own prefixes: what a person would call it. */
const eventLabel = (event: string): string => {
  // What an invoked piece of work answers, or an eventless step, says no more than the arrow does.
  if (event.startsWith("xstate.") || event === "") return ""
  const text = event.toLowerCase().replaceAll("_", " ")
  return text.length > LABEL_MAX ? `${text.slice(0, LABEL_MAX - 1)}…` : text
}

interface Link {
  readonly source: string
  readonly target: string
  readonly label: string
}

/** One arrow per pair of states, with the events of all its transitions. */
const linksOf = (graph: MachineGraph): ReadonlyArray<Link> => {
  const links = new Map<string, { source: string; target: string; labels: Set<string> }>()
  const known = new Set(graph.states.map((state) => state.id))
  for (const { source, target, event } of graph.transitions) {
    if (!known.has(source) || !known.has(target) || source === target) continue
    const key = `${source}\n${target}`
    const link = links.get(key) ?? { source, target, labels: new Set<string>() }
    const label = eventLabel(event)
    if (label !== "") link.labels.add(label)
    links.set(key, link)
  }
  return [...links.values()].map(({ source, target, labels }) => {
    const [first = "", ...others] = labels
    return { source, target, label: others.length === 0 ? first : `${first} +${others.length}` }
  })
}

const nodesUnder = (graph: MachineGraph, parent: string | null): Array<ElkNode> =>
  graph.states
    .filter((state) => state.parent === parent)
    .map((state) => ({
      id: state.id,
      width: Math.max(56, Math.max(...stateLines(state.id).map((line) => line.length)) * GLYPH_PX + 18),
      height: stateLines(state.id).length * LINE_HEIGHT + 18,
      children: nodesUnder(graph, state.id),
      layoutOptions: {
        "elk.padding": "[top=30,left=14,bottom=14,right=14]",
        ...(state.is_initial && parent === null ? { "elk.layered.layering.layerConstraint": "FIRST" } : {})
      }
    }))

/** How much room there is: a wide room, a narrow panel, or a phone. */
export type Shape = "wide" | "narrow" | "tall"

const toElk = (graph: MachineGraph, shape: Shape): ElkNode => ({
  id: "chart",
  layoutOptions: {
    "elk.algorithm": "layered",
    "elk.direction": shape === "tall" ? "DOWN" : "RIGHT",
    "elk.hierarchyHandling": "INCLUDE_CHILDREN",
    "elk.edgeRouting": "ORTHOGONAL",
    "elk.layered.spacing.nodeNodeBetweenLayers": shape === "wide" ? "34" : "22",
    "elk.spacing.nodeNode": "18",
    "elk.spacing.edgeNode": "14",
    "elk.spacing.edgeEdge": "7",
    "elk.layered.spacing.edgeEdgeBetweenLayers": "6",
    "elk.layered.spacing.edgeNodeBetweenLayers": "8",
    "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
    "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
    "elk.layered.cycleBreaking.strategy": "MODEL_ORDER",
    "elk.edgeLabels.inline": "false",
    "elk.json.shapeCoords": "ROOT",
    "elk.json.edgeCoords": "ROOT",
    "elk.padding": "[top=6,left=6,bottom=6,right=6]"
  },
  children: nodesUnder(graph, null),
  edges: linksOf(graph).map((link, index) => ({
    id: `arrow-${index}`,
    sources: [link.source],
    targets: [link.target],
    labels:
      link.label === "" || shape === "narrow"
        ? []
        : [{ text: link.label, width: link.label.length * SMALL_GLYPH_PX + 6, height: LABEL_HEIGHT }]
  }))
})

const boxesIn = (node: ElkNode, states: ReadonlyMap<string, MachineGraph["states"][number]>): Array<Box> => {
  const boxes: Array<Box> = []
  for (const child of node.children ?? []) {
    const state = states.get(child.id)
    if (state === undefined) continue
    const { x = 0, y = 0, width = 0, height = 0 } = child
    boxes.push({
      id: child.id,
      lines: stateLines(child.id),
      type: state.type,
      isInitial: state.is_initial,
      x,
      y,
      width,
      height
    })
    boxes.push(...boxesIn(child, states))
  }
  return boxes
}

const arrowOf = (edge: ElkExtendedEdge): Arrow => {
  const [label] = edge.labels ?? []
  return {
    id: edge.id,
    source: edge.sources[0] ?? "",
    target: edge.targets[0] ?? "",
    points: pointsOf(edge),
    label: label?.text === undefined ? null : { text: label.text, x: label.x ?? 0, y: label.y ?? 0 }
  }
}

const layouts = new Map<string, Promise<ChartLayout>>()

const compute = async (graph: MachineGraph, shape: Shape): Promise<ChartLayout> => {
  const laidOut = await layOut(toElk(graph, shape))
  const states = new Map(graph.states.map((state) => [state.id, state]))
  return {
    width: laidOut.width ?? 0,
    height: laidOut.height ?? 0,
    boxes: boxesIn(laidOut, states),
    arrows: (laidOut.edges ?? []).map(arrowOf)
  }
}

/** Computed once per machine and shape. */
export const layoutOf = (graph: MachineGraph, shape: Shape): Promise<ChartLayout> => {
  const key = `${graph.id} ${shape} ${graph.states.length} ${graph.transitions.length}`
  const known = layouts.get(key)
  if (known !== undefined) return known
  const fresh = compute(graph, shape)
  layouts.set(key, fresh)
  fresh.catch(() => layouts.delete(key))
  return fresh
}
