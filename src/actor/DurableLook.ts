/**
 * The look for durable machines that have to be in memory, and for those that need not be.
 *
 * Owns: which come back (their moment has come, or they owe somebody a signal) and which leave (nothing but waiting is under
 * way, for long enough); that a kind which keeps a line of its own hears of those that are at rest.
 * Does not decide: when a machine's moment is (DurableRest), or whether one may leave (DurableLife).
 *
 * What it costs grows with those that are in memory or due, and not with those that are at rest.
 */
import { Clock, Effect } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"
import { type Address, addressFrom } from "./Address.ts"
import type { Resting } from "./DurableMachine.ts"
import type { DurableResidents } from "./DurableResidents.ts"
import type {
  DueQuery,
  MachineEntry,
  MachinePlace,
  MachineStore,
  MachineStoreUnreachable
} from "./MachineStore.ts"
import { type NewsSurroundings, RestingNews } from "./RestingNews.ts"

/** Machines that are brought into memory side by side. */
const RECOVERED_AT_ONCE = 16
/** Tenants whose rows are read side by side. */
const FOUND_AT_ONCE = 8
const PAGE = 200

type IsMine = (address: Address) => boolean
type Asked = <A>(look: Effect.Effect<A, MachineStoreUnreachable>) => Effect.Effect<A, Unavailable>
type Page<Found> = { readonly machines: ReadonlyArray<Found>; readonly next: string | null }

export interface LookSurroundings extends NewsSurroundings {
  readonly store: MachineStore
  readonly residents: DurableResidents
  readonly asked: Asked
  readonly kinds: () => ReadonlyArray<string>
  /** Brings one into memory, and waits until it is there. */
  readonly wake: (address: Address) => Effect.Effect<void>
  /** Lets one leave memory, if it is idle. */
  readonly passivate: (address: Address) => boolean
}

const addressOf = ({ kind, tenant, address }: MachinePlace): Address => ({ kind, tenant, text: address })

export class DurableLook {
  readonly #around: LookSurroundings
  /** Tenants whose machines at rest are known to their kind, as `KIND/TENANT`. */
  readonly #known = new Set<string>()
  /** Those whose machines are being read. */
  readonly #finding = new Set<string>()
  readonly #news: RestingNews
  /** Machines that were away for a moment, and have still to be read. */
  readonly #unread = new Set<string>()

  constructor(around: LookSurroundings) {
    this.#around = around
    this.#news = new RestingNews(around)
  }

  /** Those whose moment comes until `until`, and those that owe somebody something. Answers how many have come. */
  recover(until: Millis, isMine: IsMine): Effect.Effect<number, Unavailable> {
    return Effect.gen({ self: this }, function* () {
      yield* this.#readAgain()
      return (yield* this.#due(until, isMine)) + (yield* this.#owing(isMine))
    })
  }

  #due(now: Millis, isMine: IsMine): Effect.Effect<number, Unavailable> {
    const { store, asked, kinds } = this.#around
    return Effect.gen({ self: this }, function* () {
      let started = 0
      for (let after: DueQuery["after"] = null; ; ) {
        const due: Effect.Success<ReturnType<MachineStore["due"]>> = yield* asked(
          store.due({ kinds: kinds(), now, after, limit: PAGE })
        )
        started += yield* this.#wakeAll(due, isMine)
        if (due.length < PAGE) return started
        after = due.at(-1) ?? null
      }
    })
  }

