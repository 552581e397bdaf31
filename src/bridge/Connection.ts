/**
 * One WebSocket: requests in, answers and events out.
 *
 * Owns: running the calls of one connection side by side, its limits, its heartbeat, and how it closes.
 * Does not decide: who may connect (Access), what a call does (Door).
 */
import type { Duplex } from "node:stream"
import { Cause, type Effect, type Exit, type Fiber, Result } from "effect"
import type { RawData, WebSocket } from "ws"
import { within } from "../actor/TraceContext.ts"
import type { ParentSpan } from "../actor/Tracing.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { SignalRouter } from "../signal/SignalRouter.ts"
import type { Millis } from "../signal/Text.ts"
import type { Credential } from "./Credential.ts"
import { type Admitted, type Door, isOverTime } from "./Door.ts"
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
import { makeOutlet } from "./Outlet.ts"
import { makeSubscriptions, needsAnswer, type Opened } from "./Subscriptions.ts"

export const CLOSE_GOING_AWAY = 1001
const CLOSE_UNSUPPORTED_DATA = 1003
/** The key was revoked or has expired, or the session is over. */
export const CLOSE_CREDENTIAL_ENDED = 4001

/** Pings that may stay without a pong. */
const MISSED_PONGS_MAX = 2

/** What all connections of a bridge share. */
export interface ConnectionShared {
  readonly door: Door
  readonly router: SignalRouter
  readonly limits: Limits
  readonly rates: RateLimiter
  readonly subscriptions: Tally
  readonly meter: Meter
  readonly now: () => Millis
  readonly runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

export interface Connection {
  readonly credential: Credential
  /** Ends the subscriptions, refuses new requests, and resolves when those in flight are answered. */
  readonly drain: () => Promise<void>
  /** Pings; or ends the connection when the pings before were not answered. */
  readonly beat: () => void
  readonly close: (code: number, reason: string) => void
  readonly terminate: () => void
}

/** Hears what became of one item: the answer's text, if it has one, and what to do once it is written. */
type Settle = (answer: string | undefined, afterwards?: () => void) => void

const textOf = (data: RawData): string =>
  Array.isArray(data) ? Buffer.concat(data).toString() : Buffer.isBuffer(data) ? data.toString() : ""

/** Carries `ws` until it closes. `id` is unique among connections; `trace` is what whoever connected is doing. */
export const openConnection = (
  shared: ConnectionShared,
  credential: Credential,
  id: string,
  ws: WebSocket,
  socket: Duplex,
  trace: ParentSpan | undefined
): Connection => {
  const { door, limits, meter } = shared
  const { principal } = credential
  const outlet = makeOutlet(ws, socket, limits.answerBacklogBytesMax)
  const subscriptions = makeSubscriptions({
    router: shared.router,
    principal,
    limits,
    tally: shared.subscriptions,
    outlet,
    runFork: shared.runFork,
    errorOf: door.errorOf,
    connectionId: id
  })
  let inFlight = 0
  let missedPongs = 0
  /** Set while the server closes: new requests are refused then. */
  let onIdle: (() => void) | undefined

  const tellRefused = (method: string, error: SignalError) => {
    if (door.refused !== undefined) shared.runFork(within(trace, door.refused(method, principal, error)))
  }

  const fail = (call: RpcCall, error: SignalError, settle: Settle) => {
    meter.answered(call.method, error._tag)
    if (call.id !== undefined) return settle(writeError(call.id, error))
    door.deadLetter(call, principal, error)
    settle(undefined)
  }

  const refuse = (call: RpcCall, error: SignalError, settle: Settle) => {
    tellRefused(call.method, error)
    fail(call, error, settle)
  }

  const succeed = (call: RpcCall, result: unknown, settle: Settle, afterwards?: () => void) => {
    let answer: string | undefined
    try {
      answer = call.id === undefined ? undefined : writeResult(call.id, result)
    } catch (defect) {
      return fail(call, door.errorOf(Cause.die(defect), call.method), settle)
    }
    meter.answered(call.method, "ok")
    settle(answer, afterwards)
  }

  /** Runs `effect` as one request in flight. */
  const run = <A>(
    call: RpcCall,
    effect: Effect.Effect<A, SignalError>,
    settle: Settle,
    onSuccess: (value: A) => void
  ) => {
    inFlight++
    const settled = (exit: Exit.Exit<A, SignalError>) => {
      inFlight--
      if (exit._tag === "Success") onSuccess(exit.value)
      else fail(call, door.errorOf(exit.cause, call.method), settle)
      if (inFlight === 0) onIdle?.()
    }
    shared.runFork(within(trace, effect)).addObserver(settled)
  }

  const openedBy = ({ name, payload }: Admitted): Effect.Effect<Opened, SignalError> => {
    if (name === "subscribe") return subscriptions.subscribe(payload as SignalPayload<"subscribe">)
    if (name === "unsubscribe") return subscriptions.unsubscribe(payload as SignalPayload<"unsubscribe">)
    return subscriptions.complete(payload as SignalPayload<"complete">)
  }

  const perform = (call: RpcCall, settle: Settle) => {
    const admitted = door.admit(call, principal)
    if (Result.isFailure(admitted)) return refuse(call, admitted.failure, settle)
    if (!isOverTime(admitted.success)) {
      return run(call, door.ask(admitted.success, principal), settle, (result) =>
        succeed(call, result, settle)
      )
    }
    if (call.id === undefined && admitted.success.name !== "unsubscribe")
      return refuse(call, needsAnswer(), settle)
    run(call, openedBy(admitted.success), settle, ({ answer, release }) =>
      succeed(call, answer, settle, release)
    )
  }

  const handle = (item: RpcItem, settle: Settle) => {
    const wait = shared.rates.take(principal.keyId, 1, shared.now())
    if (isRefusal(item)) {
      const error = wait > 0 ? tooFast(limits, wait) : item.refusal
      meter.answered("", item.refusal._tag)
      tellRefused("", error)
      return settle(writeError(item.id, error))
    }
    if (onIdle !== undefined) return refuse(item, goingAway(), settle)
    if (wait > 0) return refuse(item, tooFast(limits, wait), settle)
    if (inFlight >= limits.inFlightMax) return refuse(item, tooManyInFlight(limits.inFlightMax), settle)
    perform(item, settle)
  }

  const handleBatch = (items: ReadonlyArray<RpcItem>) => {
    const answers: Array<string> = []
    const afterwards: Array<() => void> = []
    let left = items.length
    const settle: Settle = (answer, after) => {
      if (answer !== undefined) answers.push(answer)
      if (after !== undefined) afterwards.push(after)
      if (--left > 0) return
      const text = joinAnswers(true, answers)
      if (text !== undefined) outlet.write(text)
      for (const callback of afterwards) callback()
    }
    for (const item of items) handle(item, settle)
  }

  const settleOne: Settle = (answer, afterwards) => {
    if (answer !== undefined) outlet.write(answer)
    afterwards?.()
  }

  const close = (code: number, reason: string) => {
    subscriptions.closeAll()
    ws.close(code, reason)
    // Events of a paused socket, its closing handshake among them, would never be read.
    if (ws.isPaused) ws.resume()
  }

  ws.on("message", (data, isBinary) => {
    if (ws.readyState !== ws.OPEN) return
    if (isBinary) return close(CLOSE_UNSUPPORTED_DATA, "Expected JSON in text frames")
    const message = readMessage(textOf(data))
    if (message.isBatch) return handleBatch(message.items)
    for (const item of message.items) handle(item, settleOne)
  })
  ws.on("pong", () => {
    missedPongs = 0
  })
  // A protocol error closes the socket with the right code by itself: 1009 for a frame that is too large.
  ws.on("error", () => {})
  ws.on("close", subscriptions.closeAll)

  return {
    credential,
    drain: () =>
      new Promise((resolve) => {
        onIdle = resolve
        subscriptions.closeAll()
        if (inFlight === 0) resolve()
      }),
    beat: () => {
      if (missedPongs >= MISSED_PONGS_MAX) return ws.terminate()
      missedPongs++
      ws.ping()
    },
    close,
    terminate: () => ws.terminate()
  }
}
