/**
 * The port behind which refusals are kept.
 *
 * Owns: what is kept of one, how many of a tenant's, and which refusals are told as one.
 * Does not decide: what is refused (Holding, HoldLife), or when it is written (RefusalKeeper).
 */
import { Context, Effect } from "effect"
import type { Attribution } from "../signal/Attribution.ts"
import type { Unavailable } from "../signal/Errors.ts"
import type { RefusedRequest } from "../signal/KeptRefusals.ts"
import type { Millis } from "../signal/Text.ts"

/** Refusals that are kept of a tenant; the oldest go, and are counted. */
export const REFUSALS_KEPT = 10_000

/** The same refusals within one of these hours of the clock are one. */
export const REFUSAL_WINDOW_MS = 3_600_000

export interface NewRefusal {
  /** What makes refusals of a request the same: who asked, for what and whom, and which budgets or rule said no. */
  readonly digest: string
  readonly firstAt: Millis
  readonly lastAt: Millis
  readonly count: number
  readonly request: RefusedRequest
}

export interface KeptRefusal extends NewRefusal {
  /** The tenant's number of it. */
  readonly seq: number
}

export interface RefusalFilter {
  readonly requestId?: string | undefined
  readonly budgetId?: string | undefined
  readonly from?: Millis | undefined
  readonly to?: Millis | undefined
  readonly attribution?: Attribution | undefined
  /** Only those before this number. */
  readonly before?: number | undefined
  readonly limit: number
}

export interface RefusalPage {
  /** The newest first. */
  readonly refusals: ReadonlyArray<KeptRefusal>
  /** How many of the tenant's are gone because there were too many, or were never kept. */
  readonly dropped: number
}

export interface RefusalStore {
  /**
   * Keeps refusals of one tenant, in their order; each is another one (digest, request and hour). `lost` more could not be
   * kept. One that is there already is counted on, and says what was said last.
   */
  readonly add: (
    tenant: string,
    refusals: ReadonlyArray<NewRefusal>,
    lost: number
  ) => Effect.Effect<void, Unavailable>
  readonly page: (tenant: string, filter: RefusalFilter) => Effect.Effect<RefusalPage, Unavailable>
  /** Other requests in the place of what these refusals say; those that are gone stay gone. */
  readonly rewrite: (
    tenant: string,
    refusals: ReadonlyArray<Pick<KeptRefusal, "seq" | "request">>
  ) => Effect.Effect<void, Unavailable>
  /** How many were refused for the last time before a moment. */
  readonly countOld: (tenant: string, before: Millis) => Effect.Effect<number, Unavailable>
  /** Removes them; that is not counted as dropped. */
  readonly removeOld: (tenant: string, before: Millis) => Effect.Effect<number, Unavailable>
}

export const RefusalStore = Context.Service<RefusalStore>("bursar/tokens/RefusalStore")

/** For a ledger beside which none are kept. */
export const noRefusals: RefusalStore = {
  add: () => Effect.void,
  page: () => Effect.succeed({ refusals: [], dropped: 0 }),
  rewrite: () => Effect.void,
  countOld: () => Effect.succeed(0),
  removeOld: () => Effect.succeed(0)
}

/** The hour of the clock that a refusal is counted in. */
export const hourOf = (at: Millis): number => Math.floor(at / REFUSAL_WINDOW_MS)
