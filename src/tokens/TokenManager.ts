/**
 * One tenant's TokenManager: the only writer of that tenant's money.
 *
 * Owns: the actor: activation from the store, shift after shift, and what is answered without a ledger.
 * Does not decide: any rule about money (Decide), when a batch is written (Shift).
 */
import { randomBytes } from "node:crypto"
import { Cause, Clock, Effect, Exit, Option, Result, Semaphore } from "effect"
import type { ActorContext, ActorOptions } from "../actor/ActorSystem.ts"
import { type Address, tenantAddress } from "../actor/Address.ts"
import type { Envelope } from "../actor/Envelope.ts"
import { reportIncident } from "../actor/Incident.ts"
import { UnknownSignal } from "../signal/Errors.ts"
import type { ManagerConfig } from "../signal/Management.ts"
import { countOfAmount, formatAmount } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import { notAnonymised } from "../signal/Pseudonym.ts"
import type { Millis } from "../signal/Text.ts"
import { findAdjustments } from "./AdjustmentQuery.ts"
import { AheadAnswers } from "./AheadAnswers.ts"
import { namesUser } from "./Anonymity.ts"
import { getAuditTrail } from "./AuditQuery.ts"
import { cleanup } from "./Cleanup.ts"
import { PATIENCE_MS } from "./Commit.ts"
import { LEDGER_SIGNALS, type LedgerSignal } from "./Decide.ts"
import { type EndedMachines, noMachines } from "./EndedMachines.ts"
import { forget, nothingElse } from "./Forget.ts"
import { KEPT_PERIODS_MS, Ledger } from "./Ledger.ts"
import type { LedgerStore } from "./LedgerStore.ts"
import { listOverrides } from "./OverrideQuery.ts"
import { type Activate, quarantine } from "./Quarantine.ts"
import { RefusalKeeper } from "./RefusalKeeper.ts"
import { listRefusals } from "./RefusalQuery.ts"
import { noRefusals } from "./RefusalStore.ts"
import { runShift } from "./Shift.ts"
import { type CommitObserver, type ShiftEnvironment, unavailable } from "./ShiftEnvironment.ts"
import { ADMITTED_AFTER_MS, StoreAway } from "./StoreAway.ts"
import { getUsage } from "./UsageQuery.ts"
import type { UserTraces } from "./UserTraces.ts"
import { Vitals } from "./Vitals.ts"

export interface TokenManagerOptions {
  readonly tenant: string
  readonly store: LedgerStore
  readonly builtInPrices: ReadonlyArray<Price>
  readonly version: string
  readonly observer: CommitObserver
  /** What else names users, beside the ledger. */
  readonly traces?: UserTraces
  /** What had ended goes with a cleanup. */
  readonly endedMachines?: EndedMachines
  /** Where refusals are kept. */
  readonly refusals?: RefusalKeeper
  /** Hears how the tenant is configured, each time that it is loaded. */
  readonly onLoaded?: (tenant: string, config: ManagerConfig) => void
}

const SALT_BYTES = 32
const makeSalt = (): string => randomBytes(SALT_BYTES).toString("hex")

const READS_AT_ONCE = 8
/** For a ledger beside which nothing is kept. */
const FORGETFUL = new RefusalKeeper(noRefusals)
const PING_MS = 1_000
const ACTIVATION_PAUSE_MS_MAX = 1_000

const isLedgerSignal = (envelope: Envelope): envelope is Envelope<LedgerSignal> =>
  (LEDGER_SIGNALS as ReadonlyArray<string>).includes(envelope.name)

type Fork = ShiftEnvironment["fork"]

/** What outlives a restart of the actor. */
interface Memory {
  readonly ahead: AheadAnswers
  readonly storeAway: StoreAway
}

class TokenManager {
  readonly #options: TokenManagerOptions
  readonly #context: ActorContext
  readonly #clock: Clock.Clock
  readonly #vitals: Vitals
  readonly #reads = Semaphore.makeUnsafe(READS_AT_ONCE)
  /** One at a time: each takes the rows that are the oldest. */
  readonly #cleanups = Semaphore.makeUnsafe(1)
  readonly #fork: Fork
  readonly #ahead: AheadAnswers
  readonly #storeAway: StoreAway

