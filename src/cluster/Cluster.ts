/**
 * Actors on several nodes, on Effect Cluster.
 *
 * Owns: this node's place among the others: what it listens on, which shards it has, and the look at them.
 * Does not decide: which node has an address (Effect Cluster), how quickly nodes notice each other (Timing), what is
 * done when it moves while it is asked (Asking), what an actor answers (its resident).
 */
import { Clock, Effect, Layer, Option } from "effect"
import {
  EntityId,
  MessageStorage,
  RunnerAddress,
  RunnerHealth,
  type RunnerStorage,
  Runners,
  ShardId,
  Sharding,
  ShardingConfig,
  SocketRunner
} from "effect/cluster"
import { SocketServer } from "effect/socket"
import { type Address, restOf } from "../actor/Address.ts"
import { type NodeStatus, Placement } from "../actor/Placement.ts"
import type { Principal } from "../signal/Principal.ts"
import { type AskingOptions, askRemotely, type Client, followRemotely } from "./Asking.ts"
import { type ClusterFailed, type ClusterKey, clientProtocol, listen, serializationLayer } from "./Channel.ts"
import { type Hosted, hostKind } from "./Host.ts"
import { type Lease, makeLease } from "./Lease.ts"
import { withoutTries } from "./Outage.ts"
import { takingClock } from "./TakingClock.ts"
import { PING_MS, PING_PAUSE_MS, PINGS_MISSED, SHARDING, SHARDS } from "./Timing.ts"
import { entityOf } from "./Wire.ts"

export { ClusterFailed, type ClusterKey } from "./Channel.ts"

export interface ClusterConfig {
  /** Where this node listens for the others. */
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** Where the others reach it, if that is another address than the one that it listens on. */
  readonly advertised?: { readonly host: string; readonly port?: number }
  readonly key: ClusterKey
}

const GROUP = "default"
const SHARD_IDS_KEPT_MAX = 10_000

/** Which shard an address is in, and whether that is here. */
const makeTable = (sharding: Sharding.Sharding["Service"], lease: Lease) => {
  const known = new Map<string, ShardId.ShardId>()
  const shardOf = (address: Address): ShardId.ShardId => {
    const found = known.get(address.text)
    if (found !== undefined) return found
    const shard = sharding.getShardId(EntityId.make(restOf(address)), GROUP)
    if (known.size >= SHARD_IDS_KEPT_MAX) known.clear()
    known.set(address.text, shard)
    return shard
  }
  const all = Array.from({ length: SHARDS }, (_, index) => ShardId.make(GROUP, index + 1))
  return {
    isHere: (address: Address): boolean => sharding.hasShardId(shardOf(address)) && lease.isValid(),
    count: (): number => all.filter((shard) => sharding.hasShardId(shard)).length
  }
}

/**
 * A node that is asked whether it is there, and says nothing, is asked a few times more. `clock` is the node's own: whoever
 * looks after others here is a fiber of Effect Cluster, and these have a clock that is not for this.
 */
export const healthLayer = (clock: Clock.Clock) =>
  Layer.effect(
    RunnerHealth.RunnerHealth,
    Effect.map(Runners.Runners, (runners) =>
      RunnerHealth.RunnerHealth.of({
        isAlive: (address) => {
          const ping = Effect.timeout(runners.ping(address), PING_MS)
          const again = Effect.andThen(Effect.sleep(PING_PAUSE_MS), ping)
          const asked = Effect.catch(ping, () => Effect.retry(again, { times: PINGS_MISSED - 2 }))
          return Effect.provideService(Effect.isSuccess(asked), Clock.Clock, clock)
        }
      })
    )
  )

/** Where the store keeps who is there, and who has which shard. */
export type NodeLocks<E> = Layer.Layer<RunnerStorage.RunnerStorage, E, ShardingConfig.ShardingConfig>

/** What the lease is about, once it is known where this node listens. */
interface Self {
  address?: RunnerAddress.RunnerAddress
}

