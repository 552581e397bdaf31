/**
 * The line in which a tenant's parked workflows wait for room. It is in memory, where the tenant's TokenManager is; all
 * of it follows from the workflows that wait, so a restart or a move makes it anew.
 *
 * Owns: whose turn it is to look. Who has an approved override of its own is first, then who has waited longest; one
 * looks at a time, and what it goes on with is not looked at by others until its call is admitted, has ended, or some
 * seconds have passed. Who finds no room is passed over, so nobody waits for somebody who cannot go on. A workflow at rest
 * keeps its place, and is brought back by its turn: so ten thousand of them come back one after the other, in the same order.
 * Does not decide: whether there is room (the TokenManager), or what is done with it (Refused).
 */
import type { Amount } from "../signal/Money.ts"
import type { RoomNews, WorkflowMoney, WorkflowPorts } from "./Ports.ts"
import { type InLine, keyOf, type Need, Place } from "./RoomPlace.ts"
import { RoomNeeds, RoomQueue } from "./RoomQueue.ts"

/**
 * How it went to bring a workflow back. `back`: it is in memory, and has taken its place in the line by itself, or will in a
 * moment; `over`: it is parked no longer; `away`: it cannot be brought back now. After `back` and `away` comes `again`, a while
 * later: who has not taken its place until then is to be brought back once more.
 */
export type Return = "back" | "over" | "away" | "again"

/** Brings a workflow back that is at rest, and says how that went. `vain`: how often that was so without its coming. */
export type Wake = (tenant: string, workflowId: string, onEnd: (how: Return) => void, vain: number) => void

const total = (steps: ReadonlyArray<ReadonlyArray<Need>>): ReadonlyMap<string, Amount> => {
  const sums = new Map<string, Amount>()
  for (const { key, amount } of steps.flat()) sums.set(key, (sums.get(key) ?? 0n) + amount)
  return sums
}

class TenantLine {
  readonly #tenant: string
  readonly #places = new Map<string, Place>()
  readonly #queue = new RoomQueue()
  readonly #needs = new RoomNeeds()
  /** Where budgets stood last, of those that somebody waits for. */
  readonly #remaining = new Map<string, Amount>()
  readonly #claims = new Map<string, ReadonlyMap<string, Amount>>()
  readonly #wake: Wake | undefined
  readonly #stop: () => void
  readonly #onEmpty: () => void
  #looking: Place | undefined
  #isClosed = false

