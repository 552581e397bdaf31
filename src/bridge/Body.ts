/**
 * Reading the body of a request, up to a size.
 */
import type { IncomingMessage } from "node:http"
import { Effect } from "effect"
import { InvalidRequest, ParseError } from "../signal/Errors.ts"
import type { Refused } from "./Access.ts"

const tooLarge = (bytesMax: number): Refused => ({
  status: 413,
  error: new InvalidRequest({
    message: `Expected a body of at most ${bytesMax} bytes: send several requests`
  })
})

const wrongType = (message: string): Refused => ({ status: 415, error: new InvalidRequest({ message }) })

const typeProblem = (request: IncomingMessage): Refused | undefined => {
  const [type = "", ...parameters] = (request.headers["content-type"] ?? "").toLowerCase().split(";")
  const charset = parameters.map((parameter) => parameter.trim()).find((text) => text.startsWith("charset="))
  if (type.trim() !== "application/json") return wrongType("Expected Content-Type: application/json")
  if (charset !== undefined && !/^charset="?utf-8"?$/u.test(charset))
    return wrongType("Expected JSON in UTF-8")
  const encoding = request.headers["content-encoding"] ?? "identity"
  return encoding === "identity" ? undefined : wrongType("Expected a body that is not compressed")
}

const decodeText = (chunks: ReadonlyArray<Buffer>): Effect.Effect<string, Refused> => {
  try {
    return Effect.succeed(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks)))
  } catch {
    return Effect.fail({
      status: 400,
      error: new ParseError({ message: "Expected JSON in well-formed UTF-8" })
    })
  }
}

/** The text of a JSON body. */
export const readBody = (request: IncomingMessage, bytesMax: number): Effect.Effect<string, Refused> =>
  Effect.callback<string, Refused>((resume) => {
    const problem = typeProblem(request)
    if (problem !== undefined) return resume(Effect.fail(problem))
    if (Number(request.headers["content-length"] ?? 0) > bytesMax)
      return resume(Effect.fail(tooLarge(bytesMax)))
    const chunks: Array<Buffer> = []
    let bytes = 0
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes > bytesMax) return resume(Effect.fail(tooLarge(bytesMax)))
      chunks.push(chunk)
    })
    request.on("end", () => resume(decodeText(chunks)))
    request.on("error", () => resume(Effect.interrupt))
  })
