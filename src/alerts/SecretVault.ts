/**
 * Keeps the secrets of webhooks unreadable where they are stored.
 *
 * Owns: AES-256-GCM under keys of the installation. A sealed secret opens only for the tenant and the URL that it was
 * sealed for: moved to another row, it is worth nothing.
 * Does not decide: where the keys come from (runtime/).
 *
 * The same secret for the same URL is always sealed to the same text, so that a command that is sent again is the
 * same command. Its nonce is a keyed hash of all that is sealed, so two different ones never share a nonce.
 */
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto"
import { Redacted } from "effect"
import { SEALED_PREFIX } from "../signal/AlertChannels.ts"

/** 32 bytes each, and different. */
export interface VaultKeys {
  readonly encryption: Buffer
  readonly nonce: Buffer
}

export interface SecretVault {
  readonly seal: (tenant: string, url: string, secret: Redacted.Redacted<string>) => Redacted.Redacted<string>
  /** `undefined`: it was sealed under another key, for somebody else, or for another URL. */
  readonly open: (tenant: string, url: string, sealed: string) => Redacted.Redacted<string> | undefined
}

const CIPHER = "aes-256-gcm"
const NONCE_BYTES = 12
const TAG_BYTES = 16

const contextOf = (tenant: string, url: string): string => JSON.stringify(["alert_channel", tenant, url])

export const makeSecretVault = ({ encryption, nonce: nonceKey }: VaultKeys): SecretVault => ({
  seal: (tenant, url, secret) => {
    const text = Redacted.value(secret)
    const context = contextOf(tenant, url)
    const hash = createHmac("sha256", nonceKey)
      .update(JSON.stringify([context, text]))
      .digest()
    const nonce = hash.subarray(0, NONCE_BYTES)
    const cipher = createCipheriv(CIPHER, encryption, nonce).setAAD(Buffer.from(context))
    const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()])
    const sealed = Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64url")
    return Redacted.make(SEALED_PREFIX + sealed)
  },
  open: (tenant, url, sealed) => {
    if (!sealed.startsWith(SEALED_PREFIX)) return undefined
    const bytes = Buffer.from(sealed.slice(SEALED_PREFIX.length), "base64url")
    const body = bytes.subarray(NONCE_BYTES + TAG_BYTES)
    try {
      const decipher = createDecipheriv(CIPHER, encryption, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES
      })
        .setAAD(Buffer.from(contextOf(tenant, url)))
        .setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES))
      return Redacted.make(Buffer.concat([decipher.update(body), decipher.final()]).toString("utf8"))
    } catch {
      return undefined
    }
  }
})