  constructor(tenant: string, money: WorkflowMoney, wake: Wake | undefined, onEmpty: () => void) {
    this.#tenant = tenant
    this.#wake = wake
    this.#onEmpty = onEmpty
    this.#stop = money.onRoom(tenant, {
      onNews: (news) => this.hear(news),
      onAdmitted: (workflowId) => this.unclaim(workflowId)
    })
  }

  /** Nobody waits here any more. */
  close(): void {
    this.#isClosed = true
    this.#places.clear()
    this.#claims.clear()
    this.#stop()
    this.#onEmpty()
  }

  #closeIfEmpty(): void {
    if (!this.#isClosed && this.#places.size === 0 && this.#claims.size === 0) this.close()
  }

  get places(): Iterable<Place> {
    return this.#places.values()
  }

  placeOf(workflowId: string): Place | undefined {
    return this.#places.get(workflowId)
  }

  enter(of: InLine): Place {
    const before = this.#places.get(of.workflowId)
    const place = new Place(this, of)
    const keeps = before !== undefined && this.#goesOnFrom(before, place)
    if (before !== undefined) this.#take(before)
    this.#places.set(of.workflowId, place)
    this.#needs.add(place)
    this.#want(place)
    if (keeps && this.#looking === before) {
      this.#looking = place
      place.turn.openUnsafe()
    } else if (this.#looking === before) this.#looking = undefined
    this.unclaim(of.workflowId)
    this.grant()
    return place
  }

  /** Whether it waits for the same as before, while all that was told was heard. */
  #goesOnFrom(before: Place, place: Place): boolean {
    const keys = new Set(place.keys())
    const keysBefore = new Set(before.keys())
    if (!before.isResting || keys.size !== keysBefore.size) return false
    if (![...keysBefore].every((key) => keys.has(key))) return false
    place.hasHeard = true
    place.isReady = true
    place.wish = before.wish
    place.hasApproval = before.hasApproval
    return true
  }

  /** One that is at rest. Where its row is not what its place was made of, it was elsewhere meanwhile. */
  found(of: InLine, isRewritten: boolean): void {
    const before = this.#places.get(of.workflowId)
    const place = new Place(this, of)
    const hasChanged = isRewritten || (before !== undefined && !before.isLike(place))
    if (before !== undefined && !(before.isResting && hasChanged)) return
    if (before !== undefined) this.#drop(before)
    place.isResting = true
    place.isReady = true
    place.hasApproval = before?.hasApproval ?? false
    this.#places.set(of.workflowId, place)
    this.#needs.add(place)
    if (hasChanged) this.mustLook(place)
  }

  /** Takes it out of all that is looked through. */
  #take(place: Place): void {
    this.#queue.remove(place)
    this.#needs.remove(place)
    if (this.#places.get(place.workflowId) === place) this.#places.delete(place.workflowId)
    for (const key of place.keys()) this.#forgetIfUnwanted(key)
  }

  #drop(place: Place): void {
    this.#take(place)
    if (this.#looking === place) this.#looking = undefined
  }

  readonly leave = (place: Place): void => {
    if (this.#places.get(place.workflowId) !== place) return
    this.#drop(place)
    this.grant()
    this.#closeIfEmpty()
  }

  readonly rest = (place: Place): void => {
    if (this.#wake === undefined) this.leave(place)
    if (this.#places.get(place.workflowId) !== place) return
    this.#change(place, () => {
      // Who was about to look has not.
      if (this.#looking === place || !place.isReady) place.wish = "must"
      place.isReady = true
      place.isResting = true
    })
    if (this.#looking === place) this.#looking = undefined
    this.grant()
  }

  readonly end = (place: Place): void => {
    this.#change(place, () => {
      place.wish = "none"
    })
    if (!place.isResting) place.turn.closeUnsafe()
    if (this.#looking === place) this.#looking = undefined
    this.grant()
  }

  readonly approve = (place: Place): void => {
    this.#change(place, () => {
      place.hasApproval = true
    })
  }

  readonly mustLook = (place: Place): void => {
    this.#change(place, () => {
      place.isReady = true
      place.isComing = false
      place.wish = "must"
    })
    this.grant()
  }

  /** As `mustLook`; but who has just been brought back, or could not be, comes no sooner for it. */
  due(place: Place): void {
    this.#wish(place, "must")
    this.grant()
  }

  readonly claim = (place: Place): (() => void) => {
    const needs = total(place.steps)
    this.#claims.set(place.workflowId, needs)
    this.leave(place)
    return () => {
      if (this.#claims.get(place.workflowId) === needs) this.unclaim(place.workflowId)
    }
  }

  unclaim(workflowId: string): void {
    const needs = this.#claims.get(workflowId)
    if (needs === undefined) return
    this.#claims.delete(workflowId)
    for (const key of needs.keys()) this.#forgetIfUnwanted(key)
    this.grant()
    this.#closeIfEmpty()
  }

  #want(place: Place): void {
    if (!place.isComing && (!place.isReady || place.wish !== "none")) this.#queue.add(place)
  }

  #change(place: Place, change: () => void): void {
    const isIn = this.#places.get(place.workflowId) === place
    if (isIn) this.#queue.remove(place)
    change()
    if (isIn) this.#want(place)
  }

  hear({ standings, approved, redefined, strict, hasNewPrices, endedKeys }: RoomNews): void {
    const told = new Set<string>()
    for (const { budgetId, entityId, remaining } of standings) {
      const key = keyOf(budgetId, entityId)
      if (!this.#isWanted(key)) continue
      told.add(key)
      this.#remaining.set(key, remaining)
    }
    if (approved.length > 0 || redefined.length > 0 || hasNewPrices) {
      for (const place of this.#places.values()) {
        if (approved.some((id) => place.overrides.includes(id))) place.approve()
        const isUnpriced = hasNewPrices && place.steps.some((needs) => needs.length === 0)
        // To bring one back costs more than to look: where it is told that there is no room, nobody comes.
        const isTold = (id: string) => place.isResting && strict.includes(id) && place.isToldOf(id, told)
        if (isUnpriced || redefined.some((id) => place.isOf(id) && !isTold(id))) this.#wish(place, "must")
      }
    }
    if (endedKeys.length > 0) {
      for (const place of this.#places.values())
        if (endedKeys.includes(place.keyId)) this.#wish(place, "must")
    }
    if (told.size > 0) this.#hearStandings(told)
    this.grant()
  }

  #hearStandings(told: ReadonlySet<string>): void {
    // First whose wish is over, so that only those who have one are looked through.
    for (const place of [...this.#queue.places]) {
      if (place.wish === "room" && [...told].some((key) => place.waitsFor(key)))
        this.#wish(place, this.#mayFit(place, () => 0n) ? "room" : "none")
    }
    for (const key of told) {
      for (const place of this.#needs.within(key, this.#remaining.get(key) ?? 0n))
        if (place.wish === "none" && this.#mayFit(place, () => 0n)) this.#wish(place, "room")
    }
  }

  #wish(place: Place, wish: Place["wish"]): void {
    if (place.wish !== "must" && place.wish !== wish)
      this.#change(place, () => {
        place.wish = wish
      })
  }

  /** As far as the news tells, there is room for one of its steps beside `taken`. */
  #mayFit(place: Place, taken: (key: string) => Amount): boolean {
    return place.steps.some((needs) =>
      needs.every(({ key, amount }) => {
        const remaining = this.#remaining.get(key)
        return remaining === undefined || remaining - taken(key) >= amount
      })
    )
  }

  #claimed(key: string): Amount {
    let sum = 0n
    for (const needs of this.#claims.values()) sum += needs.get(key) ?? 0n
    return sum
  }

  /** Somebody who goes on needs of one of its budgets what would be missing for it, as far as is known. */
  #isHeldUp(place: Place): boolean {
    if (this.#claims.size === 0) return false
    const shared = [...place.keys()].filter((key) =>
      [...this.#claims.values()].some((needs) => needs.has(key))
    )
    if (shared.length === 0) return false
    return (
      shared.some((key) => !this.#remaining.has(key)) || !this.#mayFit(place, (key) => this.#claimed(key))
    )
  }

  /** Gives the turn to the first who wants it. */
  grant(): void {
    if (this.#isClosed || this.#looking !== undefined) return
    let next: Place | undefined
    for (const place of this.#queue.places) {
      if (this.#isHeldUp(place)) continue
      next = place
      break
    }
    // Who is before the others and has just come is not overtaken.
    if (next === undefined || !(next.isReady || next.hasApproval)) return
    this.#looking = next
    if (next.isResting) this.#bringBack(next)
    else next.turn.openUnsafe()
  }

  #bringBack(place: Place): void {
    const onEnd = (how: Return): void => {
      // It is back, and has taken the turn with its place.
      if (this.#places.get(place.workflowId) !== place) return
      if (how === "over") this.leave(place)
      else if (how !== "again") this.#letCome(place)
      else if (place.isComing) {
        this.#change(place, () => {
          place.isComing = false
        })
        this.grant()
      }
    }
    this.#wake?.(this.#tenant, place.workflowId, onEnd, place.vain)
  }

  /** It has had its turn, and has not looked: others go on, and what it wants stays. */
  #letCome(place: Place): void {
    this.#change(place, () => {
      place.isComing = true
      place.vain += 1
    })
    if (this.#looking === place) this.#looking = undefined
    this.grant()
  }

  #isWanted(key: string): boolean {
    if (this.#needs.has(key)) return true
    for (const needs of this.#claims.values()) if (needs.has(key)) return true
    return false
  }

  /** Only what somebody waits for is kept. */
  #forgetIfUnwanted(key: string): void {
    if (!this.#isWanted(key)) this.#remaining.delete(key)
  }

  /** Those at rest that may have room, as far as is known. */
  *hopeful(): Iterable<Place> {
    for (const place of this.#places.values())
      if (place.isResting && this.#mayFit(place, () => 0n)) yield place
  }
}

/** The lines of all tenants whose workflows live here. */
export class RoomLine {
  readonly #ports: Pick<WorkflowPorts, "money">
  readonly #wake: Wake | undefined
  readonly #lines = new Map<string, TenantLine>()

  /** Without `wake`, who leaves memory leaves the line. */
  constructor(ports: Pick<WorkflowPorts, "money">, wake?: Wake) {
    this.#ports = ports
    this.#wake = wake
  }

  enter(of: InLine): Place {
    return this.#lineOf(of.tenant).enter(of)
  }

  /** A workflow that is parked and not in memory; `hasChanged`: what is known of it may be out of date. */
  found(of: InLine, hasChanged: boolean): void {
    this.#lineOf(of.tenant).found(of, hasChanged)
  }

  /** Those of a tenant that are in line, at rest or not. */
  placesOf(tenant: string): Iterable<Place> {
    return this.#lines.get(tenant)?.places ?? []
  }

  /** What is so, and was not told: those that it may be enough for want their turn. */
  tell(tenant: string, news: RoomNews): void {
    const line = this.#lines.get(tenant)
    line?.hear(news)
    for (const place of [...(line?.hopeful() ?? [])]) place.mustLook()
  }

  /** The moment of one has come: it looks in its turn. False: it is not in line. */
  isDue(tenant: string, workflowId: string): boolean {
    const line = this.#lines.get(tenant)
    const place = line?.placeOf(workflowId)
    if (place?.isResting === true) line?.due(place)
    return place !== undefined
  }

  /** It waits for room no longer. */
  leave(tenant: string, workflowId: string): void {
    const line = this.#lines.get(tenant)
    const place = line?.placeOf(workflowId)
    if (place !== undefined) line?.leave(place)
  }

  /** Its call was admitted or has ended: what it went on with is everybody's again. */
  end(tenant: string, workflowId: string): void {
    this.#lines.get(tenant)?.unclaim(workflowId)
  }

  /** Nothing of these tenants lives here any more. */
  gone(isGone: (tenant: string) => boolean): void {
    for (const [tenant, line] of [...this.#lines]) if (isGone(tenant)) line.close()
  }

  #lineOf(tenant: string): TenantLine {
    const known = this.#lines.get(tenant)
    if (known !== undefined) return known
    const line: TenantLine = new TenantLine(tenant, this.#ports.money, this.#wake, () => {
      if (this.#lines.get(tenant) === line) this.#lines.delete(tenant)
    })
    this.#lines.set(tenant, line)
    return line
  }
}
