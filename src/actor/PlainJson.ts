/**
 * What a durable machine may keep: plain JSON, which is the same after a restart.
 *
 * Owns: finding what would not be, and writing a failure down as what is.
 */
import type { Schema } from "effect"

const DEPTH_MAX = 64

/** A machine did what no durable machine can do. It names places and no values: so whoever asked is told, too. */
export class NotDurable extends Error {
  override readonly name = "NotDurable"
}

const kindOf = (value: unknown): string => {
  if (typeof value !== "object" || value === null) return `a ${typeof value}`
  return `a ${Object.getPrototypeOf(value)?.constructor?.name ?? "strange object"}`
}

const isPlain = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** Where a value is not plain JSON, and what is there instead; `undefined` where it is. */
export const jsonProblem = (value: unknown, path: string, depth = 0): string | undefined => {
  if (value === null || typeof value === "string" || typeof value === "boolean") return undefined
  if (typeof value === "number") return Number.isFinite(value) ? undefined : `${path} is ${value}`
  if (typeof value !== "object") return `${path} is ${kindOf(value)}`
  if (depth > DEPTH_MAX) return `${path} is nested more than ${DEPTH_MAX} deep, or refers to itself`
  if (Array.isArray(value)) {
    for (const [index, inner] of value.entries()) {
      const problem = jsonProblem(inner, `${path}[${index}]`, depth + 1)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  if (!isPlain(value)) return `${path} is ${kindOf(value)}`
  for (const [name, inner] of Object.entries(value)) {
    // A field that is not set is left out, and reads the same.
    const problem = inner === undefined ? undefined : jsonProblem(inner, `${path}.${name}`, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** A failure's message, whatever was thrown; what Postgres would not keep is taken out. */
export const messageOf = (failure: unknown): string => {
  const text =
    typeof failure === "object" && failure !== null && "message" in failure
      ? String(failure.message)
      : String(failure)
  return text.slice(0, 1_000).replaceAll("\u0000", "").toWellFormed()
}

/** A failure as a machine's `onError` gets it: its tag or name, its message, and what else of it is plain JSON. */
export const plainFailure = (failure: unknown): Schema.JsonObject => {
  if (typeof failure !== "object" || failure === null) return { name: "Error", message: String(failure) }
  const plain: Record<string, Schema.Json> = {}
  for (const [field, value] of Object.entries(failure)) {
    if (value !== undefined && jsonProblem(value, field) === undefined) plain[field] = value
  }
  const { name, _tag: tag } = failure as { readonly name?: unknown; readonly _tag?: unknown }
  return {
    ...plain,
    ...(typeof tag === "string" ? { _tag: tag } : {}),
    name: typeof name === "string" ? name : "Error",
    message: messageOf(failure)
  }
}
