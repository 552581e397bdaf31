/**
 * Runs one attempt at a provider, plain or streaming, and says what came of it.
 *
 * Owns: collecting the answer, handing its text on, metering it as it comes, and stopping it when it outgrows what
 * is held and no more may be held.
 * Does not decide: whether it may run: it is given an `Admission`.
 */
import { Effect, Stream } from "effect"
import type { FinishReason, ModelRef, ToolCall } from "../signal/Providers.ts"
import {
  type Adapter,
  type ModelAnswer,
  type ModelEvent,
  type ModelRequest,
  ProviderFailure
} from "./Adapter.ts"
import type { Admission } from "./Admission.ts"
import type { Answer, AttemptEnd } from "./Attempt.ts"
import { Meter } from "./Meter.ts"
import { cutStream } from "./SdkFailure.ts"

export interface AttemptOrder {
  readonly adapter: Adapter
  readonly target: ModelRef
  readonly request: ModelRequest
  readonly admission: Admission
  readonly estimatedPromptTokens: number
  readonly isStream: boolean
  /** Hands a piece of text to the readers; waits for the slowest. */
  readonly onText: (text: string) => Effect.Effect<void>
  /** Asked when a stream tells its input; false stops it: nothing more may be held for it. */
  readonly isCovered: () => Effect.Effect<boolean>
}

interface ToolCallDraft {
  id: string
  name: string
  text: string
}

export class AttemptRun {
  readonly order: AttemptOrder
  readonly meter: Meter
  /** How it ended, once it has; also when nobody took notice any more. */
  end: AttemptEnd | undefined
  readonly #now: () => number
  #content = ""
  readonly #toolCalls = new Map<number, ToolCallDraft>()
  #finishReason: FinishReason | undefined

  constructor(order: AttemptOrder, now: () => number) {
    this.order = order
    this.#now = now
    this.meter = new Meter(now())
  }

  get run(): Effect.Effect<AttemptEnd, ProviderFailure> {
    return Effect.suspend(() => (this.order.isStream ? this.#stream : this.#plain)).pipe(
      // What breaks here may have been sent: it is an attempt that failed, and is reported like one.
      Effect.catchDefect((defect) =>
        Effect.andThen(
          Effect.logError(`An adapter broke: ${this.order.adapter.name}`, defect),
          Effect.fail(brokenAdapter(this.order.adapter.name))
        )
      ),
      Effect.tap((end) => {
        this.end = end
        return Effect.void
      })
    )
  }

  /** The end of an attempt that failed: known to be free, or charged for what may have been used. */
  failed(failure: ProviderFailure): Effect.Effect<AttemptEnd> {
    const metered =
      failure.usage === undefined
        ? this.meter.broken(this.order.adapter, this.order.estimatedPromptTokens)
        : Effect.succeed({ usage: failure.usage, source: "reported" as const })
    return Effect.map(metered, (known) => {
      this.end = { ...this.#facts, kind: "failed", isSent: true, failure, metered: known }
      return this.end
    })
  }

  /** The end of an attempt whose caller went away, or which outgrew its hold. */
  cancelled(why: string): Effect.Effect<AttemptEnd> {
    return Effect.map(
      this.meter.broken(this.order.adapter, this.order.estimatedPromptTokens),
      (metered): AttemptEnd => ({
        ...this.#facts,
        kind: "cancelled",
        isSent: true,
        why,
        metered,
        partial: this.#answer("cancelled")
      })
    )
  }

  get #facts() {
    const { startedAt, firstOutputAt } = this.meter
    return {
      target: this.order.target,
      latencyMs: Math.max(0, Math.round(this.#now() - startedAt)),
      timeToFirstTokenMs:
        firstOutputAt === undefined ? undefined : Math.max(0, Math.round(firstOutputAt - startedAt))
    }
  }

  get #plain(): Effect.Effect<AttemptEnd, ProviderFailure> {
    const { adapter, request, admission, estimatedPromptTokens } = this.order
    return adapter.call(request, admission).pipe(
      Effect.flatMap((answer) => {
        for (const event of eventsOf(answer)) this.meter.take(event, this.#now())
        return Effect.map(
          this.meter.finished(adapter, estimatedPromptTokens),
          (metered): AttemptEnd => ({
            ...this.#facts,
            timeToFirstTokenMs: undefined,
            kind: "answered",
            isSent: true,
            metered,
            answer
          })
        )
      })
    )
  }

  get #stream(): Effect.Effect<AttemptEnd, ProviderFailure> {
    const { adapter, request, admission, estimatedPromptTokens } = this.order
    let isOutgrown = false
    return adapter.stream(request, admission).pipe(
      Stream.runForEachWhile((event) =>
        Effect.gen({ self: this }, function* () {
          this.#take(event)
          if (event._tag === "Text") yield* this.order.onText(event.text)
          // Output cannot outgrow its hold, it is bounded by the request; input is known before output begins.
          if (event._tag === "Usage" && this.meter.firstOutputAt === undefined) {
            isOutgrown = !(yield* this.order.isCovered())
          }
          return event._tag !== "Finished" && !isOutgrown
        })
      ),
      Effect.flatMap(() => {
        if (isOutgrown) return this.#outgrown
        const finishReason = this.#finishReason
        if (finishReason === undefined) return Effect.fail(cutStream(adapter.name))
        return Effect.map(
          this.meter.finished(adapter, estimatedPromptTokens),
          (metered): AttemptEnd => ({
            ...this.#facts,
            kind: "answered",
            isSent: true,
            metered,
            answer: this.#answer(finishReason)
          })
        )
      })
    )
  }

  /** Nothing more may be held: what has come is the answer, and its length is why it ends. */
  get #outgrown(): Effect.Effect<AttemptEnd> {
    return Effect.map(
      this.meter.broken(this.order.adapter, this.order.estimatedPromptTokens),
      (metered): AttemptEnd => ({
        ...this.#facts,
        kind: "answered",
        isSent: true,
        metered,
        answer: this.#answer(this.#finishReason ?? "length")
      })
    )
  }

  #take(event: ModelEvent): void {
    this.meter.take(event, this.#now())
    if (event._tag === "Text") this.#content += event.text
    else if (event._tag === "Finished") this.#finishReason = event.finishReason
    else if (event._tag === "ToolCallPart") {
      const draft = this.#toolCalls.get(event.index) ?? { id: "", name: "", text: "" }
      if (event.id !== undefined) draft.id = event.id
      if (event.name !== undefined) draft.name = event.name
      draft.text += event.arguments
      this.#toolCalls.set(event.index, draft)
    }
  }

  #answer(finishReason: FinishReason): Answer {
    const toolCalls = Array.from(
      this.#toolCalls.values(),
      ({ id, name, text }): ToolCall => ({ id, name, arguments: text === "" ? "{}" : text })
    )
    return { content: this.#content, toolCalls, finishReason }
  }
}

const brokenAdapter = (provider: string): ProviderFailure =>
  new ProviderFailure({
    provider,
    status: null,
    isRetryable: false,
    retryAfterMs: undefined,
    message: "the answer could not be read, by a defect of ours; the log says more",
    usage: undefined,
    reachedProvider: true
  })

/** A plain answer as the events that would have led to it. */
const eventsOf = ({ content, toolCalls, usage }: ModelAnswer): ReadonlyArray<ModelEvent> => [
  { _tag: "Text", text: content },
  ...toolCalls.map((call, index): ModelEvent => ({ _tag: "ToolCallPart", index, ...call })),
  ...(usage === undefined ? [] : [{ _tag: "Usage" as const, usage }])
]
