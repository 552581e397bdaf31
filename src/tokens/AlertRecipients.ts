/**
 * Who is told of alerts beside subscribers.
 *
 * Owns: which recipients a tenant has after `configure_manager`: a URL or an address that is named again is the same
 * recipient and keeps what waits for it; one that is not named any more goes, and what waits for it is dropped.
 * Does not decide: whether a target is allowed (alerts/), or how and when it is told (alerts/).
 */
import { Redacted, Result } from "effect"
import {
  type AlertChannel,
  type Recipient,
  recipientsOf,
  SEALED_PREFIX,
  type ShownChannel,
  showChannel
} from "../signal/AlertChannels.ts"
import { type InvalidParams, invalidParam } from "../signal/Errors.ts"
import type { Ledger } from "./Ledger.ts"
import type { RecipientRow } from "./LedgerStore.ts"

/** A secret as it may be kept. One that nobody sealed is a fault of ours, and must not reach the store. */
const sealedSecret = ({ secret }: Recipient): string | undefined => {
  const text = secret && Redacted.value(secret)
  if (text?.startsWith(SEALED_PREFIX) === false) throw new Error("a secret came to the ledger unsealed")
  return text
}

const isOfRow =
  ({ kind, target }: Recipient) =>
  (row: RecipientRow): boolean =>
    row.kind === kind && row.target === target

/** Changes who is told, and answers the channels as they are shown. Where something is wrong, nothing is changed. */
export const changeRecipients = (
  ledger: Ledger,
  channels: ReadonlyArray<AlertChannel>
): Result.Result<ReadonlyArray<ShownChannel>, InvalidParams> => {
  const wanted = recipientsOf(channels).map((recipient) => {
    const known = ledger.recipients.find(isOfRow(recipient))
    return { recipient, known, secret: sealedSecret(recipient) ?? known?.secret ?? null }
  })
  const bare = wanted.find(({ recipient, secret }) => recipient.kind === "webhook" && secret === null)
  if (bare !== undefined) {
    return Result.fail(
      invalidParam(
        [...bare.recipient.path, "secret"],
        "This field is required for a URL that is not configured yet: it signs each delivery"
      )
    )
  }
  ledger.setRecipients(
    wanted.map(({ recipient: { kind, target }, known, secret }) => ({
      id: known?.id ?? ledger.nextId("recipient"),
      kind,
      target,
      secret
    }))
  )
  return Result.succeed(channels.map(showChannel))
}
