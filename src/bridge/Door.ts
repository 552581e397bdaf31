/**
 * The way in: from a method and its params to whoever answers, and back.
 *
 * Owns: the order of the checks (name, params, roles, forced attribution), what a defect looks like from outside,
 * and what becomes of a notification that failed.
 * Does not decide: who somebody is (Keys), what a signal does (SignalRouter), how messages travel (Connection, Http).
 */
import { Cause, Clock, type Context, Effect, Result } from "effect"
import { reportIncident } from "../actor/Incident.ts"
import { authorize } from "../signal/Authorization.ts"
import type { SignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { decodePayload, encodeSuccess, findSignal } from "../signal/Decode.ts"
import { InvalidRequest, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { type RoutedSignal, refuse, SignalRouter } from "../signal/SignalRouter.ts"
import type { Millis } from "../signal/Text.ts"
import type { RpcCall } from "./JsonRpc.ts"
import { askKeys, type Credentials, isKeySignal } from "./KeySignals.ts"

/** A notification that nobody could take. */
export interface DeadLetter {
  readonly principal: Principal
  readonly method: string
  readonly params: unknown
  readonly error: SignalError
  readonly at: Millis
}

/** A call that passed every check and can be sent. */
export interface Admitted {
  readonly name: SignalName
  readonly payload: unknown
}

export interface Door {
  /** Finds the signal, decodes its params, checks the roles and adds forced attribution. */
  readonly admit: (call: RpcCall, principal: Principal) => Result.Result<Admitted, SignalError>
  /** Sends a signal that needs no connection, and encodes its answer. */
  readonly ask: (admitted: Admitted, principal: Principal) => Effect.Effect<unknown, SignalError>
  /** The one error that a cause comes down to. A defect is logged, and shows nothing but the log line's incident. */
  readonly errorOf: (cause: Cause.Cause<SignalError>, method: string) => SignalError
  /** Hears of what was refused here or at a limit in front; absent where nobody wants to hear of it. */
  readonly refused: SignalRouter["refused"]
  readonly deadLetter: (call: RpcCall, principal: Principal, error: SignalError) => void
}

const needsConnection = () =>
  new InvalidRequest({
    message: "Streams and subscriptions need a connection: use the WebSocket at /signals"
  })

/** Whether a signal is answered over time, so that only a connection can carry it. */
export const isOverTime = ({ name, payload }: Admitted): boolean =>
  name === "subscribe" ||
  name === "unsubscribe" ||
  (name === "complete" && (payload as SignalPayload<"complete">).stream)

const admitUnsafe: Door["admit"] = (call, principal) => {
  const found = findSignal(call.method)
  if (Result.isFailure(found)) return Result.fail(found.failure)
  const name = found.success
  if (call.problem !== undefined) return Result.fail(call.problem)
  const decoded = decodePayload(name, call.params)
  if (Result.isFailure(decoded)) return Result.fail(decoded.failure)
  const authorized = authorize<unknown>(name, decoded.success, principal)
  return Result.isFailure(authorized)
    ? Result.fail(authorized.failure)
    : Result.succeed({ name, payload: authorized.success })
}

const makeErrorOf =
  (services: Context.Context<never>): Door["errorOf"] =>
  (cause, method) => {
    const failure = cause.reasons.find(Cause.isFailReason)
    if (failure !== undefined) return failure.error
    if (Cause.hasInterruptsOnly(cause)) {
      return new Unavailable({
        message: "The call was cut off, its outcome is not known: send the same request_id again",
        retry_after_ms: 1000
      })
    }
    return Effect.runSyncWith(services)(
      reportIncident(`The signal ${JSON.stringify(method.slice(0, 100))}`, cause)
    )
  }

/** `onDeadLetter` hears of every notification that failed. */
export const makeDoor = Effect.fnUntraced(function* (
  credentials: Credentials,
  onDeadLetter: (letter: DeadLetter) => Effect.Effect<void>
) {
  const router = yield* SignalRouter
  const clock = yield* Clock.Clock
  const services = yield* Effect.context<never>()

  const send = ({ name, payload }: Admitted, principal: Principal): Effect.Effect<unknown, SignalError> => {
    if (isKeySignal(name)) return askKeys(credentials, router, name, payload as never, principal)
    switch (name) {
      case "subscribe":
      case "unsubscribe":
        return Effect.fail(needsConnection())
      default:
        return router.ask(name, payload as SignalPayload<RoutedSignal>, principal)
    }
  }

  const errorOf = makeErrorOf(services)

  return {
    admit: (call, principal) => {
      try {
        return admitUnsafe(call, principal)
      } catch (defect) {
        return Result.fail(errorOf(Cause.die(defect), call.method))
      }
    },
    ask: (admitted, principal) =>
      Effect.suspend(() => {
        if (isOverTime(admitted)) return refuse(router, admitted.name, principal, needsConnection())
        return Effect.map(send(admitted, principal), (success) =>
          encodeSuccess(admitted.name, success as SignalSuccess<SignalName>)
        )
      }),
    errorOf,
    refused: router.refused,
    deadLetter: (call, principal, error) => {
      const letter = {
        principal,
        method: call.method,
        params: call.params,
        error,
        at: clock.currentTimeMillisUnsafe()
      }
      Effect.runForkWith(services)(Effect.ignoreCause(onDeadLetter(letter)))
    }
  } satisfies Door
})
