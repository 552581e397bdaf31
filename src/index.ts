/**
 * What a host imports: the runtime behind promises ("bursar").
 *
 * Owns: starting and closing a runtime in the host's own process, and sending it signals as they are on the wire:
 * amounts are decimal strings, times are RFC 3339.
 * Does not decide: anything. It is the same runtime that the program serves; "bursar/effect" has it as layers.
 */
import { Deferred, Effect, Exit, ManagedRuntime, Redacted, Result, Scope, Stream } from "effect"
import {
  type AlertsConfig,
  type BursarOptions,
  type Bursar as BursarServices,
  layer,
  serve
} from "./effect.ts"
import { adminKeyIn } from "./runtime/AdminKey.ts"
import { authorize, authorizeTopic } from "./signal/Authorization.ts"
import type { SignalName, SignalParams, SignalPayload, SignalResult } from "./signal/Catalogue.ts"
import { decodePayload, encodeEvent, encodeSuccess, findSignal } from "./signal/Decode.ts"
import { type SignalError, Unavailable } from "./signal/Errors.ts"
import { DEFAULT_TENANT, installationPrincipal, type Principal } from "./signal/Principal.ts"
import { type OpenTopic, type RoutedSignal, SignalRouter } from "./signal/SignalRouter.ts"
import type { Event, EventFilter, Topic } from "./signal/Subscriptions.ts"

export type { SignalParams, SignalResult } from "./signal/Catalogue.ts"
export * from "./signal/Errors.ts"
export type { Topic } from "./signal/Subscriptions.ts"

/** An event of a topic, as it is on the wire. */
export type BursarEvent = { readonly cursor: string | null; readonly event: typeof Event.Encoded }

export interface StartOptions {
  /** Where the embedded store lives, if there is no `databaseUrl`. Default: `./.bursar`. */
  readonly dataDirectory?: string
  readonly databaseUrl?: string
  readonly anthropic?: { readonly apiKey: string; readonly baseUrl?: string }
  readonly openai?: { readonly apiKey: string; readonly baseUrl?: string }
  readonly simulator?: boolean
  /** Where alerts may go. Default: by https to public servers, and no e-mail. */
  readonly alerts?: {
    /** Whether webhooks may go to private addresses, and without TLS. */
    readonly privateTargets?: boolean
    /** Certificates (PEM) that webhooks trust in place of the usual ones. */
    readonly trustedCa?: string
    /** `url`: `smtp://` or `smtps://`, with user and password; `from`: an address. */
    readonly smtp?: { readonly url: string; readonly from: string }
  }
  /** The tenant that this host speaks for. Default: `default`. */
  readonly tenant?: string
  /**
   * Also serve the bridge and the console, for other programs and for people. Port 0 picks a free one. Without an
   * `adminKey`, one is made at the first start and kept in the data directory, as `admin.key`.
   */
  readonly listen?: { readonly host?: string; readonly port?: number; readonly adminKey?: string }
}

export interface SendOptions {
  readonly signal?: AbortSignal
}

export interface SubscribeOptions {
  readonly filter?: typeof EventFilter.Encoded
  readonly fromCursor?: string
}

/** A runtime in this process. */
export interface Bursar {
  /** The bridge's address, where it listens. */
  readonly url: string | undefined
  /** Sends a signal and answers its result. Rejects with one of the errors of this module. */
  readonly send: <Name extends RoutedSignal>(
    name: Name,
    params: SignalParams<Name>,
    options?: SendOptions
  ) => Promise<SignalResult<Name>>
  /** A call whose text is read as it comes. Leaving the loop cancels the call. */
  readonly stream: (params: SignalParams<"complete">) => AsyncIterable<BursarEvent>
  readonly subscribe: (topic: Topic, options?: SubscribeOptions) => AsyncIterable<BursarEvent>
  /** No new work; calls are settled, commits finished, the store closed. */
  readonly close: () => Promise<void>
}

type Provider = { readonly apiKey: string; readonly baseUrl?: string }

const secretly = ({ apiKey, ...rest }: Provider) => ({ ...rest, apiKey: Redacted.make(apiKey) })

const alertsOf = ({ smtp, ...rest }: NonNullable<StartOptions["alerts"]>): AlertsConfig => ({
  ...rest,
  ...(smtp === undefined ? {} : { smtp: { url: Redacted.make(smtp.url), from: smtp.from } })
})

const layerOptions = (options: StartOptions): BursarOptions => ({
  dataDirectory: options.dataDirectory ?? "./.bursar",
  simulator: options.simulator ?? true,
  ...(options.databaseUrl === undefined ? {} : { databaseUrl: Redacted.make(options.databaseUrl) }),
  ...(options.alerts === undefined ? {} : { alerts: alertsOf(options.alerts) }),
  ...(options.anthropic === undefined ? {} : { anthropic: secretly(options.anthropic) }),
  ...(options.openai === undefined ? {} : { openai: secretly(options.openai) })
})

