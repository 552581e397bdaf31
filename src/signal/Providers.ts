/** The signal that makes a call (signals.md, section 8). */
import { Schema } from "effect"
import { attributionFields } from "./Attribution.ts"
import { command } from "./Signal.ts"
import { Count, Id, notYet, optional, PositiveCount, Prose, Sentence, withDefault } from "./Text.ts"
import { TokenUsage } from "./Usage.ts"

export const Message = Schema.Struct({
  role: Schema.Literals(["system", "user", "assistant"]),
  content: Prose
}).annotate({ identifier: "Message" })
export type Message = typeof Message.Type

export const ToolDefinition = Schema.Struct({
  name: Schema.String.check(Schema.isPattern(/^[a-zA-Z0-9_-]{1,64}$/u)),
  description: optional(Prose),
  parameters: Schema.Record(Schema.String, Schema.Json).annotate({
    description: "a JSON Schema of type object"
  })
}).annotate({ identifier: "ToolDefinition" })
export type ToolDefinition = typeof ToolDefinition.Type

export const ToolCall = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  arguments: Schema.String.annotate({
    description: "the arguments as the model wrote them: JSON, not checked"
  })
}).annotate({ identifier: "ToolCall" })
export type ToolCall = typeof ToolCall.Type

const ToolChoice = Schema.Union([
  Schema.Literals(["auto", "none", "required"]),
  Schema.Struct({ name: Schema.String })
])
export type ToolChoice = typeof ToolChoice.Type

/** A model at a provider. */
export const ModelRef = Schema.Struct({ provider: Id, model: Id }).annotate({ identifier: "ModelRef" })
export type ModelRef = typeof ModelRef.Type

export const FinishReason = Schema.Literals(["stop", "length", "tool_calls", "content_filter", "cancelled"])
export type FinishReason = typeof FinishReason.Type

/** One physical attempt of a call: what it was tried on, how it ended, and why it was not the last. */
export const AttemptRecord = Schema.Struct({
  provider: Id,
  model: Id,
  status: Schema.Literals(["success", "error", "cancelled"]),
  latency_ms: Count,
  why: Schema.NullOr(Sentence)
}).annotate({ identifier: "AttemptRecord" })
export type AttemptRecord = typeof AttemptRecord.Type

export const Completion = Schema.Struct({
  request_id: Id,
  provider: Id,
  model: Id,
  content: Schema.String,
  tool_calls: optional(Schema.Array(ToolCall)),
  finish_reason: FinishReason,
  usage: TokenUsage,
  attempts: Schema.Array(AttemptRecord)
}).annotate({ identifier: "Completion" })
export type Completion = typeof Completion.Type

export const Complete = command("complete", {
  family: "providers",
  roles: ["app"],
  description:
    "Makes a call to a model: asks for budget, calls, reports. A refused call never reaches the provider.",
  payload: {
    provider: Id,
    model: Id,
    preference: optional(notYet("choosing a model; name provider and model")),
    task: optional(notYet("choosing a model; name provider and model")),
    quality_floor: optional(notYet("choosing a model; name provider and model")),
    fallback: withDefault(Schema.Array(ModelRef).check(Schema.isMaxLength(8)), []),
    max_attempts: withDefault(PositiveCount.check(Schema.isLessThanOrEqualTo(10)), 3),
    messages: Schema.Array(Message).check(Schema.isMinLength(1), Schema.isMaxLength(1000)),
    system: optional(Prose),
    tools: optional(Schema.Array(ToolDefinition).check(Schema.isMaxLength(128))),
    tool_choice: optional(ToolChoice),
    response_format: optional(notYet("response formats")),
    max_completion_tokens: optional(PositiveCount),
    temperature: optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 2 }))),
    stream: withDefault(Schema.Boolean, false),
    on_overrun: withDefault(Schema.Literals(["extend", "stop", "finish"]), "extend"),
    deadline_ms: optional(PositiveCount.check(Schema.isLessThanOrEqualTo(86_400_000))),
    ...attributionFields
  },
  success: Schema.Union([Completion, Schema.Struct({ subscription: Id })])
})
