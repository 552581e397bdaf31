/**
 * One life of a ledger: from its activation until its memory has to be discarded.
 *
 * Owns: the loop of drain, decide, commit, answer. One batch is on its way; the next is decided on top of it, and
 * nothing derived from a batch leaves before that batch is committed.
 * Does not decide: any rule about money (Decide), how a batch reaches the store (Commit), what follows (TokenManager).
 */
import { Cause, type Clock, Effect, Exit, Fiber, Result } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import { reportIncident } from "../actor/Incident.ts"
import type { Mailbox } from "../actor/Mailbox.ts"
import type { BudgetStanding } from "../signal/Budget.ts"
import type { SignalSuccess } from "../signal/Catalogue.ts"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Amount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import { standingOf } from "./BudgetRecord.ts"
import { type CommitOutcome, commit } from "./Commit.ts"
import { decide, type LedgerSignal } from "./Decide.ts"
import { gather, spentBefore } from "./Gather.ts"
import { expireHolds } from "./HoldLife.ts"
import type { Ledger } from "./Ledger.ts"
import type { Batch, Claim, LedgerStore } from "./LedgerStore.ts"
import type { Vitals } from "./Vitals.ts"

/** Signals decided into one batch; more wait for the next. */
export const BATCH_SIGNALS_MAX = 2_000
const RETRY_AFTER_MS = 250
/** The timer's longest sleep, so that a clock that jumped is noticed. */
const SLEEP_MS_MAX = 60_000
const LOOK_UP_PAUSE_MS = 50

/** What subscribers are told, after it is committed. */
export interface CommitObserver {
  readonly isObserved: (tenant: string) => boolean
  readonly committed: (tenant: string, batch: Batch, standings: ReadonlyArray<BudgetStanding>) => void
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
  /** Answers what needs no ledger, and passes on what does. */
  readonly triage: (envelopes: ReadonlyArray<Envelope>) => ReadonlyArray<Envelope<LedgerSignal>>
  /** Answers `Unavailable` to signals that have waited too long. */
  readonly answerOverdue: () => void
}

/** Why a shift ended. `refused`: these signals were together in a batch that the data itself broke. */
export type ShiftEnd =
  | { readonly _tag: "reload" }
  | { readonly _tag: "refused"; readonly envelopes: ReadonlyArray<Envelope<LedgerSignal>> }

export const deliver = (decided: ReadonlyArray<Decided>): void => {
  for (const { envelope, answer } of decided) {
    if (Result.isSuccess(answer)) envelope.succeed(answer.success as never)
    else envelope.fail(answer.failure)
  }
}

export const unavailable = (what: string): Unavailable =>
  new Unavailable({
    message: `${what}; send the same request_id again, nothing is counted twice`,
    retry_after_ms: RETRY_AFTER_MS
  })

const failAll = (decided: ReadonlyArray<Decided>, what: string): void => {
  for (const { envelope } of decided) envelope.fail(unavailable(what))
}

interface OnItsWay {
  readonly fiber: Fiber.Fiber<CommitOutcome>
  readonly decided: ReadonlyArray<Decided>
  readonly batch: Batch
  readonly standings: ReadonlyArray<BudgetStanding>
  readonly openHolds: number
}

class Shift {
  readonly #env: ShiftEnvironment
  readonly #ledger: Ledger
  #claim: Claim
  #pending: Array<Decided> = []
  #onItsWay: OnItsWay | undefined
  #end: ShiftEnd | undefined
  /** A signal waits that can only be decided when nothing is on its way. */
  #needsCalm = false

  constructor(env: ShiftEnvironment, ledger: Ledger, claim: Claim) {
    this.#env = env
    this.#ledger = ledger
    this.#claim = claim
  }

  readonly run: Effect.Effect<ShiftEnd> = Effect.suspend(() => this.#loop()).pipe(
    Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : this.#close()))
  )

