/**
 * How alerts leave the runtime for channels.
 *
 * Owns: what an installation sets about them, which keys their secrets are sealed with, and that couriers hear of
 * commits.
 * Does not decide: anything about a delivery (alerts/).
 */
import { Effect, Layer, Schema } from "effect"
import { type AlertDelivery, layer } from "../alerts/AlertDelivery.ts"
import type { DeliveryStore } from "../alerts/DeliveryStore.ts"
import { type SmtpOptions, smtpProblem } from "../alerts/Email.ts"
import { makeSecretVault } from "../alerts/SecretVault.ts"
import { PRIVATE_TARGETS, PUBLIC_TARGETS, type WebhookPolicy } from "../alerts/Webhook.ts"
import { InstallationSecret, keyedHash } from "../bridge/InstallationSecret.ts"
import { type Known, REDACTED, SWITCH, TEXT } from "../signal/KnownOptions.ts"
import type { CommitObserver } from "../tokens/ShiftEnvironment.ts"
import type { Hub } from "./Hub.ts"
import type { Pseudonyms } from "./Pseudonyms.ts"

export interface AlertsConfig {
  /** Whether webhooks may go to private addresses, and without TLS. Default: no. */
  readonly privateTargets?: boolean
  /** Certificates (PEM) that webhooks trust in place of the usual ones. */
  readonly trustedCa?: string
  /** The server for e-mail. Without one there is none. */
  readonly smtp?: SmtpOptions
}

/** Its options. */
export const ALERTS: Known<AlertsConfig> = {
  privateTargets: SWITCH,
  trustedCa: TEXT,
  smtp: { url: REDACTED, from: TEXT }
}

/** These settings cannot work. */
export class AlertsRefused extends Schema.TaggedError<AlertsRefused>()("AlertsRefused", {
  message: Schema.String
}) {}

/** What is wrong with the settings, if anything. */
export const alertsProblem = ({ smtp }: AlertsConfig): string | undefined => smtp && smtpProblem(smtp)

const policyOf = ({ privateTargets, trustedCa }: AlertsConfig): WebhookPolicy => ({
  ...(privateTargets === true ? PRIVATE_TARGETS : PUBLIC_TARGETS),
  ...(trustedCa === undefined ? {} : { trustedCa })
})

/** Couriers that run as long as the layer. */
export const alertsLayer = (
  config: AlertsConfig
): Layer.Layer<AlertDelivery, never, DeliveryStore | InstallationSecret> =>
  Layer.unwrap(
    Effect.map(InstallationSecret, (installation) =>
      layer({
        webhooks: policyOf(config),
        ...(config.smtp === undefined ? {} : { smtp: config.smtp }),
        vault: makeSecretVault({
          encryption: keyedHash(installation, "alert channel: encryption"),
          nonce: keyedHash(installation, "alert channel: nonce")
        }),
        messageId: ({ tenant, recipientId, seq }) =>
          `msg_${keyedHash(installation, "alert delivery", tenant, recipientId, String(seq)).toString("base64url").slice(0, 27)}`
      })
    )
  )

/** Subscribers, couriers and the doors are told of the same commits. */
export const observedBy = (hub: Hub, alerts: AlertDelivery, pseudonyms: Pseudonyms): CommitObserver => ({
  isObserved: hub.isObserved,
  reset: hub.reset,
  committed: (tenant, batch, standings) => {
    if (batch.config !== undefined) pseudonyms.configured(tenant, batch.config.anonymize_users)
    hub.committed(tenant, batch, standings)
    if (batch.alerts.some(({ recipients }) => recipients.length > 0)) alerts.raised()
    if (batch.recipients !== undefined) alerts.changed()
  }
})
