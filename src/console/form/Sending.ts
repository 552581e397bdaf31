/**
 * Sends what was typed, and keeps what came back.
 *
 * Owns: the life of one sending: under way, answered, failed, or streaming its text.
 * Does not decide: whether the params are right.
 */
import type { WireEvent } from "../model/Model.ts"
import type { RpcClient } from "../wire/RpcClient.ts"
import { RpcFailure } from "../wire/RpcClient.ts"
import type { Issue, Params } from "./Definitions.ts"

export type Outcome =
  | { readonly kind: "sending" }
  | { readonly kind: "answered"; readonly result: unknown; readonly tookMs: number }
  | {
      readonly kind: "streaming"
      readonly subscription: string
      readonly text: string
      readonly events: ReadonlyArray<WireEvent>
    }
  | {
      readonly kind: "failed"
      readonly tag: string
      readonly message: string
      readonly data: unknown
      readonly tookMs: number
    }

const TEXT_MAX = 100_000
const EVENTS_MAX = 50
/** A call may think for minutes. */
const ANSWER_MS_MAX = 600_000

export const issuesIn = (outcome: Outcome | null): ReadonlyArray<Issue> => {
  if (outcome?.kind !== "failed" || outcome.tag !== "InvalidParams") return []
  const { issues } = outcome.data as { readonly issues?: ReadonlyArray<Issue> }
  return issues ?? []
}

const subscriptionIn = (result: unknown): string | null => {
  if (typeof result !== "object" || result === null || !("subscription" in result)) return null
  return typeof result.subscription === "string" ? result.subscription : null
}

const streamed = (before: Extract<Outcome, { kind: "streaming" }>, event: WireEvent): typeof before =>
  "text" in event
    ? { ...before, text: (before.text + event.text).slice(-TEXT_MAX) }
    : { ...before, events: [event, ...before.events].slice(0, EVENTS_MAX) }

/** Sends, and tells every change of the outcome. */
export const send = async (
  client: RpcClient | null,
  name: string,
  params: Params,
  tell: (outcome: Outcome) => void
): Promise<void> => {
  const startedAt = performance.now()
  const took = () => performance.now() - startedAt
  const fail = (tag: string, message: string, data: unknown) =>
    tell({ kind: "failed", tag, message, data, tookMs: took() })
  if (client === null)
    return fail("Not connected", "There is no connection now; it is being made again.", null)
  tell({ kind: "sending" })
  try {
    const result = await client.requestUnchecked(name, params, ANSWER_MS_MAX)
    const subscription = subscriptionIn(result)
    if (subscription === null) return tell({ kind: "answered", result, tookMs: took() })
    let outcome: Extract<Outcome, { kind: "streaming" }> = {
      kind: "streaming",
      subscription,
      text: "",
      events: []
    }
    tell(outcome)
    client.onSubscription(subscription, ({ event }) => {
      outcome = streamed(outcome, event)
      tell(outcome)
    })
  } catch (error) {
    if (error instanceof RpcFailure) return fail(error.tag, error.message, error.data)
    fail("No answer", error instanceof Error ? error.message : String(error), null)
  }
}
