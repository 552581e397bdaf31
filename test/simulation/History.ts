/**
 * One random history of a tenant's money, from its seed: signals in any order, commits that are written or not and
 * known or not, crashes, takeovers, outages and a clock that jumps, between any two steps.
 *
 * Owns: what happens when, and what clients were told. After every step it is checked (Claims, Invariants).
 * Does not decide: which signals there are (Signals), what must be true (Claims, Invariants).
 */
import assert from "node:assert/strict"
import { Result } from "effect"
import { CELL_MS } from "../../src/tokens/Cleaning.ts"
import { HISTORY, isOfMemory } from "../../src/tokens/ForgetSteps.ts"
import { definitionIdOf } from "../../src/tokens/StandingKey.ts"
import { nameIn } from "../tokens/support/ForgottenRows.ts"
import { checkInvariants, checkMemory, checkRows } from "../tokens/support/Invariants.ts"
import { Rows, storeOver } from "../tokens/support/Rows.ts"
import { Claims } from "./Claims.ts"
import { type Outcome, Owner } from "./Owner.ts"
import { Random } from "./Random.ts"
import { type AnyCommand, Signals } from "./Signals.ts"

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** Most histories are short, so that there can be many; some are long enough for memory to let go of things. */
const LENGTHS = [
  [95, 16],
  [4.5, 50],
  [0.5, 200]
] as const

/** Where something is about to happen to the calendar, beside an ordinary morning. */
const BEGINNINGS = [
  "2026-03-10T10:00:00Z",
  // Clocks go forward and back: New York, Berlin.
  "2026-03-08T05:30:00Z",
  "2026-03-28T23:30:00Z",
  "2026-10-24T23:30:00Z",
  "2026-11-01T04:30:00Z",
  // Samoa leaves out a day.
  "2011-12-29T22:30:00Z",
  "2028-02-28T21:00:00Z",
  "2026-06-30T20:00:00Z",
  "2026-12-31T21:00:00Z"
].map(Date.parse)

/** All figures of a tenant, whosever they are. */
const figuresOf = ({ head, periods, open, cells }: Rows) => ({
  head,
  periods: [...periods.values()]
    .map(({ budgetId, start, spent, held, carriedOver, overrideTotal }) =>
      [definitionIdOf(budgetId), start, spent, held, carriedOver, overrideTotal].join(" ")
    )
    .sort(),
  held: [...open.values()].map(({ requestId, hold }) => `${requestId} ${hold.bookings.length}`),
  cleaned: [...cells.values()].map(({ rows, cost }) => `${rows} ${cost}`).sort()
})

/** What was seen to be wrong, with the seed that shows it again. */
export class HistoryFailure extends Error {
  readonly seed: number

  constructor(seed: number, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    super(`${what}\nThis history again: npm run simulate -- --seed ${seed} --histories 1`, { cause })
    this.name = "HistoryFailure"
    this.seed = seed
  }
}

