/**
 * What a node does to reach another one has the node's own clock. Effect Cluster's fibers have one on which a second is
 * short (TakingClock): by that one a node with much to do would be dead, and a connection to it would never be opened.
 */
import { createServer, type Server } from "node:net"
import { assert, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer, Redacted } from "effect"
import { RunnerAddress, RunnerHealth, Runners } from "effect/cluster"
import { clientProtocol, serializationLayer } from "../../src/cluster/Channel.ts"
import { healthLayer } from "../../src/cluster/Cluster.ts"
import { takingClock } from "../../src/cluster/TakingClock.ts"
import { OPEN_MS, PING_MS } from "../../src/cluster/Timing.ts"

/** A clock that says how long was slept on it. */
const listening = (clock: Clock.Clock) => {
  const slept: Array<number> = []
  const heard: Clock.Clock = {
    ...takingClock(clock, () => 20),
    sleep: (duration) => {
      slept.push(Duration.toMillis(duration))
      return clock.sleep(duration)
    }
  }
  return { heard, slept }
}

const OTHER = RunnerAddress.make("127.0.0.1", 1)

it.effect("another node is asked whether it lives by the node's own clock", () =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const { heard, slept } = listening(clock)
    let pinged: Clock.Clock | undefined
    const runners = Layer.mock(Runners.Runners, {
      ping: () =>
        Effect.clockWith((now) => {
          pinged = now
          // Not before somebody waits for it.
          return Effect.andThen(Effect.yieldNow, Effect.yieldNow)
        })
    })
    const health = yield* Effect.provide(
      RunnerHealth.RunnerHealth,
      healthLayer(heard).pipe(Layer.provide(runners))
    )
    const isAlive = health.isAlive(OTHER)
    assert.isTrue(
      yield* Effect.provideService(
        isAlive,
        Clock.Clock,
        takingClock(clock, () => 20)
      )
    )
    assert.strictEqual(pinged, heard)
    assert.include(slept, PING_MS)
  })
)

const listen = Effect.acquireRelease(
  Effect.callback<Server>((resume) => {
    // It takes connections and says nothing: a process with very much to do.
    const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

it.live("a connection to another node is opened by the node's own clock", () =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const { heard, slept } = listening(clock)
    const server = yield* listen
    const { port } = server.address() as { readonly port: number }
    const opened = Effect.callback<void>((resume) => {
      server.once("connection", (socket) => {
        socket.on("error", () => undefined)
        resume(Effect.void)
      })
    })
    const protocol = yield* Effect.provide(
      Runners.RpcClientProtocol,
      clientProtocol(Redacted.make(Buffer.alloc(32)), heard).pipe(Layer.provide(serializationLayer))
    )
    yield* protocol.make(RunnerAddress.make("127.0.0.1", port)).pipe(
      Effect.andThen(opened),
      Effect.provideService(
        Clock.Clock,
        takingClock(clock, () => 20)
      )
    )
    assert.include(slept, OPEN_MS)
  })
)
