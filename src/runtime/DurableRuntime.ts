/**
 * Durable machines as part of a runtime: whom their signals go to, and starting again what a restart ended.
 *
 * Owns: that the router, which is made last, is known to them; the look for machines that are due.
 * Does not decide: what a machine does, or where a tenant lives.
 */
import { Clock, Context, Effect, Layer, Option, Result } from "effect"
import { addressFrom } from "../actor/Address.ts"
import { DurableMachines, layer as machinesLayer } from "../actor/DurableMachines.ts"
import type { MachinePlaces } from "../actor/MachinePlaces.ts"
import { MachineStore, type OutgoingSignal } from "../actor/MachineStore.ts"
import { Placement } from "../actor/Placement.ts"
import { SignalDelivery } from "../actor/SignalDelivery.ts"
import { decodePayload, findSignal } from "../signal/Decode.ts"
import { type SignalError, Unavailable, UnknownSignal } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import { type DoorSignal, type RoutedSignal, SignalRouter } from "../signal/SignalRouter.ts"
import { tokenManagerAddress } from "../tokens/TokenManager.ts"
import { boundFacts } from "./FactRetention.ts"

/** They are answered where somebody is connected, and nowhere else. */
export const ofDoors: ReadonlySet<string> = new Set<DoorSignal>([
  "subscribe",
  "unsubscribe",
  "create_key",
  "list_keys",
  "revoke_key"
])

const notRouted = (signal: string): UnknownSignal =>
  new UnknownSignal({ signal, message: `${signal} belongs to a connection: a machine cannot send it` })

/** Where outgoing signals leave the machines: at the runtime's router, once there is one. */
class Exit {
  #router: SignalRouter | undefined

  connect(router: SignalRouter): void {
    this.#router = router
  }

  readonly deliver = (
    principal: Principal,
    { signal, params }: OutgoingSignal
  ): Effect.Effect<void, SignalError> => {
    const router = this.#router
    if (router === undefined)
      return Effect.fail(new Unavailable({ message: "The runtime is starting", retry_after_ms: SOON_MS }))
    const known = findSignal(signal)
    if (Result.isFailure(known)) return Effect.fail(known.failure)
    if (ofDoors.has(known.success)) return Effect.fail(notRouted(signal))
    return Effect.flatMap(Effect.fromResult(decodePayload(known.success, params)), (payload) =>
      Effect.asVoid(router.ask(known.success as RoutedSignal, payload as never, principal))
    )
  }
}

/** A store that is away is told of once a minute. */
const TOLD_EVERY_MS = 60_000

export const MachineExit = Context.Service<Exit>("bursar/runtime/MachineExit")

const exitLayer = Layer.sync(MachineExit, () => new Exit())

/** Durable machines. What they send to each other goes straight; everything else goes to the router. */
export const durableLayer = Layer.provideMerge(
  machinesLayer,
  Layer.provideMerge(
    Layer.effect(
      SignalDelivery,
      Effect.map(MachineExit, ({ deliver }) => ({ deliver }))
    ),
    exitLayer
  )
)

const DUE_MACHINES_SOUGHT_EVERY = "5 seconds"
/** Who is due before the next look comes back now: so no delay of a machine at rest is late. */
const AHEAD_MS = 6_000
/** Of several nodes: after so many looks a tenant that has come unnoticed is found, too. */
const FINDS_EVERY = 12
/** Between hearing that a tenant has come here and looking for its machines: then the table says so. */
const SETTLED_AFTER = "50 millis"

/** A tenant's machines live where its money does, and are asked there. */
const placesOf = (placement: Placement | undefined): MachinePlaces =>
  placement === undefined
    ? { isMine: () => true }
    : {
        isMine: ({ tenant }) => tenant === undefined || placement.isHere(tokenManagerAddress(tenant)),
        ask: (asked, principal) =>
          Effect.map(
            placement.ask(
              tokenManagerAddress(addressFrom(asked.address).tenant ?? ""),
              "ask_machine",
              asked,
              principal
            ),
            ({ answer }) => answer
          ),
        node: () => placement.status().node
      }

/** Lets their signals out, and looks for machines that have to be in memory, now and again and again. */
export const durableRunLayer = Layer.effectDiscard(
  Effect.gen(function* () {
    const exit = yield* MachineExit
    const machines = yield* DurableMachines
    const placement = Option.getOrUndefined(yield* Effect.serviceOption(Placement))
    exit.connect(yield* SignalRouter)
    yield* boundFacts(machines, yield* MachineStore)
    const places = placesOf(placement)
    const mine = places.isMine
    machines.place(places)
    const moved = placement === undefined ? Effect.void : machines.release((address) => !mine(address))
    let looks = 0
    let mustFind = true
    let toldAt = Number.NEGATIVE_INFINITY
    const recovered = Effect.suspend(() => {
      const finds = mustFind || (placement !== undefined && looks % FINDS_EVERY === 0)
      looks += 1
      return Effect.tap(machines.recover(mine, { aheadMs: AHEAD_MS, finds }), () =>
        Effect.sync(() => {
          mustFind &&= !finds
        })
      )
    })
    const lookedFor = Effect.andThen(moved, recovered).pipe(
      Effect.catch(({ message }) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          if (now - toldAt < TOLD_EVERY_MS) return Effect.void
          toldAt = now
          return Effect.logWarning(
            `durable machines could not be looked for, and are again in a moment: ${message}`
          )
        })
      )
    )
    const look = Effect.andThen(lookedFor, machines.rest())
    const arrival =
      placement === undefined ? Effect.never : Effect.andThen(placement.arrived, Effect.sleep(SETTLED_AFTER))
    const arrived = Effect.tap(arrival, () =>
      Effect.sync(() => {
        mustFind = true
      })
    )
    const pause = Effect.race(Effect.sleep(DUE_MACHINES_SOUGHT_EVERY), arrived)
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(look, pause)))
  })
)
