/** ELK, in a worker, loaded when the first chart is drawn; and how its edges are read. */
import type { ELK as Elk, ElkExtendedEdge, ElkNode } from "elkjs/lib/elk-api.js"

export interface Point {
  readonly x: number
  readonly y: number
}

let elk: Promise<Elk> | undefined

const loadElk = async (): Promise<Elk> => {
  const [{ default: ELK }, { default: workerUrl }] = await Promise.all([
    import("elkjs/lib/elk-api.js"),
    import("elkjs/lib/elk-worker.min.js?url")
  ])
  return new ELK({ workerFactory: () => new Worker(workerUrl) })
}

export const layOut = async (root: ElkNode): Promise<ElkNode> => {
  elk ??= loadElk()
  return (await elk).layout(root)
}

/** Where an edge begins, bends and ends. */
export const pointsOf = (edge: ElkExtendedEdge): ReadonlyArray<Point> => {
  const [section] = edge.sections ?? []
  return section === undefined ? [] : [section.startPoint, ...(section.bendPoints ?? []), section.endPoint]
}

const CORNER = 6

/** Straight lines with rounded corners through ELK's points, as the path of an SVG. */
export const lineThrough = (points: ReadonlyArray<Point>): string => {
  const [first, ...rest] = points
  if (first === undefined) return ""
  let line = `M${first.x} ${first.y}`
  let previous = first
  for (const [index, point] of rest.entries()) {
    const next = rest[index + 1]
    if (next === undefined) {
      line += `L${point.x} ${point.y}`
      break
    }
    const before = Math.hypot(point.x - previous.x, point.y - previous.y)
    const after = Math.hypot(next.x - point.x, next.y - point.y)
    const corner = Math.min(CORNER, before / 2, after / 2)
    const at = (from: Point, length: number) =>
      length === 0
        ? `${point.x} ${point.y}`
        : `${point.x + ((from.x - point.x) / length) * corner} ${point.y + ((from.y - point.y) / length) * corner}`
    line += `L${at(previous, before)}Q${point.x} ${point.y} ${at(next, after)}`
    previous = point
  }
  return line
}
