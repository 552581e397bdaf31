/** An adapter whose every call is told in advance what to do; it counts the calls that reach it. */
import { Effect, Stream } from "effect"
import {
  type Adapter,
  type ModelAnswer,
  type ModelEvent,
  type ModelRequest,
  NO_USAGE,
  ProviderFailure,
  type ReportedUsage
} from "../../../src/provider/Adapter.ts"

export type Step =
  | { readonly kind: "answer"; readonly answer: ModelAnswer; readonly afterMs?: number }
  | { readonly kind: "fail"; readonly failure: ProviderFailure; readonly afterMs?: number }
  | {
      readonly kind: "stream"
      readonly events: ReadonlyArray<ModelEvent>
      readonly everyMs?: number
      readonly ending?: ProviderFailure | "never"
    }
  | { readonly kind: "never" }

export const usage = (prompt: number, completion: number): ReportedUsage => ({
  counts: { prompt_tokens: prompt, completion_tokens: completion }
})

export const answer = (content = "Hello.", reported: ReportedUsage | undefined = usage(10, 5)): Step => ({
  kind: "answer",
  answer: { content, toolCalls: [], finishReason: "stop", usage: reported }
})

export const fail = (status: number, retryAfterMs?: number, provider = "scripted"): Step => ({
  kind: "fail",
  failure: new ProviderFailure({
    provider,
    status,
    isRetryable: status === 429 || status >= 500,
    retryAfterMs,
    message: `said ${status}`,
    usage: { counts: NO_USAGE },
    reachedProvider: true
  })
})

export const lost = (reachedProvider: boolean, provider = "scripted"): Step => ({
  kind: "fail",
  failure: new ProviderFailure({
    provider,
    status: null,
    isRetryable: true,
    retryAfterMs: undefined,
    message: "lost",
    usage: reachedProvider ? undefined : { counts: NO_USAGE },
    reachedProvider
  })
})

export const text = (...pieces: ReadonlyArray<string>): ReadonlyArray<ModelEvent> =>
  pieces.map((piece) => ({ _tag: "Text", text: piece }))

export class ScriptedAdapter implements Adapter {
  readonly name: string
  readonly tokenFactor = 1
  readonly requests: Array<ModelRequest> = []
  readonly #steps: Array<Step>

  constructor(steps: ReadonlyArray<Step>, name = "scripted") {
    this.name = name
    this.#steps = [...steps]
  }

  /** One token a character, so that tests can count. */
  countPrompt(request: Omit<ModelRequest, "maxCompletionTokens">): number {
    return request.messages.reduce((sum, { content }) => sum + content.length, 0)
  }

  call(request: ModelRequest): Effect.Effect<ModelAnswer, ProviderFailure> {
    return Effect.suspend(() => {
      const step = this.#next(request)
      if (step.kind === "answer") return Effect.delay(Effect.succeed(step.answer), step.afterMs ?? 0)
      if (step.kind === "fail") return Effect.delay(Effect.fail(step.failure), step.afterMs ?? 0)
      return Effect.never
    })
  }

  stream(request: ModelRequest): Stream.Stream<ModelEvent, ProviderFailure> {
    return Stream.suspend(() => {
      const step = this.#next(request)
      if (step.kind === "fail")
        return Stream.fromEffect(Effect.delay(Effect.fail(step.failure), step.afterMs ?? 0))
      if (step.kind !== "stream") return Stream.never
      const events = Stream.fromIterable(step.events, { chunkSize: 1 }).pipe(
        Stream.tap(() => (step.everyMs === undefined ? Effect.void : Effect.sleep(step.everyMs)))
      )
      if (step.ending === undefined) return events
      return Stream.concat(events, step.ending === "never" ? Stream.never : Stream.fail(step.ending))
    })
  }

  #next(request: ModelRequest): Step {
    this.requests.push(request)
    return this.#steps.shift() ?? { kind: "never" }
  }
}
