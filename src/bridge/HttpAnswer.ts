/**
 * Answers over HTTP.
 *
 * Owns: how a refusal looks (a JSON-RPC error without an id, under a status of HTTP), and the headers of every answer.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http"
import { Cause } from "effect"
import { NotFound, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Refused } from "./Access.ts"
import { writeError } from "./JsonRpc.ts"

export const JSON_TYPE = "application/json; charset=utf-8"
const TEXT_TYPE = "text/plain; charset=utf-8"

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

const ALWAYS = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Resource-Policy": "same-origin"
}

/** The path of a request, without its query. */
export const pathOf = (request: IncomingMessage): string => (request.url ?? "/").split("?", 1)[0] ?? "/"

/** The query of a request. */
export const queryOf = (request: IncomingMessage): URLSearchParams =>
  new URLSearchParams((request.url ?? "").split("?").slice(1).join("?"))

export const jsonAnswer = (status: number, value: unknown): Answer => ({
  status,
  headers: { "Content-Type": JSON_TYPE, "Cache-Control": "no-store" },
  body: JSON.stringify(value)
})

export const textAnswer = (status: number, text: string): Answer => ({
  status,
  headers: { "Content-Type": TEXT_TYPE, "Cache-Control": "no-store" },
  body: text
})

const retryHeaders = (error: SignalError): Record<string, string> =>
  "retry_after_ms" in error
    ? { "Retry-After": String(Math.max(1, Math.ceil(error.retry_after_ms / 1000))) }
    : {}

const challenge = (status: number): Record<string, string> =>
  status === 401 ? { "WWW-Authenticate": 'Bearer realm="bursar"' } : {}

/** A refusal as an answer. */
export const refusal = ({ status, error }: Refused): Answer => ({
  status,
  headers: {
    "Content-Type": JSON_TYPE,
    "Cache-Control": "no-store",
    ...retryHeaders(error),
    ...challenge(status)
  },
  body: writeError(null, error)
})

/** A refusal as the text of a whole HTTP answer, for a socket that was to be upgraded. */
export const refusalText = (refused: Refused): string => {
  const { status, headers, body = "" } = refusal(refused)
  const lines = Object.entries({
    ...ALWAYS,
    ...headers,
    "Content-Length": String(Buffer.byteLength(body)),
    Connection: "close"
  }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`
}

/** What an effect that ended without a value was refused with. */
export const refusedBy = (cause: Cause.Cause<Refused>): Refused => {
  const failure = cause.reasons.find(Cause.isFailReason)
  if (failure !== undefined) return failure.error
  const message = "The credential could not be checked: try again soon"
  return { status: 503, error: new Unavailable({ message, retry_after_ms: 1000 }) }
}

export const notFound = (): Refused => ({
  status: 404,
  error: new NotFound({ message: "There is nothing here: signals go to /signals", kind: "path", id: "" })
})

/** Sends an answer. `HEAD` gets the headers alone. */
export const sendAnswer = (request: IncomingMessage, response: ServerResponse, answer: Answer): void => {
  if (response.headersSent || response.destroyed) return
  const body = answer.body ?? ""
  const headers: Record<string, string> = { ...ALWAYS, ...answer.headers }
  if (answer.status !== 204) headers["Content-Length"] = String(Buffer.byteLength(body))
  response.writeHead(answer.status, headers)
  response.end(request.method === "HEAD" || answer.status === 204 ? undefined : body)
}