const shardingLayer = <E>(config: ClusterConfig, locks: NodeLocks<E>, lease: Lease, self: Self) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const server = yield* listen(config)
      const port = "port" in server.address ? server.address.port : config.port
      const { host = config.host, port: advertisedPort = port } = config.advertised ?? {}
      const runnerAddress = RunnerAddress.make(host, advertisedPort)
      self.address = runnerAddress
      const settings = ShardingConfig.layer({ ...SHARDING, runnerAddress: Option.some(runnerAddress) })
      const clock = yield* Clock.Clock
      return SocketRunner.layer.pipe(
        Layer.provide(Layer.succeed(Clock.Clock, takingClock(clock, lease.takenAgainMs))),
        Layer.provide(withoutTries),
        Layer.provide(healthLayer(clock).pipe(Layer.provide(Runners.layerRpc))),
        Layer.provide(MessageStorage.layerNoop),
        Layer.provide(Layer.provide(lease.layer, locks)),
        Layer.provideMerge(settings),
        Layer.provide(clientProtocol(config.key, clock)),
        Layer.provide(serializationLayer),
        Layer.provide(Layer.succeed(SocketServer.SocketServer, server))
      )
    })
  )

const makePlacement = (lease: Lease) =>
  Effect.gen(function* () {
    const sharding = yield* Sharding.Sharding
    const { runnerAddress } = yield* ShardingConfig.ShardingConfig
    const services = yield* Effect.context<Sharding.Sharding>()
    const clock = yield* Clock.Clock
    const table = makeTable(sharding, lease)
    const clients = new Map<string, Client>()
    const clientOf = ({ kind }: Address): Client => {
      const client = clients.get(kind)
      if (client === undefined) throw new Error(`${kind} is no kind of address that lives in the cluster`)
      return client
    }
    let isLeaving = false
    const isHere = (address: Address) => !isLeaving && table.isHere(address)
    const kinds = new Map<string, Hosted>()
    let hosted = 0
    /**
     * Before anybody is told that shards are free, everything that is here has come to its end, all of it at the same time;
     * then one word to the store hands all shards over. So a tenant waits as long as that takes, and no look is waited for.
     */
    const leave = (stopAll: Effect.Effect<void>) =>
      Effect.suspend(() => {
        isLeaving = true
        hosted -= 1
        return hosted === 0 ? Effect.andThen(stopAll, lease.leave) : stopAll
      })
    const node = Option.match(runnerAddress, {
      onNone: () => "",
      onSome: ({ host, port }) => `${host}:${port}`
    })
    const askingOf = (address: Address, principal: Principal): AskingOptions => ({
      client: clientOf(address),
      address,
      principal,
      isLeaving: () => isLeaving,
      isCutOff: lease.isCutOff,
      confirmedAt: lease.confirmedAt,
      changed: lease.changed
    })
    return Placement.of({
      host: (resident) =>
        Effect.gen(function* () {
          clients.set(resident.kind, (yield* sharding.makeClient(entityOf(resident.kind))) as Client)
          hosted += 1
          const kind = yield* Effect.provideContext(hostKind(resident, isHere, clock), services)
          kinds.set(resident.kind, kind)
          yield* Effect.addFinalizer(() => leave(kind.stopAll))
        }),
      isHere,
      isServed: (address) =>
        isHere(address) || (lease.isValid() && kinds.get(address.kind)?.isLeaving(address) === true),
      arrived: lease.taken,
      ask: (address, name, payload, principal) =>
        Effect.suspend(() => askRemotely(askingOf(address, principal), name, payload)),
      follow: (address, request, principal) =>
        Effect.suspend(() => followRemotely(askingOf(address, principal), request)),
      status: (): NodeStatus => ({ node, shards: table.count(), shardsOfAll: SHARDS })
    })
  })

/** This node, among those that share the store's locks, until the scope closes: then it leaves in order. */
export const layer = <E>(
  config: ClusterConfig,
  locks: NodeLocks<E>
): Layer.Layer<Placement, ClusterFailed | E> =>
  Layer.unwrap(
    Effect.suspend(() => {
      const self: Self = {}
      return Effect.map(
        makeLease(() => self.address),
        (lease) =>
          Layer.effect(Placement, makePlacement(lease)).pipe(
            Layer.provide(shardingLayer(config, locks, lease, self))
          )
      )
    })
  )
