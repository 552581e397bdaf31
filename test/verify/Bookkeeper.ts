/**
 * A ledger over a real store, one signal at a time, on a clock that the test turns.
 *
 * It does what the TokenManager does (claim, load, look up, decide, seal, write), without the actor around it.
 */
import { Effect, Result } from "effect"
import type { Envelope } from "../../src/actor/Envelope.ts"
import type { SignalParams, SignalSuccess } from "../../src/signal/Catalogue.ts"
import { decodePayload } from "../../src/signal/Decode.ts"
import type { SignalError } from "../../src/signal/Errors.ts"
import { readBeforehand, readsBeforehand } from "../../src/tokens/Beforehand.ts"
import { CELL_MS } from "../../src/tokens/Cleaning.ts"
import { decide, type LedgerSignal } from "../../src/tokens/Decide.ts"
import { gather } from "../../src/tokens/Gather.ts"
import { expireHolds } from "../../src/tokens/HoldLife.ts"
import { KEPT_PERIODS_MS, Ledger } from "../../src/tokens/Ledger.ts"
import type { Claim, LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { expireOverrides } from "../../src/tokens/Overrides.ts"
import { Random } from "../simulation/Random.ts"
import type { Command } from "../simulation/Signals.ts"
import { Signals } from "../simulation/Signals.ts"
import { ADMIN, MORNING, makeSalts, TEST_PRICES } from "../tokens/support/Books.ts"

type Answer = Result.Result<SignalSuccess<LedgerSignal>, SignalError>

const HOUR_MS = 3_600_000

export class Bookkeeper {
  readonly tenant: string
  readonly #store: LedgerStore
  readonly #makeSalt = makeSalts()
  #claim: Claim
  #ledger: Ledger
  #batches = 0
  now = MORNING

  private constructor(store: LedgerStore, tenant: string, claim: Claim, ledger: Ledger) {
    this.#store = store
    this.tenant = tenant
    this.#claim = claim
    this.#ledger = ledger
  }

  static open(store: LedgerStore, tenant: string) {
    return Effect.gen(function* () {
      const claim = yield* store.claim(tenant, "the first owner")
      const snapshot = yield* store.load(claim, MORNING - KEPT_PERIODS_MS)
      const ledger = new Ledger(tenant, snapshot, TEST_PRICES, makeSalts(), MORNING - KEPT_PERIODS_MS)
      return new Bookkeeper(store, tenant, claim, ledger)
    })
  }

  /** All memory is lost; the rows are read again. */
  crash() {
    return Effect.gen({ self: this }, function* () {
      const liveAfter = this.now - KEPT_PERIODS_MS
      this.#claim = yield* this.#store.claim(this.tenant, `owner ${this.#batches}`)
      const snapshot = yield* this.#store.load(this.#claim, liveAfter)
      this.#ledger = new Ledger(this.tenant, snapshot, TEST_PRICES, this.#makeSalt, liveAfter)
    })
  }

  /** What is due ends, as a timer would end it. */
  #expire(): void {
    expireHolds(this.#ledger, this.now)
    expireOverrides(this.#ledger, this.now)
  }

  /** Writes what was decided. */
  commit() {
    return Effect.gen({ self: this }, function* () {
      this.#expire()
      if (!this.#ledger.hasEntries) return
      this.#batches += 1
      yield* this.#store.commit(this.#claim, this.#ledger.seal(`batch ${this.#batches}`))
      this.#ledger.committed(this.now)
    })
  }

  /** Decides a signal; what follows from it is not written yet. */
  decide(name: LedgerSignal, params: SignalParams<LedgerSignal>, owner = ADMIN.owner) {
    return Effect.gen({ self: this }, function* () {
      const payload = decodePayload(name, params)
      if (Result.isFailure(payload)) return payload as Answer
      const principal = { ...ADMIN, owner, tenant: this.tenant }
      const envelope = {
        name,
        payload: payload.success,
        principal,
        sentAt: this.now
      } as never as Envelope<LedgerSignal>
      this.#expire()
      if (readsBeforehand(envelope)) yield* this.commit()
      yield* gather(this.#store, this.#ledger, [envelope]) ?? Effect.void
      const before = yield* readBeforehand(this.#store, this.#ledger, envelope, this.now)
      return decide(this.#ledger, envelope, before, this.now)
    })
  }

  /** Deletes the rows that are older than this: sooner than anybody may, so that it meets what still goes on. */
  cleanUp(ageMs: number) {
    return Effect.gen({ self: this }, function* () {
      yield* this.commit()
      const before = Math.floor((this.now - ageMs) / CELL_MS) * CELL_MS
      yield* this.done("clean_usage", { before: new Date(before).toISOString() })
    })
  }

  /** Decides a signal that must succeed, and writes what follows from it. */
  done<Name extends LedgerSignal>(name: Name, params: SignalParams<Name>, owner?: string) {
    return Effect.gen({ self: this }, function* () {
      const answer = Result.getOrThrow(yield* this.decide(name, params as never, owner))
      yield* this.commit()
      return answer as SignalSuccess<Name>
    })
  }
}

/** Hours of random signals, several to a batch, with crashes in between. What was decided last is written. */
export const busyHistory = (store: LedgerStore, tenant: string, seed: number, steps: number) =>
  Effect.gen(function* () {
    const random = new Random(seed)
    const signals = new Signals(random)
    const keeper = yield* Bookkeeper.open(store, tenant)
    const send = (command: Command) =>
      Effect.map(keeper.decide(command.name, command.params as never), (answer) => {
        const success = Result.isSuccess(answer) ? answer.success : {}
        if ("hold_id" in success) signals.learnHold(String(success.hold_id))
      })
    for (let count = 0; count < 4; count++) yield* send(signals.createBudget())
    for (let step = 0; step < steps; step++) {
      yield* send(signals.next(keeper.now))
      if (random.isLikely(0.2)) yield* keeper.commit()
      if (random.isLikely(0.02)) yield* keeper.crash()
      if (random.isLikely(0.05)) yield* keeper.cleanUp(random.pick([HOUR_MS, 12 * HOUR_MS]))
      if (random.isLikely(0.2)) keeper.now += random.pick([1, 60_000, HOUR_MS, 7 * HOUR_MS])
    }
    yield* keeper.commit()
  })
