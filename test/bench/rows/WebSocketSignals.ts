/**
 * Signals per second over real sockets, through the bridge and the actor, against a bare `ws` server that parses
 * each message and writes it back.
 *
 * Owns: the two servers, in this process. The client is another process (SignalClient), the same for all.
 */
import { type ChildProcess, fork } from "node:child_process"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { fileURLToPath } from "node:url"
import { Context, Effect, Layer, ManagedRuntime, Redacted } from "effect"
import { WebSocketServer } from "ws"
import { layer as actorLayer } from "../../../src/actor/ActorSystem.ts"
import { DeadLetterStore } from "../../../src/actor/DeadLetterStore.ts"
import { MachineStore } from "../../../src/actor/MachineStore.ts"
import { DeliveryStore } from "../../../src/alerts/DeliveryStore.ts"
import { type Bridge, serveBridge } from "../../../src/bridge/Bridge.ts"
import { layerMemory as credentialsLayer } from "../../../src/bridge/MemoryCredentials.ts"
import { CompletionLog } from "../../../src/provider/BudgetKeeper.ts"
import { durableLayer } from "../../../src/runtime/DurableRuntime.ts"
import { layer as runtimeLayer } from "../../../src/runtime/Runtime.ts"
import { installationPrincipal } from "../../../src/signal/Principal.ts"
import { SignalRouter } from "../../../src/signal/SignalRouter.ts"
import { makeMemoryDeadLetters } from "../../../src/store/MemoryDeadLetters.ts"
import { MemoryDeliveries, memoryDeliveryStore } from "../../../src/store/MemoryDeliveries.ts"
import { makeMemoryLedgerStore } from "../../../src/store/MemoryLedgerStore.ts"
import { memoryMachineStore } from "../../../src/store/MemoryMachineStore.ts"
import { makeMemoryPseudonyms } from "../../../src/store/MemoryPseudonyms.ts"
import { makeMemoryRefusals } from "../../../src/store/MemoryRefusals.ts"
import { LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { PseudonymStore } from "../../../src/tokens/PseudonymStore.ts"
import { RefusalStore } from "../../../src/tokens/RefusalStore.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, number, type RowReport, rates } from "../Figures.ts"
import { ATTRIBUTION, createBudgetsBy, MODEL } from "../Workload.ts"
import type { Order, Outcome } from "./SignalClient.ts"

const KEY = "bk_admin_of_the_benchmark_0123456789abcdef"
interface Sizes {
  readonly connections: number
  readonly inFlight: number
  readonly rounds: number
  readonly seconds: number
  readonly warmUpSeconds: number
}

const SIZES: ByExtent<Sizes> = {
  whole: { connections: 4, inFlight: 64, rounds: 4, seconds: 2, warmUpSeconds: 1 },
  smallest: { connections: 2, inFlight: 4, rounds: 1, seconds: 0.1, warmUpSeconds: 0.1 }
}

const requestText = (method: string, params: object): string =>
  JSON.stringify({ jsonrpc: "2.0", id: "ID", method, params }).replace('"ID"', "ID")

const CALCULATE = [requestText("calculate_cost", { ...MODEL, prompt_tokens: 1_187, completion_tokens: 421 })]
/** A call: its hold, and its report, which ends it. A key has only so many open holds. */
const CALL = [
  requestText("check_budget", {
    request_id: "ws-ID",
    ...MODEL,
    estimated_prompt_tokens: 1_200,
    max_completion_tokens: 600,
    ...ATTRIBUTION
  }),
  requestText("track_usage", {
    request_id: "ws-ID",
    ...MODEL,
    prompt_tokens: 1_187,
    completion_tokens: 421
  })
]

const Served = Context.Service<Bridge>("bursar/bench/Served")

const noCompletions = Layer.succeed(CompletionLog, {
  find: () => Effect.succeed(undefined),
  save: () => Effect.void
})

/** The bridge with everything behind it, but for the store, which is in memory. */
const startBridge = async () => {
  const deliveries = new MemoryDeliveries()
  const store = Layer.mergeAll(
    Layer.succeed(LedgerStore, makeMemoryLedgerStore({ checksText: false, deliveries })),
    Layer.succeed(DeliveryStore, memoryDeliveryStore(deliveries)),
    Layer.succeed(DeadLetterStore, makeMemoryDeadLetters()),
    Layer.succeed(RefusalStore, makeMemoryRefusals()),
    Layer.succeed(PseudonymStore, makeMemoryPseudonyms()),
    Layer.succeed(MachineStore, memoryMachineStore())
  )
  const whole = runtimeLayer({ providers: { adapters: [], configuredBy: {} }, version: "bench" }).pipe(
    Layer.provide(durableLayer),
    Layer.provide(Layer.mergeAll(actorLayer, store, noCompletions)),
    Layer.provideMerge(credentialsLayer)
  )
  const served = Layer.effect(
    Served,
    Effect.gen(function* () {
      const router = yield* SignalRouter
      yield* createBudgetsBy((payload) => router.ask("create_budget", payload, installationPrincipal()))
      return yield* serveBridge({
        host: "127.0.0.1",
        port: 0,
        adminKey: Redacted.make(KEY),
        limits: { requestsPerSecondPerKey: 10_000_000, requestBurstPerKey: 10_000_000 }
      })
    })
  ).pipe(Layer.provide(whole))
  const runtime = ManagedRuntime.make(served)
  const { port } = await runtime.runPromise(Served)
  return { url: `ws://127.0.0.1:${port}/signals`, stop: () => runtime.dispose() }
}

const startEcho = async () => {
  const server: Server = createServer()
  const echo = new WebSocketServer({ server, perMessageDeflate: false })
  echo.on("connection", (socket) => {
    socket.on("message", (data) => socket.send(JSON.stringify(JSON.parse(data.toString()))))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return { url: `ws://127.0.0.1:${port}/signals`, stop: () => void server.close() }
}

const carryOut = (client: ChildProcess, order: Order): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const died = (code: number | null) => reject(new Error(`the client ended with ${code}`))
    client.once("exit", died)
    client.once("message", (outcome) => {
      client.off("exit", died)
      const { failed } = outcome as Outcome
      if (failed === 0) resolve(outcome as Outcome)
      else reject(new Error(`the benchmark is wrong: signals failed: ${JSON.stringify(outcome)}`))
    })
    client.send(order)
  })

/** Rates, and the server's processor time for one signal in microseconds, round by round. */
class Series {
  readonly rates: Array<number> = []
  readonly cpuMicros: Array<number> = []
}

interface Turn {
  readonly url: string
  readonly texts: ReadonlyArray<string>
  readonly series: Series
}

const run = async (
  client: ChildProcess,
  { url, texts }: Turn,
  sizes: Sizes,
  seconds: number,
  into?: Series
) => {
  const { connections, inFlight } = sizes
  const before = process.cpuUsage()
  const order = { url, key: KEY, connections, inFlight, seconds, texts }
  const { perSecond } = await carryOut(client, order)
  const { user, system } = process.cpuUsage(before)
  into?.rates.push(perSecond)
  into?.cpuMicros.push((user + system) / (perSecond * seconds))
}

const comparisons = (name: string, signals: Series, echoes: Series): ReadonlyArray<Comparison> => [
  {
    what: name,
    measured: rates(signals.rates, "signals/s"),
    baseline: `ws echo of the same texts: ${rates(echoes.rates, "/s")}`,
    ratio: median(signals.rates) / median(echoes.rates),
    target: { atLeast: 0.4 }
  },
  {
    what: `${name}: the server's CPU time each`,
    measured: `${number(median(signals.cpuMicros))} µs`,
    baseline: `ws echo: ${number(median(echoes.cpuMicros))} µs`,
    ratio: median(signals.cpuMicros) / median(echoes.cpuMicros)
  }
]

export const webSocket = async (extent: Extent): Promise<RowReport> => {
  const sizes = SIZES[extent]
  const [bridge, echo] = [await startBridge(), await startEcho()]
  const client = fork(fileURLToPath(new URL("SignalClient.ts", import.meta.url)), { execArgv: [] })
  const turns = [CALCULATE, CALL].flatMap((texts) =>
    [bridge.url, echo.url].map((url) => ({ url, texts, series: new Series() }))
  )
  for (const turn of turns) await run(client, turn, sizes, sizes.warmUpSeconds)
  for (let round = 0; round < sizes.rounds; round++) {
    for (const turn of turns) await run(client, turn, sizes, sizes.seconds, turn.series)
  }
  client.disconnect()
  echo.stop()
  await bridge.stop()
  const [calculated, calculatedEcho, called, calledEcho] = turns.map(({ series }) => series) as [
    Series,
    Series,
    Series,
    Series
  ]
  return {
    facts: [
      `${sizes.connections} connections, ${sizes.inFlight} requests in flight on each; turns of ${sizes.seconds} s, ${sizes.rounds} rounds, bridge and echo in turns`,
      "server in one process, the client in another; check_budget places a hold, and the track_usage after it reports it"
    ],
    comparisons: [
      ...comparisons("calculate_cost", calculated, calculatedEcho),
      ...comparisons("check_budget and track_usage in turns", called, calledEcho)
    ]
  }
}
