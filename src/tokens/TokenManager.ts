/**
 * One tenant's TokenManager: the only writer of that tenant's money.
 *
 * Owns: the actor: activation from the store, shift after shift, and what is answered without a ledger.
 * Does not decide: any rule about money (Decide), when a batch is written (Shift).
 */
import { randomBytes } from "node:crypto"
import { Clock, Effect, Result, Semaphore } from "effect"
import type { ActorContext, ActorOptions } from "../actor/ActorSystem.ts"
import { tenantAddress } from "../actor/Address.ts"
import type { Envelope } from "../actor/Envelope.ts"
import { reportIncident } from "../actor/Incident.ts"
import { UnknownSignal } from "../signal/Errors.ts"
import { countOfAmount, formatAmount } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import { getAuditTrail } from "./AuditQuery.ts"
import { PATIENCE_MS } from "./Commit.ts"
import { LEDGER_SIGNALS, type LedgerSignal } from "./Decide.ts"
import { KEPT_PERIODS_MS, Ledger } from "./Ledger.ts"
import type { LedgerStore } from "./LedgerStore.ts"
import { type Activate, quarantine } from "./Quarantine.ts"
import { type CommitObserver, runShift, type ShiftEnvironment, unavailable } from "./Shift.ts"
import { getUsage } from "./UsageQuery.ts"
import { Vitals } from "./Vitals.ts"

export interface TokenManagerOptions {
  readonly tenant: string
  readonly store: LedgerStore
  readonly builtInPrices: ReadonlyArray<Price>
  readonly version: string
  readonly observer: CommitObserver
}

const SALT_BYTES = 32
const makeSalt = (): string => randomBytes(SALT_BYTES).toString("hex")

const READS_AT_ONCE = 8
const PING_MS = 1_000
const ACTIVATION_PAUSE_MS_MAX = 1_000

const isLedgerSignal = (envelope: Envelope): envelope is Envelope<LedgerSignal> =>
  (LEDGER_SIGNALS as ReadonlyArray<string>).includes(envelope.name)

type Fork = ShiftEnvironment["fork"]

const failEnvelopes = (envelopes: ReadonlyArray<Envelope>): void => {
  for (const envelope of envelopes) envelope.fail(unavailable("The runtime is stopping"))
}

class TokenManager {
  readonly #options: TokenManagerOptions
  readonly #context: ActorContext
  readonly #clock: Clock.Clock
  readonly #vitals: Vitals
  readonly #reads = Semaphore.makeUnsafe(READS_AT_ONCE)
  readonly #fork: Fork

  constructor(options: TokenManagerOptions, context: ActorContext, clock: Clock.Clock, fork: Fork) {
    this.#options = options
    this.#context = context
    this.#clock = clock
    this.#vitals = new Vitals(clock.currentTimeMillisUnsafe())
    this.#fork = fork
  }

  readonly run: Effect.Effect<void> = Effect.suspend(() => {
    const env = this.#environment()
    const activate = this.#activate(env)
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
    })
  })

  #environment(): ShiftEnvironment {
    const { tenant, store, observer } = this.#options
    return {
      tenant,
      store,
      clock: this.#clock,
      mailbox: this.#context.ref.mailbox,
      observer,
      vitals: this.#vitals,
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
      return { ledger, claim }
    })
  }

  #answerOverdue(): void {
    const { mailbox } = this.#context.ref
    const waiting = this.#triage(mailbox.takeNow(Number.POSITIVE_INFINITY))
    const overdue = this.#clock.currentTimeMillisUnsafe() - PATIENCE_MS
    mailbox.putBack(waiting.filter((envelope) => envelope.sentAt > overdue))
    for (const envelope of waiting) {
      if (envelope.sentAt <= overdue) envelope.fail(unavailable("The store cannot be reached"))
    }
  }

  /** Reads go to the store beside the loop; what the ledger decides is passed on. */
  #triage(envelopes: ReadonlyArray<Envelope>): ReadonlyArray<Envelope<LedgerSignal>> {
    const forLedger: Array<Envelope<LedgerSignal>> = []
    for (const envelope of envelopes) {
      if (isLedgerSignal(envelope)) forLedger.push(envelope)
      else if (envelope.name === "get_status") this.#readFor(envelope, this.#answerStatus(envelope))
      else if (envelope.name === "get_usage") this.#readFor(envelope, this.#answerUsage(envelope))
      else if (envelope.name === "get_audit_trail") this.#readFor(envelope, this.#answerAudit(envelope))
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

  /** Whoever asked is answered, whatever happens to the read. */
  #readFor(envelope: Envelope, read: Effect.Effect<void>): void {
    const told = Effect.catchCause(read, (cause) =>
      Effect.map(reportIncident(`The signal ${envelope.name}`, cause), (error) => envelope.fail(error))
    )
    this.#fork(told)
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
        config: vitals.config
      })
    )
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
        config
      }
    }
  }
}

/** The TokenManager of one tenant, ready to be spawned. */
export const tokenManager = (options: TokenManagerOptions): ActorOptions => {
  let current: TokenManager | undefined
  return {
    address: tenantAddress("token_manager", options.tenant),
    mailboxCapacity: 10_000,
    behaviour: (context) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const services = yield* Effect.context<never>()
        const manager = new TokenManager(options, context, clock, Effect.runForkWith(services))
        current = manager
        yield* manager.run
      }),
    insight: () => current?.insight() ?? { machine: null, context: {} }
  }
}
