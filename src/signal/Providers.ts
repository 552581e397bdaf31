/** The signal that makes a call (signals.md, section 8). */
import { Schema } from "effect"
import { attributionFields } from "./Attribution.ts"
import { command } from "./Signal.ts"
import { Count, Id, notYet, optional, PositiveCount, Prose, Sentence, withDefault } from "./Text.ts"
import { TokenUsage } from "./Usage.ts"

export const Message = Schema.Struct({
  /** Who said it; `system` is an instruction. */
  role: Schema.Literals(["system", "user", "assistant"]),
  /** Its text. */
  content: Prose
}).annotate({ identifier: "Message" })
export type Message = typeof Message.Type

export const ToolDefinition = Schema.Struct({
  /** By which the model calls it. */
  name: Schema.String.check(Schema.isPattern(/^[a-zA-Z0-9_-]{1,64}$/u)),
  /** For the model: what it does and when to use it. */
  description: optional(Prose),
  /** A JSON Schema of type object. */
  parameters: Schema.Record(Schema.String, Schema.Json)
}).annotate({ identifier: "ToolDefinition" })
export type ToolDefinition = typeof ToolDefinition.Type

export const ToolCall = Schema.Struct({
  /** The provider's; your answer to the model refers to it. */
  id: Schema.String,
  /** The tool that is wanted. */
  name: Schema.String,
  /** The arguments as the model wrote them: JSON, not checked. */
  arguments: Schema.String
}).annotate({ identifier: "ToolCall" })
export type ToolCall = typeof ToolCall.Type

const ToolChoice = Schema.Union([
  Schema.Literals(["auto", "none", "required"]),
  Schema.Struct({
    /** The tool that must be called. */
    name: Schema.String
  })
])
export type ToolChoice = typeof ToolChoice.Type

/** A model at a provider. */
export const ModelRef = Schema.Struct({
  /** As the price book names it. */
  provider: Id,
  /** As the price book names it. */
  model: Id
}).annotate({ identifier: "ModelRef" })
export type ModelRef = typeof ModelRef.Type

export const FinishReason = Schema.Literals(["stop", "length", "tool_calls", "content_filter", "cancelled"])
export type FinishReason = typeof FinishReason.Type

/** One physical attempt of a call: what it was tried on, how it ended, and why it was not the last. */
export const AttemptRecord = Schema.Struct({
  /** Whom it was sent to. */
  provider: Id,
  /** Whom it was sent to. */
  model: Id,
  /** How it ended. */
  status: Schema.Literals(["success", "error", "cancelled"]),
  /** From sending it to its end. */
  latency_ms: Count,
  /** Why it was not the last, or failed; null where it succeeded. */
  why: Schema.NullOr(Sentence)
}).annotate({ identifier: "AttemptRecord" })
export type AttemptRecord = typeof AttemptRecord.Type

export const Completion = Schema.Struct({
  /** The one that was sent, or that was made; its usage is under it. */
  request_id: Id,
  /** Who answered. */
  provider: Id,
  /** Who answered; of `fallback` where the first did not. */
  model: Id,
  /** The text; empty where the model only calls tools. */
  content: Schema.String,
  /** What the model wants called; absent where there is nothing. */
  tool_calls: optional(Schema.Array(ToolCall)),
  /** Why it ended; `length`: the bound on output was reached. */
  finish_reason: FinishReason,
  /** The row of the last attempt, with its cost. */
  usage: TokenUsage,
  /** Every attempt in order, failed ones too; each was charged for what it used. */
  attempts: Schema.Array(AttemptRecord)
}).annotate({ identifier: "Completion" })
export type Completion = typeof Completion.Type

export const Complete = command("complete", {
  family: "providers",
  roles: ["app"],
  description:
    "Makes a call to a model: asks for budget, calls, reports. A refused call never reaches the provider.",
  fails: ["BudgetExceeded", "ProviderFailed", "RateUnknown"],
  payload: {
    /** Who is called, such as `anthropic`, `openai`, `simulator`. */
    provider: Id,
    /** As the provider and the price book name it. */
    model: Id,
    /** Not available in this version: name `provider` and `model`. */
    preference: optional(notYet("choosing a model; name provider and model")),
    /** Not available in this version: name `provider` and `model`. */
    task: optional(notYet("choosing a model; name provider and model")),
    /** Not available in this version: name `provider` and `model`. */
    quality_floor: optional(notYet("choosing a model; name provider and model")),
    /** Tried in this order when the first model fails for good; at most 8. Each asks for budget of its own. */
    fallback: withDefault(Schema.Array(ModelRef).check(Schema.isMaxLength(8)), []),
    /** Tries at one model, the first included, where the failure may pass. Each is charged for what it used. */
    max_attempts: withDefault(PositiveCount.check(Schema.isLessThanOrEqualTo(10)), 3),
    /** The conversation, oldest first. */
    messages: Schema.Array(Message).check(Schema.isMinLength(1), Schema.isMaxLength(1000)),
    /** The system prompt. */
    system: optional(Prose),
    /** What the model may ask to have called; at most 128. You call them, and send the answers. */
    tools: optional(Schema.Array(ToolDefinition).check(Schema.isMaxLength(128))),
    /** `auto`: the model decides; `none`; `required`: some tool; `{name}`: this one. Default: the provider's. */
    tool_choice: optional(ToolChoice),
    /** Not available in this version. */
    response_format: optional(notYet("response formats")),
    /**
     * The most output: it is held for, and sent to the provider. Default: the tenant's `default_completion_tokens`.
     */
    max_completion_tokens: optional(PositiveCount),
    /** Default: the provider's. */
    temperature: optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 2 }))),
    /** WebSocket only: the answer is `{subscription}`, and the text comes as events. */
    stream: withDefault(Schema.Boolean, false),
    /**
     * What happens when the input turns out larger than was held for. `extend`: more is held, and the call stops
     * where there is no room. `stop`: it is cut off at once, and charged for what it used. `finish`: it goes on,
     * and what is above the hold is overage.
     */
    on_overrun: withDefault(Schema.Literals(["extend", "stop", "finish"]), "extend"),
    /**
     * For the whole call, retries and pauses included; then it is cut off and charged for what it used. Default: 24
     * hours.
     */
    deadline_ms: optional(PositiveCount.check(Schema.isLessThanOrEqualTo(86_400_000))),
    ...attributionFields
  },
  success: Schema.Union([
    Completion,
    Schema.Struct({
      /**
       * With `stream`: events `text`, at last `finished` or `failed`, come under it. `unsubscribe` cancels the
       * call.
       */
      subscription: Id
    })
  ])
})
