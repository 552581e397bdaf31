/**
 * The providers of this node, as the composition sees them.
 *
 * Owns: which provider a `complete` goes to, that one request id is one call, and what is said of a provider that
 * is not there.
 * Does not decide: who may call (Authorization), or which model is best.
 */
import { randomUUID } from "node:crypto"
import { Clock, Context, Deferred, Effect, Layer } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { ActorSystem } from "../actor/ActorSystem.ts"
import { CurrentTracing } from "../actor/Tracing.ts"
import { attributionOf } from "../signal/Attribution.ts"
import { type InvalidParams, invalidParam, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Completion } from "../signal/Providers.ts"
import type { OpenTopic } from "../signal/SignalRouter.ts"
import type { Adapter } from "./Adapter.ts"
import { BudgetKeeper, CallObserver, CompletionLog, type FinishedCall } from "./BudgetKeeper.ts"
import { Call, type CallSettings, type CallSurroundings } from "./Call.ts"
import { makeCallMachine } from "./CallMachine.ts"
import { type CompletePayload, digestOf, targetsOf } from "./CallRequest.ts"
import { admission, follow, replay } from "./CallStream.ts"
import { callAddress, type ProviderSurroundings, providerAddress, spawnProvider } from "./ProviderActor.ts"
import { DEFAULT_GUARD, type GuardOptions, makeGuard, type ProviderGuard } from "./ProviderGuard.ts"
import { DEFAULT_RETRY } from "./Retry.ts"
import { RunningCall, RunningCalls, reusedWithOtherContent } from "./RunningCalls.ts"

export interface ProvidersConfig {
  readonly adapters: ReadonlyArray<Adapter>
  /** Providers that could be there, and what configures them: `{ anthropic: "ANTHROPIC_API_KEY" }`. */
  readonly configuredBy?: { readonly [provider: string]: string }
  readonly guard?: Partial<GuardOptions>
  readonly settings?: Partial<CallSettings>
}

const DEFAULT_SETTINGS: CallSettings = {
  retry: DEFAULT_RETRY,
  random: Math.random,
  holdTtlMs: 600_000,
  progressMs: 250,
  windowPieces: 64,
  stallMs: 300_000
}

/** How long the runtime waits for calls to be reported when it ends. */
const SHUTDOWN_MS = 15_000

export interface Providers {
  readonly complete: (
    payload: CompletePayload,
    principal: Principal
  ) => Effect.Effect<Completion, SignalError>
  /**
   * Answers once the call holds its money; a refusal fails here. The text waits for its reader, who must run the
   * events; closing them cancels the call.
   */
  readonly stream: (payload: CompletePayload, principal: Principal) => Effect.Effect<OpenTopic, SignalError>
  /** Whether a call of this id and content runs here, or has an end that is kept. */
  readonly isKnown: (payload: CompletePayload, principal: Principal) => Effect.Effect<boolean, SignalError>
}
export const Providers = Context.Service<Providers>("bursar/provider/Providers")

/** A call to wait for, or one that ended before. */
type Found = { readonly running: RunningCall } | { readonly finished: FinishedCall }

const answerOf = ({ outcome }: FinishedCall): Effect.Effect<Completion, SignalError> =>
  "completion" in outcome ? Effect.succeed(outcome.completion) : Effect.fail(outcome.error)

const makeUnknownProvider = (config: ProvidersConfig, names: ReadonlyArray<string>) => {
  const known = names.length === 0 ? "No provider is configured" : `Configured are: ${names.join(", ")}`
  return (provider: string, path: ReadonlyArray<string | number>): InvalidParams => {
    const variable = config.configuredBy?.[provider]
    const others = Object.entries(config.configuredBy ?? {}).filter(([name]) => !names.includes(name))
    const hint =
      variable !== undefined
        ? `Set ${variable} and start again to use ${provider}`
        : others.map(([name, needed]) => `${needed} configures ${name}`).join(", ")
    return invalidParam(
      path,
      `There is no provider ${JSON.stringify(provider)}. ${known}${hint === "" ? "" : `. ${hint}`}`
    )
  }
}

class Desk {
  readonly #around: ProviderSurroundings
  readonly #calls: CallSurroundings
  readonly #byPayload: WeakMap<CompletePayload, RunningCall>

  constructor(
    around: ProviderSurroundings,
    calls: CallSurroundings,
    byPayload: WeakMap<CompletePayload, RunningCall>
  ) {
    this.#around = around
    this.#calls = calls
    this.#byPayload = byPayload
  }

  /** Joins the call of this id, or takes its answer from before, or starts it. Whoever gets `running` has joined it. */
  open(payload: CompletePayload, principal: Principal, restore: Restore): Effect.Effect<Found, SignalError> {
    return Effect.gen({ self: this }, function* () {
      const { running, log } = this.#around
      const requestId = payload.request_id ?? `req_${randomUUID()}`
      const digest = digestOf(payload)
      const before = yield* running.find(principal.tenant, requestId, digest)
      if (before === undefined && payload.request_id !== undefined) {
        const finished = yield* restore(log.find(principal.tenant, requestId))
        if (finished !== undefined) {
          if (finished.digest !== digest) return yield* reusedWithOtherContent(requestId)
          return { finished }
        }
      }
      // Another may have started it while the log was read. From here to `add` nothing waits.
      const joined = yield* running.find(principal.tenant, requestId, digest)
      if (joined !== undefined) {
        joined.join()
        return { running: joined }
      }
      const started = this.#make(payload, principal, requestId, digest)
      running.add(started)
      started.join()
      return yield* this.#send(started)
    })
  }

