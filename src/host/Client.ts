/**
 * A door as promises.
 *
 * Owns: making a method for every signal of the catalogue, from its names; AbortSignals; what is read in loops.
 * Does not decide: anything about a signal (Door).
 */
import { type Context, Effect, Result } from "effect"
import { readTraceparent, within } from "../actor/TraceContext.ts"
import type { Forbidden, InvalidParams } from "../signal/Errors.ts"
import { refuseUnknown } from "../signal/KnownOptions.ts"
import type { Topic } from "../signal/Subscriptions.ts"
import type { Door } from "./Door.ts"
import {
  type Given,
  HOST_SIGNALS,
  type HostParams,
  type HostResult,
  type HostSignal,
  SENDING,
  type SendOptions,
  type StreamPart,
  SUBSCRIBING,
  type SubscribeOptions,
  type TopicEventOf
} from "./HostSignals.ts"
import type { Identity } from "./Identity.ts"
import type { Life } from "./Life.ts"
import { openReading, type Reading } from "./Reader.ts"
import type { SignalMethods } from "./SignalMethods.ts"

/** The text of a call, as it comes. Leaving the loop cancels the call, which is charged for what it used. */
export interface CallStream extends Reading<StreamPart> {
  /** The text alone, piece by piece; read this or the parts. */
  readonly texts: () => AsyncIterable<string>
  /** The text as the body of a `Response`, in UTF-8. Whoever cancels the body, such as a browser that leaves, cancels the call. */
  readonly body: () => ReadableStream<Uint8Array<ArrayBuffer>>
}

/** Events of a topic, from the moment it was opened. A reader who falls behind is told of a gap. */
export interface Subscription<T extends Topic> extends Reading<TopicEventOf<T>> {
  /** Where it begins; `null` where the topic cannot be resumed. */
  readonly cursor: string | null
}

/** What somebody can do: every signal, streams and subscriptions. It can be handed on; `as` hands on less. */
export interface Client extends SignalMethods {
  /** Sends a signal by name, for hosts that have the name as a value. */
  readonly send: <Name extends HostSignal>(name: Name, ...given: Given<Name>) => Promise<HostResult<Name>>
  /**
   * `complete`, with its text as it comes. The promise is fulfilled once the call holds its money, and rejects where it
   * is refused: so a server knows which status to answer before the first byte.
   */
  readonly stream: (params: HostParams<"complete">, options?: SendOptions) => Promise<CallStream>
  /**
   * The events of a topic, as they come. `usage`, `alerts` and `workflows` can go on from a cursor. A topic needs its
   * roles, and shows no more than the client may see; otherwise the promise rejects with `Forbidden`.
   */
  readonly subscribe: <T extends Topic>(
    topic: T,
    options?: SubscribeOptions & SendOptions
  ) => Promise<Subscription<T>>
  /** The same runtime for somebody else, with no more rights than this client has. Throws where it would have more. */
  readonly as: (identity: Identity) => Client
}

interface ClientOptions<R> {
  readonly door: Door
  readonly services: Context.Context<R>
  readonly life: Life
  /** Subscriptions, which end with the runtime. */
  readonly subscriptions: Set<{ readonly close: () => Promise<void> }>
}

/** The promise of an effect; where the caller's own signal ends it, it rejects with that signal's reason. */
const promiseOf = async <A>(
  run: (options?: { readonly signal: AbortSignal }) => Promise<A>,
  signal: AbortSignal | undefined
): Promise<A> => {
  if (signal === undefined) return run()
  signal.throwIfAborted()
  try {
    return await run({ signal })
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/** No generator: leaving one waits for the piece that it waits for, and a call that is left must end at once. */
const textsOf = (parts: Reading<StreamPart>): AsyncIterable<string> => ({
  [Symbol.asyncIterator]: () => {
    const reader = parts[Symbol.asyncIterator]()
    const next = async (): Promise<IteratorResult<string>> => {
      const read = await reader.next()
      if (read.done === true) return { done: true, value: undefined }
      return "text" in read.value ? { done: false, value: read.value.text } : next()
    }
    return {
      next,
      return: async () => {
        await parts.close()
        return { done: true, value: undefined }
      }
    }
  }
})

const bodyOf = (parts: Reading<StreamPart>): ReadableStream<Uint8Array<ArrayBuffer>> => {
  const encoder = new TextEncoder()
  const texts = textsOf(parts)[Symbol.asyncIterator]()
  return new ReadableStream({
    pull: async (controller) => {
      const read = await texts.next()
      if (read.done === true) controller.close()
      else controller.enqueue(encoder.encode(read.value))
    },
    cancel: () => parts.close()
  })
}

const orThrow = <A>(result: Result.Result<A, Forbidden | InvalidParams>): A => {
  if (Result.isFailure(result)) throw result.failure
  return result.success
}

/** What is meant for one signal, looked at where there is any. */
const sendingOf = (options: SendOptions | undefined): SendOptions => {
  if (options === undefined) return {}
  refuseUnknown(options, SENDING)
  return options
}

const SUBSCRIBING_HERE = { ...SUBSCRIBING, ...SENDING }

type Method = (params?: never, options?: SendOptions) => Promise<unknown>

const methodsOf = (send: (name: HostSignal, ...given: Parameters<Method>) => Promise<unknown>) =>
  Object.fromEntries(
    HOST_SIGNALS.map((name): [string, Method] => [name, (params, options) => send(name, params, options)])
  ) as unknown as SignalMethods

/** What the services of a runtime can be asked for by promises. */
export const makeClient = <R>({ door, services, life, subscriptions }: ClientOptions<R>): Client => {
  const runPromise = Effect.runPromiseWith(services)

  const send = async (name: HostSignal, params?: never, options?: SendOptions): Promise<unknown> => {
    life.check()
    const { signal, traceparent } = sendingOf(options)
    const sent = within(readTraceparent(traceparent), door.send(name, params ?? ({} as never)))
    const work = promiseOf((given) => runPromise(sent, given), signal)
    return life.track(name === "complete" ? "call" : "signal", work)
  }

  const stream: Client["stream"] = async (params, options) => {
    life.check()
    const { signal, traceparent } = sendingOf(options)
    const closed = Promise.withResolvers<void>()
    const opening = openReading({
      services,
      signal,
      open: Effect.map(within(readTraceparent(traceparent), door.stream(params)), (events) => ({ events })),
      onClosed: () => closed.resolve()
    })
    void life.track("call", closed.promise)
    const { reading } = await opening.catch((error: unknown) => {
      closed.resolve()
      throw error
    })
    return { ...reading, texts: () => textsOf(reading), body: () => bodyOf(reading) }
  }

  const subscribe: Client["subscribe"] = async (topic, given = {}) => {
    life.check()
    refuseUnknown(given, SUBSCRIBING_HERE)
    const { signal, traceparent, ...options } = given
    const { reading, opened } = await openReading({
      services,
      signal,
      open: within(readTraceparent(traceparent), door.subscribe(topic, options)),
      onClosed: (ended) => subscriptions.delete(ended)
    })
    if (life.isClosing) {
      await reading.close()
      life.check()
    }
    subscriptions.add(reading)
    return { ...reading, cursor: opened.cursor }
  }

  return {
    ...methodsOf(send),
    send: send as Client["send"],
    stream,
    subscribe,
    as: (identity) => makeClient({ door: orThrow(door.as(identity)), services, life, subscriptions })
  }
}
