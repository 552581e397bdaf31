/**
 * Nodes of a cluster inside the test's own process, on the test's own database.
 *
 * Owns: starting them, knowing which of them has a tenant, ending them.
 */
import { Effect, ManagedRuntime, Redacted } from "effect"
import { type Adapter, type Bursar, layer, SignalRouter } from "../../../src/effect.ts"
import type { SignalPayload, SignalSuccess } from "../../../src/signal/Catalogue.ts"
import type { SignalError } from "../../../src/signal/Errors.ts"
import { installationPrincipal, type Principal } from "../../../src/signal/Principal.ts"
import type { OpenTopic, RoutedSignal } from "../../../src/signal/SignalRouter.ts"
import type { EventFilter, Topic } from "../../../src/signal/Subscriptions.ts"

export interface TestNode {
  readonly ask: <Name extends RoutedSignal>(
    name: Name,
    payload: SignalPayload<Name>,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<Name>, SignalError>
  readonly subscribe: (
    topic: Topic,
    principal: Principal,
    filter?: EventFilter,
    fromCursor?: string
  ) => Effect.Effect<OpenTopic, SignalError>
  /** Where the others reach it. */
  readonly address: string
  readonly runtime: ManagedRuntime.ManagedRuntime<Bursar, unknown>
  /** It leaves in order. */
  readonly leave: () => Promise<void>
}

export const startNode = async (
  databaseUrl: string,
  adapters: ReadonlyArray<Adapter> = []
): Promise<TestNode> => {
  const runtime = ManagedRuntime.make(
    layer({
      dataDirectory: "unused",
      databaseUrl: Redacted.make(databaseUrl),
      cluster: { port: 0 },
      adapters
    })
  )
  const router = await runtime.runPromise(SignalRouter)
  const status = await runtime.runPromise(router.ask("get_status", {}, installationPrincipal()))
  return {
    ask: router.ask,
    subscribe: (topic, principal, filter = {}, fromCursor) =>
      router.subscribe(topic, filter, fromCursor, principal),
    address: status.cluster?.node ?? "",
    runtime,
    leave: () => runtime.dispose()
  }
}

/** Which node has a tenant, as `node` knows it. */
export const ownerOf = (node: TestNode, principal: Principal): Effect.Effect<string, SignalError> =>
  Effect.map(node.ask("get_status", {}, principal), ({ cluster }) => cluster?.owner ?? "")

/** Tenants of which each of the nodes has as many. */
export const tenantsOf = async (
  nodes: ReadonlyArray<TestNode>,
  each: number
): Promise<ReadonlyMap<TestNode, ReadonlyArray<Principal>>> => {
  const found = new Map<TestNode, Array<Principal>>(nodes.map((node) => [node, []]))
  for (let n = 0; [...found.values()].some(({ length }) => length < each); n++) {
    const principal = installationPrincipal(`tenant-${n}`)
    const [asked] = nodes
    if (asked === undefined) throw new Error("there are no nodes")
    const owner = await Effect.runPromise(ownerOf(asked, principal))
    const node = nodes.find(({ address }) => address === owner)
    const has = node === undefined ? undefined : found.get(node)
    if (has !== undefined && has.length < each) has.push(principal)
  }
  return found
}
