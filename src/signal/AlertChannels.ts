/**
 * Where alerts go beside subscriptions: webhooks and e-mail (signals.md, section 7).
 *
 * Owns: how a channel is written and shown, and its bounds. A secret goes in and never comes out.
 * Does not decide: which targets an installation allows, or how an alert is delivered (alerts/).
 */
import { type Redacted, Schema } from "effect"
import { optional, textProblem } from "./Text.ts"

const URL_LENGTH_MAX = 2_048
const SECRET_LENGTH_MIN = 16
const SECRET_BYTES_MAX = 256
const ADDRESS_LENGTH_MAX = 254
const CHANNELS_MAX = 8
const RECIPIENTS_MAX = 16

/** How Standard Webhooks writes a secret: this prefix, then base64 of 24 to 64 bytes. */
export const STANDARD_SECRET_PREFIX = "whsec_"
const STANDARD_BYTES = { min: 24, max: 64 }

const isBase64Of = (text: string, { min, max }: { readonly min: number; readonly max: number }): boolean => {
  const [, digits = ""] = /^([A-Za-z0-9+/]+)={0,2}$/u.exec(text) ?? []
  const bytes = Math.floor((digits.length * 3) / 4)
  return bytes >= min && bytes <= max
}

const secretProblem = (secret: string): string | undefined => {
  if (!secret.startsWith(STANDARD_SECRET_PREFIX)) return textProblem(secret, SECRET_BYTES_MAX)
  return isBase64Of(secret.slice(STANDARD_SECRET_PREFIX.length), STANDARD_BYTES)
    ? undefined
    : `Expected base64 of ${STANDARD_BYTES.min} to ${STANDARD_BYTES.max} bytes after "${STANDARD_SECRET_PREFIX}"`
}

/** What signs a webhook. No message about it ever quotes it. */
const WebhookSecret = Schema.RedactedFromValue(
  Schema.String.check(
    Schema.isMinLength(SECRET_LENGTH_MIN, {
      expected: `a secret of at least ${SECRET_LENGTH_MIN} characters`
    }),
    Schema.makeFilter((secret: string) => secretProblem(secret) ?? true, {
      toJsonSchema: () => ({ maxLength: SECRET_BYTES_MAX })
    })
  ).annotate({ format: "password" })
)

const urlProblem = (text: string): string | undefined => {
  if (!/^[\x21-\x7e]+$/u.test(text)) return "Expected a URL of ASCII characters, with others percent-encoded"
  const url = URL.parse(text)
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return "Expected an https URL"
  if (url.username !== "" || url.password !== "") return "Expected a URL without a user or a password"
  return url.hash === "" ? undefined : "Expected a URL without a fragment"
}

const WebhookUrl = Schema.String.check(
  Schema.isMaxLength(URL_LENGTH_MAX),
  Schema.makeFilter((text: string) => urlProblem(text) ?? true)
).annotate({ format: "uri" })

const EmailAddress = Schema.String.check(
  Schema.isMaxLength(ADDRESS_LENGTH_MAX),
  Schema.isPattern(
    /^[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/u,
    { expected: 'an e-mail address like "ops@example.com"' }
  )
).annotate({ format: "email" })

const Addresses = Schema.Array(EmailAddress).check(Schema.isMinLength(1), Schema.isMaxLength(RECIPIENTS_MAX))

/** A channel as it is configured. */
export const AlertChannel = Schema.Union([
  Schema.Struct({
    /** A signed `POST` of the alert as JSON. */
    type: Schema.Literal("webhook"),
    /** https, to a public address; 2xx within five seconds is success, anything else is tried again. */
    url: WebhookUrl,
    /**
     * Signs each delivery as Standard Webhooks does: 16 characters or more, or `whsec_` and base64. It may only be
     * left out for a URL that is configured already; it is never shown.
     */
    secret: optional(WebhookSecret)
  }),
  Schema.Struct({
    /** A letter for each alert; the installation needs an SMTP server. */
    type: Schema.Literal("email"),
    /** At most 16 addresses; each gets a letter of its own. */
    to: Addresses
  })
]).annotate({
  identifier: "AlertChannel",
  message: 'Expected {"type": "webhook", "url": …} or {"type": "email", "to": […]}'
})
export type AlertChannel = typeof AlertChannel.Type

/** All channels of a tenant: what is not named goes. */
export const AlertChannels = Schema.Array(AlertChannel).check(Schema.isMaxLength(CHANNELS_MAX))

/** A channel as it is shown. */
export const ShownChannel = Schema.Union([
  Schema.Struct({
    /** A signed `POST` of the alert as JSON. */
    type: Schema.Literal("webhook"),
    /** Without what came after a question mark. */
    url: Schema.String
  }),
  Schema.Struct({
    /** A letter for each alert. */
    type: Schema.Literal("email"),
    /** Who gets it. */
    to: Schema.Array(Schema.String)
  })
]).annotate({ identifier: "ShownChannel" })
export type ShownChannel = typeof ShownChannel.Type

/** One URL or one address that alerts go to, and where it stands in the params. */
export interface Recipient {
  readonly kind: AlertChannel["type"]
  /** A URL in its normal form, or an address. */
  readonly target: string
  readonly secret: Redacted.Redacted<string> | undefined
  readonly path: ReadonlyArray<string | number>
}

const recipientsOfChannel = (channel: AlertChannel, path: Recipient["path"]): ReadonlyArray<Recipient> =>
  channel.type === "webhook"
    ? [{ kind: "webhook", target: new URL(channel.url).href, secret: channel.secret, path }]
    : channel.to.map((target, index) => ({
        kind: "email",
        target,
        secret: undefined,
        path: [...path, "to", index]
      }))

export const recipientsOf = (channels: ReadonlyArray<AlertChannel>): ReadonlyArray<Recipient> =>
  channels.flatMap((channel, index) => recipientsOfChannel(channel, ["alert_channels", index]))

/** What is wrong with the channels together. */
export const channelsProblem = (
  channels: ReadonlyArray<AlertChannel>
): { readonly path: ReadonlyArray<string | number>; readonly message: string } | undefined => {
  const recipients = recipientsOf(channels)
  if (recipients.length > RECIPIENTS_MAX) {
    return {
      path: ["alert_channels"],
      message: `Expected at most ${RECIPIENTS_MAX} URLs and addresses together; a mailing list takes more people`
    }
  }
  const seen = new Set<string>()
  for (const { kind, target, path } of recipients) {
    const key = `${kind} ${kind === "email" ? target.toLowerCase() : target}`
    if (seen.has(key)) return { path, message: "Expected each URL and each address once" }
    seen.add(key)
  }
  return undefined
}

/** A recipient as it is shown. */
export const shownTarget = (kind: AlertChannel["type"], target: string): string => {
  if (kind === "email") return target
  const { origin, pathname, search } = new URL(target)
  return `${origin}${pathname}${search === "" ? "" : "?…"}`
}

export const showChannel = (channel: AlertChannel): ShownChannel =>
  channel.type === "email" ? channel : { type: "webhook", url: shownTarget("webhook", channel.url) }

/** How a secret begins that is encrypted under a key of the installation: the router does that before an actor sees it. */
export const SEALED_PREFIX = "sealed.v1."
