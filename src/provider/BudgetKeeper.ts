/**
 * The ports of provider/: who holds the money, who watches calls, who remembers finished ones.
 *
 * Owns: the interfaces. Does not decide: how they are answered; the composition maps them to the tenant's
 * TokenManager, to the subscriptions and to the store.
 */
import { Context, type Effect } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { ProviderFailed, SignalError } from "../signal/Errors.ts"
import type { Amount } from "../signal/Money.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Completion } from "../signal/Providers.ts"
import type { CallProgress } from "../signal/Subscriptions.ts"
import type { Counts, TokenUsage } from "../signal/Usage.ts"

/** What some counts cost, in the tenant's currency. */
export interface Priced {
  readonly cost: Amount
  readonly currency: string
}

type Ask<Name extends "check_budget" | "extend_hold" | "release_hold" | "track_usage"> = (
  payload: SignalPayload<Name>,
  principal: Principal
) => Effect.Effect<SignalSuccess<Name>, SignalError>

export interface BudgetKeeper {
  readonly check: Ask<"check_budget">
  readonly extend: Ask<"extend_hold">
  readonly release: Ask<"release_hold">
  readonly track: Ask<"track_usage">
  /**
   * The number of a request's next attempt: the first under which nothing is recorded, or that of the guess by which
   * somebody has settled the request meanwhile.
   */
  readonly nextAttempt: (requestId: string, principal: Principal) => Effect.Effect<number, SignalError>
  /** What an attempt amounts to, all of its rows together; `null` where it has none. */
  readonly attempt: (
    requestId: string,
    attempt: number,
    principal: Principal
  ) => Effect.Effect<TokenUsage | null, SignalError>
  /** For showing what a call on its way costs so far. An unpriced model may answer 0. */
  readonly price: (
    provider: string,
    model: string,
    counts: Counts,
    principal: Principal
  ) => Effect.Effect<Priced, SignalError>
}
export const BudgetKeeper = Context.Service<BudgetKeeper>("bursar/provider/BudgetKeeper")

/** Watches calls on their way. It must be quick and must not throw. */
export interface CallObserver {
  readonly progress: (progress: CallProgress, tenant: string) => void
}
export const CallObserver = Context.Service<CallObserver>("bursar/provider/CallObserver")

/** How a call ended for good: a call that was charged ends the same way whenever it is sent again. */
export type CallOutcome = { readonly completion: Completion } | { readonly error: ProviderFailed }

export interface FinishedCall {
  /** Over the content of the request; the same id with another digest is a `Conflict`. */
  readonly digest: string
  readonly outcome: CallOutcome
}

/** Finished calls by tenant and request id. */
export interface CompletionLog {
  readonly find: (tenant: string, requestId: string) => Effect.Effect<FinishedCall | undefined, SignalError>
  readonly save: (
    tenant: string,
    requestId: string,
    finished: FinishedCall
  ) => Effect.Effect<void, SignalError>
}
export const CompletionLog = Context.Service<CompletionLog>("bursar/provider/CompletionLog")
