/**
 * Nodes as people run them: programs of their own.
 *
 * Owns: starting one, and what it says of its shards.
 */
import { type Program, startProgram } from "../../support/Program.ts"
import { eventually, Refused } from "../../support/Wire.ts"

const SHARDS = 64
const SETTLED_WITHIN_MS = 120_000

export const startNodeProgram = (databaseUrl: string): Promise<Program> =>
  startProgram({ databaseUrl, args: ["serve", "--cluster"], env: { BURSAR_NODE_PORT: "0" } })

/** How many shards a node has now; none while it cannot say. */
export const shardsOf = async (node: Program): Promise<number> => {
  try {
    return (await node.call("get_status")).cluster.shards
  } catch (error) {
    if (error instanceof Refused && error.tag === "Unavailable") return 0
    throw error
  }
}

/** Waits until these nodes, and no others, have all shards, and each of them has some. */
export const settled = (nodes: ReadonlyArray<Program>): Promise<ReadonlyArray<number>> =>
  eventually(
    () => Promise.all(nodes.map(shardsOf)),
    (shards) =>
      shards.every((count) => count > 0) && shards.reduce((sum, count) => sum + count, 0) === SHARDS,
    SETTLED_WITHIN_MS
  )
