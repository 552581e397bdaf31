/**
 * What a host imports: the runtime behind promises ("bursar").
 *
 * Owns: starting and closing a runtime in the host's own process, and sending it signals as they are on the wire:
 * amounts are decimal strings, times are RFC 3339.
 * Does not decide: anything. It is the same runtime that the program serves; "bursar/effect" has it as layers.
 */
import { Effect, Exit, ManagedRuntime, Redacted, Result, Schema, Scope, Stream } from "effect"
import { type BursarOptions, layer, serve } from "./effect.ts"
import { newAdminKey } from "./runtime/AdminKey.ts"
import { authorize, authorizeTopic } from "./signal/Authorization.ts"
import type { SignalName, SignalParams, SignalPayload, SignalResult } from "./signal/Catalogue.ts"
import { decodePayload, encodeEvent, encodeSuccess } from "./signal/Decode.ts"
import { InvalidParams, type SignalError } from "./signal/Errors.ts"
import { DEFAULT_TENANT, installationPrincipal, type Principal } from "./signal/Principal.ts"
import { type OpenTopic, type RoutedSignal, SignalRouter } from "./signal/SignalRouter.ts"
import { type Event, EventFilter, type Topic } from "./signal/Subscriptions.ts"

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
  /** The tenant that this host speaks for. Default: `default`. */
  readonly tenant?: string
  /** Also serve the bridge and the console, for other programs and for people. Port 0 picks a free one. */
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

const layerOptions = (options: StartOptions): BursarOptions => ({
  dataDirectory: options.dataDirectory ?? "./.bursar",
  simulator: options.simulator ?? true,
  ...(options.databaseUrl === undefined ? {} : { databaseUrl: Redacted.make(options.databaseUrl) }),
  ...(options.anthropic === undefined ? {} : { anthropic: secretly(options.anthropic) }),
  ...(options.openai === undefined ? {} : { openai: secretly(options.openai) })
})

const payloadFor = <Name extends SignalName>(
  name: Name,
  params: SignalParams<Name>,
  principal: Principal
): Effect.Effect<SignalPayload<Name>, SignalError> =>
  Effect.fromResult(
    Result.flatMap(decodePayload(name, params), (payload) => authorize(name, payload, principal))
  )

const decodeFilter = Schema.decodeUnknownEffect(EventFilter, { errors: "all", onExcessProperty: "error" })

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
    const filter = yield* Effect.mapError(
      decodeFilter(options.filter ?? {}),
      (error) => new InvalidParams({ message: `filter: ${error.message}`, issues: [] })
    )
    return eventsOf(yield* router.subscribe(topic, filter, options.fromCursor, principal))
  })

const listen = ({ host, port, adminKey }: NonNullable<StartOptions["listen"]>) =>
  serve({
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    adminKey: adminKey === undefined ? newAdminKey() : Redacted.make(adminKey)
  })

/** Starts a runtime. It is ready when the promise resolves. */
export const startBursar = async (options: StartOptions = {}): Promise<Bursar> => {
  const runtime = ManagedRuntime.make(layer(layerOptions(options)))
  const principal = installationPrincipal(options.tenant ?? DEFAULT_TENANT, "host")
  const scope = Scope.makeUnsafe()
  const close = async (): Promise<void> => {
    await runtime.runPromise(Scope.close(scope, Exit.void))
    await runtime.dispose()
  }
  try {
    const bridge =
      options.listen === undefined
        ? undefined
        : await runtime.runPromise(Scope.provide(listen(options.listen), scope))
    const services = await runtime.context()
    return {
      url: bridge?.url,
      send: (name, params, { signal } = {}) =>
        runtime.runPromise(
          Effect.gen(function* () {
            const router = yield* SignalRouter
            const payload = yield* payloadFor(name, params, principal)
            return encodeSuccess(name, yield* router.ask(name, payload, principal))
          }),
          signal === undefined ? {} : { signal }
        ),
      stream: (params) => Stream.toAsyncIterableWith(Stream.unwrap(openStream(params, principal)), services),
      subscribe: (topic, given = {}) =>
        Stream.toAsyncIterableWith(Stream.unwrap(openTopic(topic, given, principal)), services),
      close
    }
  } catch (error) {
    await runtime.dispose()
    throw error
  }
}
