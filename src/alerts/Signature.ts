/**
 * The signature of a webhook, as Standard Webhooks has it (standardwebhooks.com).
 *
 * Owns: what is signed, and which bytes of a secret are the key.
 */
import { createHmac } from "node:crypto"
import { STANDARD_SECRET_PREFIX } from "../signal/AlertChannels.ts"

/** `whsec_BASE64` stands for the bytes that it encodes; any other secret is its own text. */
const keyOf = (secret: string): Buffer =>
  secret.startsWith(STANDARD_SECRET_PREFIX)
    ? Buffer.from(secret.slice(STANDARD_SECRET_PREFIX.length), "base64")
    : Buffer.from(secret, "utf8")

export interface Signed {
  readonly "webhook-id": string
  /** In seconds; it is part of what is signed, so that an old delivery cannot be played again. */
  readonly "webhook-timestamp": string
  readonly "webhook-signature": string
}

/** The headers of one try at `seconds` since 1970. */
export const signatureHeaders = (secret: string, id: string, seconds: number, body: string): Signed => {
  const digest = createHmac("sha256", keyOf(secret)).update(`${id}.${seconds}.${body}`).digest("base64")
  return { "webhook-id": id, "webhook-timestamp": String(seconds), "webhook-signature": `v1,${digest}` }
}