  constructor(
    options: TokenManagerOptions,
    context: ActorContext,
    clock: Clock.Clock,
    fork: Fork,
    { ahead, storeAway }: Memory
  ) {
    this.#ahead = ahead
    this.#storeAway = storeAway
    this.#options = options
    this.#context = context
    this.#clock = clock
    this.#vitals = new Vitals(clock.currentTimeMillisUnsafe())
    this.#vitals.config = storeAway.lastKnownConfig ?? this.#vitals.config
    this.#fork = fork
  }

  readonly run: Effect.Effect<void> = Effect.suspend(() => {
    const env = this.#environment()
    const activate = this.#activate(env)
    const failEnvelopes = (envelopes: ReadonlyArray<Envelope>) => this.#failEnvelopes(envelopes)
    return Effect.gen(function* () {
      while (true) {
        const { ledger, claim } = yield* activate
        env.mailbox.resize(ledger.config.max_pending)
        const end = yield* runShift(env, ledger, claim)
        if (end._tag !== "refused") continue
        if (end.envelopes.length === 0)
          return yield* Effect.die(new Error("the store refuses what no signal caused"))
        yield* quarantine(env, activate, end.envelopes).pipe(
          Effect.onError(() => Effect.sync(() => failEnvelopes(end.envelopes)))
        )
      }
    }).pipe(Effect.onExit((exit) => this.#leave(exit)))
  })

  #failEnvelopes(envelopes: ReadonlyArray<Envelope>): void {
    this.#context.ref.mailbox.putBack(envelopes.filter((envelope) => this.#ahead.has(envelope)))
    for (const envelope of envelopes) {
      if (!this.#ahead.has(envelope)) envelope.fail(unavailable("The runtime is stopping"))
    }
  }

  /** A crash is followed by another life, which finds in the mailbox what was answered ahead; a stop is not. */
  #leave(exit: Exit.Exit<void>): Effect.Effect<void> {
    if (this.#context.goesOn || Exit.isSuccess(exit) || !Cause.hasInterruptsOnly(exit.cause))
      return Effect.void
    this.#ahead.loseAll()
    return this.#ahead.tellLosses(this.#options.tenant) ?? Effect.void
  }

  #environment(): ShiftEnvironment {
    const { tenant, store, observer, refusals = FORGETFUL } = this.#options
    return {
      tenant,
      store,
      clock: this.#clock,
      mailbox: this.#context.ref.mailbox,
      observer,
      vitals: this.#vitals,
      ahead: this.#ahead,
      storeAway: this.#storeAway,
      refusals,
      fork: this.#fork,
      triage: (envelopes) => this.#triage(envelopes),
      answerOverdue: () => this.#answerOverdue()
    }
  }

  /** Claims the tenant and reads it, for as long as it takes; who waits too long meanwhile is told `Unavailable`. */
  #activate(env: ShiftEnvironment): Activate {
    const self = this
    return Effect.gen(function* () {
      self.#vitals.isLoaded = false
      for (let pauseMs = 20; ; pauseMs = Math.min(pauseMs * 2, ACTIVATION_PAUSE_MS_MAX)) {
        const loaded = yield* Effect.result(self.#load())
        if (Result.isSuccess(loaded)) return loaded.success
        if (loaded.failure._tag === "StoreUnreachable") {
          self.#vitals.isReachable = false
          yield* Effect.logWarning(`the tenant ${env.tenant} cannot be loaded yet`, loaded.failure)
        }
        self.#answerOverdue()
        yield* Effect.sleep(pauseMs)
      }
    })
  }

  #load() {
    const self = this
    const { tenant, store, builtInPrices } = this.#options
    return Effect.gen(function* () {
      const claim = yield* store.claim(tenant, crypto.randomUUID())
      const liveAfter = self.#clock.currentTimeMillisUnsafe() - KEPT_PERIODS_MS
      const snapshot = yield* store.load(claim, liveAfter)
      const ledger = new Ledger(tenant, snapshot, builtInPrices, makeSalt, liveAfter)
      self.#vitals.loaded(ledger)
      self.#storeAway.learn(ledger, ledger.config)
      self.#options.onLoaded?.(tenant, ledger.config)
      return { ledger, claim }
    })
  }

