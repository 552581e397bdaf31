/**
 * Which states and arrows of a chart a machine has passed.
 *
 * Owns: matching the steps that were seen with the arrows that are drawn.
 */
import type { PathStep } from "../model/Model.ts"
import type { Arrow } from "./Layout.ts"

export interface Trail {
  /** States that are lit: the current one and those around it. */
  readonly current: ReadonlySet<string>
  readonly visited: ReadonlySet<string>
  readonly arrows: ReadonlySet<string>
  /** The arrow of the last step. */
  readonly last: string | null
}

/** `calling.streaming|waiting` names `calling.streaming`, `calling` and `waiting`. */
const statesIn = (path: string): ReadonlyArray<string> =>
  path.split("|").flatMap((region) => {
    const names = region.split(".")
    return names.map((_, index) => names.slice(0, names.length - index).join("."))
  })

export const trailOf = (
  path: ReadonlyArray<PathStep>,
  state: string | null,
  arrows: ReadonlyArray<Arrow>
): Trail => {
  const visited = new Set<string>()
  const passed = new Set<string>()
  let last: string | null = null
  for (const [index, step] of path.entries()) {
    const here = statesIn(step.state)
    for (const name of here) visited.add(name)
    const before = path[index - 1]
    if (before === undefined) continue
    const left = statesIn(before.state)
    const arrow = arrows.find(({ source, target }) => left.includes(source) && here.includes(target))
    if (arrow === undefined) continue
    passed.add(arrow.id)
    last = arrow.id
  }
  return { current: new Set(state === null ? [] : statesIn(state)), visited, arrows: passed, last }
}
