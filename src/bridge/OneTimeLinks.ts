/**
 * The console's one-time links.
 *
 * Owns: codes that are good once, for five minutes. They live in memory: a restart voids them.
 */
import { randomBytes } from "node:crypto"
import type { Millis } from "../signal/Text.ts"
import { isSameHash } from "./InstallationSecret.ts"

export const LINK_TTL_MS: Millis = 5 * 60 * 1000
const OPEN_MAX = 100

export interface OneTimeLinks {
  readonly issue: (now: Millis) => string
  /** Whether this code was good; it is not any more. */
  readonly redeem: (code: string, now: Millis) => boolean
}

interface Issued {
  readonly hex: string
  readonly expiresAt: Millis
}

export const makeOneTimeLinks = (): OneTimeLinks => {
  let issued: ReadonlyArray<Issued> = []
  return {
    issue: (now) => {
      const code = randomBytes(32)
      issued = [...issued.slice(1 - OPEN_MAX), { hex: code.toString("hex"), expiresAt: now + LINK_TTL_MS }]
      return code.toString("base64url")
    },
    redeem: (code, now) => {
      const hex = Buffer.from(code, "base64url").toString("hex")
      const matching = issued.filter((other) => isSameHash(other.hex, hex))
      issued = issued.filter((other) => !matching.includes(other) && now < other.expiresAt)
      return matching.some((other) => now < other.expiresAt)
    }
  }
}