  /** What was answered ahead keeps waiting for the store: nobody waits for its answer. */
  #answerOverdue(): void {
    const { mailbox } = this.#context.ref
    const now = this.#clock.currentTimeMillisUnsafe()
    const waiting = this.#triage(mailbox.takeNow(Number.POSITIVE_INFINITY))
    mailbox.putBack(waiting.filter((envelope) => !this.#isAnsweredWithoutStore(envelope, now)))
  }

  #isAnsweredWithoutStore(envelope: Envelope<LedgerSignal>, now: Millis): boolean {
    const waitedMs = now - envelope.sentAt
    if (waitedMs < ADMITTED_AFTER_MS || this.#ahead.has(envelope)) return false
    if (!this.#vitals.isReachable && this.#storeAway.admit(envelope, now)) return true
    if (waitedMs < PATIENCE_MS) return false
    envelope.fail(unavailable("The store cannot be reached"))
    return true
  }

  /** Reads go to the store beside the loop; what the ledger decides is passed on. */
  #triage(envelopes: ReadonlyArray<Envelope>): ReadonlyArray<Envelope<LedgerSignal>> {
    const forLedger: Array<Envelope<LedgerSignal>> = []
    for (const envelope of envelopes) {
      if (isLedgerSignal(envelope)) forLedger.push(envelope)
      else if (this.#vitals.config.anonymize_users && namesUser(envelope)) envelope.fail(notAnonymised())
      else if (envelope.name === "get_status") this.#readFor(envelope, this.#answerStatus(envelope), false)
      else if (envelope.name === "get_usage") this.#readFor(envelope, this.#answerUsage(envelope))
      else if (envelope.name === "cleanup_old_data") this.#readFor(envelope, this.#answerCleanup(envelope))
      else if (envelope.name === "forget_named") this.#readFor(envelope, this.#answerForget(envelope))
      else if (envelope.name === "get_audit_trail") this.#readFor(envelope, this.#answerAudit(envelope))
      else if (envelope.name === "list_overrides") this.#readFor(envelope, this.#answerOverrides(envelope))
      else if (envelope.name === "find_adjustments")
        this.#readFor(envelope, this.#answerAdjustments(envelope))
      else if (envelope.name === "list_refusals") this.#readFor(envelope, this.#answerRefusals(envelope))
      else {
        envelope.fail(
          new UnknownSignal({
            signal: envelope.name,
            message: `A TokenManager does not answer ${envelope.name}`
          })
        )
      }
    }
    return forLedger
  }

  /**
   * Whoever asked is answered, whatever happens to the read. It sees all that was answered before it was sent: in
   * async mode it waits until that is in the store.
   */
  #readFor(envelope: Envelope, read: Effect.Effect<void>, isPatient = true): void {
    const told = Effect.catchCause(this.#afterCatchingUp(envelope, read, isPatient), (cause) =>
      Effect.map(reportIncident(`The signal ${envelope.name}`, cause), (error) => envelope.fail(error))
    )
    this.#fork(told)
  }

  #afterCatchingUp(envelope: Envelope, read: Effect.Effect<void>, isPatient: boolean): Effect.Effect<void> {
    const caughtUp = this.#ahead.caughtUp
    if (caughtUp === undefined) return read
    const tooLong = Effect.sync(() =>
      envelope.fail(
        unavailable("What was answered before is not in the store yet, and the store does not answer")
      )
    )
    return Effect.timeoutOption(caughtUp, isPatient ? PATIENCE_MS : PING_MS).pipe(
      Effect.flatMap((done) => (isPatient && Option.isNone(done) ? tooLong : read))
    )
  }

