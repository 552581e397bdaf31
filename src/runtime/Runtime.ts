/**
 * The runtime put together: TokenManagers, providers, topics behind one router.
 *
 * Owns: how the parts of the product meet. tokens/ and provider/ know nothing of each other; here a call's
 * questions become asks to its tenant's TokenManager.
 * Does not decide: where money is kept (the store), or how signals come in (bridge/, index.ts).
 */
import { Effect, Layer, Option, type Scope } from "effect"
import { ActorSystem } from "../actor/ActorSystem.ts"
import { DeadLetterStore } from "../actor/DeadLetterStore.ts"
import { DurableMachines } from "../actor/DurableMachines.ts"
import { MachineStore } from "../actor/MachineStore.ts"
import { Placement } from "../actor/Placement.ts"
import { CurrentTracing } from "../actor/Tracing.ts"
import { AlertDelivery } from "../alerts/AlertDelivery.ts"
import type { DeliveryStore } from "../alerts/DeliveryStore.ts"
import type { InstallationSecret } from "../bridge/InstallationSecret.ts"
import { KeyAudit } from "../bridge/KeyAudit.ts"
import { KnownKeys } from "../bridge/KnownKeys.ts"
import { UserDisguise } from "../bridge/UserDisguise.ts"
import { BudgetKeeper, CallObserver, type CompletionLog } from "../provider/BudgetKeeper.ts"
import { Providers, type ProvidersConfig, layer as providersLayer } from "../provider/Providers.ts"
import { SIMULATOR_PRICES } from "../provider/SimulatorModels.ts"
import { SignalRouter } from "../signal/SignalRouter.ts"
import { LedgerStore } from "../tokens/LedgerStore.ts"
import type { PseudonymStore } from "../tokens/PseudonymStore.ts"
import { RefusalStore } from "../tokens/RefusalStore.ts"
import type { TokenManagerOptions } from "../tokens/TokenManager.ts"
import { WORKFLOW } from "../workflow/WorkflowAddress.ts"
import { type Declared, makeWorkflows } from "../workflow/Workflows.ts"
import { type AlertsConfig, alertsLayer, observedBy } from "./Alerts.ts"
import { makeCostSoFar } from "./CostSoFar.ts"
import { Disguise } from "./Disguise.ts"
import { makeEndedMachines } from "./EndedMachines.ts"
import { Hub } from "./Hub.ts"
import { keyStandings } from "./KeyStandings.ts"
import { claimedHere, placedTokenManagers, tokenManagerResident } from "./PlacedActors.ts"
import { makePseudonyms } from "./Pseudonyms.ts"
import { makeRefusals } from "./RefusalCount.ts"
import { makeRouter } from "./Router.ts"
import { makeTokenManagers, type TokenManagers } from "./TokenManagers.ts"
import { tracedRouter } from "./TracedRouter.ts"
import { makeUserTraces } from "./UserTraces.ts"
import { workflowPorts } from "./WorkflowPorts.ts"
import type { WorkflowFeed } from "./WorkflowsTopic.ts"

export interface RuntimeConfig {
  readonly providers: ProvidersConfig
  readonly alerts?: AlertsConfig
  /** Workflows that can be started by their name, once they are checked. */
  readonly workflows?: Declared
  /** How many workflows of a tenant may be open at once. Default: 10,000. */
  readonly openWorkflowsMax?: number | undefined
  readonly version: string
}

/** A call may have begun before its tenant began to anonymise users. */
const disguised = (tokenManagers: TokenManagers, disguise: Disguise): TokenManagers => ({
  ask: (name, payload, principal) =>
    disguise.ask(name, payload, principal, (shown, who) => tokenManagers.ask(name, shown, who))
})

const keeperOf = (tokenManagers: TokenManagers): BudgetKeeper => ({
  check: (payload, principal) => tokenManagers.ask("check_budget", payload, principal),
  extend: (payload, principal) => tokenManagers.ask("extend_hold", payload, principal),
  release: (payload, principal) => tokenManagers.ask("release_hold", payload, principal),
  track: (payload, principal) => tokenManagers.ask("track_usage", payload, principal),
  nextAttempt: (request_id, principal) =>
    Effect.map(
      tokenManagers.ask("find_request", { request_id }, { ...principal, attribution: {} }),
      ({ next_attempt }) => next_attempt
    ),
  attempt: (request_id, attempt, principal) =>
    Effect.map(
      tokenManagers.ask("find_attempt", { request_id, attempt }, { ...principal, attribution: {} }),
      ({ usage }) => usage
    ),
  price: makeCostSoFar(tokenManagers)
})

