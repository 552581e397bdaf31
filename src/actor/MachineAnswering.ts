/**
 * What a node does when another one asks its durable machines.
 *
 * Owns: reading what is asked by the machine's own protocol, and saying what this node lacks where it cannot.
 * Does not decide: what a machine answers, or whether it lives here (MachinePlaces).
 */
import { Effect, Result, type Schema } from "effect"
import { NotFound, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal, Protocol } from "../signal/Protocol.ts"
import type { ActorRef } from "./ActorRef.ts"
import { type Address, addressFrom } from "./Address.ts"
import { elsewhere, type MachineAsk, type MachinePlaces } from "./MachinePlaces.ts"
import { readParams, writeAnswer } from "./MachineWire.ts"
import { doesNotAnswer } from "./Unanswered.ts"

/** A node that has just come has its tenants before its host has made all of its machines known. */
const REGISTERED_WITHIN_MS = 2_000
const LOOKED_EVERY_MS = 50

/** A kind as it is known here. */
export interface AnsweringKind {
  readonly protocol: Protocol
  readonly find: (address: Address) => Effect.Effect<ActorRef<Protocol> | undefined, Unavailable>
  readonly start: (
    address: Address,
    input: unknown
  ) => Effect.Effect<{ readonly isNew: boolean }, SignalError>
  readonly restart: (address: Address) => Effect.Effect<void, SignalError>
}

export interface Answering {
  readonly kindOf: (kind: string) => AnsweringKind | undefined
  readonly places: () => MachinePlaces
  /** How a machine that lives here has ended, if it has within some seconds. */
  readonly ended: (address: Address) => Effect.Effect<Schema.Json, SignalError>
}

export const noSuchMachine = ({ kind, text }: Address): NotFound =>
  new NotFound({ kind, id: text, message: `There is no ${text}: nobody has started it` })

/** Of a signal that is on the wire: who takes it, and what it is to them. */
export const takerOf = (
  address: Address,
  kind: Pick<AnsweringKind, "protocol" | "find">,
  name: string
): Effect.Effect<{ readonly ref: ActorRef<Protocol>; readonly definition: AnySignal }, SignalError> =>
  Effect.gen(function* () {
    const definition = Object.hasOwn(kind.protocol, name) ? kind.protocol[name] : undefined
    if (definition === undefined) return yield* doesNotAnswer(address.text, name, kind.protocol)
    const ref = yield* kind.find(address)
    return ref === undefined ? yield* noSuchMachine(address) : { ref, definition }
  })

const known = (
  { kindOf, places }: Answering,
  address: Address
): Effect.Effect<AnsweringKind, Unavailable> => {
  const here = Effect.suspend(() => {
    const kind = kindOf(address.kind)
    if (kind !== undefined) return Effect.succeed(kind)
    const node = places().node?.() ?? "This node"
    return Effect.fail(
      new Unavailable({
        message: `${node} has the tenant of ${address.text}, and its program does not know machines of the kind ${address.kind}: register it there, as on every node`,
        retry_after_ms: 1_000
      })
    )
  })
  const again = Effect.andThen(Effect.sleep(LOOKED_EVERY_MS), here)
  return Effect.catch(here, () => Effect.retry(again, { times: REGISTERED_WITHIN_MS / LOOKED_EVERY_MS - 1 }))
}

const answerSignal = (
  { places }: Answering,
  kind: AnsweringKind,
  address: Address,
  { signal, params }: MachineAsk,
  principal: Principal
): Effect.Effect<Schema.Json, SignalError> =>
  Effect.gen(function* () {
    const { ref, definition } = yield* takerOf(address, kind, signal)
    const where = `${address.text} on ${places().node?.() ?? "this node"}`
    const payload = readParams(definition, params, where)
    if (Result.isFailure(payload)) return yield* payload.failure
    const success = yield* ref.ask(signal, payload.success as never, principal)
    return yield* writeAnswer(definition, success, address.text)
  })

/** Answers another node. Whoever asks has looked where the tenant is: an address that is not here has moved meanwhile. */
export const answerMachine = (
  answering: Answering,
  asked: MachineAsk,
  principal: Principal
): Effect.Effect<Schema.Json, SignalError> =>
  Effect.gen(function* () {
    const address = addressFrom(asked.address)
    const kind = yield* known(answering, address)
    // Not through another node: it would be passed on for ever where two of them disagree.
    if (!answering.places().isMine(address)) return yield* elsewhere(address.text)
    switch (asked.what) {
      case "start": {
        const { isNew } = yield* kind.start(address, (asked.params as { readonly input?: unknown }).input)
        return { is_new: isNew }
      }
      case "restart":
        return yield* Effect.as(kind.restart(address), null)
      case "hold":
        return null
      case "watch":
        return yield* answering.ended(address)
      case "signal":
        return yield* answerSignal(answering, kind, address, asked, principal)
    }
  })
