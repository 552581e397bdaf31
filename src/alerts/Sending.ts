/**
 * What a way of delivering alerts is given, and how it fails.
 *
 * Owns: the shape that Webhook and Email share. Does not decide: what follows from a failure (Deliveries).
 */

import type { Redacted } from "effect"
import { type Effect, Schema } from "effect"
import type { Alert } from "../signal/Budget.ts"

/** It is not known to have arrived. The message is for the log and the row: no secret, and one line. */
export class DeliveryFailed extends Schema.TaggedError<DeliveryFailed>()("DeliveryFailed", {
  message: Schema.String
}) {}

/** An alert that is ready to go out. */
export interface Message {
  /** The same at every try, and nobody else's: a receiver can tell a repeat by it. */
  readonly id: string
  readonly tenant: string
  readonly alert: Alert
  readonly target: string
  /** What signs it; `undefined` for e-mail. */
  readonly secret: Redacted.Redacted<string> | undefined
}

export type Send = (message: Message) => Effect.Effect<void, DeliveryFailed>

const FAILURE_LENGTH_MAX = 500

/** Text of somebody else as one line without characters that steer a terminal, a header or the direction of text. */
export const oneLine = (text: string, lengthMax = FAILURE_LENGTH_MAX): string => {
  const line = text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, " ")
    .trim()
  const letters = [...line]
  return letters.length <= lengthMax ? line : `${letters.slice(0, lengthMax - 1).join("")}…`
}

/** A failure with what the other side, or the system, said. */
export const failedBecause = (cause: unknown): DeliveryFailed => {
  const { message, code } = cause as { readonly message?: unknown; readonly code?: unknown }
  const said = typeof message === "string" && message !== "" ? message : String(code ?? "it failed")
  return new DeliveryFailed({ message: oneLine(said) })
}