  #now(): Millis {
    return this.#env.clock.currentTimeMillisUnsafe()
  }

  #loop() {
    const self = this
    return Effect.gen(function* () {
      while (self.#end === undefined) {
        yield* self.#finishCommit()
        if (self.#end !== undefined) break
        yield* self.#decideWaiting()
        if (self.#end !== undefined) break
        yield* self.#startCommit()
        yield* self.#waitForWork()
      }
      return self.#end
    })
  }

  // --- deciding

  #decideWaiting(): Effect.Effect<void> {
    const self = this
    return Effect.gen(function* () {
      expireHolds(self.#ledger, self.#now())
      const room = BATCH_SIGNALS_MAX - self.#pending.length
      if (room <= 0) return
      const envelopes = self.#env.triage(self.#env.mailbox.takeNow(room))
      self.#needsCalm = false
      if (envelopes.length === 0) return
      const known = yield* Effect.result(gather(self.#env.store, self.#ledger, envelopes))
      if (Result.isFailure(known)) {
        self.#env.mailbox.putBack(envelopes)
        self.#env.answerOverdue()
        yield* Effect.sleep(LOOK_UP_PAUSE_MS)
        return
      }
      yield* self.#decideAll(envelopes)
    })
  }

  #decideAll(envelopes: ReadonlyArray<Envelope<LedgerSignal>>): Effect.Effect<void> {
    const self = this
    return Effect.gen(function* () {
      let index = 0
      while (index < envelopes.length && self.#end === undefined) {
        const envelope = envelopes[index]
        if (envelope === undefined) return
        let spent: Amount = 0n
        if (envelope.name === "create_budget" && self.#ledger.usageSeq > 0) {
          if (self.#onItsWay !== undefined || self.#ledger.hasEntries) {
            self.#env.mailbox.putBack(envelopes.slice(index))
            self.#needsCalm = true
            return
          }
          const before = yield* Effect.result(
            spentBefore(self.#env.store, self.#env.tenant, envelope, self.#now())
          )
          if (Result.isFailure(before)) {
            self.#env.mailbox.putBack(envelopes.slice(index))
            self.#env.answerOverdue()
            yield* Effect.sleep(LOOK_UP_PAUSE_MS)
            return
          }
          spent = before.success
        }
        const defect = self.#decideOne(envelope, spent)
        if (defect !== undefined)
          return yield* self.#abandon(envelope, defect.cause, envelopes.slice(index + 1))
        index += 1
      }
    })
  }

  #decideOne(envelope: Envelope<LedgerSignal>, spent: Amount): { readonly cause: unknown } | undefined {
    try {
      this.#pending.push({ envelope, answer: decide(this.#ledger, envelope, spent, this.#now()) })
      return undefined
    } catch (cause) {
      return { cause }
    }
  }

  /** A rule threw: its ledger cannot be trusted any more. The signal is refused, everything else is decided anew. */
  #abandon(
    poison: Envelope<LedgerSignal>,
    cause: unknown,
    after: ReadonlyArray<Envelope<LedgerSignal>>
  ): Effect.Effect<void> {
    const self = this
    return Effect.gen(function* () {
      poison.fail(yield* reportIncident(`The signal ${poison.name}`, Cause.die(cause)))
      self.#env.mailbox.putBack([...self.#pending.map(({ envelope }) => envelope), ...after])
      self.#pending = []
      if (self.#onItsWay !== undefined) {
        yield* Fiber.await(self.#onItsWay.fiber)
        yield* self.#finishCommit()
      }
      self.#end ??= { _tag: "reload" }
    })
  }

  // --- committing

  #startCommit(): Effect.Effect<void> {
    const self = this
    return Effect.gen(function* () {
      if (self.#onItsWay !== undefined) return
      if (!self.#ledger.hasEntries) {
        deliver(self.#pending)
        self.#pending = []
        return
      }
      const gatherMs = self.#ledger.config.commit_interval_ms
      if (gatherMs > 0 && self.#pending.length < BATCH_SIGNALS_MAX && !self.#needsCalm) {
        yield* Effect.sleep(gatherMs)
        yield* self.#decideWaiting()
        if (self.#end !== undefined) return
      }
      const batch = self.#ledger.seal(crypto.randomUUID())
      const standings = self.#standings(batch)
      const decided = self.#pending
      self.#pending = []
      const fiber = yield* Effect.forkChild(
        Effect.uninterruptible(commit(self.#env.store, self.#claim, batch)),
        {
          startImmediately: true
        }
      )
      self.#onItsWay = { fiber, decided, batch, standings, openHolds: self.#ledger.holds.size }
      self.#env.vitals.pendingCommits = 1
    })
  }

  #standings(batch: Batch): ReadonlyArray<BudgetStanding> {
    if (!this.#env.observer.isObserved(this.#env.tenant)) return []
    const now = this.#now()
    const changed = new Set([
      ...batch.periods.map((period) => period.budgetId),
      ...batch.budgets.map((budget) => budget.id)
    ])
    return [...changed].flatMap((id) => {
      const budget = this.#ledger.budgets.get(id)
      return budget === undefined ? [] : [standingOf(budget, now)]
    })
  }

  #finishCommit(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const done = this.#onItsWay
      const exit = done?.fiber.pollUnsafe()
      if (done === undefined || exit === undefined) return Effect.void
      this.#onItsWay = undefined
      this.#env.vitals.pendingCommits = 0
      if (Exit.isFailure(exit)) return Effect.failCause(exit.cause) as Effect.Effect<never>
      return this.#settle(done, exit.value)
    })
  }

  #settle(done: OnItsWay, outcome: CommitOutcome): Effect.Effect<void> {
    switch (outcome._tag) {
      case "committed": {
        this.#claim = outcome.claim
        const now = this.#now()
        this.#ledger.committed(now)
        this.#env.vitals.committed(done.batch, now, done.openHolds, this.#ledger)
        deliver(done.decided)
        this.#env.observer.committed(this.#env.tenant, done.batch, done.standings)
        return Effect.void
      }
      case "refused":
        this.#env.mailbox.putBack(this.#pending.map(({ envelope }) => envelope))
        this.#pending = []
        this.#end = { _tag: "refused", envelopes: done.decided.map(({ envelope }) => envelope) }
        return Effect.logWarning("the store refused a batch; its signals are tried apart", outcome.error)
      case "lost":
        this.#giveUp(done, `Another process has taken over the tenant ${this.#env.tenant}`)
        return Effect.logWarning(`lost the tenant ${this.#env.tenant} to another owner; loading it again`)
      case "unavailable":
        this.#env.vitals.isReachable = false
        this.#giveUp(done, "The store did not answer, and whether this was recorded is not known")
        return Effect.logError(
          `the store does not answer; the tenant ${this.#env.tenant} is loaded again when it does`
        )
    }
  }

  #giveUp(done: OnItsWay, what: string): void {
    failAll(done.decided, what)
    failAll(this.#pending, what)
    this.#pending = []
    this.#end = { _tag: "reload" }
  }

  // --- waiting

  #waitForWork(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const canDecide = !this.#needsCalm && this.#pending.length < BATCH_SIGNALS_MAX
      if (canDecide && this.#env.mailbox.depth > 0) return Effect.void
      if (this.#needsCalm && this.#onItsWay === undefined) return Effect.void
      const commitDone = this.#onItsWay && Effect.asVoid(Fiber.await(this.#onItsWay.fiber))
      const waits: Array<Effect.Effect<void>> = commitDone === undefined ? [this.#deadline()] : [commitDone]
      if (canDecide) waits.push(this.#env.mailbox.nonEmpty)
      return Effect.raceAllFirst(waits)
    })
  }

  #deadline(): Effect.Effect<void> {
    const next = this.#ledger.deadlines.earliest
    const sleepMs = next === undefined ? SLEEP_MS_MAX : next.at - this.#now()
    return Effect.sleep(Math.min(Math.max(sleepMs, 1), SLEEP_MS_MAX))
  }

  /** Stopping: what is on its way is finished and answered; what is not, was never promised. */
  #close(): Effect.Effect<void> {
    const self = this
    return Effect.gen(function* () {
      if (self.#onItsWay !== undefined) {
        yield* Fiber.await(self.#onItsWay.fiber)
        yield* self.#finishCommit()
      }
      failAll(self.#pending, "The runtime is stopping")
      self.#pending = []
    })
  }
}

/** Runs a ledger until its memory has to be discarded. */
export const runShift = (env: ShiftEnvironment, ledger: Ledger, claim: Claim): Effect.Effect<ShiftEnd> =>
  new Shift(env, ledger, claim).run
