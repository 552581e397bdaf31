/**
 * Where the agents of a workflow lie, and the arrows between them.
 *
 * Owns: turning what waits for what into what ELK lays out. Does not decide: how they are drawn (AgentGraph).
 */
import type { ElkNode } from "elkjs/lib/elk-api.js"
import { layOut, type Point, pointsOf } from "./Engine.ts"

export interface AgentNode {
  readonly agent: string
  readonly depends_on: ReadonlyArray<string>
}

export interface AgentBox {
  readonly agent: string
  readonly x: number
  readonly y: number
}

interface AgentArrow {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly points: ReadonlyArray<Point>
}

export interface AgentLayout {
  readonly width: number
  readonly height: number
  readonly boxes: ReadonlyArray<AgentBox>
  readonly arrows: ReadonlyArray<AgentArrow>
}

export const BOX_WIDTH = 176
export const BOX_HEIGHT = 68

/** From left to right where there is room, from top to bottom on a phone. */
export type Direction = "RIGHT" | "DOWN"

const toElk = (agents: ReadonlyArray<AgentNode>, direction: Direction): ElkNode => ({
  id: "agents",
  layoutOptions: {
    "elk.algorithm": "layered",
    "elk.direction": direction,
    "elk.edgeRouting": "ORTHOGONAL",
    "elk.layered.spacing.nodeNodeBetweenLayers": direction === "RIGHT" ? "44" : "30",
    "elk.spacing.nodeNode": "16",
    "elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
    "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
    "elk.padding": "[top=4,left=4,bottom=4,right=4]"
  },
  children: agents.map(({ agent }) => ({ id: agent, width: BOX_WIDTH, height: BOX_HEIGHT })),
  edges: agents.flatMap(({ agent, depends_on }) =>
    depends_on.map((from) => ({ id: `${from} ${agent}`, sources: [from], targets: [agent] }))
  )
})

export const agentLayoutOf = async (
  agents: ReadonlyArray<AgentNode>,
  direction: Direction
): Promise<AgentLayout> => {
  const laidOut = await layOut(toElk(agents, direction))
  return {
    width: laidOut.width ?? 0,
    height: laidOut.height ?? 0,
    boxes: (laidOut.children ?? []).map(({ id, x = 0, y = 0 }) => ({ agent: id, x, y })),
    arrows: (laidOut.edges ?? []).map((edge) => ({
      id: edge.id,
      from: edge.sources[0] ?? "",
      to: edge.targets[0] ?? "",
      points: pointsOf(edge)
    }))
  }
}
