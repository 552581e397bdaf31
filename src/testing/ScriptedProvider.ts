/**
 * A provider that says what a test has written down.
 *
 * Owns: the script, in order, for plain calls and for streams alike; what is said after its end; what it was asked.
 * Does not decide: whether it is asked. Like any other provider, it is reached only with a hold.
 */
import { Effect, Stream } from "effect"
import {
  type Adapter,
  type ModelAnswer,
  type ModelEvent,
  type ModelRequest,
  NO_USAGE,
  ProviderFailure,
  type ReportedUsage
} from "../provider/Adapter.ts"
import type { FinishReason, ToolCall } from "../signal/Providers.ts"
import type { Counts } from "../signal/Usage.ts"

/** What the model uses, in the fields of `track_usage`. */
export type ScriptedUsage = Counts

export interface Answer {
  /** In pieces, it is streamed in these pieces; a text is streamed word by word. Default: nothing. */
  readonly text?: string | ReadonlyArray<string>
  readonly toolCalls?: ReadonlyArray<ToolCall>
  /** `null`: the provider says nothing of it, and it is estimated. Default: a token a character of prompt and text. */
  readonly usage?: ScriptedUsage | null
  readonly finishReason?: FinishReason
  /** Until the answer, or until a stream's first piece. Default: 0. */
  readonly afterMs?: number
  /** Between two pieces of a stream. Default: 0. */
  readonly everyMs?: number
  /** A stream ends with this after its pieces, in place of its end; a plain call answers nothing else. */
  readonly thenFails?: Failure
}

export interface Failure {
  /** The HTTP status; `null`: the connection was lost. */
  readonly status: number | null
  /** Default: 429, 5xx and lost connections. */
  readonly isRetryable?: boolean
  readonly retryAfterMs?: number
  readonly message?: string
  /** What the failed call used. Default: nothing; `null`: it is not known, and is estimated. */
  readonly usage?: ScriptedUsage | null
  readonly afterMs?: number
}

/** One call's part of the script. */
export type Line =
  | { readonly kind: "answer"; readonly answer: Answer }
  | { readonly kind: "failure"; readonly failure: Failure }
  | { readonly kind: "silence" }

export const answers = (answer: Answer | string): Line => ({
  kind: "answer",
  answer: typeof answer === "string" ? { text: answer } : answer
})
export const fails = (failure: Failure | number): Line => ({
  kind: "failure",
  failure: typeof failure === "number" ? { status: failure } : failure
})
/** Takes the call and never says anything. */
export const staysSilent: Line = { kind: "silence" }

export interface ScriptedOptions {
  /** Default: `scripted`. The name of a real one, such as `anthropic`, gives its models their prices. */
  readonly name?: string
  /** What is said once the script has come to its end. Default: a failure that says so, and is not tried again. */
  readonly thenAlways?: Line
}

/** A provider to start a test runtime with. */
export interface ScriptedProvider extends Adapter {
  /** What it was asked, in order. */
  readonly requests: ReadonlyArray<ModelRequest>
  /** What of the script was not said yet. */
  readonly left: number
  /** Adds to the script. */
  readonly say: (...lines: ReadonlyArray<Line>) => void
}

const END: Line = {
  kind: "failure",
  failure: {
    status: 400,
    isRetryable: false,
    message:
      "the script has no line left for this call: add one (`say`, or scriptedProvider([…])), or give it a `thenAlways`"
  }
}

const countPrompt = ({ messages, system }: Omit<ModelRequest, "maxCompletionTokens">): number =>
  messages.reduce((sum, { content }) => sum + content.length, system?.length ?? 0)

const piecesOf = (text: Answer["text"] = []): ReadonlyArray<string> =>
  typeof text === "string" ? (text.match(/\s*\S+\s*$|\s*\S+/gu) ?? []) : text

const usageOf = (answer: Answer, request: ModelRequest): ReportedUsage | undefined => {
  if (answer.usage === null) return undefined
  const completion = piecesOf(answer.text).join("").length
  return { counts: answer.usage ?? { prompt_tokens: countPrompt(request), completion_tokens: completion } }
}

