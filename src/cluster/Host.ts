/**
 * What a node does for the addresses that live on it.
 *
 * Owns: the entity of each kind: answering asks and topics that come through the cluster, and stopping an actor before
 * its shard is let go.
 * Does not decide: what an actor answers, or how it is started and stopped (the resident).
 */
import { Cause, Clock, Effect, Fiber, type Scope, Stream } from "effect"
import { Entity, Sharding } from "effect/cluster"
import { type Address, addressOf } from "../actor/Address.ts"
import { reportIncident } from "../actor/Incident.ts"
import type { Resident } from "../actor/Placement.ts"
import { readTraceparent, within } from "../actor/TraceContext.ts"
import { type SignalError, UnknownSignal } from "../signal/Errors.ts"
import { DRAINED_WITHIN_MS } from "./Timing.ts"
import {
  entityOf,
  MOVED,
  readName,
  readPayload,
  readPrincipal,
  readRequest,
  writeError,
  writeEvent,
  writeOpened,
  writeSuccess
} from "./Wire.ts"

type IsHere = (address: Address) => boolean

/** Asks for one address that are not answered yet; more are `Overloaded`. The actor's own mailbox has its own bound. */
const ASKS_MAX = 20_000

const unknownSignal = (name: string): UnknownSignal =>
  new UnknownSignal({
    signal: name,
    message: `The node that has this tenant does not know ${name}: is it of another version?`
  })

/** An actor that was stopped because its address moves has done nothing: whoever asks looks for the new owner. */
const refusalOf = (error: SignalError, isHere: boolean): string =>
  error._tag === "Unavailable" && !isHere ? MOVED : writeError(error)

const answerAsk = (
  resident: Resident,
  address: Address,
  isHere: IsHere,
  asked: {
    readonly name: string
    readonly payload: string
    readonly principal: string
    readonly traceparent?: string
  }
): Effect.Effect<string> =>
  Effect.suspend(() => {
    if (!isHere(address)) return Effect.succeed(MOVED)
    const name = readName(asked.name)
    if (name === undefined) return Effect.succeed(writeError(unknownSignal(asked.name)))
    const payload = readPayload(name, asked.payload)
    const answered = within(
      readTraceparent(asked.traceparent),
      resident.ask(address, name, payload, readPrincipal(asked.principal))
    )
    return Effect.match(answered, {
      onSuccess: (success) => writeSuccess(name, success),
      onFailure: (error) => refusalOf(error, isHere(address))
    })
  }).pipe(Effect.catchDefect((defect) => Effect.map(reportDefect(asked.name, defect), writeError)))

const reportDefect = (name: string, defect: unknown) =>
  reportIncident(`The signal ${name}, asked by another node,`, Cause.die(defect))

const answerFollow = (
  resident: Resident,
  address: Address,
  isHere: IsHere,
  asked: { readonly request: string; readonly principal: string }
): Stream.Stream<string> =>
  Stream.unwrap(
    Effect.suspend(() => {
      if (!isHere(address)) return Effect.succeed(Stream.succeed(MOVED))
      return Effect.match(
        resident.follow(address, readRequest(asked.request), readPrincipal(asked.principal)),
        {
          onSuccess: ({ cursor, events }) =>
            Stream.concat(Stream.succeed(writeOpened(cursor)), Stream.map(events, writeEvent)).pipe(
              Stream.catch((error) => Stream.succeed(refusalOf(error, isHere(address))))
            ),
          onFailure: (error) => Stream.succeed(refusalOf(error, isHere(address)))
        }
      )
    })
  )

/** Whatever does not come to its end goes on without holding its shard: who has the head next fences it. */
const withinReason = (leave: Effect.Effect<void>): Effect.Effect<void> =>
  Effect.flatMap(Effect.forkDetach(leave), (leaving) =>
    Effect.asVoid(Effect.interruptible(Effect.timeoutOption(Fiber.await(leaving), DRAINED_WITHIN_MS)))
  )

/** What is known of the addresses of a kind that are here. */
export interface Hosted {
  /** All of its actors that are here are stopped, beside each other: each answers what it has begun, and has committed it. */
  readonly stopAll: Effect.Effect<void>
  /** Whether its actor is being stopped because it moves. */
  readonly isLeaving: (address: Address) => boolean
}

/** Serves a kind of address until the scope closes. */
export const hostKind = (
  resident: Resident,
  isHere: IsHere,
  clock: Clock.Clock
): Effect.Effect<Hosted, never, Scope.Scope | Sharding.Sharding> => {
  const entity = entityOf(resident.kind)
  // What is done for an address has the node's own clock, not that of Effect Cluster's fibers.
  const onClock = Effect.provideService(Clock.Clock, clock)
  const here = new Set<Address>()
  const leaving = new Set<string>()
  const leave = (address: Address) =>
    Effect.suspend(() => {
      leaving.add(address.text)
      const left = Effect.sync(() => leaving.delete(address.text))
      return Effect.ensuring(withinReason(resident.leave(address)), left)
    })
  const live = Effect.gen(function* () {
    const { entityId } = yield* Entity.CurrentAddress
    const address = addressOf(resident.kind, entityId)
    here.add(address)
    yield* Effect.addFinalizer(() =>
      Effect.ensuring(
        onClock(leave(address)),
        Effect.sync(() => here.delete(address))
      )
    )
    return entity.of({
      ask: ({ payload }) => onClock(answerAsk(resident, address, isHere, payload)),
      follow: ({ payload }) =>
        Stream.provideService(answerFollow(resident, address, isHere, payload), Clock.Clock, clock)
    })
  })
  const stopAll = Effect.suspend(() =>
    Effect.forEach([...here], leave, { concurrency: "unbounded", discard: true })
  )
  return Effect.flatMap(Sharding.Sharding, (sharding) =>
    Effect.as(
      sharding.registerEntity(entity, live, { concurrency: "unbounded", mailboxCapacity: ASKS_MAX }),
      { stopAll, isLeaving: ({ text }) => leaving.has(text) }
    )
  )
}
