/**
 * Whom a machine's signals go to.
 *
 * Owns: which receivers are told straight, that none is another tenant's than its sender, and how long an actor in memory
 * that is not there is waited for.
 * Does not decide: when a signal is sent again (MachineOutbox), or how the product's own actors are reached (SignalDelivery).
 *
 * A durable machine has taken a signal when that is committed, wherever it lives. A host's actor in memory has taken it when
 * it has a place in its mailbox, and is looked for on this node.
 */
import { Effect, Result, Schema } from "effect"
import { ACTOR_SIGNALS, isSignalName } from "../signal/Catalogue.ts"
import { toInvalidParams } from "../signal/Decode.ts"
import { Forbidden, NotFound, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal, Protocol } from "../signal/Protocol.ts"
import type { ActorRef } from "./ActorRef.ts"
import { type Address, addressFrom } from "./Address.ts"
import { type AnsweringKind, takerOf } from "./MachineAnswering.ts"
import type { OutgoingSignal } from "./MachineStore.ts"
import type { SignalDelivery } from "./SignalDelivery.ts"
import { doesNotAnswer } from "./Unanswered.ts"

/** After a start a machine may be back before its host has spawned whom it tells. */
const WAITED_MS = 10_000
const LOOKED_EVERY_MS = 250

interface Receivers {
  /** A kind of durable machines that is known here. */
  readonly kindOf: (kind: string) => AnsweringKind | undefined
  /** Who lives at an address on this node, or is made there. */
  readonly receiver: (address: Address) => ActorRef<Protocol> | undefined
  readonly others: SignalDelivery
}

const ofAnother = ({ text }: Pick<Address, "text">): Forbidden =>
  new Forbidden({ message: `${text} is another tenant's than its sender` })

const nobody = ({ kind, text }: Address): NotFound =>
  new NotFound({
    kind,
    id: text,
    message: `Nobody lives at ${text} on this node. Register the kind ${kind} (ActorSystem.register), or spawn the actor before whoever tells it; what must not be lost, tell a durable machine`
  })

/** `KIND/TENANT/ID` or `KIND/TENANT`; `KIND/NAME`, whom all tenants share, looks like the latter. */
const addressFor = (to: string, { tenant }: Principal): Address => {
  const address = addressFrom(to)
  const isShared = to.split("/").length === 2 && address.tenant !== tenant
  return isShared ? { ...address, tenant: undefined } : address
}

const decoded = ({ payloadSchema }: AnySignal, params: Schema.JsonObject) =>
  Result.mapError(Schema.decodeUnknownResult(payloadSchema as Schema.Codec<unknown>)(params), ({ issue }) =>
    toInvalidParams(issue)
  )

const toMachine = (
  kind: AnsweringKind,
  address: Address,
  principal: Principal,
  { signal, params }: OutgoingSignal
): Effect.Effect<void, SignalError> =>
  Effect.gen(function* () {
    const { ref, definition } = yield* takerOf(address, kind, signal)
    const payload = yield* Effect.fromResult(decoded(definition, params))
    yield* ref.ask(signal, payload as never, principal)
  })

/** What it makes of it is its own: who told it has been told that it came. */
const toActor = (
  ref: ActorRef<Protocol>,
  principal: Principal,
  { signal, params }: OutgoingSignal
): Effect.Effect<void, SignalError> =>
  Effect.gen(function* () {
    const { address, protocol } = ref
    if (address.tenant !== undefined && address.tenant !== principal.tenant) return yield* ofAnother(address)
    const definition = Object.hasOwn(protocol, signal) ? protocol[signal] : undefined
    if (definition === undefined) return yield* doesNotAnswer(address.text, signal, protocol)
    const payload = yield* Effect.fromResult(decoded(definition, params))
    yield* ref.push(signal, payload as never, principal)
  })

export const deliverTo =
  ({ kindOf, receiver, others }: Receivers): SignalDelivery["deliver"] =>
  (principal, outgoing) => {
    const address = addressFor(outgoing.to, principal)
    const kind = kindOf(address.kind)
    const isOfNobody = address.tenant === undefined && kind === undefined
    if (!isOfNobody && address.tenant !== principal.tenant) return Effect.fail(ofAnother(address))
    if (kind !== undefined) return toMachine(kind, address, principal, outgoing)
    /** Actors of the product are asked as anybody asks them. */
    const ofHost = () => {
      const ref = receiver(address)
      return ref === undefined || ref.protocol === (ACTOR_SIGNALS as Protocol) ? undefined : ref
    }
    const told = Effect.suspend(() => {
      const ref = ofHost()
      return ref === undefined ? Effect.fail(nobody(address)) : toActor(ref, principal, outgoing)
    })
    return Effect.suspend(() => {
      if (ofHost() !== undefined) return told
      const asked = others.deliver(principal, outgoing)
      if (isSignalName(outgoing.signal)) return asked
      return Effect.catchTag(asked, "UnknownSignal", () =>
        Effect.retry(Effect.delay(told, LOOKED_EVERY_MS), {
          times: WAITED_MS / LOOKED_EVERY_MS - 1,
          while: ({ _tag }) => _tag === "NotFound"
        })
      )
    })
  }
