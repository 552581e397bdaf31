/**
 * The ports of workflow/: who makes calls, who keeps the money, who tells of changes of budgets, who knows keys.
 *
 * Owns: the interfaces. Does not decide: how they are answered; the composition maps them to this node's providers, to
 * the tenant's TokenManager, to the commits of this node and to the keys in the store.
 */
import type { Effect } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError, Unavailable } from "../signal/Errors.ts"
import type { Amount } from "../signal/Money.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Completion } from "../signal/Providers.ts"
import type { Millis } from "../signal/Text.ts"

/** What makes calls, each with its hold and its reports. */
export interface AgentCalls {
  /** The names of the providers that there are. */
  readonly providers: ReadonlyArray<string>
  /** All models of a provider, where it knows them. */
  readonly models: (provider: string) => ReadonlyArray<string> | undefined
  readonly complete: (
    payload: SignalPayload<"complete">,
    principal: Principal
  ) => Effect.Effect<Completion, SignalError>
  /** Whether the call of this request runs here, or has an end that is kept: then `complete` answers it. */
  readonly isKnown: (
    payload: SignalPayload<"complete">,
    principal: Principal
  ) => Effect.Effect<boolean, SignalError>
  /**
   * Ends the call of this request, if it runs here. What a process that died still holds for it is settled: it was
   * admitted, so it was most likely sent, and its input is charged as `estimated`.
   */
  readonly settle: (
    payload: SignalPayload<"complete">,
    principal: Principal
  ) => Effect.Effect<void, SignalError>
}

export type MoneySignal =
  | "create_budget"
  | "update_budget"
  | "check_budget"
  | "calculate_cost"
  | "get_budget_status"
  | "request_override"
  | "list_overrides"
  | "find_request"
  | "find_adjustments"
  | "raise_alert"

export interface WorkflowMoney {
  readonly ask: <Name extends MoneySignal>(
    name: Name,
    payload: SignalPayload<Name>,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<Name>, SignalError>
  /** Tells what is committed on this node, which is where the tenant's TokenManager is. Returns how to stop. */
  readonly onRoom: (tenant: string, listener: RoomListener) => () => void
}

/** What was committed, as far as it may give somebody room. */
export interface RoomNews {
  readonly standings: ReadonlyArray<{
    readonly budgetId: string
    readonly entityId: string | null
    readonly remaining: Amount
  }>
  /** Budgets whose rules have changed. */
  readonly redefined: ReadonlyArray<string>
  /** Those of them that refuse what does not fit, as before: where they stand says all. */
  readonly strict: ReadonlyArray<string>
  /** Overrides that were approved. */
  readonly approved: ReadonlyArray<string>
  readonly hasNewPrices: boolean
  /** Keys that have ended: who was started by one goes on to its end. */
  readonly endedKeys: ReadonlyArray<string>
}

export const NO_NEWS: RoomNews = {
  standings: [],
  redefined: [],
  strict: [],
  approved: [],
  hasNewPrices: false,
  endedKeys: []
}

export interface RoomListener {
  readonly onNews: (news: RoomNews) => void
  /** A call of this workflow has its hold. */
  readonly onAdmitted: (workflowId: string) => void
}

/** Whoever a key speaks for now, or how it ended. Who speaks without a key is whoever it was. */
export type KeyStanding =
  | {
      readonly holder: Principal
      /** When it ends by itself; absent where it does not. */
      readonly expiresAt?: Millis
    }
  | { readonly ended: "revoked" | "expired" | "unknown" }

export interface KeyStandings {
  /** As it is now; where another node has ended the key, as it was no longer than `freshMs` ago (30 s, and never more). */
  readonly of: (principal: Principal, freshMs?: Millis) => Effect.Effect<KeyStanding, Unavailable>
}

export interface WorkflowPorts {
  readonly keys: KeyStandings
  readonly calls: AgentCalls
  readonly money: WorkflowMoney
}
