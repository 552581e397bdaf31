/**
 * Answers of Anthropic's Messages API as its documentation shows them: API reference, "Messages"; "Streaming
 * messages" (named events, `ping`, `error`); "Errors"; "Rate limits" (headers).
 */
import { frames, json, type Reply } from "./MockServer.ts"

export const message = (usage: object, content: ReadonlyArray<object>, stopReason = "end_turn"): object => ({
  id: "msg_013Zva2CMHLNnXjNJJKqJ2EF",
  type: "message",
  role: "assistant",
  model: "claude-test-20261001",
  content,
  stop_reason: stopReason,
  stop_sequence: null,
  usage
})

export const plain = (usage: object, text = "Hi! My name is Claude."): Reply =>
  json(200, message(usage, [{ type: "text", text, citations: null }]), {
    "request-id": "req_018EeWyXxfu5pfWkrYcMdjWG",
    "anthropic-ratelimit-requests-limit": "50",
    "anthropic-ratelimit-requests-remaining": "49",
    "anthropic-ratelimit-requests-reset": "2026-11-23T00:00:00Z"
  })

/** `{"type":"error","error":{…}}`, as every error answer and every error event. */
const errorBody = (type: string, text: string) => ({
  type: "error",
  error: { type, message: text },
  request_id: "req_011CSHoEeqs5C35K2UUqR7Fy"
})

export const error = (status: number, type: string, headers: Record<string, string> = {}): Reply =>
  json(status, errorBody(type, `${type} happened`), {
    "request-id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    ...headers
  })

const event = (data: { readonly type: string }): string =>
  `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`

export const ping = event({ type: "ping" })
export const overloaded = event(errorBody("overloaded_error", "Overloaded") as { type: string })

export const start = (usage: object): string =>
  event({
    type: "message_start",
    message: {
      id: "msg_014p7gG3wDgGV9EUtLvnow3U",
      type: "message",
      role: "assistant",
      model: "claude-test-20261001",
      stop_sequence: null,
      usage,
      content: [],
      stop_reason: null
    }
  } as { type: string })

const part = (fields: object): string => event(fields as { type: string })

export const block = (index: number, content: object): string =>
  part({ type: "content_block_start", index, content_block: content })
export const delta = (index: number, fields: object): string =>
  part({ type: "content_block_delta", index, delta: fields })
export const blockStop = (index: number): string => part({ type: "content_block_stop", index })
export const text = (piece: string, index = 0): string => delta(index, { type: "text_delta", text: piece })
export const messageDelta = (usage: object, stopReason: string | null = "end_turn"): string =>
  part({ type: "message_delta", delta: { stop_reason: stopReason, stop_sequence: null }, usage })
export const messageStop = event({ type: "message_stop" })

/** A whole stream of text, with a ping in it as the documentation's example has one. */
export const stream = (startUsage: object, deltaUsage: object, ...pieces: ReadonlyArray<string>): Reply =>
  frames([
    start(startUsage),
    block(0, { type: "text", text: "" }),
    ping,
    ...pieces.map((piece) => text(piece)),
    blockStop(0),
    messageDelta(deltaUsage),
    messageStop
  ])
