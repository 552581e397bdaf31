/**
 * Delivers an alert by e-mail, through the installation's SMTP server.
 *
 * Owns: the text of a message. Names that callers chose stand in it, so everything of theirs is put on one line before
 * it comes near a header.
 * Does not decide: SMTP itself (nodemailer), when it is tried again (DeliverySchedule).
 */
import { Clock, Effect, Redacted } from "effect"
import { Alert } from "../signal/Budget.ts"
import { encoderOf } from "../signal/Encode.ts"
import { formatTimestamp } from "../signal/Text.ts"
import { DeliveryFailed, failedBecause, type Message, oneLine, type Send } from "./Sending.ts"

export interface SmtpOptions {
  /** `smtp://` or `smtps://`, with user and password where the server wants them. */
  readonly url: Redacted.Redacted<string>
  /** Who the messages come from: `Bursar <bursar@example.com>`. */
  readonly from: string
}

const TOTAL = "30 seconds"
const SUBJECT_LENGTH_MAX = 160
const LINE_LENGTH_MAX = 1_000

/** Why these settings cannot work, without quoting the password. */
export const smtpProblem = ({ url, from }: SmtpOptions): string | undefined => {
  const parsed = URL.parse(Redacted.value(url))
  if (parsed === null || !["smtp:", "smtps:"].includes(parsed.protocol) || parsed.hostname === "") {
    return "The SMTP server (BURSAR_SMTP_URL) must be a URL that begins with smtp:// or smtps:// and names a host"
  }
  return /^[^\p{Cc}<>]*<[^\s@<>]+@[^\s@<>]+>$|^[^\s@<>]+@[^\s@<>]+$/u.test(from)
    ? undefined
    : "The sender (BURSAR_SMTP_FROM) must be an address: bursar@example.com, or Bursar <bursar@example.com>"
}

const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/u.test(host)

/** A password is not sent over a connection that anybody can read, unless the URL itself says so (`?requireTLS=false`). */
export const needsTls = (url: URL): boolean =>
  url.password !== "" && url.protocol === "smtp:" && !isLoopback(url.hostname)

const encodeAlert = encoderOf(Alert)

export interface Letter {
  readonly subject: string
  readonly text: string
}

/** What an alert says to a person. */
export const letterOf = ({ id, tenant, alert }: Pick<Message, "id" | "tenant" | "alert">): Letter => {
  const { data } = encodeAlert(alert) as { readonly data: unknown }
  const lines = [
    oneLine(alert.message, LINE_LENGTH_MAX),
    "",
    `Kind:     ${alert.kind}`,
    `Severity: ${alert.severity}`,
    `Tenant:   ${oneLine(tenant)}`,
    `At:       ${formatTimestamp(alert.at)}`,
    ...(alert.budget_id === undefined ? [] : [`Budget:   ${oneLine(alert.budget_id)}`]),
    `Data:     ${oneLine(JSON.stringify(data), LINE_LENGTH_MAX)}`,
    "",
    `Alert ${alert.id}, message ${id}. A message of the same id is a repeat.`
  ]
  return { subject: oneLine(`[Bursar] ${alert.message}`, SUBJECT_LENGTH_MAX), text: `${lines.join("\n")}\n` }
}

const domainOf = (from: string): string => from.slice(from.lastIndexOf("@") + 1).replace(/>$/u, "")

/** Loaded with the first letter: it takes a twentieth of a second, and most installations send none. */
const openTransport = async (url: string) => {
  const { createTransport } = await import("nodemailer")
  return createTransport({
    url,
    requireTLS: needsTls(new URL(url)),
    disableFileAccess: true,
    disableUrlAccess: true
  })
}

/** One try takes at most half a minute: servers keep strangers waiting on purpose. */
export const makeEmail = (options: SmtpOptions): Send => {
  let opened: ReturnType<typeof openTransport> | undefined
  const domain = domainOf(options.from)
  const deliver = (message: Message): Effect.Effect<void, DeliveryFailed> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.tryPromise({
        try: async (signal) => {
          opened ??= openTransport(Redacted.value(options.url))
          const transport = await opened
          return transport.sendMail({
            ...letterOf(message),
            textEncoding: "quoted-printable",
            from: options.from,
            to: { name: "", address: message.target },
            date: new Date(now),
            messageId: `<${message.id}@${domain}>`,
            headers: { "Auto-Submitted": "auto-generated" },
            signal
          })
        },
        catch: failedBecause
      })
    )
  return (message) =>
    Effect.timeoutOrElse(Effect.asVoid(deliver(message)), {
      duration: TOTAL,
      orElse: () => Effect.fail(new DeliveryFailed({ message: `it took longer than ${TOTAL}` }))
    })
}
