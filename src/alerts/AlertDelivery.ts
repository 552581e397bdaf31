/**
 * Alert channels, as the composition sees them: what a tenant may configure, and that alerts go there.
 *
 * Owns: what this installation allows, sealing secrets before anybody keeps them, and the couriers.
 * Does not decide: which alerts are raised, and who is owed one (tokens/).
 */
import { Clock, Context, Effect, Latch, Layer, type Redacted } from "effect"
import { type AlertChannel, recipientsOf } from "../signal/AlertChannels.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import { InvalidParams, type Unavailable } from "../signal/Errors.ts"
import type { Owed } from "./AlertLetter.ts"
import { count, startCourier } from "./Courier.ts"
import { type Delivery, type DeliveryCounts, DeliveryStore } from "./DeliveryStore.ts"
import { makeEmail, type SmtpOptions } from "./Email.ts"
import type { SecretVault } from "./SecretVault.ts"
import { DeliveryFailed, type Message, type Send } from "./Sending.ts"
import { makeWebhook, targetProblem, type WebhookPolicy } from "./Webhook.ts"

export interface AlertDeliveryOptions {
  readonly webhooks: WebhookPolicy
  /** Absent: this installation sends no e-mail. */
  readonly smtp?: SmtpOptions
  readonly vault: SecretVault
  /** An id for what one recipient is told of one alert: always the same, and nobody else's. */
  readonly messageId: (delivery: Delivery) => string
  readonly random?: () => number
}

type Configure = SignalPayload<"configure_manager">

export interface AlertDelivery {
  /** The same signal with its secrets sealed, if this installation can deliver to what it names. */
  readonly admit: (payload: Configure, tenant: string) => Effect.Effect<Configure, InvalidParams>
  /** Alerts were committed that are owed to somebody. */
  readonly raised: () => void
  /** Recipients were committed: those that are not there any more are not owed anything. */
  readonly changed: () => void
  /** Owes what a dead letter says once more, with fresh tries. False: its recipient is not there any more. */
  readonly again: (tenant: string, owed: Owed) => Effect.Effect<boolean, Unavailable>
  readonly counts: (tenant: string) => Effect.Effect<DeliveryCounts, Unavailable>
}
export const AlertDelivery = Context.Service<AlertDelivery>("bursar/alerts/AlertDelivery")

const WEBHOOKS_AT_ONCE = 64
const WEBHOOK_LEASE_MS = 60_000
const EMAILS_AT_ONCE = 8
const EMAIL_LEASE_MS = 120_000

const NO_SMTP =
  "This installation sends no e-mail: whoever runs it sets BURSAR_SMTP_URL and BURSAR_SMTP_FROM, or use a webhook"

const withoutSmtp: Send = () =>
  Effect.fail(new DeliveryFailed({ message: "no SMTP server is configured (BURSAR_SMTP_URL)" }))

const problemOf = (channel: AlertChannel, { smtp, webhooks }: AlertDeliveryOptions) => {
  if (channel.type === "email") return smtp === undefined ? { field: "type", message: NO_SMTP } : undefined
  const message = targetProblem(channel.url, webhooks)
  return message === undefined ? undefined : { field: "url", message }
}

const issuesOf = (channels: ReadonlyArray<AlertChannel>, options: AlertDeliveryOptions) =>
  channels.flatMap((channel, index) => {
    const problem = problemOf(channel, options)
    return problem === undefined
      ? []
      : [{ path: ["alert_channels", index, problem.field], message: problem.message }]
  })

const refusal = (issues: InvalidParams["issues"]): InvalidParams | undefined => {
  const [first, ...others] = issues
  if (first === undefined) return undefined
  const more = others.length > 0 ? ` (and ${others.length} more, see issues)` : ""
  return new InvalidParams({ message: `${first.path.join(".")}: ${first.message}${more}`, issues })
}

const sealed = (channel: AlertChannel, tenant: string, vault: SecretVault): AlertChannel => {
  if (channel.type === "email" || channel.secret === undefined) return channel
  const [recipient] = recipientsOf([channel])
  return { ...channel, secret: vault.seal(tenant, recipient?.target ?? channel.url, channel.secret) }
}

const admitWith =
  (options: AlertDeliveryOptions): AlertDelivery["admit"] =>
  (payload, tenant) => {
    const channels = payload.alert_channels
    if (channels === undefined) return Effect.succeed(payload)
    const refused = refusal(issuesOf(channels, options))
    if (refused !== undefined) return Effect.fail(refused)
    return Effect.sync(() => ({
      ...payload,
      alert_channels: channels.map((channel) => sealed(channel, tenant, options.vault))
    }))
  }

const messageWith =
  ({ vault, messageId }: AlertDeliveryOptions) =>
  (delivery: Delivery): Message => {
    const { tenant, alert, target, secret } = delivery
    const opened: Redacted.Redacted<string> | undefined =
      secret === null ? undefined : vault.open(tenant, target, secret)
    return { id: messageId(delivery), tenant, alert, target, secret: opened }
  }

/** Drops what is owed to nobody: when it starts, and whenever recipients have changed. */
const startSweeper = Effect.fnUntraced(function* (store: DeliveryStore) {
  const changed = Latch.makeUnsafe(true)
  const later = (error: unknown) =>
    Effect.logWarning("what waits for removed channels could not be dropped yet", error).pipe(
      Effect.andThen(Effect.sleep("10 seconds")),
      Effect.andThen(Effect.sync(() => changed.openUnsafe()))
    )
  const sweep = Effect.gen(function* () {
    yield* changed.await
    changed.closeUnsafe()
    for (const { tenant, recipientId, dropped } of yield* store.dropOrphans) {
      yield* count("any", "dropped", dropped)
      yield* Effect.annotateLogs(
        Effect.logInfo(`a channel was removed: what waited for it is dropped (${dropped} deliveries)`),
        { tenant, recipient: recipientId }
      )
    }
  }).pipe(Effect.catch(later), Effect.catchDefect(later))
  yield* Effect.forkScoped(Effect.forever(sweep))
  return (): void => {
    changed.openUnsafe()
  }
})

const make = Effect.fnUntraced(function* (options: AlertDeliveryOptions) {
  const store = yield* DeliveryStore
  const random = options.random ?? Math.random
  const messageOf = messageWith(options)
  const around = { store, messageOf, random }
  const wakeWebhooks = yield* startCourier({
    ...around,
    kind: "webhook",
    send: makeWebhook(options.webhooks),
    atOnce: WEBHOOKS_AT_ONCE,
    leaseMs: WEBHOOK_LEASE_MS
  })
  const wakeEmail = yield* startCourier({
    ...around,
    kind: "email",
    send: options.smtp === undefined ? withoutSmtp : makeEmail(options.smtp),
    atOnce: EMAILS_AT_ONCE,
    leaseMs: EMAIL_LEASE_MS
  })
  const sweep = yield* startSweeper(store)
  const raised = (): void => {
    wakeWebhooks()
    wakeEmail()
  }
  return AlertDelivery.of({
    admit: admitWith(options),
    raised,
    again: (tenant, { recipient_id, alert_seq }) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.tap(store.owedAgain({ tenant, recipientId: recipient_id, seq: alert_seq }, now), () =>
          Effect.sync(raised)
        )
      ),
    changed: sweep,
    counts: store.counts
  })
})

/** Delivers until the scope closes; what is under way then is given back. */
export const layer = (options: AlertDeliveryOptions): Layer.Layer<AlertDelivery, never, DeliveryStore> =>
  Layer.effect(AlertDelivery, make(options))