  #answerCleanup(envelope: Envelope<"cleanup_old_data">): Effect.Effect<void> {
    const { tenant, store, endedMachines: machines = noMachines, refusals = FORGETFUL } = this.#options
    const work = Effect.suspend(() => {
      const now = this.#clock.currentTimeMillisUnsafe()
      const retentionDays = this.#vitals.config.retention_days
      const env = { store, tenant, ref: this.#context.ref, machines, refusals, now, retentionDays }
      return cleanup(env, envelope.payload, envelope.principal)
    })
    return this.#cleanups
      .withPermits(1)(work)
      .pipe(
        Effect.match({
          onSuccess: (answer) => envelope.succeed(answer),
          onFailure: (error) =>
            envelope.fail(
              error._tag === "StoreUnreachable" ? unavailable("The store cannot be reached") : error
            )
        })
      )
  }

  /** Never beside a cleanup: each counts on the rows that the other changes. */
  #answerForget(envelope: Envelope<"forget_named">): Effect.Effect<void> {
    const { tenant, store, traces = nothingElse } = this.#options
    const env = { store, tenant, ref: this.#context.ref, traces }
    return this.#cleanups
      .withPermits(1)(forget(env, envelope.payload, envelope.principal))
      .pipe(
        Effect.match({
          onSuccess: (answer) => envelope.succeed(answer),
          onFailure: (error) =>
            envelope.fail(
              error._tag === "StoreUnreachable" ? unavailable("The store cannot be reached") : error
            )
        })
      )
  }

  #answerUsage(envelope: Envelope<"get_usage">): Effect.Effect<void> {
    const { tenant, store } = this.#options
    return this.#reads
      .withPermits(1)(getUsage(store, tenant, this.#vitals.config.currency, envelope.payload))
      .pipe(
        Effect.match({
          onSuccess: (page) => envelope.succeed(page),
          onFailure: (error) =>
            envelope.fail(error._tag === "InvalidParams" ? error : unavailable("The store cannot be reached"))
        })
      )
  }

  #answerAdjustments(envelope: Envelope<"find_adjustments">): Effect.Effect<void> {
    const { tenant, store } = this.#options
    return this.#reads
      .withPermits(1)(findAdjustments(store, tenant, envelope.payload))
      .pipe(
        Effect.match({
          onSuccess: (page) => envelope.succeed(page),
          onFailure: () => envelope.fail(unavailable("The store cannot be reached"))
        })
      )
  }

