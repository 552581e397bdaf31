/**
 * Whom a durable machine's signals go to.
 *
 * Owns: which receivers are told straight, and that none is another tenant's than its sender.
 * Does not decide: when a signal is sent again (MachineOutbox), or how the product's own actors are reached (SignalDelivery).
 */
import { Effect, Result, Schema } from "effect"
import { toInvalidParams } from "../signal/Decode.ts"
import { Forbidden, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import { type Address, addressFrom } from "./Address.ts"
import { type AnsweringKind, takerOf } from "./MachineAnswering.ts"
import type { OutgoingSignal } from "./MachineStore.ts"
import type { SignalDelivery } from "./SignalDelivery.ts"

interface Receivers {
  /** A kind of durable machines that is known here. */
  readonly kindOf: (kind: string) => AnsweringKind | undefined
  readonly others: SignalDelivery
}

const ofAnother = ({ text }: Address): Forbidden =>
  new Forbidden({ message: `${text} is another tenant's than its sender` })

const decoded = ({ payloadSchema }: AnySignal, params: Schema.JsonObject) =>
  Result.mapError(Schema.decodeUnknownResult(payloadSchema as Schema.Codec<unknown>)(params), ({ issue }) =>
    toInvalidParams(issue)
  )

export const deliverTo =
  ({ kindOf, others }: Receivers): SignalDelivery["deliver"] =>
  (principal: Principal, outgoing: OutgoingSignal): Effect.Effect<void, SignalError> => {
    const address = addressFrom(outgoing.to)
    const kind = kindOf(address.kind)
    if (kind === undefined) return others.deliver(principal, outgoing)
    if (address.tenant !== principal.tenant) return Effect.fail(ofAnother(address))
    return Effect.gen(function* () {
      const { ref, definition } = yield* takerOf(address, kind, outgoing.signal)
      const payload = yield* Effect.fromResult(decoded(definition, outgoing.params))
      yield* ref.ask(outgoing.signal, payload as never, principal)
    })
  }
