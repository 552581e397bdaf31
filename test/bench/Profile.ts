/** Where a CPU profile's time went: the functions with the most time of their own. */
import { readFileSync } from "node:fs"

interface CpuProfile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
}

const SHOWN = 30

/** The file's path from its package or from src/ on. */
const shortUrl = (url: string): string => /(?:node_modules|src|test)\/.*$/u.exec(url)?.[0] ?? url

/** Lines like `4.2 %  decide (src/tokens/Decide.ts:114)`, the largest first. Idle time is left out. */
export const topSelfTimes = (file: string): ReadonlyArray<string> => {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, "utf8")) as CpuProfile
  const names = new Map(
    nodes.map(({ id, callFrame }) => {
      const { functionName, url, lineNumber } = callFrame
      const place = url === "" ? "" : ` (${shortUrl(url)}:${lineNumber + 1})`
      return [id, `${functionName || "(anonymous)"}${place}`]
    })
  )
  const times = new Map<string, number>()
  let total = 0
  for (const [index, id] of samples.entries()) {
    const name = names.get(id) ?? "?"
    if (name === "(idle)") continue
    const delta = timeDeltas[index] ?? 0
    total += delta
    times.set(name, (times.get(name) ?? 0) + delta)
  }
  return [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([name, time]) => `${((time / total) * 100).toFixed(1).padStart(5)} %  ${name}`)
}
