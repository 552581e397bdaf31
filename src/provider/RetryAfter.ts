/**
 * Reads how long a provider asks to wait.
 *
 * Owns: `retry-after` in seconds or as a date (RFC 9110, section 10.2.3), and `retry-after-ms`, which wins because
 * it is finer. Does not decide: whether there is a retry.
 */

const positive = (ms: number): number | undefined =>
  Number.isFinite(ms) && ms >= 0 ? Math.ceil(ms) : undefined

export const retryAfterMs = (headers: Headers | undefined, now: number): number | undefined => {
  const fine = headers?.get("retry-after-ms")
  if (fine != null && fine.trim() !== "") {
    const ms = positive(Number(fine))
    if (ms !== undefined) return ms
  }
  const text = headers?.get("retry-after")?.trim()
  if (text === undefined || text === "") return undefined
  const seconds = Number(text)
  if (!Number.isNaN(seconds)) return positive(seconds * 1000)
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}
