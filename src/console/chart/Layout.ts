/**
 * Where a statechart's states and arrows lie.
 *
 * Owns: turning a machine's graph into what ELK lays out, in a worker, and reading back boxes and bend points.
 * Does not decide: how they are drawn (Statechart).
 */
import type { ELK as Elk, ElkExtendedEdge, ElkNode } from "elkjs/lib/elk-api.js"
import type { MachineGraph } from "../../signal/Actors.ts"

export interface Box {
  readonly id: string
  readonly label: string
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
  readonly points: ReadonlyArray<{ readonly x: number; readonly y: number }>
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
const BOX_HEIGHT = 34
const LABEL_HEIGHT = 14
const LABEL_MAX = 18

/** The last part of a state's path, in words. */
export const stateLabel = (id: string): string => (id.split(".").at(-1) ?? id).replaceAll("_", " ")

/** An event's name without XState's own prefixes: what a person would call it. */
export const eventLabel = (event: string): string => {
  if (event.startsWith("xstate.after")) return "after a while"
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
export const linksOf = (graph: MachineGraph): ReadonlyArray<Link> => {
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
      width: Math.max(64, stateLabel(state.id).length * GLYPH_PX + 22),
      height: BOX_HEIGHT,
      children: nodesUnder(graph, state.id),
      layoutOptions: { "elk.padding": "[top=30,left=14,bottom=14,right=14]" }
    }))

const toElk = (graph: MachineGraph, isTall: boolean): ElkNode => ({
  id: "chart",
  layoutOptions: {
    "elk.algorithm": "layered",
    "elk.direction": isTall ? "DOWN" : "RIGHT",
    "elk.hierarchyHandling": "INCLUDE_CHILDREN",
    "elk.edgeRouting": "ORTHOGONAL",
    "elk.layered.spacing.nodeNodeBetweenLayers": isTall ? "30" : "26",
    "elk.spacing.nodeNode": "18",
    "elk.spacing.edgeNode": "14",
    "elk.spacing.edgeEdge": "10",
    "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
    "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
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
      link.label === ""
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
      label: stateLabel(child.id),
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
  const [section] = edge.sections ?? []
  const [label] = edge.labels ?? []
  return {
    id: edge.id,
    source: edge.sources[0] ?? "",
    target: edge.targets[0] ?? "",
    points:
      section === undefined ? [] : [section.startPoint, ...(section.bendPoints ?? []), section.endPoint],
    label: label?.text === undefined ? null : { text: label.text, x: label.x ?? 0, y: label.y ?? 0 }
  }
}

let elk: Promise<Elk> | undefined

const loadElk = async (): Promise<Elk> => {
  const [{ default: ELK }, { default: workerUrl }] = await Promise.all([
    import("elkjs/lib/elk-api.js"),
    import("elkjs/lib/elk-worker.min.js?url")
  ])
  return new ELK({ workerFactory: () => new Worker(workerUrl) })
}

const layouts = new Map<string, Promise<ChartLayout>>()

const compute = async (graph: MachineGraph, isTall: boolean): Promise<ChartLayout> => {
  elk ??= loadElk()
  const laidOut = await (await elk).layout(toElk(graph, isTall))
  const states = new Map(graph.states.map((state) => [state.id, state]))
  return {
    width: laidOut.width ?? 0,
    height: laidOut.height ?? 0,
    boxes: boxesIn(laidOut, states),
    arrows: (laidOut.edges ?? []).map(arrowOf)
  }
}

/** Computed once per machine and direction. */
export const layoutOf = (graph: MachineGraph, isTall: boolean): Promise<ChartLayout> => {
  const key = `${graph.id} ${isTall} ${graph.states.length} ${graph.transitions.length}`
  const known = layouts.get(key)
  if (known !== undefined) return known
  const fresh = compute(graph, isTall)
  layouts.set(key, fresh)
  fresh.catch(() => layouts.delete(key))
  return fresh
}
