/**
 * What a shift of a TokenManager runs in, and what it hands out.
 *
 * Owns: the interfaces to what is around the loop; giving the answers of a batch to whoever asked.
 * Does not decide: when that is (Shift).
 */
import { type Clock, type Effect, type Fiber, Result } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import type { Mailbox } from "../actor/Mailbox.ts"
import type { BudgetStanding } from "../signal/Budget.ts"
import type { SignalSuccess } from "../signal/Catalogue.ts"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import type { AheadAnswers } from "./AheadAnswers.ts"
import type { LedgerSignal } from "./Decide.ts"
import type { Ledger } from "./Ledger.ts"
import type { Batch, LedgerStore } from "./LedgerStore.ts"
import type { RefusalKeeper } from "./RefusalKeeper.ts"
import { refusedIn, toldOf } from "./RefusedCall.ts"
import type { StoreAway } from "./StoreAway.ts"
import type { Vitals } from "./Vitals.ts"

const RETRY_AFTER_MS = 250

/** What subscribers are told, after it is committed. */
export interface CommitObserver {
  readonly isObserved: (tenant: string) => boolean
  readonly committed: (tenant: string, batch: Batch, standings: ReadonlyArray<BudgetStanding>) => void
  /** Periods have ended: that is read off the clock, and nothing was written. */
  readonly reset: (tenant: string, standings: ReadonlyArray<BudgetStanding>) => void
}

export interface Decided {
  readonly envelope: Envelope<LedgerSignal>
  readonly answer: Result.Result<SignalSuccess<LedgerSignal>, SignalError>
}

export interface ShiftEnvironment {
  readonly tenant: string
  readonly store: LedgerStore
  readonly clock: Clock.Clock
  readonly mailbox: Mailbox<Envelope>
  readonly observer: CommitObserver
  readonly vitals: Vitals
  readonly ahead: AheadAnswers
  readonly storeAway: StoreAway
  readonly refusals: RefusalKeeper
  /** Runs beside the loop, and is not interrupted with it. */
  readonly fork: <A>(effect: Effect.Effect<A>) => Fiber.Fiber<A>
  /** Answers what needs no ledger, and passes on what does. */
  readonly triage: (envelopes: ReadonlyArray<Envelope>) => ReadonlyArray<Envelope<LedgerSignal>>
  /** The store is away: admits what may pass without it, answers `Unavailable` to what has waited too long. */
  readonly answerOverdue: () => void
}

/** Why a shift ended. `refused`: these signals were together in a batch that the data itself broke. */
export type ShiftEnd =
  | { readonly _tag: "reload" }
  | { readonly _tag: "refused"; readonly envelopes: ReadonlyArray<Envelope<LedgerSignal>> }

/** A refusal is kept before its answer goes out: who asks for it then, finds it. */
const keepRefusal = (
  { tenant, refusals, clock }: ShiftEnvironment,
  ledger: Ledger,
  envelope: Envelope<LedgerSignal>,
  answer: SignalSuccess<LedgerSignal>
): void => {
  const refused = refusedIn(envelope, answer)
  if (refused !== undefined)
    refusals.note(tenant, toldOf(ledger, envelope, refused), clock.currentTimeMillisUnsafe())
}

export const deliver = (env: ShiftEnvironment, ledger: Ledger, decided: ReadonlyArray<Decided>): void => {
  const { ahead } = env
  for (const { envelope, answer } of decided) {
    if (ahead.size > 0) ahead.settle(envelope, answer)
    if (Result.isSuccess(answer)) {
      keepRefusal(env, ledger, envelope, answer.success)
      envelope.succeed(answer.success as never)
    } else envelope.fail(answer.failure)
  }
}

export const unavailable = (what: string): Unavailable =>
  new Unavailable({
    message: `${what}; send the same request_id again, nothing is counted twice`,
    retry_after_ms: RETRY_AFTER_MS
  })
