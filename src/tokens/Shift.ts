/**
 * One life of a ledger: from its activation until its memory has to be discarded.
 *
 * Owns: the loop of drain, decide, commit, answer. One batch is on its way; the next is decided on top of it, and
 * nothing derived from a batch leaves before that batch is committed.
 * Does not decide: any rule about money (Decide), how a batch reaches the store (Commit), what follows (TokenManager).
 */
import { Cause, Effect, Exit, Fiber } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import { reportIncident } from "../actor/Incident.ts"
import type { BudgetStanding } from "../signal/Budget.ts"
import type { Millis } from "../signal/Text.ts"
import { mayGoAhead } from "./AheadAnswers.ts"
import { readBeforehand, readsBeforehand } from "./Beforehand.ts"
import { batchIdOf, type CommitOutcome, commit, confirm } from "./Commit.ts"
import { decide, type LedgerSignal } from "./Decide.ts"
import { type ForgetStep, isOfMemory } from "./ForgetSteps.ts"
import { gather } from "./Gather.ts"
import { expireHolds } from "./HoldLife.ts"
import { type Beforehand, NOTHING_BEFORE } from "./KnownBefore.ts"
import type { Ledger } from "./Ledger.ts"
import type { Batch, Claim } from "./LedgerStore.ts"
import { expireOverrides } from "./Overrides.ts"
import {
  type Decided,
  deliver,
  type ShiftEnd,
  type ShiftEnvironment,
  unavailable
} from "./ShiftEnvironment.ts"
import { ShiftTimer } from "./ShiftTimer.ts"
import { StandingNews } from "./StandingNews.ts"
import { Wakeup } from "./Wakeup.ts"

/** Signals decided into one batch; more wait for the next. */
export const BATCH_SIGNALS_MAX = 2_000
/** Signals decided at once: few enough that, when many wait, the store writes some while others are decided. */
const TAKEN_MAX = 500
const LOOK_UP_PAUSE_MS = 50
/** In async mode: a batch that takes longer to write is one that nothing is answered ahead of any more. */
export const AHEAD_MS_MAX = 1_000

interface OnItsWay {
  readonly fiber: Fiber.Fiber<CommitOutcome>
  readonly since: Millis
  readonly decided: ReadonlyArray<Decided>
  /** Without one, these answers write nothing, and wait for it to be sure that the tenant is still ours. */
  readonly batch: Batch | undefined
  readonly standings: ReadonlyArray<BudgetStanding>
  readonly openHolds: number
}

class Shift {
  readonly #env: ShiftEnvironment
  readonly #ledger: Ledger
  readonly #wakeup = new Wakeup()
  readonly #timer: ShiftTimer
  readonly #news: StandingNews
  #claim: Claim
  /** Taken out of the mailbox, and neither decided nor put back yet. */
  #taken: ReadonlyArray<Envelope<LedgerSignal>> = []
  #pending: Array<Decided> = []
  #onItsWay: OnItsWay | undefined
  #end: ShiftEnd | undefined
  /** A signal waits that can only be decided when nothing is on its way. */
  #needsCalm = false
  #hasGathered = false
  /** The last look-up failed, or the batch that is on its way was not written at once. */
  #isStoreInTrouble = false

  constructor(env: ShiftEnvironment, ledger: Ledger, claim: Claim) {
    this.#env = env
    this.#ledger = ledger
    this.#claim = claim
    this.#timer = new ShiftTimer(env.fork, this.#wakeup.notify)
    this.#news = new StandingNews(ledger, env.tenant, env.observer, this.#now())
  }

  readonly run: Effect.Effect<ShiftEnd> = Effect.suspend(() => {
    this.#env.mailbox.onArrival = this.#wakeup.notify
    return this.#loop()
  }).pipe(
    Effect.onExit((exit) => {
      this.#env.mailbox.onArrival = undefined
      const { disarm } = this.#timer
      return Exit.isSuccess(exit) ? disarm : Effect.andThen(disarm, this.#close())
    })
  )

  #now(): Millis {
    return this.#env.clock.currentTimeMillisUnsafe()
  }