  isKnown(payload: CompletePayload, { tenant }: Principal): Effect.Effect<boolean, SignalError> {
    return Effect.gen({ self: this }, function* () {
      const { request_id } = payload
      if (request_id === undefined) return false
      const { running, log } = this.#around
      const digest = digestOf(payload)
      const found = Effect.orElseSucceed(running.find(tenant, request_id, digest), () => undefined)
      if ((yield* found) !== undefined) return true
      const finished = yield* log.find(tenant, request_id)
      return finished?.digest === digest
    })
  }

  #make(payload: CompletePayload, principal: Principal, requestId: string, digest: string): RunningCall {
    const sent: CompletePayload = { ...payload, request_id: requestId }
    const identity = { requestId, principal, attribution: attributionOf(sent) }
    const admitted = Deferred.makeUnsafe<void>()
    const call = new Call(this.#calls, identity, sent, () => Deferred.doneUnsafe(admitted, Effect.void))
    const running = new RunningCall(call, digest, admitted)
    this.#byPayload.set(sent, running)
    return running
  }

  /** Hands the call to its provider. Its answer also goes to whoever joined; a full mailbox refuses it. */
  #send(running: RunningCall): Effect.Effect<Found> {
    return Effect.gen({ self: this }, function* () {
      const { call } = running
      const guard = this.#calls.guards.get(call.payload.provider)
      if (guard === undefined) return yield* Effect.die(new Error("The provider was checked before"))
      const ref = yield* spawnProvider(this.#around, guard)
      const ask = ref
        .ask("complete", call.payload, call.identity.principal)
        .pipe(
          Effect.catch((error) => Effect.sync(() => this.#around.running.end(running, Effect.fail(error))))
        )
      yield* Effect.forkDetach(ask, { startImmediately: true })
      return { running }
    })
  }
}

const makeGuards = Effect.fnUntraced(function* (config: ProvidersConfig) {
  const options = { ...DEFAULT_GUARD, ...config.guard }
  const guards = new Map<string, ProviderGuard>()
  for (const adapter of config.adapters) guards.set(adapter.name, yield* makeGuard(adapter, options))
  return guards
})

type Restore = <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>

/** Whoever leaves early is one less who waits for the call. */
const waitFor = (running: RunningCall, restore: Restore): Effect.Effect<Completion, SignalError> =>
  restore(Deferred.await(running.outcome)).pipe(Effect.ensuring(Effect.sync(() => running.leave())))

const openText = (running: RunningCall, restore: Restore): Effect.Effect<OpenTopic, SignalError> =>
  Effect.suspend(() => {
    let hasLeft = false
    const leaveOnce = (): void => {
      if (hasLeft) return
      hasLeft = true
      reader.close()
      running.leave()
    }
    const reader = running.call.text.open(leaveOnce)
    const leave = Effect.sync(leaveOnce)
    return restore(admission(running)).pipe(
      Effect.as(follow(running, reader, leave)),
      Effect.onExit((exit) => (exit._tag === "Success" ? Effect.void : leave))
    )
  })

export const makeProviders = Effect.fnUntraced(function* (config: ProvidersConfig) {
  const system = yield* ActorSystem
  const clock = yield* Clock.Clock
  const running = new RunningCalls()
  const byPayload = new WeakMap<CompletePayload, RunningCall>()
  const guards = yield* makeGuards(config)
  const names = [...guards.keys()]
  const unknownProvider = makeUnknownProvider(config, names)
  const calls: CallSurroundings = {
    keeper: yield* BudgetKeeper,
    observer: yield* CallObserver,
    guards,
    settings: { ...DEFAULT_SETTINGS, ...config.settings },
    now: () => clock.currentTimeMillisUnsafe(),
    services: yield* Effect.context<never>(),
    tracing: yield* CurrentTracing
  }
  const around: ProviderSurroundings = {
    system,
    log: yield* CompletionLog,
    machine: makeCallMachine(yield* Effect.context<never>()),
    running,
    callOf: (payload) => byPayload.get(payload)
  }
  const desk = new Desk(around, calls, byPayload)

  const open = (
    payload: CompletePayload,
    principal: Principal,
    restore: Restore
  ): Effect.Effect<Found, SignalError> => {
    for (const [index, { provider }] of targetsOf(payload).entries()) {
      const path = index === 0 ? ["provider"] : ["fallback", index - 1, "provider"]
      if (!guards.has(provider)) return Effect.fail(unknownProvider(provider, path))
    }
    return desk.open(payload, principal, restore)
  }

  const shutdown = Effect.suspend(() =>
    Effect.forEach(names, (name) => system.stop(providerAddress(name)), { concurrency: "unbounded" }).pipe(
      Effect.andThen(
        Effect.forEach(running.all, ({ call }) => system.stop(callAddress(call)), {
          concurrency: "unbounded"
        })
      ),
      Effect.timeoutOption(SHUTDOWN_MS)
    )
  )
  yield* Effect.addFinalizer(() => shutdown)

  const providers: Providers = {
    isKnown: (payload, principal) => desk.isKnown(payload, principal),
    complete: (payload, principal) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(open(payload, principal, restore), (found) =>
          "running" in found ? waitFor(found.running, restore) : answerOf(found.finished)
        )
      ),
    stream: (payload, principal) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(open({ ...payload, stream: true }, principal, restore), (found) =>
          "running" in found ? openText(found.running, restore) : Effect.map(answerOf(found.finished), replay)
        )
      )
  }
  return providers
})

/** Stops taking calls and settles those that run before the actors end. */
export const layer = (
  config: ProvidersConfig
): Layer.Layer<Providers, never, ActorSystem | BudgetKeeper | CallObserver | CompletionLog> =>
  Layer.effect(Providers, makeProviders(config)).pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
