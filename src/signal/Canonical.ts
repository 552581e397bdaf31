/**
 * One text for one content.
 *
 * Owns: that the order of fields and fields that are not set make no difference, and everything else does: a repeat
 * with other content must not pass for the same.
 */
import { Redacted } from "effect"

const canonical = (value: unknown): unknown => {
  // A secret that comes here is sealed: a digest of it gives nothing away.
  if (Redacted.isRedacted(value)) return Redacted.value(value)
  if (typeof value === "bigint") return `${value}n`
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .map(([name, inner]) => [name, canonical(inner)])
  )
}

/** For digests: what is JSON, and amounts. */
export const canonicalJson = (value: unknown): string => JSON.stringify(canonical(value))