const finishReasonOf = ({ finishReason, toolCalls }: Answer): FinishReason =>
  finishReason ?? (toolCalls === undefined ? "stop" : "tool_calls")

const isRetryableStatus = (status: number | null): boolean =>
  status === null || status === 429 || status >= 500

class Scripted implements ScriptedProvider {
  readonly name: string
  readonly tokenFactor = 1
  readonly countPrompt = countPrompt
  readonly requests: Array<ModelRequest> = []
  readonly #lines: Array<Line>
  readonly #thenAlways: Line

  constructor(lines: ReadonlyArray<Line>, { name = "scripted", thenAlways = END }: ScriptedOptions) {
    this.name = name
    this.#lines = [...lines]
    this.#thenAlways = thenAlways
  }

  get left(): number {
    return this.#lines.length
  }

  readonly say = (...lines: ReadonlyArray<Line>): void => void this.#lines.push(...lines)

  readonly call: Adapter["call"] = (request) =>
    Effect.suspend(() => {
      const line = this.#next(request)
      if (line.kind === "silence") return Effect.never
      if (line.kind === "failure") return this.#fail(line.failure)
      const { answer } = line
      if (answer.thenFails !== undefined) return this.#fail(answer.thenFails)
      return Effect.delay(Effect.succeed(this.#answer(answer, request)), answer.afterMs ?? 0)
    })

  readonly stream: Adapter["stream"] = (request) =>
    Stream.suspend(() => {
      const line = this.#next(request)
      if (line.kind === "silence") return Stream.never
      if (line.kind === "failure") return Stream.fromEffect(this.#fail(line.failure))
      const { answer } = line
      const events = Stream.fromIterable(this.#events(answer, request), { chunkSize: 1 }).pipe(
        Stream.mapEffect(([event, afterMs]) => Effect.delay(Effect.succeed(event), afterMs))
      )
      return answer.thenFails === undefined
        ? events
        : Stream.concat(events, Stream.fromEffect(this.#fail(answer.thenFails)))
    })

  #next(request: ModelRequest): Line {
    this.requests.push(request)
    return this.#lines.shift() ?? this.#thenAlways
  }

  #answer(answer: Answer, request: ModelRequest): ModelAnswer {
    return {
      content: piecesOf(answer.text).join(""),
      toolCalls: answer.toolCalls ?? [],
      finishReason: finishReasonOf(answer),
      usage: usageOf(answer, request)
    }
  }

  /** Each with the pause before it. */
  #events(answer: Answer, request: ModelRequest): ReadonlyArray<readonly [ModelEvent, number]> {
    const first = answer.afterMs ?? 0
    const pieces = piecesOf(answer.text).map(
      (text, index) => [{ _tag: "Text", text } as const, index === 0 ? first : (answer.everyMs ?? 0)] as const
    )
    if (answer.thenFails !== undefined) return pieces
    const calls = (answer.toolCalls ?? []).map(
      (call, index) => [{ _tag: "ToolCallPart", index, ...call } as const, 0] as const
    )
    const usage = usageOf(answer, request)
    return [
      ...pieces,
      ...calls,
      ...(usage === undefined ? [] : [[{ _tag: "Usage", usage } as const, 0] as const]),
      [{ _tag: "Finished", finishReason: finishReasonOf(answer) }, pieces.length === 0 ? first : 0]
    ]
  }

  #fail(failure: Failure): Effect.Effect<never, ProviderFailure> {
    const { status, usage = NO_USAGE } = failure
    const failed = new ProviderFailure({
      provider: this.name,
      status,
      isRetryable: failure.isRetryable ?? isRetryableStatus(status),
      retryAfterMs: failure.retryAfterMs,
      message: failure.message ?? (status === null ? "the connection was lost" : `it answered ${status}`),
      usage: usage === null ? undefined : { counts: usage },
      reachedProvider: usage === null || status !== null
    })
    return Effect.delay(Effect.fail(failed), failure.afterMs ?? 0)
  }
}

/** A provider that says these lines, one for each call that reaches it, whether plain or streamed. */
export const scriptedProvider = (
  lines: ReadonlyArray<Line> = [],
  options: ScriptedOptions = {}
): ScriptedProvider => new Scripted(lines, options)
