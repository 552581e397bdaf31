/**
 * What one attempt has used so far.
 *
 * Owns: the last cumulative usage, the output that was received, and the counts that follow from both when the
 * attempt does not end well.
 * Does not decide: what they cost.
 */
import { Effect } from "effect"
import type { Counts } from "../signal/Usage.ts"
import type { Adapter, ModelEvent, ReportedUsage } from "./Adapter.ts"
import { estimateOutput } from "./TokenEstimate.ts"

/** `reported` by the provider for the whole attempt; `estimated` in part or in whole. */
type UsageSource = "reported" | "estimated"

export interface Metered {
  readonly usage: ReportedUsage
  readonly source: UsageSource
}

/** While a stream runs, characters stand for tokens; what is charged is counted at the end. */
const CHARACTERS_PER_TOKEN = 4

export class Meter {
  readonly startedAt: number
  firstOutputAt: number | undefined
  #last: ReportedUsage | undefined
  readonly #output: Array<string> = []
  #characters = 0

  constructor(startedAt: number) {
    this.startedAt = startedAt
  }

  take(event: ModelEvent, now: number): void {
    if (event._tag === "Usage") this.#last = event.usage
    else if (event._tag === "Text" || event._tag === "Reasoning") this.#receive(event.text, now)
    else if (event._tag === "ToolCallPart") this.#receive((event.name ?? "") + event.arguments, now)
  }

  #receive(text: string, now: number): void {
    if (text === "") return
    this.firstOutputAt ??= now
    this.#output.push(text)
    this.#characters += text.length
  }

  /** What to show while the attempt runs. */
  soFar(estimatedPromptTokens: number): Counts {
    const reported = this.#last?.counts
    const completion = Math.max(
      reported?.completion_tokens ?? 0,
      Math.ceil(this.#characters / CHARACTERS_PER_TOKEN)
    )
    return reported === undefined
      ? { prompt_tokens: estimatedPromptTokens, completion_tokens: completion }
      : { ...reported, completion_tokens: completion }
  }

  /** The usage of an attempt that ended as it should. */
  finished(adapter: Adapter, estimatedPromptTokens: number): Effect.Effect<Metered> {
    return this.#last === undefined
      ? this.broken(adapter, estimatedPromptTokens)
      : Effect.succeed({ usage: this.#last, source: "reported" })
  }

  /**
   * The usage of an attempt that broke off: the input as reported or else as estimated, and the output as
   * received. A provider reports output late, so what was received counts where it is more.
   */
  broken(adapter: Adapter, estimatedPromptTokens: number): Effect.Effect<Metered> {
    return Effect.map(estimateOutput(adapter, this.#output.join("")), (received) => {
      const last = this.#last
      const reported = last?.counts ?? { prompt_tokens: estimatedPromptTokens, completion_tokens: 0 }
      const counts = {
        ...reported,
        completion_tokens: Math.max(reported.completion_tokens, received)
      }
      return { usage: { ...last, counts }, source: "estimated" }
    })
  }
}