/** Keys are the bridge's; their trail is their tenant's. */
const keyAuditOf = (tokenManagers: TokenManagers): KeyAudit => ({
  record: ({ action, principal, tenant, keyId, before, after }) =>
    Effect.asVoid(
      tokenManagers.ask(
        "record_audit",
        { request_id: `${action} ${keyId}`, action, subject: keyId, before, after },
        { ...principal, tenant }
      )
    )
})

/** The TokenManagers of this node, or of all nodes where there are several. */
const makeTenants = (
  options: Omit<TokenManagerOptions, "tenant">,
  hub: Hub,
  feed: WorkflowFeed
): Effect.Effect<TokenManagers, never, ActorSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const found = yield* Effect.serviceOption(Placement)
    if (Option.isNone(found)) return makeTokenManagers(system, options)
    const placement = found.value
    const local = makeTokenManagers(system, { ...options, store: claimedHere(options.store, placement) })
    const env = { store: options.store, hub, system, feed }
    yield* placement.host(tokenManagerResident(local, env, placement))
    return placedTokenManagers(system, placement)
  })

/** Before providers end: what is on its way is interrupted and settled, and nobody sends it again meanwhile. */
const stopWorkflows = (system: ActorSystem): Effect.Effect<void> =>
  Effect.forEach(
    system.entries().filter(({ address }) => address.kind === WORKFLOW),
    ({ address }) => system.stop(address),
    { concurrency: "unbounded", discard: true }
  )

/** Everything that answers signals. With a `Placement` around it, it is one node of several. */
export const layer = (
  config: RuntimeConfig
): Layer.Layer<
  SignalRouter | KeyAudit | UserDisguise,
  never,
  | ActorSystem
  | LedgerStore
  | PseudonymStore
  | CompletionLog
  | DeliveryStore
  | DeadLetterStore
  | RefusalStore
  | InstallationSecret
  | KnownKeys
  | DurableMachines
  | MachineStore
> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const store = yield* LedgerStore
      const letters = yield* DeadLetterStore
      const refusals = yield* makeRefusals(yield* RefusalStore)
      const hub = new Hub()
      const keyEnds = yield* KnownKeys
      const keys = keyStandings(keyEnds)
      const alerts = yield* AlertDelivery
      const placement = Option.getOrUndefined(yield* Effect.serviceOption(Placement))
      const disguise = new Disguise(yield* makePseudonyms, { isAlone: placement === undefined })
      const machines = yield* DurableMachines
      const feed: WorkflowFeed = {
        machines,
        store: yield* MachineStore,
        isShared: placement !== undefined
      }
      const tokenManagers = yield* makeTenants(
        {
          store,
          builtInPrices: SIMULATOR_PRICES,
          version: config.version,
          observer: observedBy(hub, alerts, disguise.pseudonyms),
          traces: makeUserTraces({ system, machines, store: feed.store, letters, refusals }),
          refusals,
          endedMachines: makeEndedMachines(feed.store),
          onLoaded: (tenant, { anonymize_users }) => {
            disguise.pseudonyms.configured(tenant, anonymize_users)
            machines.tenantLoaded(tenant)
          }
        },
        hub,
        feed
      )
      const ports = Layer.mergeAll(
        Layer.succeed(BudgetKeeper, keeperOf(disguised(tokenManagers, disguise))),
        Layer.succeed(CallObserver, { progress: hub.progress })
      )
      const router = Layer.effect(
        SignalRouter,
        Effect.gen(function* () {
          const providers = yield* Providers
          const { adapters } = config.providers
          const ports = workflowPorts({
            system,
            providers,
            adapters,
            tokenManagers: disguised(tokenManagers, disguise),
            hub,
            keys,
            keyEnds
          })
          const workflows = yield* makeWorkflows(
            ports,
            config.workflows ?? new Map(),
            config.openWorkflowsMax
          )
          yield* Effect.addFinalizer(() => stopWorkflows(system))
          const tracing = yield* CurrentTracing
          const answering = makeRouter({
            system,
            store,
            hub,
            tokenManagers,
            providers,
            letters,
            keys,
            alerts,
            workflows,
            feed,
            disguise,
            placement
          })
          return tracing === undefined ? answering : tracedRouter(answering, tracing)
        })
      )
      return router.pipe(
        Layer.provide(providersLayer(config.providers)),
        Layer.provide(ports),
        Layer.merge(Layer.succeed(KeyAudit, keyAuditOf(tokenManagers))),
        Layer.merge(
          Layer.succeed(UserDisguise, {
            attribution: (tenant, attribution) => disguise.attribution(tenant, attribution),
            onKeysEnded: (listener) => disguise.onKeysEnded(listener),
            letter: (principal, params, use) => disguise.letter(principal, params, use)
          })
        )
      )
    })
  ).pipe(Layer.provide(alertsLayer(config.alerts ?? {})))
