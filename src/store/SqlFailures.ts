/**
 * What a failed statement means.
 *
 * Owns: telling apart a batch that was refused, one that was not written, and one of which nobody knows.
 * Does not decide: what is done about it (tokens/Commit).
 */
import type { SqlError } from "effect/sql"
import { BatchRefused, NotWritten, OutcomeUnknown, StoreUnreachable } from "../tokens/LedgerStore.ts"

/** What the server said, or the client where it said something. */
const detailOf = (
  error: SqlError.SqlError
): { readonly code: string | undefined; readonly message: string } => {
  const { cause } = error.reason
  const code = (cause as { readonly code?: unknown } | undefined)?.code
  const message = cause instanceof Error ? cause.message : error.message
  return { code: typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined, message }
}

/**
 * Classes of SQLSTATE that the data itself causes, so that the same batch would fail again: 21 (a row twice in
 * one statement), 22 (data), 23 (constraints), 54 (a value too large).
 */
const ofTheData = new Set(["21", "22", "23", "54"])

/** The server ended the session: 08 connection, 57P01 to 57P05 shutdown, crash, no longer there, idle too long. */
const endsSession = (code: string): boolean =>
  code.startsWith("08") || /^57P0[1-5]$/.test(code) || code === "25P03" || code === "25P04"

export const commitFailure = (
  tenant: string,
  error: SqlError.SqlError
): BatchRefused | NotWritten | OutcomeUnknown => {
  const { code, message } = detailOf(error)
  const { reason } = error
  if (code === undefined) {
    if (reason._tag === "ConnectionError" || reason._tag === "AuthenticationError") {
      const isSent = reason.operation !== "connect"
      return isSent ? new OutcomeUnknown({ tenant, message }) : new NotWritten({ tenant, message })
    }
    // The client could not encode a value: it sent nothing, and never will.
    if (reason.message?.includes("encode") === true) return new BatchRefused({ tenant, message })
    return new OutcomeUnknown({ tenant, message })
  }
  if (reason.operation === "connect") return new NotWritten({ tenant, message })
  if (endsSession(code)) return new OutcomeUnknown({ tenant, message })
  if (ofTheData.has(code.slice(0, 2))) return new BatchRefused({ tenant, message: `${message} (${code})` })
  return new NotWritten({ tenant, message: `${message} (${code})` })
}

export const unreachable = (error: SqlError.SqlError): StoreUnreachable => {
  const { code, message } = detailOf(error)
  return new StoreUnreachable({ message: code === undefined ? message : `${message} (${code})` })
}
