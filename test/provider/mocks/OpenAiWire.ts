/**
 * Answers of OpenAI's chat completions as its documentation shows them: API reference, "The chat completion
 * object", "The chat completion chunk object" (data-only events, `[DONE]`), "Error codes", "Rate limits" (headers).
 */
import { frames, json, type Reply } from "./MockServer.ts"

const RATE_LIMIT_HEADERS = {
  "x-request-id": "req_9f1d",
  "x-ratelimit-limit-requests": "60",
  "x-ratelimit-remaining-requests": "59",
  "x-ratelimit-reset-requests": "1s"
}

export const plain = (
  usage: object | undefined,
  content: string | null = "Hello!",
  choice: object = {}
): Reply =>
  json(
    200,
    {
      id: "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
      object: "chat.completion",
      created: 1741569952,
      model: "gpt-test-2026-10-01",
      choices: [
        {
          index: 0,
          message: { role: "assistant", content, refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: "stop",
          ...choice
        }
      ],
      ...(usage !== undefined && { usage }),
      service_tier: "default",
      system_fingerprint: "fp_fc9f1d7035"
    },
    RATE_LIMIT_HEADERS
  )

export const error = (status: number, code: string | null, headers: Record<string, string> = {}): Reply =>
  json(
    status,
    { error: { message: `${status} happened`, type: "requests", param: null, code } },
    { ...RATE_LIMIT_HEADERS, ...headers }
  )

export const data = (value: object): string => `data: ${JSON.stringify(value)}\n\n`
export const DONE = "data: [DONE]\n\n"

/** A chunk; `usage` is `null` in all but the last when usage is included. */
export const chunk = (choices: ReadonlyArray<object>, usage: object | null = null): string =>
  data({
    id: "chatcmpl-123",
    object: "chat.completion.chunk",
    created: 1694268190,
    model: "gpt-test-2026-10-01",
    service_tier: "default",
    system_fingerprint: "fp_44709d6fcb",
    choices,
    usage
  })

export const choice = (delta: object, finishReason: string | null = null): object => ({
  index: 0,
  delta,
  logprobs: null,
  finish_reason: finishReason
})

export const role = chunk([choice({ role: "assistant", content: "", refusal: null })])
export const text = (content: string, usage: object | null = null): string =>
  chunk([choice({ content })], usage)
export const finish = (reason = "stop", usage: object | null = null): string =>
  chunk([choice({}, reason)], usage)

export const stream = (list: ReadonlyArray<string>): Reply => frames([...list, DONE])
