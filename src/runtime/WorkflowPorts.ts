/**
 * What workflows are given: this node's providers, their tenant's TokenManager, the commits of this node, and what keys
 * may do now.
 *
 * Owns: how a call is settled that a process left behind when it died, and what tells that a budget may have more room.
 * Does not decide: what a workflow does with either (workflow/).
 */
import { Effect } from "effect"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import { scopedAddress } from "../actor/Address.ts"
import type { KnownKeys } from "../bridge/KnownKeys.ts"
import type { Adapter } from "../provider/Adapter.ts"
import { requestFor } from "../provider/CallRequest.ts"
import type { Providers } from "../provider/Providers.ts"
import { estimatePrompt } from "../provider/TokenEstimate.ts"
import type { BudgetStanding } from "../signal/Budget.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { Conflict, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Batch } from "../tokens/LedgerStore.ts"
import { definitionIdOf } from "../tokens/StandingKey.ts"
import type { Callable } from "../workflow/Models.ts"
import { type KeyStandings, NO_NEWS, type WorkflowPorts } from "../workflow/Ports.ts"
import type { Hub } from "./Hub.ts"
import type { TokenManagers } from "./TokenManagers.ts"

export interface WorkflowSurroundings {
  readonly system: ActorSystem
  readonly providers: Providers
  readonly adapters: ReadonlyArray<Adapter>
  readonly tokenManagers: TokenManagers
  readonly hub: Hub
  readonly keys: KeyStandings
  readonly keyEnds: Pick<KnownKeys, "end" | "onEnd">
}

/** What a call is settled with. */
type Settling = Pick<WorkflowSurroundings, "adapters" | "tokenManagers"> & {
  readonly system: Pick<ActorSystem, "stop">
}

const PLAIN = { tokenFactor: 1 }

/** How often what is held may be something else by the time that it is settled. */
const HOLDS_MAX = 5

/** What a call is expected to have used that nobody hears of: what was sent, as far as anything is known of it. */
const expected = (
  { adapters }: Settling,
  payload: SignalPayload<"complete">,
  hold: { readonly provider: string | null; readonly model: string | null }
) => {
  const target = { provider: hold.provider ?? payload.provider, model: hold.model ?? payload.model }
  const adapter = adapters.find(({ name }) => name === target.provider) ?? PLAIN
  return Effect.map(estimatePrompt(adapter, requestFor(payload, target)), (prompt_tokens) => ({
    ...target,
    prompt_tokens
  }))
}

/**
 * A call that runs here settles itself, and is waited for: when its tenant moves to another node, what it used has to be
 * recorded before the TokenManager here is stopped, or else the next one guesses.
 */
const ended = (
  { system }: Pick<Settling, "system">,
  { request_id }: SignalPayload<"complete">,
  { tenant }: Principal
): Effect.Effect<void> =>
  request_id === undefined
    ? Effect.void
    : Effect.asVoid(system.stop(scopedAddress("call", tenant, request_id)))

/** Until nothing is held. Where it cannot be settled, it says so: nobody takes the money for given back. */
export const settle = (
  around: Settling,
  payload: SignalPayload<"complete">,
  principal: Principal
): Effect.Effect<void, SignalError> =>
  Effect.gen(function* () {
    const { request_id } = payload
    if (request_id === undefined) return
    yield* ended(around, payload, principal)
    const { tokenManagers } = around
    const insider = { ...principal, attribution: {} }
    for (let holds = 0; holds < HOLDS_MAX; holds++) {
      const { open_hold } = yield* tokenManagers.ask("find_request", { request_id }, insider)
      if (open_hold === null) return
      const used = yield* expected(around, payload, open_hold)
      const why = "the process that asked has died"
      yield* tokenManagers.ask("settle_hold", { hold_id: open_hold.hold_id, ...used, why }, principal)
    }
    return yield* new Conflict({
      reason: "request_reused_with_different_content",
      message: `Request ${request_id} has another hold each time that one is settled: is something else using it?`
    })
  })

/** The trail of a tenant is where its workflows are: it tells here what was revoked on any node. */
const endKeysIn = ({ audit }: Batch, { end }: WorkflowSurroundings["keyEnds"]): void => {
  for (const { action, subject, at } of audit)
    if (action === "revoke_key" && subject !== null) end(subject, at)
}

const whereItStands = ({ budget_id, entity_id, remaining }: BudgetStanding) => ({
  budgetId: definitionIdOf(budget_id),
  entityId: entity_id,
  remaining
})

/** What these providers can be called for. */
export const callableBy = (adapters: ReadonlyArray<Adapter>): Callable => ({
  providers: adapters.map(({ name }) => name),
  models: (provider) => adapters.find(({ name }) => name === provider)?.models
})

export const workflowPorts = (around: WorkflowSurroundings): WorkflowPorts => ({
  keys: around.keys,
  calls: {
    ...callableBy(around.adapters),
    complete: (payload, principal) =>
      Effect.onInterrupt(around.providers.complete(payload, principal), () =>
        ended(around, payload, principal)
      ),
    isKnown: (payload, principal) => around.providers.isKnown(payload, principal),
    settle: (payload, principal) => settle(around, payload, principal)
  },
  money: {
    ask: (name, payload, principal) => around.tokenManagers.ask(name, payload, principal),
    onRoom: (tenant, { onNews, onAdmitted }) => {
      const stopped = [
        around.keyEnds.onEnd((id) => onNews({ ...NO_NEWS, endedKeys: [id] })),
        around.hub.listen(tenant, {
          onCommit: (batch, standings) => {
            endKeysIn(batch, around.keyEnds)
            const { budgets, overrides, prices } = batch
            onNews({
              ...NO_NEWS,
              standings: standings.map(whereItStands),
              redefined: budgets.map(({ id }) => definitionIdOf(id)),
              strict: budgets
                .filter(({ isActive, enforcement }) => isActive && enforcement === "hard")
                .map(({ id }) => definitionIdOf(id)),
              approved: overrides.filter(({ status }) => status === "approved").map(({ id }) => id),
              hasNewPrices: prices.length > 0
            })
          },
          onReset: (standings) => onNews({ ...NO_NEWS, standings: standings.map(whereItStands) }),
          onProgress: ({ workflow_id }) => {
            if (workflow_id !== undefined) onAdmitted(workflow_id)
          }
        })
      ]
      return () => {
        for (const stop of stopped) stop()
      }
    }
  }
})
