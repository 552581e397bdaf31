/**
 * Alerts that are owed to somebody, in memory.
 *
 * Owns: the rows of recipients and deliveries beside a `MemoryLedgerStore`, which writes into them.
 */
import { Effect } from "effect"
import { type DeadLetterStore, LETTERS_KEPT } from "../actor/DeadLetterStore.ts"
import { ALERTS_ADDRESS } from "../alerts/AlertLetter.ts"
import type { Claimed, Delivery, DeliveryStore, DueQuery, Lane } from "../alerts/DeliveryStore.ts"
import type { Alert } from "../signal/Budget.ts"
import type { Millis } from "../signal/Text.ts"
import type { Batch, RecipientRow } from "../tokens/LedgerStore.ts"
import { makeMemoryDeadLetters } from "./MemoryDeadLetters.ts"

interface Owed extends Lane {
  readonly seq: number
  readonly alert: Alert
  dueAt: Millis
  attempts: number
  claim: string | undefined
}

const isSame = (a: Lane, b: Lane): boolean => a.tenant === b.tenant && a.recipientId === b.recipientId

/** The rows. Whoever shares the object shares the data. */
export class MemoryDeliveries {
  /** Where what is given up goes. */
  readonly letters: DeadLetterStore
  readonly recipients = new Map<string, ReadonlyArray<RecipientRow>>()
  owed: Array<Owed> = []
  /** All that were raised, so that they can be owed again. */
  readonly #alerts = new Map<string, Alert>()

  constructor(letters: DeadLetterStore = makeMemoryDeadLetters()) {
    this.letters = letters
  }

  write(tenant: string, { alerts, recipients }: Batch): void {
    for (const { seq, alert, recipients: told } of alerts) {
      this.#alerts.set(`${tenant} ${seq}`, alert)
      for (const recipientId of told) {
        this.owed.push({ tenant, recipientId, seq, alert, dueAt: alert.at, attempts: 0, claim: undefined })
      }
    }
    if (recipients !== undefined) this.recipients.set(tenant, recipients)
  }

  /** False: there is no such recipient. */
  owe(owed: Lane & { readonly seq: number }, dueAt: Millis): boolean {
    const alert = this.#alerts.get(`${owed.tenant} ${owed.seq}`)
    if (alert === undefined || this.recipientOf(owed) === undefined) return false
    const isThere = this.owed.some((row) => isSame(row, owed) && row.seq === owed.seq)
    if (!isThere) this.owed.push({ ...owed, alert, dueAt, attempts: 0, claim: undefined })
    return true
  }

  recipientOf({ tenant, recipientId }: Lane): RecipientRow | undefined {
    return this.recipients.get(tenant)?.find(({ id }) => id === recipientId)
  }

  /** What is due first at each recipient of a kind that is not at work. */
  first({ kind, busy }: DueQuery): ReadonlyArray<Owed> {
    const lanes: Array<Owed> = []
    const inOrder = this.owed.toSorted((a, b) => a.dueAt - b.dueAt || a.seq - b.seq)
    for (const row of inOrder) {
      if (this.recipientOf(row)?.kind !== kind || [...busy, ...lanes].some((lane) => isSame(lane, row)))
        continue
      lanes.push(row)
    }
    return lanes
  }

  mine({ seq, claim, ...lane }: Claimed): Owed | undefined {
    return this.owed.find((row) => isSame(row, lane) && row.seq === seq && row.claim === claim)
  }

  /** Takes out the rows that are so, and answers them. */
  remove(isOut: (row: Owed) => boolean): ReadonlyArray<Owed> {
    const out = this.owed.filter(isOut)
    this.owed = this.owed.filter((row) => !isOut(row))
    return out
  }
}

/** The port over rows in memory. */
export const memoryDeliveryStore = (rows: MemoryDeliveries): DeliveryStore => ({
  claimDue: (query) =>
    Effect.sync(() => {
      const due = rows.first(query).filter(({ dueAt }) => dueAt <= query.now)
      return due.slice(0, query.limit).map((owed): Delivery => {
        owed.dueAt = query.leaseUntil
        owed.attempts += 1
        owed.claim = query.claim
        const { tenant, recipientId, seq, alert, attempts: attempt } = owed
        const { kind, target, secret } = rows.recipientOf(owed) as RecipientRow
        return { tenant, recipientId, seq, alert, attempt, claim: query.claim, kind, target, secret }
      })
    }),
  nextDueAt: (query) => Effect.sync(() => rows.first(query)[0]?.dueAt),
  delivered: (claimed) =>
    Effect.sync(() => {
      const mine = rows.mine(claimed)
      rows.remove((row) => row === mine)
    }),
  failed: (claimed, dueAt) =>
    Effect.sync(() => {
      const mine = rows.mine(claimed)
      if (mine !== undefined) Object.assign(mine, { dueAt, claim: undefined })
    }),
  givenUp: (claimed, letter) =>
    Effect.suspend(() => {
      const mine = rows.mine(claimed)
      return rows.remove((row) => row === mine).length === 0
        ? Effect.void
        : rows.letters.add(claimed.tenant, [letter], 0)
    }),
  owedAgain: (owed, now) => Effect.sync(() => rows.owe(owed, now)),
  released: (claimed, now) =>
    Effect.sync(() => {
      const mine = rows.mine(claimed)
      if (mine !== undefined)
        Object.assign(mine, { dueAt: now, attempts: mine.attempts - 1, claim: undefined })
    }),
  dropOrphans: Effect.sync(() => {
    const gone = rows.remove((row) => rows.recipientOf(row) === undefined)
    const lanes = gone.filter((row, index) => gone.findIndex((other) => isSame(other, row)) === index)
    return lanes.map(({ tenant, recipientId }) => ({
      tenant,
      recipientId,
      dropped: gone.filter((row) => isSame(row, { tenant, recipientId })).length
    }))
  }),
  counts: (tenant) =>
    Effect.map(
      rows.letters.page(tenant, { address: ALERTS_ADDRESS, limit: LETTERS_KEPT }),
      ({ letters }) => ({
        pending: rows.owed.filter((row) => row.tenant === tenant).length,
        deadLetters: letters.length
      })
    )
})
