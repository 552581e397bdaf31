/**
 * Brings refusals into the store, behind the answers.
 *
 * Owns: a bounded queue between the ledger's loop and the store, in which the same refusals are one; counting what the
 * queue could not take; that who reads them sees all that was answered before.
 * Does not decide: what is said of a refusal (RefusedCall), or how many are kept (RefusalStore).
 *
 * A refusal that is lost loses no money. So none waits for the store, and what is in the queue when the process is killed
 * is gone.
 */
import { Effect, Latch, Semaphore } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"
import {
  hourOf,
  type NewRefusal,
  type RefusalFilter,
  type RefusalPage,
  type RefusalStore
} from "./RefusalStore.ts"
import type { Told } from "./RefusedCall.ts"

/** Refusals that wait for the store at once, of all tenants; more are counted as lost. */
export const WAITING_MAX = 2_000
const AT_ONCE = 100
const PAUSE_MS = 1_000
const FLUSH_MS = 5_000
/** Whoever reads waits for no more turns than write all that waited when it asked. */
const TURNS_MAX = WAITING_MAX / AT_ONCE + 1

interface Waiting {
  /** By what makes them the same. */
  readonly refusals: Map<string, NewRefusal>
  lost: number
}

/** Two that are the same, the later one last. */
const joined = (earlier: NewRefusal, later: NewRefusal): NewRefusal => ({
  ...later,
  firstAt: Math.min(earlier.firstAt, later.firstAt),
  lastAt: Math.max(earlier.lastAt, later.lastAt),
  count: earlier.count + later.count
})

const keyOf = ({ digest, firstAt, request }: NewRefusal): string =>
  `${digest}${hourOf(firstAt)} ${request.request_id}`

/** Hears of each refusal: a signal, and the kind of reason. */
export type RefusalTally = (signal: string, kind: string) => void

export class RefusalKeeper {
  readonly #store: RefusalStore
  readonly #tally: RefusalTally
  readonly #waiting = new Map<string, Waiting>()
  readonly #arrived = Latch.makeUnsafe(false)
  readonly #writing = Semaphore.makeUnsafe(1)
  #count = 0

  constructor(store: RefusalStore, tally: RefusalTally = () => {}) {
    this.#store = store
    this.#tally = tally
  }

  /** Takes a refusal. Nothing waits for it to be written. */
  note(tenant: string, { digest, request }: Told, at: Millis): void {
    this.#tally(request.signal, request.kind)
    this.#take(tenant, { digest, request, firstAt: at, lastAt: at, count: 1 })
    this.#arrived.openUnsafe()
  }

  #of(tenant: string): Waiting {
    const known = this.#waiting.get(tenant)
    if (known !== undefined) return known
    const waiting: Waiting = { refusals: new Map(), lost: 0 }
    this.#waiting.set(tenant, waiting)
    return waiting
  }

  #take(tenant: string, refusal: NewRefusal): void {
    const waiting = this.#of(tenant)
    const key = keyOf(refusal)
    const known = waiting.refusals.get(key)
    if (known !== undefined) waiting.refusals.set(key, joined(known, refusal))
    else if (this.#count >= WAITING_MAX) waiting.lost += 1
    else {
      this.#count += 1
      waiting.refusals.set(key, refusal)
    }
  }

  /** Writes what waits, for ever; while the store is away it waits. */
  get running(): Effect.Effect<never> {
    const all = Effect.suspend(() =>
      Effect.forEach([...this.#waiting.keys()], (tenant) => this.#write(tenant))
    )
    const turn = Effect.andThen(this.#arrived.await, all)
    return Effect.forever(Effect.catch(turn, () => Effect.sleep(PAUSE_MS)))
  }

  /** Writes all that waits before everything ends; what the store does not take in time is lost, and said to be. */
  get flushed(): Effect.Effect<void> {
    const all = Effect.suspend(() =>
      Effect.forEach([...this.#waiting.keys()], (tenant) => this.written(tenant))
    )
    const lost = Effect.suspend(() => Effect.logWarning(`${this.#count} refusal(s) could not be kept`))
    return Effect.timeoutOption(all, FLUSH_MS).pipe(
      Effect.ignore,
      Effect.andThen(Effect.suspend(() => (this.#count === 0 ? Effect.void : lost)))
    )
  }

  /** A tenant's refusals of which the answers are out are in the store. */
  written(tenant: string): Effect.Effect<void, Unavailable> {
    const turn = (left: number): Effect.Effect<void, Unavailable> =>
      Effect.suspend(() =>
        left === 0 || !this.#waiting.has(tenant)
          ? Effect.void
          : Effect.andThen(this.#write(tenant), turn(left - 1))
      )
    // What is being written at this moment is not waiting any more.
    return Effect.andThen(this.#writing.withPermit(Effect.void), turn(TURNS_MAX))
  }

  /** A page that shows all that was answered before. */
  page(tenant: string, filter: RefusalFilter): Effect.Effect<RefusalPage, Unavailable> {
    return Effect.andThen(this.written(tenant), this.#store.page(tenant, filter))
  }

  rewrite: RefusalStore["rewrite"] = (tenant, refusals) => this.#store.rewrite(tenant, refusals)

  /** How many were refused for the last time before a moment. */
  countOld(tenant: string, before: Millis): Effect.Effect<number, Unavailable> {
    return Effect.andThen(this.written(tenant), this.#store.countOld(tenant, before))
  }

  removeOld(tenant: string, before: Millis): Effect.Effect<number, Unavailable> {
    return Effect.andThen(this.written(tenant), this.#store.removeOld(tenant, before))
  }

  /** While some are written, the same may be refused again: then another one waits, and the store joins them. */
  #write(tenant: string): Effect.Effect<void, Unavailable> {
    const written = Effect.suspend(() => {
      const waiting = this.#waiting.get(tenant)
      if (waiting === undefined) return Effect.void
      const refusals = [...waiting.refusals.values()].slice(0, AT_ONCE)
      const { lost } = waiting
      for (const refusal of refusals) waiting.refusals.delete(keyOf(refusal))
      waiting.lost = 0
      this.#count -= refusals.length
      if (waiting.refusals.size === 0) this.#waiting.delete(tenant)
      if (this.#waiting.size === 0) this.#arrived.closeUnsafe()
      return Effect.onError(this.#store.add(tenant, refusals, lost), () =>
        Effect.sync(() => this.#putBack(tenant, refusals, lost))
      )
    })
    // Torn off in the middle, they would be counted twice.
    return this.#writing.withPermit(Effect.uninterruptible(written))
  }

  /** In front of what came meanwhile. */
  #putBack(tenant: string, refusals: ReadonlyArray<NewRefusal>, lost: number): void {
    const since = this.#waiting.get(tenant)
    this.#waiting.delete(tenant)
    this.#count -= since?.refusals.size ?? 0
    this.#of(tenant).lost = lost + (since?.lost ?? 0)
    for (const refusal of [...refusals, ...(since?.refusals.values() ?? [])]) this.#take(tenant, refusal)
    this.#arrived.openUnsafe()
  }
}