  #answerAudit(envelope: Envelope<"get_audit_trail">): Effect.Effect<void> {
    const { tenant, store } = this.#options
    return this.#reads
      .withPermits(1)(getAuditTrail(store, tenant, envelope.payload))
      .pipe(
        Effect.match({
          onSuccess: (page) => envelope.succeed(page),
          onFailure: (error) =>
            envelope.fail(error._tag === "InvalidParams" ? error : unavailable("The store cannot be reached"))
        })
      )
  }

  #answerOverrides(envelope: Envelope<"list_overrides">): Effect.Effect<void> {
    const now = this.#clock.currentTimeMillisUnsafe()
    const { tenant, store } = this.#options
    const { payload, principal } = envelope
    return this.#reads
      .withPermits(1)(listOverrides(store, tenant, payload, principal, now))
      .pipe(
        Effect.match({
          onSuccess: (page) => envelope.succeed(page),
          onFailure: (error) =>
            envelope.fail(error._tag === "InvalidParams" ? error : unavailable("The store cannot be reached"))
        })
      )
  }

  #answerRefusals(envelope: Envelope<"list_refusals">): Effect.Effect<void> {
    const { tenant, refusals = FORGETFUL } = this.#options
    return this.#reads
      .withPermits(1)(listRefusals(refusals, tenant, envelope.payload))
      .pipe(
        Effect.match({
          onSuccess: (page) => envelope.succeed(page),
          onFailure: (error) => envelope.fail(error)
        })
      )
  }

  #answerStatus(envelope: Envelope<"get_status">): Effect.Effect<void> {
    const { store, tenant, version } = this.#options
    const vitals = this.#vitals
    const ping = Effect.timeoutOrElse(store.isReachable, {
      duration: PING_MS,
      orElse: () => Effect.succeed(false)
    })
    return Effect.map(ping, (reachable) =>
      envelope.succeed({
        healthy: reachable && vitals.isLoaded,
        tenant,
        budgets_active: vitals.budgetsActive,
        open_holds: vitals.openHolds,
        mailbox_depth: this.#context.ref.mailbox.depth,
        pending_commits: vitals.pendingCommits,
        total_tracked: vitals.head.tracked,
        total_tokens: countOfAmount(vitals.head.tokens),
        total_cost: vitals.head.cost,
        currency: vitals.config.currency,
        last_commit_at: vitals.lastCommitAt,
        store: { kind: store.kind, reachable, durability: store.durability },
        uptime_ms: this.#clock.currentTimeMillisUnsafe() - vitals.startedAt,
        version,
        ...this.#relaxed(),
        config: vitals.config
      })
    )
  }

  /** What was answered without the promises of strict mode and of "deny"; absent where these are all there ever was. */
  #relaxed() {
    const { budget_check_mode, on_store_down } = this.#vitals.config
    const { size: unwritten, lost } = this.#ahead
    const { admitted } = this.#storeAway
    const isStrict = budget_check_mode === "strict" && on_store_down === "deny"
    if (isStrict && unwritten + lost + admitted === 0) return {}
    return { relaxed: { unwritten, lost, admitted_without_hold: admitted } }
  }

  /**
   * Whether the tenant may leave memory: all that memory knows is in the store, and nothing comes due that nobody would ask
   * for (holds and overrides that end, resets that somebody watches). With `on_store_down: "allow"` it stays, because a process that
   * never loaded the tenant would deny while the store is away.
   */
  get mayPassivate(): boolean {
    const { tenant, observer } = this.#options
    const vitals = this.#vitals
    const isQuiet = vitals.isLoaded && vitals.pendingCommits === 0 && !vitals.hasDeadlines
    const isPlain = this.#ahead.size + this.#ahead.lost + this.#storeAway.admitted === 0
    return isQuiet && isPlain && vitals.config.on_store_down === "deny" && !observer.isObserved(tenant)
  }

  insight() {
    const { head, openHolds, budgetsActive, config, lastCommitAt, isReachable } = this.#vitals
    return {
      machine: null,
      context: {
        total_tracked: head.tracked,
        total_cost: formatAmount(head.cost),
        open_holds: openHolds,
        budgets_active: budgetsActive,
        last_commit_at: lastCommitAt,
        store_reachable: isReachable,
        lost_answers: this.#ahead.lost,
        admitted_without_hold: this.#storeAway.admitted,
        config
      }
    }
  }
}

/** The kind in a TokenManager's address. */
export const TOKEN_MANAGER = "token_manager"

/** Where the TokenManager of a tenant is reached; the tenant's durable machines live on the same node. */
export const tokenManagerAddress = (tenant: string): Address => tenantAddress(TOKEN_MANAGER, tenant)

/** The TokenManager of one tenant, ready to be spawned. */
export const tokenManager = (options: TokenManagerOptions): ActorOptions => {
  let current: TokenManager | undefined
  const memory: Memory = { ahead: new AheadAnswers(), storeAway: new StoreAway() }
  return {
    address: tokenManagerAddress(options.tenant),
    mailboxCapacity: 10_000,
    behaviour: (context) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const services = yield* Effect.context<never>()
        const manager = new TokenManager(options, context, clock, Effect.runForkWith(services), memory)
        current = manager
        yield* manager.run
      }),
    mayPassivate: () => current?.mayPassivate === true,
    insight: () => current?.insight() ?? { machine: null, context: {} }
  }
}
