/**
 * An alert that never reached its recipient, as a dead letter among the others.
 *
 * Owns: what is kept and shown of it: which alert, in its own words, and which recipient. A URL is shown as in the
 * configuration, and no secret is in it.
 * Does not decide: when a delivery is given up (DeliverySchedule), or where letters are kept (actor/DeadLetterStore).
 */
import { Schema } from "effect"
import type { KeptLetter, NewLetter } from "../actor/DeadLetterStore.ts"
import { previewOf } from "../actor/DeadLetters.ts"
import { shownTarget } from "../signal/AlertChannels.ts"
import { installationPrincipal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import type { Delivery } from "./DeliveryStore.ts"

/** Where such letters stop: no actor has this address. */
export const ALERTS_ADDRESS = "alerts"
/** No signal of the language: what the couriers do. */
const DELIVER_ALERT = "deliver_alert"

/** What is owed to whom: its alert and its recipient are looked up when it is sent again. */
const Owed = Schema.Struct({ recipient_id: Schema.String, alert_seq: Schema.Int })
export type Owed = typeof Owed.Type
const readOwed = Schema.decodeUnknownSync(Schema.fromJsonString(Owed))

export const letterOfDelivery = (
  { tenant, recipientId, seq, alert, kind, target, attempt }: Delivery,
  at: Millis,
  failure: string
): NewLetter => ({
  address: ALERTS_ADDRESS,
  signal: DELIVER_ALERT,
  principal: installationPrincipal(tenant, "alerts"),
  at,
  why: `It did not arrive in ${attempt} tries: ${failure}`,
  preview: previewOf({
    channel: kind,
    to: shownTarget(kind, target),
    alert: alert.id,
    kind: alert.kind,
    severity: alert.severity,
    message: alert.message
  }),
  params: JSON.stringify({ recipient_id: recipientId, alert_seq: seq } satisfies Owed)
})

/** What a letter owes; `undefined` where it is no alert's. */
export const owedBy = ({ address, signal, params }: KeptLetter): Owed | undefined =>
  address === ALERTS_ADDRESS && signal === DELIVER_ALERT && params !== null ? readOwed(params) : undefined