const payloadFor = <Name extends SignalName>(
  name: Name,
  params: SignalParams<Name>,
  principal: Principal
): Effect.Effect<SignalPayload<Name>, SignalError> =>
  Effect.fromResult(
    findSignal(name).pipe(
      Result.flatMap(() => decodePayload(name, params)),
      Result.flatMap((payload) => authorize(name, payload, principal))
    )
  )

const eventsOf = ({ events }: OpenTopic): Stream.Stream<BursarEvent, SignalError> =>
  Stream.map(events, ({ cursor, event }) => ({ cursor, event: encodeEvent(event) }))

const openStream = (params: SignalParams<"complete">, principal: Principal) =>
  Effect.gen(function* () {
    const router = yield* SignalRouter
    const payload = yield* payloadFor("complete", { ...params, stream: true }, principal)
    return eventsOf(yield* router.stream(payload, principal))
  })

const openTopic = (topic: Topic, options: SubscribeOptions, principal: Principal) =>
  Effect.gen(function* () {
    const router = yield* SignalRouter
    yield* Effect.fromResult(authorizeTopic(topic, principal))
    const { filter, from_cursor } = yield* payloadFor(
      "subscribe",
      {
        topic,
        ...(options.filter === undefined ? {} : { filter: options.filter }),
        ...(options.fromCursor === undefined ? {} : { from_cursor: options.fromCursor })
      },
      principal
    )
    return eventsOf(yield* router.subscribe(topic, filter ?? {}, from_cursor, principal))
  })

const listen = ({ host, port, adminKey }: NonNullable<StartOptions["listen"]>, dataDirectory: string) =>
  Effect.gen(function* () {
    const key = adminKey === undefined ? yield* adminKeyIn(dataDirectory) : Redacted.make(adminKey)
    return yield* serve({
      ...(host === undefined ? {} : { host }),
      ...(port === undefined ? {} : { port }),
      adminKey: key
    })
  })

/** Lets a host's promises end with the runtime: what is sent afterwards is refused, subscriptions end. */
class Life {
  readonly #closed = Deferred.makeUnsafe<void>()
  #closing: Promise<void> | undefined

  /** Once, however often it is asked for. */
  end(close: () => Promise<void>): Promise<void> {
    Deferred.doneUnsafe(this.#closed, Effect.void)
    this.#closing ??= close()
    return this.#closing
  }

  readonly check: Effect.Effect<void, Unavailable> = Effect.suspend(() =>
    this.#closing === undefined
      ? Effect.void
      : Effect.fail(new Unavailable({ message: "This runtime was closed: start another", retry_after_ms: 0 }))
  )

  readonly untilClosed: Effect.Effect<void> = Deferred.await(this.#closed)
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

/** Starts a runtime. It is ready when the promise resolves. */
export const startBursar = async (options: StartOptions = {}): Promise<Bursar> => {
  const known = layerOptions(options)
  const runtime = ManagedRuntime.make(layer(known))
  const principal = installationPrincipal(options.tenant ?? DEFAULT_TENANT, "host")
  const scope = Scope.makeUnsafe()
  const life = new Life()
  try {
    const bridge =
      options.listen === undefined
        ? undefined
        : await runtime.runPromise(Scope.provide(listen(options.listen, known.dataDirectory), scope))
    const services = await runtime.context()
    const iterable = (events: Stream.Stream<BursarEvent, SignalError, BursarServices>) =>
      Stream.toAsyncIterableWith(Stream.unwrap(Effect.as(life.check, events)), services)
    return {
      url: bridge?.url,
      send: (name, params, { signal } = {}) => {
        const sent = Effect.gen(function* () {
          yield* life.check
          const router = yield* SignalRouter
          const payload = yield* payloadFor(name, params, principal)
          return encodeSuccess(name, yield* router.ask(name, payload, principal))
        }).pipe(Effect.provideContext(services))
        return promiseOf((given) => Effect.runPromise(sent, given), signal)
      },
      stream: (params) => iterable(Stream.unwrap(openStream(params, principal))),
      subscribe: (topic, given = {}) =>
        iterable(Stream.interruptWhen(Stream.unwrap(openTopic(topic, given, principal)), life.untilClosed)),
      close: () =>
        life.end(async () => {
          await runtime.runPromise(Scope.close(scope, Exit.void))
          await runtime.dispose()
        })
    }
  } catch (error) {
    await runtime.dispose()
    throw error
  }
}
