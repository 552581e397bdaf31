/**
 * A router for tests of the bridge: it answers at once, remembers what reached it, and streams what it is told to.
 */
import { Effect, Stream } from "effect"
import type { SignalError } from "../../src/signal/Errors.ts"
import type { Principal } from "../../src/signal/Principal.ts"
import { type OpenTopic, SignalRouter, type TopicEvent } from "../../src/signal/SignalRouter.ts"

interface Asked {
  readonly name: string
  readonly payload: unknown
  readonly principal: Principal
}

type Answer = (asked: Asked) => Effect.Effect<unknown, SignalError>

/** What tests say and see of the router. */
export interface Stub {
  /** What the doors refused by themselves: `METHOD ERROR KEY`. */
  readonly refused: Array<string>
  readonly asked: Array<Asked>
  /** Answers a signal instead of the stub's own answer. */
  readonly answers: Map<string, Answer>
  /** What a streaming call sends. */
  stream: Stream.Stream<TopicEvent, SignalError>
  /** What a subscription sends. */
  topic: Stream.Stream<TopicEvent, SignalError>
  readonly router: SignalRouter
}

const OWN_ANSWERS: { readonly [name: string]: unknown } = {
  release_hold: { released: true },
  get_budget_status: { budgets: [] },
  get_pricing: { items: [] },
  get_usage: { items: [], next_cursor: null },
  list_refusals: { items: [], next_cursor: null, dropped: 0 },
  get_audit_trail: { items: [], head: { seq: 0, hash: "" }, next_cursor: null },
  list_actors: { items: [], next_cursor: null },
  list_dead_letters: { items: [], next_cursor: null, dropped: 0 }
}

/** Topics that can be resumed. */
const STORED: ReadonlyArray<string> = ["usage", "alerts", "workflows"]

export const makeStub = (): Stub => {
  const asked: Array<Asked> = []
  const answers = new Map<string, Answer>()
  const ask: Answer = (signal) => {
    asked.push(signal)
    return answers.get(signal.name)?.(signal) ?? Effect.succeed(OWN_ANSWERS[signal.name])
  }
  const opened = (events: Stream.Stream<TopicEvent, SignalError>, isStored = false): OpenTopic => ({
    cursor: isStored ? "c0" : null,
    events
  })
  const refused: Array<string> = []
  const stub: Stub = {
    asked,
    refused,
    answers,
    stream: Stream.never,
    topic: Stream.never,
    router: SignalRouter.of({
      ask: ((name, payload, principal) => ask({ name, payload, principal })) as SignalRouter["ask"],
      stream: (payload, principal) =>
        Effect.sync(() => {
          asked.push({ name: "complete", payload, principal })
          return opened(stub.stream)
        }),
      refused: (method, { keyId }, { _tag }) =>
        Effect.sync(() => {
          refused.push(`${method} ${_tag} ${keyId}`)
        }),
      subscribe: (topic, filter, fromCursor, principal) =>
        Effect.sync(() => {
          asked.push({ name: "subscribe", payload: { topic, filter, fromCursor }, principal })
          return opened(stub.topic, STORED.includes(topic))
        })
    })
  }
  return stub
}
