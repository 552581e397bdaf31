/**
 * Several nodes: how long tenants go without an answer when one is killed or leaves, and what it costs to ask the other
 * one of two processes.
 *
 * Owns: the nodes, clients that ask any of them until they are answered, and the moments between their answers.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, ManagedRuntime, Redacted, Result } from "effect"
import { layer, SignalRouter } from "../../../src/effect.ts"
import type { SignalPayload } from "../../../src/signal/Catalogue.ts"
import { decodePayload } from "../../../src/signal/Decode.ts"
import { installationPrincipal, type Principal } from "../../../src/signal/Principal.ts"
import { type Json, Refused } from "../../support/Wire.ts"
import { type BenchDatabase, openDatabase } from "../Database.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, micros, number, percentile, type RowReport, sorted } from "../Figures.ts"
import { type NodeProgram, startNodeProgram } from "../NodeProgram.ts"
import { startSocketEcho } from "../SocketEcho.ts"

interface Size {
  readonly tenants: number
  /** In each, one node is killed, one leaves, and two join. */
  readonly rounds: number
  readonly asks: number
  readonly warmUp: number
  readonly quietMs: number
}
const SIZES: ByExtent<Size> = {
  whole: { tenants: 12, rounds: 4, asks: 1_500, warmUp: 300, quietMs: 1_500 },
  smallest: { tenants: 2, rounds: 1, asks: 5, warmUp: 1, quietMs: 100 }
}
/** What is asked while nodes come and go: at this distance, by each tenant. */
const EVERY_MS = 10
const AIM_KILLED_MS = 5_000
const AIM_LEAVES_MS = 500

const seconds = (ms: number): string => `${number(ms / 1_000)} s`

/** A tenant whose client asks any node, again where there was no answer. */
class Client {
  readonly #key: string
  readonly #nodes: ReadonlySet<NodeProgram>
  #ids = 0
  #isEnough = false
  readonly answeredAt: Array<{ readonly sentAt: number; readonly at: number }> = []

  constructor(key: string, nodes: ReadonlySet<NodeProgram>) {
    this.#key = key
    this.#nodes = nodes
  }

  async run(): Promise<void> {
    while (!this.#isEnough) {
      const sentAt = performance.now()
      await this.#ask({ request_id: `r${++this.#ids}`, estimated_cost: "0.01", estimated_tokens: 1 })
      this.answeredAt.push({ sentAt, at: performance.now() })
      await sleep(EVERY_MS)
    }
  }

