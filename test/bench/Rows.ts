/**
 * The rows of the benchmark, by name.
 *
 * Owns: their order and titles.
 */
import type { Extent } from "./Extent.ts"
import type { RowReport } from "./Figures.ts"
import { addedLatency } from "./rows/AddedLatency.ts"
import { cluster } from "./rows/Cluster.ts"
import { durableCalls } from "./rows/DurableCalls.ts"
import { hotKey } from "./rows/HotKey.ts"
import { idleActors } from "./rows/IdleActors.ts"
import { localAsk } from "./rows/LocalAsk.ts"
import { manyBudgets } from "./rows/ManyBudgets.ts"
import { memory } from "./rows/Memory.ts"
import { restingWorkflows } from "./rows/RestingWorkflows.ts"
import { webSocket } from "./rows/WebSocketSignals.ts"

export interface Row {
  readonly title: string
  readonly run: (extent: Extent) => Promise<RowReport>
}

export const ROWS: ReadonlyMap<string, Row> = new Map([
  ["durable", { title: "Durable calls (hold + report, four shared budgets)", run: durableCalls }],
  ["hotkey", { title: "Hold + report on one hot key, journal in memory", run: hotKey }],
  ["latency", { title: "Latency of one durable hold at low load", run: addedLatency }],
  ["websocket", { title: "Signals over WebSocket, store in memory", run: webSocket }],
  ["budgets", { title: "A check among few and among many budgets", run: manyBudgets }],
  ["ask", { title: "A local ask", run: localAsk }],
  ["actors", { title: "Actors: how fast they start, and what they keep while idle", run: idleActors }],
  ["resting", { title: "Parked workflows: in memory, at rest, and coming back", run: restingWorkflows }],
  ["cluster", { title: "Several nodes: a kill, a leave, asking the other one", run: cluster }],
  ["memory", { title: "Memory of budgets", run: memory }]
])
