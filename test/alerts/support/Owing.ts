/** Alerts that are owed, over any store, and a way of sending that does what a test says. */
import { Deferred, Effect } from "effect"
import { type CourierOptions, startCourier } from "../../../src/alerts/Courier.ts"
import type { Delivery, DeliveryStore, RecipientKind } from "../../../src/alerts/DeliveryStore.ts"
import { DeliveryFailed, type Message, type Send } from "../../../src/alerts/Sending.ts"
import type { Batch, LedgerStore, RaisedAlert, RecipientRow } from "../../../src/tokens/LedgerStore.ts"
import { batch } from "../../contract/LedgerRows.ts"

export const recipient = (id: string, kind: RecipientKind = "webhook"): RecipientRow => ({
  id,
  kind,
  target: kind === "webhook" ? `https://${id}.test/` : `${id}@example.com`,
  secret: kind === "webhook" ? "sealed" : null
})

/** One tenant, written to as its TokenManager would. */
export class Owing {
  readonly #ledger: LedgerStore
  readonly tenant: string
  #claim: Parameters<LedgerStore["commit"]>[0] | undefined
  #journalSeq = 0
  #alertSeq = 0

  constructor(ledger: LedgerStore, tenant: string) {
    this.#ledger = ledger
    this.tenant = tenant
  }

  commit(fields: Partial<Batch>) {
    return Effect.gen({ self: this }, function* () {
      this.#claim ??= yield* this.#ledger.claim(this.tenant, "owner")
      const entry = batch(`b${this.#journalSeq}`, { journalSeq: this.#journalSeq }, fields)
      yield* this.#ledger.commit(this.#claim, entry)
      this.#journalSeq += 1
    })
  }

  recipients(...recipients: ReadonlyArray<RecipientRow>) {
    return this.commit({ recipients })
  }

  /** Raises so many alerts for these recipients, one after the other. */
  raise(count: number, ...recipients: ReadonlyArray<string>) {
    return Effect.suspend(() => {
      const alerts = Array.from({ length: count }, (): RaisedAlert => {
        const seq = ++this.#alertSeq
        const alert = {
          id: `alert_${seq}`,
          kind: "threshold",
          severity: "warning",
          message: "m",
          at: seq,
          data: {}
        } as const
        return { seq, alert, recipients }
      })
      return this.commit({ alerts })
    })
  }
}

/** What becomes of a message. */
type Turn = Effect.Effect<void, DeliveryFailed>

/** Sends nothing, and keeps what it was asked to send. */
export class ScriptedSend {
  readonly sent: Array<Message> = []
  /** By recipient's target; whatever is not named arrives. */
  readonly turns = new Map<string, () => Turn>()
  underWay = 0
  underWayMax = 0

  readonly send: Send = (message) =>
    Effect.suspend(() => {
      this.sent.push(message)
      this.underWay += 1
      this.underWayMax = Math.max(this.underWayMax, this.underWay)
      return Effect.ensuring(
        (this.turns.get(message.target) ?? (() => Effect.void))(),
        Effect.sync(() => {
          this.underWay -= 1
        })
      )
    })

  /** `TARGET ALERT` of each, in order; with the tenant where there are several. */
  get log(): ReadonlyArray<string> {
    return this.sent.map(
      ({ target, alert }) => `${target.replace(/^https:\/\/|\.test\/$/gu, "")} ${alert.id}`
    )
  }
}

export const refused: Turn = Effect.fail(new DeliveryFailed({ message: "it answered 500" }))
export const hanging: Turn = Effect.never

/** Something that waits until it is let go. */
export const gate = (): { readonly turn: Turn; readonly open: () => void } => {
  const opened = Deferred.makeUnsafe<void>()
  return { turn: Deferred.await(opened), open: () => Deferred.doneUnsafe(opened, Effect.void) }
}

export const LEASE_MS = 60_000

export const messageOf = ({ tenant, recipientId, seq, alert, target }: Delivery): Message => ({
  id: `msg_${tenant}_${recipientId}_${seq}`,
  tenant,
  alert,
  target,
  secret: undefined
})

/** A courier over `store`; its scope ends it. Answers how to wake it. */
export const courier = (store: DeliveryStore, { send }: ScriptedSend, fields: Partial<CourierOptions> = {}) =>
  startCourier({
    kind: "webhook",
    store,
    send,
    atOnce: 8,
    leaseMs: LEASE_MS,
    messageOf,
    random: () => 0.5,
    ...fields
  })
