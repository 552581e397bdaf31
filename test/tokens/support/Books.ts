/**
 * A ledger with its rows, one signal at a time, on a clock that the test turns.
 *
 * It does what the TokenManager does (look up, decide, seal, write), without the actor around it.
 */
import { Effect, Result } from "effect"
import type { Envelope } from "../../../src/actor/Envelope.ts"
import type { SignalParams, SignalSuccess } from "../../../src/signal/Catalogue.ts"
import { decodePayload, decodeSuccess, encodeSuccess } from "../../../src/signal/Decode.ts"
import type { SignalError } from "../../../src/signal/Errors.ts"
import { UNIT } from "../../../src/signal/Money.ts"
import type { Price } from "../../../src/signal/Price.ts"
import type { Principal } from "../../../src/signal/Principal.ts"
import { readBeforehand, readsBeforehand } from "../../../src/tokens/Beforehand.ts"
import { LATE_WINDOW_MS } from "../../../src/tokens/BudgetPeriods.ts"
import { decide, type LedgerSignal } from "../../../src/tokens/Decide.ts"
import { gather } from "../../../src/tokens/Gather.ts"
import { expireHolds } from "../../../src/tokens/HoldLife.ts"
import { Ledger } from "../../../src/tokens/Ledger.ts"
import { undocumented } from "../../support/DocumentedErrors.ts"
import { Rows, storeOver } from "./Rows.ts"

export const TENANT = "default"

/** A model whose every token costs one dollar, in and out. */
export const DOLLAR_PRICE: Price = {
  id: "test:dollar",
  provider: "test",
  model: "dollar",
  currency: "USD",
  prompt_per_million: 1_000_000n * UNIT,
  completion_per_million: 1_000_000n * UNIT,
  effective_from: null,
  effective_to: null,
  source: "catalogue"
}

/** A model that costs nothing, and says so. */
export const FREE_PRICE: Price = {
  ...DOLLAR_PRICE,
  id: "test:free",
  model: "free",
  prompt_per_million: 0n,
  completion_per_million: 0n
}

export const TEST_PRICES: ReadonlyArray<Price> = [DOLLAR_PRICE, FREE_PRICE]

export const keyNamed = (keyId: string, roles: Principal["roles"] = ["app"]): Principal => ({
  keyId,
  owner: keyId,
  tenant: TENANT,
  roles,
  attribution: {},
  isInstallation: false
})

export const ADMIN = keyNamed("admin", ["admin"])

/** The start of most stories: a Tuesday, mid-morning, in the middle of nothing. */
export const MORNING = Date.parse("2026-03-10T10:00:00Z")

/** Salts that a test can foresee. */
export const makeSalts = (): (() => string) => {
  let count = 0
  return () => (++count).toString(16).padStart(64, "0")
}

export type Answer<Name extends LedgerSignal> = Result.Result<SignalSuccess<Name>, SignalError>

export class Books {
  readonly rows = new Rows()
  readonly store = storeOver(this.rows)
  ledger: Ledger
  now = MORNING
  readonly #makeSalt = makeSalts()
  #batches = 0

  constructor() {
    this.ledger = this.#load()
  }

  #load(): Ledger {
    this.rows.claim(TENANT, `owner ${this.rows.epoch}`)
    const liveAfter = this.now - LATE_WINDOW_MS
    return new Ledger(TENANT, this.rows.snapshot(liveAfter), TEST_PRICES, this.#makeSalt, liveAfter)
  }

  /** All memory is lost; the rows are read again. */
  crash(): void {
    this.ledger = this.#load()
  }

  /** Writes what was decided. */
  commit(): void {
    if (!this.ledger.hasEntries) return
    this.#batches += 1
    this.rows.write(this.ledger.seal(`batch ${this.#batches}`))
    this.ledger.committed(this.now)
  }

  /** Decides a signal as it would come over the wire. What follows from it is not written yet. */
  send<Name extends LedgerSignal>(
    name: Name,
    params: SignalParams<Name>,
    principal: Principal = ADMIN
  ): Effect.Effect<Answer<Name>> {
    return Effect.gen({ self: this }, function* () {
      const payload = decodePayload(name, params)
      if (Result.isFailure(payload)) return payload as Answer<Name>
      const envelope = {
        name,
        payload: payload.success,
        principal,
        sentAt: this.now
      } as never as Envelope<LedgerSignal>
      expireHolds(this.ledger, this.now)
      if (readsBeforehand(envelope)) this.commit()
      yield* Effect.orDie(gather(this.store, this.ledger, [envelope]) ?? Effect.void)
      const before = yield* Effect.orDie(readBeforehand(this.store, this.ledger, envelope, this.now))
      const decided = decide(this.ledger, envelope, before, this.now)
      const problem = Result.isFailure(decided) ? undocumented(name, decided.failure._tag) : undefined
      if (problem !== undefined) throw new Error(problem)
      return Result.map(decided, (success) =>
        // Over the wire and back: what cannot be written down is no answer.
        decodeSuccess(name, JSON.parse(JSON.stringify(encodeSuccess(name, success as SignalSuccess<Name>))))
      )
    })
  }

  /** Decides a signal, and writes what follows from it. */
  ask<Name extends LedgerSignal>(
    name: Name,
    params: SignalParams<Name>,
    principal?: Principal
  ): Effect.Effect<Answer<Name>> {
    return Effect.tap(this.send(name, params, principal), () => Effect.sync(() => this.commit()))
  }
}
