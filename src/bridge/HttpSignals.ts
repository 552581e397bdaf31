/**
 * `POST /signals`: the same JSON-RPC body as over the WebSocket, for curl and scripts.
 *
 * Owns: the statuses of HTTP around it. Where a message could be read, the status is 200 and the answer is JSON-RPC's.
 * Does not decide: what a call does (Door). There are no streams and no subscriptions here.
 */
import type { IncomingMessage } from "node:http"
import { Effect, Exit, Result } from "effect"
import { readTraceparent, within } from "../actor/TraceContext.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { type AccessOptions, authenticate, type Refused } from "./Access.ts"
import { readBody } from "./Body.ts"
import type { Door } from "./Door.ts"
import { type Answer, JSON_TYPE } from "./HttpAnswer.ts"
import {
  isRefusal,
  joinAnswers,
  type RpcCall,
  type RpcItem,
  readMessage,
  writeError,
  writeResult
} from "./JsonRpc.ts"
import { goingAway, type Limits, type RateLimiter, type Tally, tooFast, tooManyInFlight } from "./Limits.ts"
import type { Meter } from "./Meter.ts"

export interface HttpSignalsOptions {
  readonly door: Door
  readonly access: AccessOptions
  readonly limits: Limits
  readonly rates: RateLimiter
  /** Requests over HTTP that are not answered yet, by key. */
  readonly inFlight: Tally
  readonly meter: Meter
  readonly now: () => Millis
  /** The server is going away: what came before is answered, and nothing new begins. */
  readonly isClosing: () => boolean
}

const overloaded = (error: SignalError): Refused => ({ status: 429, error })

export const makeHttpSignals = (options: HttpSignalsOptions) => {
  const { door, limits, meter } = options

  const fail = (call: RpcCall, principal: Principal, error: SignalError): string | undefined => {
    meter.answered(call.method, error._tag)
    if (call.id !== undefined) return writeError(call.id, error)
    door.deadLetter(call, principal, error)
    return undefined
  }

  const told = (method: string, principal: Principal, error: SignalError): Effect.Effect<void> =>
    door.refused === undefined ? Effect.void : door.refused(method, principal, error)

  const refuse = (call: RpcCall, principal: Principal, error: SignalError) =>
    Effect.map(told(call.method, principal, error), () => fail(call, principal, error))

  const perform = (call: RpcCall, principal: Principal): Effect.Effect<string | undefined> => {
    if (options.isClosing()) return refuse(call, principal, goingAway())
    const admitted = door.admit(call, principal)
    if (Result.isFailure(admitted)) return refuse(call, principal, admitted.failure)
    return door.ask(admitted.success, principal).pipe(
      Effect.map((result) => (call.id === undefined ? undefined : writeResult(call.id, result))),
      Effect.exit,
      Effect.map((exit) => {
        if (Exit.isFailure(exit)) return fail(call, principal, door.errorOf(exit.cause, call.method))
        meter.answered(call.method, "ok")
        return exit.value
      })
    )
  }

  const answerTo = (item: RpcItem, principal: Principal): Effect.Effect<string | undefined> => {
    if (!isRefusal(item)) return perform(item, principal)
    meter.answered("", item.refusal._tag)
    return Effect.as(told("", principal, item.refusal), writeError(item.id, item.refusal))
  }

  const answerAll = Effect.fnUntraced(function* (text: string, principal: Principal) {
    const { isBatch, items } = readMessage(text)
    const waitMs = options.rates.take(principal.keyId, items.length, options.now())
    if (waitMs > 0) {
      const error = tooFast(limits, waitMs)
      for (const item of items) yield* told(isRefusal(item) ? "" : item.method, principal, error)
      return yield* Effect.fail(overloaded(error))
    }
    const answers = yield* Effect.forEach(items, (item) => answerTo(item, principal), {
      concurrency: "unbounded"
    })
    const body = joinAnswers(
      isBatch,
      answers.filter((answer) => answer !== undefined)
    )
    if (body === undefined) return { status: 204 } satisfies Answer
    const status = !isBatch && items.every(isRefusal) ? 400 : 200
    return {
      status,
      headers: { "Content-Type": JSON_TYPE, "Cache-Control": "no-store" },
      body
    } satisfies Answer
  })

  return (request: IncomingMessage): Effect.Effect<Answer, Refused> =>
    Effect.gen(function* () {
      const { principal } = yield* authenticate(request, options.access)
      const text = yield* readBody(request, limits.messageBytesMax)
      const trace = readTraceparent(request.headers.traceparent)
      if (!options.inFlight.enter(principal.keyId)) {
        const error = tooManyInFlight(limits.inFlightMax)
        yield* within(trace, told("", principal, error))
        return yield* Effect.fail(overloaded(error))
      }
      const leave = Effect.sync(() => options.inFlight.leave(principal.keyId))
      const answered = within(trace, answerAll(text, principal))
      return yield* Effect.ensuring(answered, leave)
    })
}
