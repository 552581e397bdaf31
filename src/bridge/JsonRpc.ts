/**
 * JSON-RPC 2.0, as its specification says, and nothing else.
 *
 * Owns: reading a text into calls and refusals, and writing answers, errors and events as text.
 * Does not decide: what a method does (Door), or how many calls may run at once (Connection, Http).
 *
 * Stricter than the specification in three places, each where a message would otherwise be half understood:
 * `params` by position are refused; an `id` that a double cannot hold exactly is refused, because its echo would
 * be another id; a misspelt `params` is refused, because the call would run without them.
 */

import { encodeErrorData } from "../signal/Decode.ts"
import {
  ERROR_CODES,
  type InvalidParams,
  InvalidRequest,
  invalidParam,
  ParseError,
  type SignalError
} from "../signal/Errors.ts"
import { nearest } from "../signal/Nearest.ts"
import { isForbiddenKey } from "../signal/Text.ts"

const BATCH_MAX = 100
/** Nesting of params past which they are refused: no signal needs half of it. */
const DEPTH_MAX = 64
/** Fields and elements in params, at every depth. What is wrong with each would be looked for, at some µs each. */
const VALUES_MAX = 20_000

export type RpcId = string | number | null

/** A call that could be read. Without an `id` it is a notification: it is never answered. */
export interface RpcCall {
  readonly id: RpcId | undefined
  readonly method: string
  readonly params: unknown
  /** Why its params cannot be taken, found before anybody looked at the method. */
  readonly problem: InvalidParams | undefined
}

/** Something in the place of a call that is none. It is always answered. */
export interface RpcRefusal {
  readonly id: RpcId
  readonly refusal: ParseError | InvalidRequest
}

export type RpcItem = RpcCall | RpcRefusal

export interface RpcMessage {
  readonly isBatch: boolean
  readonly items: ReadonlyArray<RpcItem>
}

export const isRefusal = (item: RpcItem): item is RpcRefusal => "refusal" in item

const refuse = (id: RpcId, message: string): RpcRefusal => ({ id, refusal: new InvalidRequest({ message }) })

/** Whether this value can be an id that comes back exactly as it was sent. */
const isId = (id: unknown): id is RpcId => {
  if (typeof id === "number") return Number.isFinite(id) && Math.abs(id) <= Number.MAX_SAFE_INTEGER
  return typeof id === "string" || id === null
}

const nestedProblem = (
  value: unknown,
  path: ReadonlyArray<string | number>,
  depth: number,
  room: { values: number }
): InvalidParams | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (depth === 0) {
    return invalidParam(path.slice(0, 8), `Expected at most ${DEPTH_MAX} levels of nesting`)
  }
  const keys = Array.isArray(value) ? [] : Object.keys(value)
  room.values -= Array.isArray(value) ? value.length : keys.length
  if (room.values < 0) {
    return invalidParam(path.slice(0, 8), `Expected at most ${VALUES_MAX} fields and elements in all`)
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (typeof value[index] !== "object") continue
      const problem = nestedProblem(value[index], [...path, index], depth - 1, room)
      if (problem !== undefined) return problem
    }
    return undefined
  }
  for (const key of keys) {
    if (isForbiddenKey(key)) return invalidParam([...path, key], `Expected no key named ${key}`)
    const field: unknown = (value as Record<string, unknown>)[key]
    if (typeof field !== "object") continue
    const problem = nestedProblem(field, [...path, key], depth - 1, room)
    if (problem !== undefined) return problem
  }
  return undefined
}

const paramsProblem = (params: unknown): InvalidParams | undefined =>
  Array.isArray(params)
    ? invalidParam([], "Expected params by name, as an object: signals take no params by position")
    : nestedProblem(params, [], DEPTH_MAX, { values: VALUES_MAX })

const MEMBERS_LOOKED_AT = 16

const misspeltParams = (request: object): string | undefined =>
  Object.keys(request)
    .slice(0, MEMBERS_LOOKED_AT)
    .find((key) => key !== "id" && key !== "method" && nearest(key, ["params"]) !== undefined)

const readItem = (value: unknown): RpcItem => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return refuse(null, "Expected a JSON-RPC 2.0 request object")
  }
  const request = value as { readonly [field: string]: unknown }
  const hasId = Object.hasOwn(request, "id")
  if (hasId && !isId(request.id)) {
    return refuse(null, "Expected an id that is a string, null, or a number that a double holds exactly")
  }
  const id = hasId ? (request.id as RpcId) : undefined
  if (request.jsonrpc !== "2.0") return refuse(id ?? null, 'Expected "jsonrpc": "2.0"')
  if (typeof request.method !== "string") return refuse(id ?? null, "Expected a method that is a string")
  if (!Object.hasOwn(request, "params")) {
    const misspelt = misspeltParams(request)
    if (misspelt !== undefined)
      return refuse(id ?? null, `Unknown member ${misspelt}: did you mean "params"?`)
    return { id, method: request.method, params: undefined, problem: undefined }
  }
  const { params } = request
  if (typeof params !== "object" || params === null) {
    return refuse(id ?? null, "Expected params that are an object")
  }
  return { id, method: request.method, params, problem: paramsProblem(params) }
}

const single = (item: RpcItem): RpcMessage => ({ isBatch: false, items: [item] })

/** Reads one message: a call, a batch of them, or what is wrong with it. It never throws. */
export const readMessage = (text: string): RpcMessage => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return single({
      id: null,
      refusal: new ParseError({ message: "Expected one text of JSON: this is none" })
    })
  }
  if (!Array.isArray(value)) return single(readItem(value))
  if (value.length === 0) return single(refuse(null, "Expected a batch of at least one request"))
  if (value.length > BATCH_MAX)
    return single(refuse(null, `Expected a batch of at most ${BATCH_MAX} requests`))
  return { isBatch: true, items: value.map(readItem) }
}

/** The error object of an answer. */
export const errorObject = (error: SignalError) => ({
  code: ERROR_CODES[error._tag],
  message: error.message,
  data: encodeErrorData(error)
})

/** An answer. `result` is as the signal's schema encodes it. */
export const writeResult = (id: RpcId, result: unknown): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${JSON.stringify(result)}}`

export const writeError = (id: RpcId, error: SignalError): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"error":${JSON.stringify(errorObject(error))}}`

/** The notification that carries an event of a subscription. `event` is as its schema encodes it. */
export const writeEvent = (subscription: string, cursor: string | null, event: unknown): string =>
  `{"jsonrpc":"2.0","method":"event","params":${JSON.stringify({ subscription, cursor, event })}}`

/** The answers of one message as one text, or `undefined` where nothing is answered. */
export const joinAnswers = (isBatch: boolean, answers: ReadonlyArray<string>): string | undefined => {
  if (answers.length === 0) return undefined
  return isBatch ? `[${answers.join(",")}]` : answers[0]
}
