/**
 * Two nodes in one process, over one store in memory and in virtual time; a test says which of them has a tenant.
 *
 * Owns: a `Placement` for each, which does what the cluster does: a tenant that moves is stopped where it was before it is anywhere
 * else, and asks wait meanwhile. Does not decide: anything that a runtime does with it.
 */
import { Context, Effect, Layer, Queue, Schedule, Scope } from "effect"
import { ActorSystem, layer as actorLayer } from "../../../src/actor/ActorSystem.ts"
import type { Address } from "../../../src/actor/Address.ts"
import { DurableMachines } from "../../../src/actor/DurableMachines.ts"
import { MachineStore } from "../../../src/actor/MachineStore.ts"
import { Placement, type Resident } from "../../../src/actor/Placement.ts"
import type { Adapter } from "../../../src/provider/Adapter.ts"
import { simulator } from "../../../src/provider/Simulator.ts"
import { durableLayer, durableRunLayer } from "../../../src/runtime/DurableRuntime.ts"
import { layer as runtimeLayer } from "../../../src/runtime/Runtime.ts"
import { decodePayload } from "../../../src/signal/Decode.ts"
import { Unavailable } from "../../../src/signal/Errors.ts"
import { installationPrincipal } from "../../../src/signal/Principal.ts"
import { SignalRouter } from "../../../src/signal/SignalRouter.ts"
import { memoryStore } from "../../../src/testing/MemoryStore.ts"
import type { Ask } from "./Lives.ts"

const moving = new Unavailable({ message: "It moves", retry_after_ms: 100 })
const again = Schedule.spaced("20 millis")

export interface TestNode {
  readonly name: string
  readonly ask: Ask
  readonly system: ActorSystem
  readonly machines: DurableMachines
}

/** What a node does for the tenants that it has, and for whom it has begun to do it. */
class Hosting {
  readonly name: keyof Adapters
  readonly arrivals = Effect.runSync(Queue.unbounded<void>())
  readonly begun = new Map<string, Address>()
  resident: Resident | undefined

  constructor(name: keyof Adapters) {
    this.name = name
  }
}

type Adapters = { readonly [Node in "a" | "b"]: ReadonlyArray<Adapter> }

/** `adapters`: the providers of each node. */
export const nodesWith = Effect.fnUntraced(function* (adapters: Adapters) {
  const owners = new Map<string, string>()
  const nodes = new Map((["a", "b"] as const).map((name) => [name as string, new Hosting(name)]))
  const ownerOf = ({ tenant = "" }: Address): string | undefined =>
    owners.has(tenant) ? owners.get(tenant) || undefined : "a"

  const placementOf = (node: Hosting): Placement => ({
    host: (resident) =>
      Effect.sync(() => {
        node.resident = resident
      }),
    isHere: (address) => ownerOf(address) === node.name,
    isServed: (address) => ownerOf(address) === node.name || node.begun.has(address.text),
    ask: (address, name, payload, principal) =>
      Effect.suspend(() => {
        const owner = nodes.get(ownerOf(address) ?? "")
        if (owner?.resident === undefined) return Effect.fail(moving)
        owner.begun.set(address.text, address)
        return owner.resident.ask(address, name, payload, principal)
      }).pipe(Effect.retry({ schedule: again, while: (error) => error === moving })),
    follow: () => Effect.fail(moving),
    arrived: Queue.take(node.arrivals),
    status: () => ({ node: node.name, shards: 1, shardsOfAll: 2 })
  })

  const stores = yield* Layer.build(memoryStore)
  const start = (node: Hosting) =>
    Effect.gen(function* () {
      const layer = durableRunLayer.pipe(
        Layer.provideMerge(
          runtimeLayer({
            providers: { adapters: adapters[node.name], settings: { random: () => 1 } },
            workflows: new Map(),
            version: "test"
          })
        ),
        Layer.provideMerge(durableLayer),
        Layer.provideMerge(actorLayer),
        Layer.provide(Layer.succeedContext(stores)),
        Layer.provide(Layer.succeed(Placement, placementOf(node)))
      )
      const services = yield* Layer.buildWithMemoMap(layer, yield* Layer.makeMemoMap, yield* Scope.Scope)
      const ask: Ask = (name, params, tenant) =>
        Effect.flatMap(Effect.fromResult(decodePayload(name, params)), (payload) =>
          Context.get(services, SignalRouter).ask(name, payload, installationPrincipal(tenant))
        )
      return {
        name: node.name,
        ask,
        system: Context.get(services, ActorSystem),
        machines: Context.get(services, DurableMachines)
      }
    })

  /** Nothing is begun at the new node before the old one has stopped what it had. */
  const move = (tenant: string, to: "a" | "b") =>
    Effect.gen(function* () {
      const from = nodes.get(owners.get(tenant) ?? "a")
      owners.set(tenant, "")
      for (const address of [...(from?.begun.values() ?? [])]) {
        if (address.tenant !== tenant) continue
        yield* from?.resident?.leave(address) ?? Effect.void
        from?.begun.delete(address.text)
      }
      owners.set(tenant, to)
      yield* Queue.offer(nodes.get(to)?.arrivals as Queue.Queue<void>, undefined)
    })

  const [a, b] = yield* Effect.all([...nodes.values()].map(start))
  return {
    a: a as TestNode,
    b: b as TestNode,
    move,
    /** The one store of machines: a test may change what its functions do. */
    rows: Context.get(stores, MachineStore) as { -readonly [K in keyof MachineStore]: MachineStore[K] }
  }
})

export const twoNodes = nodesWith({ a: [simulator()], b: [simulator()] })
