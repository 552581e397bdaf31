/**
 * The port to alerts that are owed to somebody.
 *
 * Owns: taking what is due so that nobody else takes it meanwhile, and what becomes of it.
 * Does not decide: when it is tried again (DeliverySchedule), or how (Webhook, Email).
 *
 * The rows are written by the commit that raised the alert. Whoever takes one moves `due_at` on, by longer than a try
 * can last: when that process dies, the row is due again by itself. So every alert is delivered at least once.
 */
import { Context, type Effect } from "effect"
import type { NewLetter } from "../actor/DeadLetterStore.ts"
import type { Alert } from "../signal/Budget.ts"
import type { Unavailable } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"

export type RecipientKind = "webhook" | "email"

/** One recipient; its deliveries go one after the other. */
export interface Lane {
  readonly tenant: string
  readonly recipientId: string
}

/** What was taken, and the proof that it still is. */
export interface Claimed extends Lane {
  readonly seq: number
  readonly claim: string
}

/** An alert to be delivered now. */
export interface Delivery extends Claimed {
  readonly alert: Alert
  /** Counts tries, this one included. */
  readonly attempt: number
  readonly kind: RecipientKind
  readonly target: string
  /** Sealed; `null` for e-mail. */
  readonly secret: string | null
}

export interface DueQuery {
  readonly kind: RecipientKind
  readonly now: Millis
  /** Lanes that are at work already. */
  readonly busy: ReadonlyArray<Lane>
}

export interface ClaimQuery extends DueQuery {
  /** Until then nobody else takes it. */
  readonly leaseUntil: Millis
  /** A text that no other claim has. */
  readonly claim: string
  readonly limit: number
}

export interface DeliveryCounts {
  readonly pending: number
  /** Those that are kept. */
  readonly deadLetters: number
}

export interface DeliveryStore {
  /** Takes at most one delivery of each lane, of lanes chosen at random, so that none can keep the others waiting. */
  readonly claimDue: (query: ClaimQuery) => Effect.Effect<ReadonlyArray<Delivery>, Unavailable>
  /** When something is due next that nobody works at. */
  readonly nextDueAt: (query: DueQuery) => Effect.Effect<Millis | undefined, Unavailable>
  /** It arrived: it is not owed any more. Says nothing where somebody else has taken it meanwhile; nor do the others. */
  readonly delivered: (claimed: Claimed) => Effect.Effect<void, Unavailable>
  /** It failed: it is due again then. */
  readonly failed: (claimed: Claimed, dueAt: Millis, failure: string) => Effect.Effect<void, Unavailable>
  /** It is given up: it is not owed any more, and in the same moment it is a dead letter among the tenant's others. */
  readonly givenUp: (claimed: Claimed, letter: NewLetter) => Effect.Effect<void, Unavailable>
  /**
   * It is owed again from `now` on, as if it had never been tried; where it is owed already, it stays as it is. False: the
   * tenant has no such recipient any more.
   */
  readonly owedAgain: (
    owed: Lane & { readonly seq: number },
    now: Millis
  ) => Effect.Effect<boolean, Unavailable>
  /** It was not tried after all: as if it had never been taken. */
  readonly released: (claimed: Claimed, now: Millis) => Effect.Effect<void, Unavailable>
  /** Drops what waits for recipients that are not there any more, and says how much of each. */
  readonly dropOrphans: Effect.Effect<ReadonlyArray<Lane & { readonly dropped: number }>, Unavailable>
  readonly counts: (tenant: string) => Effect.Effect<DeliveryCounts, Unavailable>
}

export const DeliveryStore = Context.Service<DeliveryStore>("bursar/alerts/DeliveryStore")
