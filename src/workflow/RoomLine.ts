/**
 * The line in which a tenant's parked workflows wait for room. It is in memory, where the tenant's TokenManager is; all
 * of it follows from the workflows that wait, so a restart or a move makes it anew.
 *
 * Owns: whose turn it is to look. Who has an approved override of its own is first, then who has waited longest; one
 * looks at a time, and what it goes on with is not looked at by others until its call is admitted, has ended, or some
 * seconds have passed. Who finds no room is passed over, so nobody waits for somebody who cannot go on.
 * Does not decide: whether there is room (the TokenManager), or what is done with it (Refused).
 */
import { Latch } from "effect"
import { type Amount, parseAmount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"
import type { RoomNews, WorkflowMoney, WorkflowPorts } from "./Ports.ts"
import type { Refusal, Refusing } from "./WorkflowContext.ts"

/** What a step needs, by budget; empty where no budget has refused it. */
type Needs = ReadonlyMap<string, Amount>

export interface InLine {
  readonly tenant: string
  readonly workflowId: string
  readonly since: Millis
  readonly overrides: ReadonlyArray<string>
  readonly refusals: ReadonlyArray<Refusal>
}

const keyOf = (budgetId: string, entityId: string | null): string => `${budgetId}\n${entityId ?? ""}`

const needsOf = (violations: ReadonlyArray<Refusing>): Needs =>
  new Map(
    violations.map(({ budget_id, entity_id, requested }) => [
      keyOf(budget_id, entity_id),
      parseAmount(requested)
    ])
  )

const total = (steps: ReadonlyArray<Needs>): Needs => {
  const sums = new Map<string, Amount>()
  for (const needs of steps) for (const [key, amount] of needs) sums.set(key, (sums.get(key) ?? 0n) + amount)
  return sums
}

/** One workflow's place in the line. */
export class Place {
  readonly of: InLine
  readonly steps: ReadonlyArray<Needs>
  readonly budgets: ReadonlySet<string>
  readonly keys: ReadonlySet<string>
  /** Opens when it may look. */
  readonly turn = Latch.makeUnsafe(false)
  /** Opens when an override that it has asked for is approved. */
  readonly approval = Latch.makeUnsafe(false)
  hasApproval = false
  /** It takes turns; until then others may still come that are before it. */
  isReady = false
  /** `room`: the last news says that there may be room; `must`: it looks whatever the news says. */
  wish: "none" | "room" | "must" = "none"
  readonly #line: TenantLine

  constructor(line: TenantLine, of: InLine) {
    this.#line = line
    this.of = of
    this.steps = of.refusals.map(({ violations }) => needsOf(violations))
    this.keys = new Set(this.steps.flatMap((needs) => [...needs.keys()]))
    this.budgets = new Set(
      of.refusals.flatMap(({ violations }) => violations.map(({ budget_id }) => budget_id))
    )
  }

  approve(): void {
    this.hasApproval = true
    this.approval.openUnsafe()
  }

  /** Its turn comes even where no news says that there is room. */
  mustLook(): void {
    this.isReady = true
    this.wish = "must"
    this.#line.grant()
  }

  /** It has looked, and found nothing. */
  pass(): void {
    this.#line.end(this)
  }

  /** It has looked, and goes on: what it needs is its own for a while. Returns how to end that. */
  goOn(): () => void {
    return this.#line.claim(this)
  }

  leave(): void {
    this.#line.leave(this)
  }
}

const isBefore = (one: Place, other: Place): boolean => {
  if (one.hasApproval !== other.hasApproval) return one.hasApproval
  if (one.of.since !== other.of.since) return one.of.since < other.of.since
  return one.of.workflowId < other.of.workflowId
}

class TenantLine {
  readonly #places = new Set<Place>()
  /** Where budgets stood last, of those that somebody waits for. */
  readonly #remaining = new Map<string, Amount>()
  readonly #claims = new Map<string, Needs>()
  readonly #stop: () => void
  readonly #onEmpty: () => void
  #looking: Place | undefined

  constructor(tenant: string, money: WorkflowMoney, onEmpty: () => void) {
    this.#onEmpty = onEmpty
    this.#stop = money.onRoom(tenant, {
      onNews: (news) => this.#hear(news),
      onAdmitted: (workflowId) => this.unclaim(workflowId)
    })
  }

  #closeIfEmpty(): void {
    if (this.#places.size > 0 || this.#claims.size > 0) return
    this.#stop()
    this.#onEmpty()
  }

  enter(of: InLine): Place {
    const place = new Place(this, of)
    this.#places.add(place)
    this.unclaim(of.workflowId)
    return place
  }

  leave(place: Place): void {
    if (!this.#places.delete(place)) return
    this.end(place)
    this.#closeIfEmpty()
  }

  end(place: Place): void {
    place.wish = "none"
    place.turn.closeUnsafe()
    if (this.#looking === place) this.#looking = undefined
    this.grant()
  }

  claim(place: Place): () => void {
    const { workflowId } = place.of
    const needs = total(place.steps)
    this.#claims.set(workflowId, needs)
    this.leave(place)
    return () => {
      if (this.#claims.get(workflowId) === needs) this.unclaim(workflowId)
    }
  }

  unclaim(workflowId: string): void {
    if (!this.#claims.delete(workflowId)) return
    this.grant()
    this.#closeIfEmpty()
  }

  #hear(news: RoomNews): void {
    const told = new Set<string>()
    for (const { budgetId, entityId, remaining } of news.standings) {
      const key = keyOf(budgetId, entityId)
      told.add(key)
      this.#remaining.set(key, remaining)
    }
    for (const place of this.#places) {
      if (news.approved.some((id) => place.of.overrides.includes(id))) place.approve()
      if (place.wish === "must") continue
      const isUnpriced = news.hasNewPrices && place.steps.some((needs) => needs.size === 0)
      if (isUnpriced || news.redefined.some((id) => place.budgets.has(id))) place.wish = "must"
      else if ([...told].some((key) => place.keys.has(key)))
        place.wish = this.#mayFit(place, () => 0n) ? "room" : "none"
    }
    this.#forgetRest()
    this.grant()
  }

  /** As far as the news tells, there is room for one of its steps beside `taken`. */
  #mayFit(place: Place, taken: (key: string) => Amount): boolean {
    return place.steps.some((needs) =>
      [...needs].every(([key, amount]) => {
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
    const shared = [...place.keys].filter((key) => [...this.#claims.values()].some((needs) => needs.has(key)))
    if (shared.length === 0) return false
    return (
      shared.some((key) => !this.#remaining.has(key)) || !this.#mayFit(place, (key) => this.#claimed(key))
    )
  }

  /** Gives the turn to the first who wants it. */
  grant(): void {
    if (this.#looking !== undefined) return
    let next: Place | undefined
    for (const place of this.#places) {
      if ((place.isReady && place.wish === "none") || this.#isHeldUp(place)) continue
      if (next === undefined || isBefore(place, next)) next = place
    }
    // Who is before the others and has just come is not overtaken.
    if (next === undefined || !(next.isReady || next.hasApproval)) return
    this.#looking = next
    next.turn.openUnsafe()
  }

  /** Only what somebody waits for is kept. */
  #forgetRest(): void {
    const wanted = new Set([...this.#places].flatMap(({ keys }) => [...keys]))
    for (const needs of this.#claims.values()) for (const key of needs.keys()) wanted.add(key)
    for (const key of this.#remaining.keys()) if (!wanted.has(key)) this.#remaining.delete(key)
  }
}

/** The lines of all tenants whose workflows live here. */
export class RoomLine {
  readonly #ports: Pick<WorkflowPorts, "money">
  readonly #lines = new Map<string, TenantLine>()

  constructor(ports: Pick<WorkflowPorts, "money">) {
    this.#ports = ports
  }

  enter(of: InLine): Place {
    const { tenant } = of
    const line =
      this.#lines.get(tenant) ?? new TenantLine(tenant, this.#ports.money, () => this.#lines.delete(tenant))
    this.#lines.set(tenant, line)
    return line.enter(of)
  }

  /** Its call was admitted or has ended: what it went on with is everybody's again. */
  end(tenant: string, workflowId: string): void {
    this.#lines.get(tenant)?.unclaim(workflowId)
  }
}