  #owing(isMine: IsMine): Effect.Effect<number, Unavailable> {
    const { store, asked, kinds } = this.#around
    return Effect.gen({ self: this }, function* () {
      let started = 0
      let after: string | null = null
      do {
        const page: Page<MachinePlace> = yield* asked(store.owing({ kinds: kinds(), after, limit: PAGE }))
        started += yield* this.#wakeAll(page.machines, isMine)
        after = page.next
      } while (after !== null)
      return started
    })
  }

  /** Of these, the ones that are to be here and are not; answers how many. */
  #wakeAll(places: ReadonlyArray<MachinePlace>, isMine: IsMine): Effect.Effect<number> {
    const { residents, wake, resting } = this.#around
    return Effect.suspend(() => {
      const missing = places
        .map(addressOf)
        .filter((address) => !residents.has(address) && isMine(address))
        // Its own line wakes it when it is its turn.
        .filter((address) => resting(address.kind)?.due?.(address) !== true)
      const woken = Effect.forEach(missing, wake, { concurrency: RECOVERED_AT_ONCE, discard: true })
      return Effect.as(woken, missing.length)
    })
  }

  /** Those that have waited for long enough leave memory: `idleMs`, or as long as their kind says. Answers how many. */
  rest(now: Millis, idleMs: number | undefined): number {
    const { residents, passivate } = this.#around
    let left = 0
    for (const { ref, rests } of residents.living())
      if (rests?.(now, idleMs) === true && passivate(ref.address)) left += 1
    return left
  }

  /**
   * Kinds that keep a line are told of the machines of each tenant that has come here. This only reads rows: what else they ask
   * then (`ask`), nobody waits for.
   */
  find(isMine: IsMine): Effect.Effect<void, Unavailable> {
    const { kinds, resting } = this.#around
    return Effect.forEach(
      kinds().filter((kind) => resting(kind) !== undefined),
      (kind) => this.#findKind(kind, resting(kind) as Resting, isMine),
      { discard: true }
    )
  }

  #findKind(kind: string, resting: Resting, isMine: IsMine): Effect.Effect<void, Unavailable> {
    const { store, asked } = this.#around
    return Effect.gen({ self: this }, function* () {
      for (let after: string | null = ""; after !== null; ) {
        const tenants: ReadonlyArray<string> = yield* asked(store.openTenants({ kind, after, limit: PAGE }))
        const unknown = tenants.filter((tenant) => {
          const text = `${kind}/${tenant}`
          return !this.#known.has(text) && isMine({ kind, tenant, text })
        })
        yield* Effect.forEach(unknown, (tenant) => this.#findTenant(kind, tenant, resting), {
          concurrency: FOUND_AT_ONCE,
          discard: true
        })
        after = tenants.length === PAGE ? (tenants.at(-1) ?? null) : null
      }
    })
  }

  #findTenant(kind: string, tenant: string, resting: Resting): Effect.Effect<void, Unavailable> {
    const { store, asked, residents } = this.#around
    const text = `${kind}/${tenant}`
    return Effect.gen({ self: this }, function* () {
      this.#finding.add(text)
      for (let after: string | null = ""; after !== null; ) {
        const open: ReadonlyArray<MachineEntry> = yield* asked(
          store.open({ kind, tenant, after, limit: PAGE })
        )
        // It has moved away meanwhile.
        if (!this.#finding.has(text)) return
        for (const entry of open) if (!residents.has(addressOf(entry))) resting.found(entry, false)
        after = open.length === PAGE ? (open.at(-1)?.address ?? null) : null
      }
      this.#known.add(text)
      this.#news.want(kind, tenant)
    }).pipe(Effect.ensuring(Effect.sync(() => this.#finding.delete(text))))
  }

  /** Kinds that keep a line ask what nobody has told those that are at rest. */
  ask(isMine: IsMine): void {
    this.#news.ask(isMine)
  }

  /**
   * A tenant was loaded anew. What was committed since it was loaded before may have been told to nobody; it may have been
   * elsewhere meanwhile, and have machines that are not known here.
   */
  loaded(tenant: string): void {
    const { kinds, resting } = this.#around
    for (const kind of kinds()) {
      if (resting(kind) === undefined) continue
      // Who is asked for now has just been found.
      if (!this.#news.isUnderWay(kind, tenant)) this.#known.delete(`${kind}/${tenant}`)
      this.#news.want(kind, tenant)
    }
  }

  /** Nothing of these lives here any more: who comes back is found anew. */
  forget(isGone: IsMine): void {
    const { kinds, resting } = this.#around
    const isTenantGone = (kind: string) => (tenant: string) =>
      isGone({ kind, tenant, text: `${kind}/${tenant}` })
    for (const kind of kinds()) resting(kind)?.gone(isTenantGone(kind))
    for (const those of [this.#known, this.#finding, this.#unread])
      for (const text of those) if (isGone(addressFrom(text))) those.delete(text)
    this.#news.forget(isGone)
  }

  /** These were away for a moment, and may have changed. Who cannot be read now is read at the next look. */
  findAgain(addresses: ReadonlySet<string>): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const text of addresses) {
        if (this.#around.resting(addressFrom(text).kind) !== undefined) this.#unread.add(text)
      }
      return this.#readAgain()
    })
  }

  /** After the others, so that one row does not keep them from being read. */
  #readLater(text: string): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#unread.delete(text)) this.#unread.add(text)
    })
  }

  #readAgain(): Effect.Effect<void> {
    const { asked } = this.#around
    const one = (text: string) =>
      Effect.gen({ self: this }, function* () {
        if (!this.#unread.has(text)) return
        const { store, residents, resting } = this.#around
        const address = addressFrom(text)
        const row = yield* Effect.tapError(asked(store.read(text)), () => this.#readLater(text))
        // It may have moved away while it was read.
        if (!this.#unread.delete(text)) return
        if (row !== undefined && !residents.has(address)) resting(address.kind)?.found(row, true)
      })
    // Where the store does not answer for one, it is not asked for the others now.
    return Effect.forEach([...this.#unread], one, { discard: true }).pipe(
      Effect.catch((error) =>
        Effect.logWarning("machines that stood still could not be read; they are read again", error)
      )
    )
  }
}

/** The moment up to which a look brings machines back. */
export const lookUntil = (aheadMs: number): Effect.Effect<Millis> =>
  Effect.map(Clock.currentTimeMillis, (now) => now + aheadMs)