/** Amounts are in 10⁻¹². */
const readable = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}` : value)

/** Hears of everything that happens, one line each. */
export type Tell = (line: string) => void

class History {
  readonly #tell: Tell | undefined
  readonly #random: Random
  readonly #signals: Signals
  readonly #rows = new Rows()
  readonly #store = storeOver(this.#rows)
  readonly #claims = new Claims(this.#rows)
  readonly #overTheWire: boolean
  #owners = 0
  #users = 0
  #owner: Owner
  /** It has lost the tenant, and has not noticed yet. */
  #deposed: Owner | undefined
  #now: number
  #when: string

  constructor(seed: number, tell: Tell | undefined) {
    this.#tell = tell
    this.#random = new Random(seed)
    this.#signals = new Signals(this.#random)
    this.#when = `seed ${seed}`
    this.#now = this.#random.isLikely(0.5) ? (BEGINNINGS[0] as number) : this.#random.pick(BEGINNINGS)
    this.#overTheWire = this.#random.isLikely(0.1)
    this.#owner = this.#newOwner()
  }

  run(): void {
    const begin = this.#when
    const steps = this.#random.weighted(LENGTHS)
    for (let count = this.#random.int(1, 4); count > 0; count--) this.#send(this.#signals.createBudget())
    this.#commit("written")
    for (let step = 1; step <= steps; step++) {
      this.#when = `${begin}, step ${step}`
      this.#step()
      checkMemory(this.#owner.ledger, this.#when)
    }
    this.#when = `${begin}, at the end`
    this.#end()
  }

  /** Everything that is held comes back by itself. */
  #end(): void {
    this.#commit("written")
    this.#wake()
    let latest = this.#now
    for (const { expiresAt } of this.#owner.ledger.holds.values()) latest = Math.max(latest, expiresAt)
    this.#now = latest
    this.#owner.expire(this.#now)
    this.#commit("written")
    checkInvariants(this.#books, this.#when)
    this.#claims.checkAll(this.#when)
    if (this.#rows.open.size > 0) throw new Error(`${this.#when}: a hold has not ended`)
  }

  get #books() {
    return { rows: this.#rows, ledger: this.#owner.ledger, now: this.#now }
  }

  readonly #steps = [
    [24, () => this.#send(this.#signals.next(this.#now))],
    [7, () => this.#commit("written")],
    [1, () => this.#commit("unknown, written")],
    [1, () => this.#commit("unknown, not written")],
    [1, () => this.#giveUp(true)],
    [1.5, () => this.#giveUp(false)],
    [1, () => this.#takeOver()],
    [1, () => this.#wake()],
    [1, () => this.#forget()],
    [6, () => this.#pass()],
    [0.7, () => this.#clean()],
    [0.7, () => this.#putBack()],
    [0.5, () => this.#forgetUser()]
  ] as const satisfies ReadonlyArray<readonly [number, () => void]>

  #step(): void {
    this.#random.weighted<() => void>(this.#steps)()
  }

  #say(what: string): void {
    this.#tell?.(`${new Date(this.#now).toISOString()} ${this.#when}: ${what}`)
  }

  // --- time

  #pass(): void {
    this.#now += this.#random.weighted([
      [2, 1],
      [4, MINUTE_MS],
      [4, HOUR_MS],
      [4, 5 * HOUR_MS],
      [3, 30 * HOUR_MS],
      [1, 40 * DAY_MS]
    ])
    this.#say("time passes")
  }

  #forget(): void {
    this.#say("old periods are forgotten")
    this.#owner.forget(this.#now)
  }

  /** The clock is put back. Where memory does not reach back so far, the tenant is read again. */
  #putBack(): void {
    this.#now -= this.#random.pick([1, MINUTE_MS, 3 * HOUR_MS, 30 * HOUR_MS, 60 * HOUR_MS])
    this.#say("the clock was put back")
    if (this.#owner.mustReload(this.#now)) this.#reload()
  }

  // --- owners

  #newOwner(): Owner {
    this.#owners += 1
    this.#say(`owner ${this.#owners} takes over`)
    return new Owner(this.#store, `owner ${this.#owners}`, this.#now)
  }

  #reload(): void {
    this.#owner = this.#newOwner()
  }

  /** Another process takes over; this one does not know, and what it has decided is still to be written. */
  #takeOver(): void {
    this.#deposed = this.#owner
    this.#reload()
  }

  /** Who lost the tenant goes on as if it had it: nothing that it decides is admitted, and nothing is written. */
  #wake(): void {
    const deposed = this.#deposed
    if (deposed === undefined) return
    this.#deposed = undefined
    this.#say("the owner before wakes up")
    const before = this.#rows.journalSeq
    for (let count = this.#random.int(0, 3); count > 0; count--) {
      const command = this.#signals.next(this.#now)
      if (!deposed.needsCalm(command)) deposed.decide(command, this.#now, false)
    }
    const outcome = this.#random.pick(["written", "unknown, written"] as const)
    const [answered] = deposed.commit(outcome, this.#now) ?? []
    if (answered !== undefined)
      throw new Error(`${this.#when}: an owner that was fenced answers ${JSON.stringify(answered.command)}`)
    if (this.#rows.journalSeq !== before)
      throw new Error(`${this.#when}: an owner that was fenced has written`)
  }

  // --- signals and commits

  #send(command: AnyCommand): void {
    if (this.#owner.needsCalm(command)) this.#commit("written")
    const when = `${this.#when}: ${command.name} ${JSON.stringify(command.params)}`
    const answered = this.#owner.decide(command, this.#now, this.#overTheWire)
    this.#tell?.(
      `${new Date(this.#now).toISOString()} ${when} -> ${JSON.stringify(answered.answer, readable)}`
    )
    this.#claims.decided(answered, this.#owner.ledger, when)
  }

  /** Old usage goes, sooner than anybody may ask for it, so that it meets what still goes on. One step in a batch. */
  #clean(): void {
    if (this.#owner.ledger.cleaning.hasEntries) this.#commit("written")
    const age = this.#random.pick([0, HOUR_MS, 12 * HOUR_MS, 10 * DAY_MS])
    const before = Math.floor((this.#now - age) / CELL_MS) * CELL_MS
    this.#send({ name: "clean_usage", params: { before: new Date(before).toISOString() } })
  }

  /**
   * A user is forgotten. The process may die between any two steps: another one goes on where it was. No figure changes, and
   * nothing names the user any more.
   */
  #forgetUser(): void {
    this.#commit("written")
    const from = this.#random.pick(["ann", "bob"])
    this.#users += 1
    const to = `user_${this.#users}`
    this.#say(`${from} is forgotten, and is ${to}`)
    const before = figuresOf(this.#rows)
    const live = { kind: "live", from, to, userKey: from, pseudonym: null } as const
    const history = HISTORY.map((kind) => ({ kind, from, to, after: null }) as const)
    for (const step of [live, ...history, { kind: "end", from } as const]) {
      this.#owner.forgetUser(step)
      if (isOfMemory(step) || this.#random.isLikely(0.2)) this.#reload()
      if (this.#random.isLikely(0.1)) this.#owner.forgetUser(step)
    }
    const named = nameIn(this.#rows, from)
    if (named !== undefined) throw new Error(`${this.#when}: ${from} is forgotten, and still in ${named}`)
    assert.deepStrictEqual(figuresOf(this.#rows), before, `${this.#when}: forgetting changes no figure`)
    checkInvariants(this.#books, this.#when)
  }

  /** What was decided is written, and whoever asked is told. */
  #commit(outcome: Outcome): void {
    this.#say(`commit, ${outcome}`)
    const answers = this.#owner.commit(outcome, this.#now)
    if (answers === undefined) throw new Error(`${this.#when}: the owner was fenced, and nobody took over`)
    for (const answered of answers) {
      const holdId = this.#claims.acknowledged(answered, this.#when)
      if (holdId !== undefined) this.#signals.learnHold(holdId)
      const { answer } = answered
      if (Result.isSuccess(answer) && "override" in answer.success)
        this.#signals.learnOverride(answer.success.override.id)
    }
    this.#check()
  }

  /** The store does not answer for too long, or the process dies: memory is lost, and nobody is told anything. */
  #giveUp(isWritten: boolean): void {
    this.#say(`memory is lost, ${isWritten ? "after" : "before"} it was written`)
    if (isWritten) this.#owner.commit("written", this.#now)
    this.#reload()
    this.#check()
  }

  #check(): void {
    // Reading all of it again opens periods that may be opened later otherwise: not each time.
    if (this.#random.isLikely(0.3)) checkInvariants(this.#books, this.#when)
    else checkRows(this.#rows, this.#when)
    this.#claims.check(this.#when)
  }
}

/** Runs the history of a seed. Throws what it finds, with the seed. */
export const runHistory = (seed: number, tell?: Tell): void => {
  try {
    new History(seed, tell).run()
  } catch (cause) {
    throw new HistoryFailure(seed, cause)
  }
}

/** Runs the histories of `count` seeds from `first` on. */
export const runHistories = (first: number, count: number): void => {
  for (let seed = first; seed < first + count; seed++) runHistory(seed)
}
