/**
 * The secret of this installation, and the keyed hashes that are made with it.
 *
 * Owns: the port of the secret, HMAC-SHA256 of credentials, comparison in constant time.
 * Does not decide: where the secret lives. It must outlive restarts and stand apart from the hashes it protects.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { Context, Redacted } from "effect"

/** At least 32 random bytes, as text. Whoever replaces it voids every key and session. */
export interface InstallationSecret {
  readonly secret: Redacted.Redacted<string>
}

export const InstallationSecret = Context.Service<InstallationSecret>("bursar/bridge/InstallationSecret")

/** HMAC-SHA256 of `parts`, which cannot run into each other. `purpose` keeps hashes of different kinds apart. */
export const keyedHash = (
  installation: InstallationSecret,
  purpose: string,
  ...parts: ReadonlyArray<string>
): Buffer =>
  createHmac("sha256", Redacted.value(installation.secret))
    .update(JSON.stringify([purpose, ...parts]))
    .digest()

/** Whether two hashes in hex are the same, in a time that does not depend on where they differ. */
export const isSameHash = (left: string, right: string): boolean => {
  const a = Buffer.from(left, "hex")
  const b = Buffer.from(right, "hex")
  return a.length === b.length && a.length > 0 && timingSafeEqual(a, b)
}