  #loop() {
    const self = this
    return Effect.gen(function* () {
      for (;;) {
        const news = self.#finishCommit({ goesOn: true })
        if (news !== undefined) yield* news
        if (self.#end !== undefined) return self.#end
        const trouble = self.#tellTrouble()
        if (trouble !== undefined) yield* trouble
        if (self.#ledger.isAheadOf(self.#now())) {
          yield* Effect.logWarning("the clock was put back; the tenant is loaded again")
          yield* self.#discard([])
          continue
        }
        expireHolds(self.#ledger, self.#now())
        expireOverrides(self.#ledger, self.#now())
        const envelopes = self.#take()
        self.#taken = envelopes
        if (envelopes.length > 0) yield* self.#decideTaken(envelopes)
        self.#taken = []
        if (self.#end !== undefined) return self.#end
        if (self.#mustGather()) yield* self.#gatherMore()
        else if (!self.#startCommit()) yield* self.#waitForWork()
      }
    })
  }

  /** What was lost or let through while the store was away is said as soon as there is a ledger to raise it. */
  #tellTrouble(): Effect.Effect<void> | undefined {
    const { ahead, storeAway, tenant } = this.#env
    if (this.#isStoreInTrouble || !(ahead.hasLosses || storeAway.hasAdmitted)) return undefined
    const raise: Ledger["raiseAlert"] = (alert) => this.#ledger.raiseAlert(alert)
    const lost = ahead.tellLosses(tenant, raise, this.#now())
    const admitted = storeAway.tellAdmissions(tenant, raise, this.#now())
    return Effect.andThen(lost ?? Effect.void, admitted ?? Effect.void)
  }

  // --- deciding

  #take(): ReadonlyArray<Envelope<LedgerSignal>> {
    const room = Math.min(TAKEN_MAX, BATCH_SIGNALS_MAX - this.#pending.length)
    if (room <= 0 || this.#env.mailbox.depth === 0) return []
    if (this.#needsCalm && (this.#onItsWay !== undefined || this.#ledger.hasEntries)) return []
    this.#needsCalm = false
    return this.#env.triage(this.#env.mailbox.takeNow(room))
  }

  #decideTaken(envelopes: ReadonlyArray<Envelope<LedgerSignal>>): Effect.Effect<void> {
    const lookUp = gather(this.#env.store, this.#ledger, envelopes)
    if (lookUp === undefined) return this.#decideAll(envelopes)
    return Effect.matchEffect(lookUp, {
      onSuccess: () => {
        this.#storeAnswered()
        return this.#decideAll(envelopes)
      },
      onFailure: () => this.#putOff(envelopes)
    })
  }

  #storeAnswered(): void {
    this.#env.vitals.isReachable = true
    if (this.#onItsWay === undefined) this.#isStoreInTrouble = false
  }

  /** The store could not be asked: the signals wait in front, and those that waited too long are told. */
  #putOff(envelopes: ReadonlyArray<Envelope<LedgerSignal>>): Effect.Effect<void> {
    this.#env.vitals.isReachable = false
    this.#isStoreInTrouble = true
    this.#putBack(envelopes)
    this.#env.answerOverdue()
    return Effect.sleep(LOOK_UP_PAUSE_MS)
  }

  #putBack(envelopes: ReadonlyArray<Envelope<LedgerSignal>>): void {
    this.#taken = []
    this.#env.mailbox.putBack(envelopes)
  }

  #decideAll(envelopes: ReadonlyArray<Envelope<LedgerSignal>>): Effect.Effect<void> {
    for (const [index, envelope] of envelopes.entries()) {
      if (needsCalm(envelope, this.#ledger)) return this.#decideCalmly(envelope, envelopes.slice(index))
      const defect = this.#decideOne(envelope, NOTHING_BEFORE, this.#now())
      if (defect !== undefined) return this.#abandon(envelope, defect.cause, envelopes.slice(index + 1))
    }
    return Effect.void
  }

  /** What a signal needs of what was recorded before it is read while nothing is on its way. */
  #decideCalmly(
    envelope: Envelope<LedgerSignal>,
    rest: ReadonlyArray<Envelope<LedgerSignal>>
  ): Effect.Effect<void> {
    if (this.#onItsWay !== undefined || this.#ledger.hasEntries) {
      this.#putBack(rest)
      this.#needsCalm = true
      return Effect.void
    }
    if (envelope.name === "forget_step") return this.#forget(envelope, rest.slice(1))
    // The period whose spending is read must be the one that it is counted in.
    const now = this.#now()
    return Effect.matchEffect(readBeforehand(this.#env.store, this.#ledger, envelope, now), {
      onSuccess: (before) => {
        const defect = this.#decideOne(envelope, before, now)
        return defect === undefined
          ? this.#decideAll(rest.slice(1))
          : this.#abandon(envelope, defect.cause, rest.slice(1))
      },
      onFailure: () => this.#putOff(rest)
    })
  }

  /** The store renames what memory may have: it is read again, as it is where the outcome is not known. */
  #forget(envelope: Envelope<"forget_step">, rest: ReadonlyArray<Envelope<LedgerSignal>>) {
    const step = envelope.payload.step as ForgetStep
    return Effect.matchEffect(this.#env.store.forget(this.#claim, step), {
      onSuccess: (done) => {
        envelope.succeed({ done })
        return isOfMemory(step) ? this.#discard(rest) : this.#decideAll(rest)
      },
      onFailure: () => {
        envelope.fail(unavailable("The store did not do a step of forgetting"))
        return this.#discard(rest)
      }
    })
  }

  #decideOne(
    envelope: Envelope<LedgerSignal>,
    before: Beforehand,
    now: Millis
  ): { readonly cause: unknown } | undefined {
    const { ahead } = this.#env
    let answer: Decided["answer"]
    try {
      answer = decide(this.#ledger, envelope, before, ahead.decidedAt(envelope) ?? now)
    } catch (cause) {
      return { cause }
    }
    if (this.#answersAhead(envelope, now) && !ahead.answer(envelope, answer, now)) return undefined
    this.#pending.push({ envelope, answer })
    return undefined
  }

  /** In async mode, while the journal keeps up; where it does not, signals wait for their commit as in strict mode. */
  #answersAhead({ name }: Envelope<LedgerSignal>, now: Millis): boolean {
    if (this.#env.vitals.config.budget_check_mode !== "async" || !mayGoAhead(name)) return false
    const since = this.#onItsWay?.since ?? now
    return !this.#isStoreInTrouble && now - since < AHEAD_MS_MAX
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
      self.#env.ahead.lose(poison)
      yield* self.#discard(after)
    })
  }

  /** Ends the ledger's life. What is on its way is finished; what was decided on top, and `after`, is decided anew. */
  #discard(after: ReadonlyArray<Envelope<LedgerSignal>>): Effect.Effect<void> {
    this.#putBack([...this.#pending.map(({ envelope }) => envelope), ...after])
    this.#pending = []
    return Effect.andThen(
      this.#awaitCommit(),
      Effect.sync(() => {
        this.#end ??= { _tag: "reload" }
      })
    )
  }

  // --- committing

  #mustGather(): boolean {
    const isWorth = this.#onItsWay === undefined && this.#ledger.hasEntries && !this.#needsCalm
    const isAsync = this.#env.vitals.config.budget_check_mode === "async"
    return isWorth && !isAsync && !this.#hasGathered && this.#ledger.config.commit_interval_ms > 0
  }

  #gatherMore(): Effect.Effect<void> {
    this.#hasGathered = true
    return Effect.sleep(this.#ledger.config.commit_interval_ms)
  }

  /** Sends what was decided on its way, if the way is free; what changed nothing only asks whose the tenant is. */
  #startCommit(): boolean {
    if (this.#onItsWay !== undefined) return false
    this.#hasGathered = false
    if (!this.#ledger.hasEntries && this.#pending.length === 0) {
      this.#news.tellResets(this.#now())
      return this.#needsCalm
    }
    const batch = this.#ledger.hasEntries
      ? this.#ledger.seal(batchIdOf(this.#claim, this.#ledger))
      : undefined
    const standings = batch === undefined ? [] : this.#news.of(batch, this.#now())
    const decided = this.#pending
    this.#pending = []
    const onTrouble = () => {
      this.#isStoreInTrouble = true
    }
    const { store, vitals } = this.#env
    const fiber = this.#env.fork(
      batch === undefined
        ? confirm(store, this.#claim, onTrouble)
        : commit(store, this.#claim, batch, onTrouble)
    )
    const since = this.#now()
    this.#onItsWay = { fiber, since, decided, batch, standings, openHolds: this.#ledger.holds.size }
    if (batch !== undefined) vitals.pendingCommits = 1
    fiber.addObserver(this.#wakeup.notify)
    return true
  }

  /** What is decided already goes to the store at once, and is written while answers go out. */
  #startNextCommit(): void {
    if (this.#ledger.hasEntries && this.#ledger.config.commit_interval_ms === 0) this.#startCommit()
  }

  /**
   * Answers what has been committed. Where there is something to say about it, that is what is returned.
   * `goesOn`: the shift does, and what is decided may go to the store.
   */
  #finishCommit({ goesOn }: { readonly goesOn: boolean }): Effect.Effect<void> | undefined {
    const done = this.#onItsWay
    const exit = done?.fiber.pollUnsafe()
    if (done === undefined || exit === undefined) return undefined
    this.#onItsWay = undefined
    this.#env.vitals.pendingCommits = 0
    return Exit.isSuccess(exit) ? this.#settle(done, exit.value, goesOn) : this.#crash(done, exit.cause)
  }

  /** A defect on the way to the store: whether it was written is not known. */
  #crash(done: OnItsWay, cause: Cause.Cause<never>): Effect.Effect<void> {
    this.#giveUp(done, "The store failed in an unexpected way")
    return Effect.asVoid(reportIncident("A commit", cause))
  }

  #awaitCommit(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#onItsWay === undefined) return Effect.void
      return Effect.andThen(
        Fiber.await(this.#onItsWay.fiber),
        Effect.suspend(() => this.#finishCommit({ goesOn: false }) ?? Effect.void)
      )
    })
  }

  #settle(done: OnItsWay, outcome: CommitOutcome, goesOn: boolean): Effect.Effect<void> | undefined {
    switch (outcome._tag) {
      case "committed":
        this.#claim = outcome.claim
        this.#isStoreInTrouble = false
        if (done.batch !== undefined) this.#learnCommitted(done.batch, done.openHolds)
        if (goesOn) this.#startNextCommit()
        deliver(this.#env, this.#ledger, done.decided)
        if (done.batch !== undefined) this.#news.tell(done.batch, done.standings)
        return undefined
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
        this.#giveUp(done, "The store did not answer, and whether this was recorded is not known", {
          isStoreAway: true
        })
        return Effect.logError(
          `the store does not answer; the tenant ${this.#env.tenant} is loaded again when it does`
        )
    }
  }

  #learnCommitted(batch: Batch, openHolds: number): void {
    const { vitals, storeAway, mailbox } = this.#env
    const now = this.#now()
    this.#ledger.committed(now)
    vitals.committed(batch, now, openHolds, this.#ledger)
    if (batch.config === undefined) return
    storeAway.learn(this.#ledger, batch.config)
    mailbox.resize(batch.config.max_pending)
  }

  /** Whoever waits is told. What was answered ahead is decided again when the tenant is loaded. */
  #giveUp(done: OnItsWay, what: string, { isStoreAway } = { isStoreAway: false }): void {
    const undone = [...done.decided, ...this.#pending].map(({ envelope }) => envelope)
    this.#pending = []
    this.#end = { _tag: "reload" }
    const now = this.#now()
    this.#failOrPutBack(
      undone.filter((envelope) => !(isStoreAway && this.#admitsWithoutStore(envelope, now))),
      what
    )
  }

  #admitsWithoutStore(envelope: Envelope<LedgerSignal>, now: Millis): boolean {
    return !this.#env.ahead.has(envelope) && this.#env.storeAway.admit(envelope, now)
  }

  #failOrPutBack(envelopes: ReadonlyArray<Envelope<LedgerSignal>>, what: string): void {
    const answered = envelopes.filter((envelope) => this.#env.ahead.has(envelope))
    this.#putBack(answered)
    for (const envelope of envelopes) if (!this.#env.ahead.has(envelope)) envelope.fail(unavailable(what))
  }

  // --- waiting

  #waitForWork(): Effect.Effect<void> {
    const canDecide = !this.#needsCalm && this.#pending.length < BATCH_SIGNALS_MAX
    if (canDecide && this.#env.mailbox.depth > 0) return Effect.void
    const holdEnds = this.#ledger.deadlines.earliest?.at ?? Number.POSITIVE_INFINITY
    this.#timer.arm(Math.min(holdEnds, this.#ledger.overrides.nextAt, this.#news.nextAt), this.#now())
    return this.#wakeup.wait
  }

  /**
   * Stopping: what is on its way is finished and answered, and what was answered ahead is written. What is not, was
   * never promised.
   */
  #close(): Effect.Effect<void> {
    return Effect.andThen(
      this.#awaitCommit(),
      Effect.suspend(() => {
        const isPromised = this.#pending.some(({ envelope }) => this.#env.ahead.has(envelope))
        const written =
          this.#end === undefined && isPromised && this.#startCommit() ? this.#awaitCommit() : Effect.void
        return Effect.andThen(
          written,
          Effect.sync(() => this.#leave())
        )
      })
    )
  }

  #leave(): void {
    const refused = this.#end?._tag === "refused" ? this.#end.envelopes : []
    const pending = this.#pending.map(({ envelope }) => envelope)
    const left = [...refused, ...pending, ...this.#taken]
    this.#pending = []
    this.#failOrPutBack(left, "The runtime is stopping")
  }
}

/** Before the first usage there is nothing to read. */
const needsCalm = (envelope: Envelope<LedgerSignal>, ledger: Ledger): boolean =>
  envelope.name === "forget_step" || (ledger.usageSeq > 0 && readsBeforehand(envelope))

/** Runs a ledger until its memory has to be discarded. */
export const runShift = (env: ShiftEnvironment, ledger: Ledger, claim: Claim): Effect.Effect<ShiftEnd> =>
  new Shift(env, ledger, claim).run