  async #ask(params: Json): Promise<void> {
    for (;;) {
      const nodes = [...this.#nodes]
      const node = nodes[Math.floor(Math.random() * nodes.length)] as NodeProgram
      try {
        await node.call("check_budget", params, this.#key)
        return
      } catch (error) {
        if (error instanceof Refused && error.tag !== "Unavailable") throw error
        await sleep(EVERY_MS)
      }
    }
  }

  stop(): void {
    this.#isEnough = true
  }

  /** The longest time between two answers since a moment. */
  longestGapSince(since: number): number {
    const times = [
      since,
      ...this.answeredAt.map(({ at }) => at).filter((at) => at > since),
      performance.now()
    ]
    return Math.max(...times.slice(1).map((at, index) => at - (times[index] ?? at)))
  }

  /** How long after a moment something that was sent later had its answer; `undefined` while nothing has. */
  answeredAfter(since: number): number | undefined {
    const first = this.answeredAt.find(({ sentAt }) => sentAt > since)
    return first === undefined ? undefined : first.at - since
  }
}

const settled = async (nodes: ReadonlySet<NodeProgram>): Promise<void> => {
  for (;;) {
    const shards = await Promise.all(
      [...nodes].map((node) =>
        node.call("get_status").then(
          ({ cluster }) => cluster,
          () => undefined
        )
      )
    )
    const sum = shards.reduce((all, cluster) => all + (cluster?.shards ?? 0), 0)
    if (shards.every((cluster) => cluster?.shards > 0 && sum === cluster.shards_of_all)) return
    await sleep(50)
  }
}

const keysOf = (node: NodeProgram, tenants: number): Promise<ReadonlyArray<string>> =>
  Promise.all(
    Array.from({ length: tenants }, async (_, n) => {
      const name = `bench-${n}`
      const { key } = await node.call("create_key", { name, roles: ["admin"], tenant: name })
      await node.call("create_budget", { name, type: "global", period: "lifetime", limit: "1000000" }, key)
      return key as string
    })
  )

const oneOf = (nodes: ReadonlySet<NodeProgram>): NodeProgram => {
  const [node] = nodes
  if (node === undefined) throw new Error("there is no node")
  return node
}

/** Another one for one that is gone. */
const replace = async (nodes: Set<NodeProgram>, url: string): Promise<void> => {
  nodes.add(await startNodeProgram(url))
  await settled(nodes)
}

/** Nobody tells the clients: they ask the dead node, too, and find out. */
const killOne = async (nodes: Set<NodeProgram>, clients: ReadonlyArray<Client>): Promise<number> => {
  const node = oneOf(nodes)
  const since = performance.now()
  await node.end("SIGKILL")
  const gone = performance.now()
  while (clients.some((client) => client.answeredAfter(gone) === undefined)) await sleep(5)
  nodes.delete(node)
  return gone - since + Math.max(...clients.map((client) => client.answeredAfter(gone) ?? 0))
}

const letOneLeave = async (
  nodes: Set<NodeProgram>,
  clients: ReadonlyArray<Client>,
  quietMs: number
): Promise<{ readonly quiet: number; readonly leaves: number }> => {
  const before = performance.now()
  await sleep(quietMs)
  const quiet = Math.max(...clients.map((client) => client.longestGapSince(before)))
  const node = oneOf(nodes)
  const since = performance.now()
  await node.end("SIGTERM")
  await sleep(quietMs)
  nodes.delete(node)
  const leaves = Math.max(...clients.map((client) => client.longestGapSince(since)))
  return { quiet, leaves }
}

const measureMoves = async ({ url }: BenchDatabase, size: Size): Promise<ReadonlyArray<Comparison>> => {
  const nodes = new Set(await Promise.all([1, 2, 3].map(() => startNodeProgram(url))))
  await settled(nodes)
  const clients = (await keysOf([...nodes][0] as NodeProgram, size.tenants)).map(
    (key) => new Client(key, nodes)
  )
  const running = clients.map((client) => client.run())
  await sleep(size.quietMs)
  const killed: Array<number> = []
  const left: Array<{ readonly quiet: number; readonly leaves: number }> = []
  for (let round = 1; round <= size.rounds; round++) {
    left.push(await letOneLeave(nodes, clients, size.quietMs))
    if (round < size.rounds) await replace(nodes, url)
    killed.push(await killOne(nodes, clients))
    if (round < size.rounds) await replace(nodes, url)
  }
  for (const client of clients) client.stop()
  await Promise.all(running)
  await Promise.all([...nodes].map((node) => node.end("SIGKILL")))
  const [worst, leaves] = [Math.max(...killed), left.map((round) => round.leaves)]
  return [
    {
      what: "from a kill to every tenant answering",
      measured: `at most ${seconds(worst)} (median ${seconds(median(killed))})`,
      baseline: `the aim: ${seconds(AIM_KILLED_MS)}`,
      ratio: worst / AIM_KILLED_MS,
      target: { atMost: 1 }
    },
    {
      what: "a tenant's longest pause while a node leaves",
      measured: `at most ${seconds(Math.max(...leaves))} (median ${seconds(median(leaves))})`,
      baseline: `the aim: ${seconds(AIM_LEAVES_MS)}; while nothing happens ${seconds(median(left.map(({ quiet }) => quiet)))}`,
      ratio: Math.max(...leaves) / AIM_LEAVES_MS,
      target: { atMost: 1 }
    }
  ]
}

// --- asking the other one

type Ask = (principal: Principal) => Effect.Effect<unknown, unknown>

const timesOf = async (
  ask: () => Promise<unknown>,
  { asks, warmUp }: Size
): Promise<ReadonlyArray<number>> => {
  const times: Array<number> = []
  for (let turn = 0; turn < warmUp + asks; turn++) {
    const since = performance.now()
    await ask()
    if (turn >= warmUp) times.push(performance.now() - since)
  }
  return sorted(times)
}

const measureAsks = async ({ url }: BenchDatabase, size: Size): Promise<ReadonlyArray<Comparison>> => {
  const options = { databaseUrl: Redacted.make(url), cluster: { port: 0 } }
  const here = ManagedRuntime.make(layer(options))
  const router = await here.runPromise(SignalRouter)
  const there = await startNodeProgram(url)
  const statusOf = (principal: Principal) => here.runPromise(router.ask("get_status", {}, principal))
  const find = async (isHere: boolean): Promise<Principal> => {
    for (let n = 0; ; n++) {
      const principal = installationPrincipal(`asked-${n}`)
      const { cluster } = await statusOf(principal)
      if (
        cluster !== undefined &&
        cluster.shards < cluster.shards_of_all &&
        (cluster.owner === cluster.node) === isHere
      )
        return principal
    }
  }
  const [local, remote] = [await find(true), await find(false)]
  let ids = 0
  const hold = (): SignalPayload<"check_budget"> =>
    Result.getOrThrow(
      decodePayload("check_budget", {
        request_id: `ask-${++ids}`,
        estimated_cost: "0.01",
        estimated_tokens: 1
      })
    )
  const look: Ask = (principal) =>
    router.ask("inspect_actor", { address: `token_manager/${principal.tenant}` }, principal)
  /** A machine with much else to do may take a node for dead for a moment: then the actor is started again first. */
  const surely =
    (ask: Ask): Ask =>
    (principal) =>
      Effect.catch(ask(principal), () =>
        Effect.andThen(router.ask("get_status", {}, principal), ask(principal))
      )
  const check: Ask = (principal) => router.ask("check_budget", hold(), principal)
  const compare = async (what: string, ask: Ask): Promise<Comparison> => {
    const ofHere = await timesOf(() => here.runPromise(ask(local)), size)
    const ofThere = await timesOf(() => here.runPromise(ask(remote)), size)
    const [measured, baseline] = [percentile(ofThere, 0.5), percentile(ofHere, 0.5)]
    return {
      what: `${what}, of a tenant on the other node, p50`,
      measured: `${micros(measured)} (p99 ${micros(percentile(ofThere, 0.99))})`,
      baseline: `of a tenant on this node: ${micros(baseline)} (p99 ${micros(percentile(ofHere, 0.99))})`,
      ratio: measured / baseline
    }
  }
  /** As much as an ask writes, there and back. */
  const message = Buffer.from(
    JSON.stringify({ name: "inspect_actor", payload: `{"address":"${remote.tenant}"}` })
  )
  const echo = await startSocketEcho()
  const bare = await timesOf(() => echo.ask(message), size)
  await echo.end()
  const remoteAsk = async (): Promise<Comparison> => {
    const times = await timesOf(() => here.runPromise(surely(look)(remote)), size)
    return {
      what: "an ask of the other process (inspect_actor), p50",
      measured: `${micros(percentile(times, 0.5))} (p99 ${micros(percentile(times, 0.99))})`,
      baseline: `a bare framed echo over a socket: ${micros(percentile(bare, 0.5))} (p99 ${micros(percentile(bare, 0.99))})`,
      ratio: percentile(times, 0.5) / percentile(bare, 0.5)
    }
  }
  const comparisons = [
    await remoteAsk(),
    await compare("an ask that needs no store (inspect_actor)", surely(look)),
    await compare("one durable hold", surely(check))
  ]
  await here.dispose()
  await there.end("SIGKILL")
  return comparisons
}

export const cluster = async (extent: Extent): Promise<RowReport> => {
  const size = SIZES[extent]
  const database = await openDatabase()
  try {
    const asks = await measureAsks(database, size)
    const moves = await measureMoves(database, size)
    return {
      facts: [
        `${size.tenants} tenants on three processes, each asked every ${EVERY_MS} ms through any node's bridge; ${size.rounds} kills, ${size.rounds} leaves, a join after each`,
        "a kill is counted until the slowest tenant has an answer to something that was sent after it"
      ],
      comparisons: [...asks, ...moves]
    }
  } finally {
    await database.drop()
  }
}
