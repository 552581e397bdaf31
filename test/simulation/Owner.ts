/**
 * One owner of a tenant: a ledger over rows that others may take over at any moment.
 *
 * Owns: what the TokenManager does with its store (claim, load, look up, decide, seal, write, ask what became of a
 * batch), one step at a time, so that a history can stop or break it between any two steps.
 * Does not decide: when a step comes, or how it ends (History).
 */
import { Effect, Result } from "effect"
import type { Envelope } from "../../src/actor/Envelope.ts"
import type { SignalParams, SignalSuccess } from "../../src/signal/Catalogue.ts"
import { decodePayload, decodeSuccess, encodeSuccess } from "../../src/signal/Decode.ts"
import type { SignalError } from "../../src/signal/Errors.ts"
import type { Amount } from "../../src/signal/Money.ts"
import { readBeforehand } from "../../src/tokens/Beforehand.ts"
import { decide, type LedgerSignal } from "../../src/tokens/Decide.ts"
import type { ForgetStep } from "../../src/tokens/ForgetSteps.ts"
import { gather } from "../../src/tokens/Gather.ts"
import { expireHolds } from "../../src/tokens/HoldLife.ts"
import { KEPT_PERIODS_MS, Ledger } from "../../src/tokens/Ledger.ts"
import type { Batch, Claim, LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { expireOverrides } from "../../src/tokens/Overrides.ts"
import type { HoldRecord } from "../../src/tokens/RequestRecord.ts"
import { makeSalts, TENANT, TEST_PRICES } from "../tokens/support/Books.ts"
import { type AnyCommand, senderOf } from "./Signals.ts"

type Decided = Result.Result<SignalSuccess<LedgerSignal>, SignalError>

/** An answer that was decided; nobody has it before its batch is written. */
export interface Answered {
  readonly command: AnyCommand
  readonly answer: Decided
  /** What the hold that the answer names had asked for before; `undefined` where it is a new one. */
  readonly before: { readonly cost: Amount; readonly tokens: number } | undefined
}

/** What is sent again is the same object: it is read once. */
const payloads = new WeakMap<AnyCommand, ReturnType<typeof decodePayload>>()

const payloadOf = (command: AnyCommand): ReturnType<typeof decodePayload> => {
  const known = payloads.get(command)
  if (known !== undefined) return known
  const payload = decodePayload(command.name, command.params as SignalParams<typeof command.name>)
  payloads.set(command, payload)
  return payload
}

/** Over the wire and back: what cannot be written down is no answer. */
const onWire = (name: LedgerSignal, answer: Decided): Decided =>
  Result.map(answer, (success) =>
    decodeSuccess(name, JSON.parse(JSON.stringify(encodeSuccess(name, success as never))))
  )

/** What became of a batch, as far as its owner is told. */
export type Outcome = "written" | "unknown, written" | "unknown, not written"

export class Owner {
  readonly #store: LedgerStore
  readonly ledger: Ledger
  #claim: Claim
  #batches = 0
  readonly #name: string
  /** Decided since the last batch was sealed. */
  #undelivered: Array<Answered> = []

  /** Takes the tenant over. */
  constructor(store: LedgerStore, name: string, now: number) {
    this.#store = store
    this.#name = name
    this.#claim = Effect.runSync(Effect.orDie(store.claim(TENANT, name)))
    const liveAfter = now - KEPT_PERIODS_MS
    const snapshot = Effect.runSync(Effect.orDie(store.load(this.#claim, liveAfter)))
    this.ledger = new Ledger(TENANT, snapshot, TEST_PRICES, makeSalts(), liveAfter)
  }

  /** Whether the clock was put back so far that the tenant must be loaded again. */
  mustReload(now: number): boolean {
    return this.ledger.isAheadOf(now)
  }

  /** Memory lets go of periods that nothing can be booked into any more. */
  forget(now: number): void {
    this.ledger.forgetPeriods(now - KEPT_PERIODS_MS)
  }

  /** Whether a signal reads what was recorded before: nothing may be on its way then. */
  needsCalm({ name, params }: AnyCommand): boolean {
    const reads = name === "create_budget" || (name === "update_pricing" && params.reprice_unpriced === true)
    return reads && (this.ledger.hasEntries || this.#undelivered.length > 0)
  }

  /** Ends what is due, as a timer would. */
  expire(now: number): void {
    expireHolds(this.ledger, now)
    expireOverrides(this.ledger, now)
  }

  /** A step of forgetting a user, while nothing is on its way. */
  forgetUser(step: ForgetStep): void {
    if (this.ledger.hasEntries) throw new Error("something is on its way while a user is forgotten")
    Effect.runSync(Effect.orDie(this.#store.forget(this.#claim, step)))
  }

  /** Decides a signal. `overTheWire`: as it would come and go there, written down and read again. */
  decide(command: AnyCommand, now: number, overTheWire: boolean): Answered {
    this.expire(now)
    const hold = this.#holdOf(command)
    const before = hold && { cost: hold.estimatedCost, tokens: hold.estimatedTokens }
    const answer = this.#decide(command, now)
    const answered = { command, answer: overTheWire ? onWire(command.name, answer) : answer, before }
    this.#undelivered.push(answered)
    return answered
  }

  /** The open hold that a signal is about. */
  #holdOf({ name, params }: AnyCommand): HoldRecord | undefined {
    if (name === "extend_hold") return this.ledger.holds.get(params.hold_id)
    const hold = name === "check_budget" ? this.ledger.request(params.request_id)?.hold : undefined
    return hold?.state === "held" ? hold : undefined
  }

  #decide(command: AnyCommand, now: number): Decided {
    const payload = payloadOf(command)
    if (Result.isFailure(payload)) return Result.fail(payload.failure)
    const envelope = {
      name: command.name,
      payload: payload.success,
      principal: senderOf(command),
      sentAt: now
    } as never as Envelope<LedgerSignal>
    const lookUp = gather(this.#store, this.ledger, [envelope])
    if (lookUp !== undefined) Effect.runSync(Effect.orDie(lookUp))
    const before = Effect.runSync(Effect.orDie(readBeforehand(this.#store, this.ledger, envelope, now)))
    return decide(this.ledger, envelope, before, now)
  }

  /**
   * Writes what was decided, as the commit protocol does: what is not known is asked after, and sent again if it is
   * not there. The answers may go out then; `undefined`: another owner has the tenant, and nobody is answered.
   */
  commit(outcome: Outcome, now: number): ReadonlyArray<Answered> | undefined {
    const answers = this.#undelivered
    this.#undelivered = []
    if (!this.ledger.hasEntries) {
      const isOwner = answers.length === 0 || Effect.runSync(Effect.orDie(this.#store.isOwner(this.#claim)))
      return isOwner ? answers : undefined
    }
    this.#batches += 1
    const batch = this.ledger.seal(`${this.#name}, batch ${this.#batches}`)
    if (!this.#bring(batch, outcome)) return undefined
    this.ledger.committed(now)
    return answers
  }

  #bring(batch: Batch, outcome: Outcome): boolean {
    if (outcome === "written") return this.#write(batch)
    if (outcome === "unknown, written") this.#write(batch)
    const resolved = Effect.runSync(Effect.result(this.#store.resolve(this.#claim, batch.id)))
    if (Result.isFailure(resolved)) return false
    this.#claim = resolved.success.claim
    return resolved.success.isWritten || this.#write(batch)
  }

  #write(batch: Batch): boolean {
    const written = Effect.runSync(Effect.result(this.#store.commit(this.#claim, batch)))
    if (Result.isSuccess(written)) return true
    if (written.failure._tag !== "Fenced") throw new Error(`a batch was refused: ${written.failure.message}`)
    return false
  }
}
