/** E-mail by a real SMTP server: what arrives, byte by byte, and that nobody's name gets into a header. */

import type { AddressInfo } from "node:net"
import { createServer } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { afterAll, beforeEach } from "vitest"
import { makeEmail } from "../../src/alerts/Email.ts"
import type { Message } from "../../src/alerts/Sending.ts"
import { makeCertificate } from "./support/Certificate.ts"
import { decodeWords, type Letter, Postbox, textOf } from "./support/Postbox.ts"

const postbox = await Postbox.open()
afterAll(() => postbox.close())
beforeEach(() => {
  postbox.letters.length = 0
  postbox.refuse = () => undefined
})

const FROM = "Bursar <bursar@example.com>"

const message = (fields: Partial<Message["alert"]> = {}, tenant = "acme"): Message => ({
  id: "msg_abc-_1",
  tenant,
  alert: {
    id: "alert_1",
    kind: "threshold",
    severity: "warning",
    message: 'Budget "n" has reached 80 %: 8 of 10 USD spent',
    budget_id: "budget_1",
    at: Date.UTC(2026, 2, 1),
    data: { threshold: 80 },
    ...fields
  },
  target: "ops@example.org",
  secret: undefined
})

const sender = (port: number, query = "", user = "") =>
  makeEmail({ url: Redacted.make(`smtp://${user}127.0.0.1:${port}${query}`), from: FROM })
const send = sender(postbox.port)
const why = (effect: ReturnType<typeof send>) => Effect.map(Effect.flip(effect), (error) => error.message)
const only = (): Letter => {
  assert.lengthOf(postbox.letters, 1)
  return postbox.letters[0] as Letter
}

const HEADERS = [
  "auto-submitted",
  "content-transfer-encoding",
  "content-type",
  "date",
  "from",
  "message-id",
  "mime-version",
  "subject",
  "to"
]

describe("a letter", () => {
  it.live("arrives with who, what and when, and an id that is the same every time", () =>
    Effect.gen(function* () {
      yield* send(message())
      const letter = only()
      const { from, to, headers } = letter
      assert.deepStrictEqual([from, to], ["bursar@example.com", ["ops@example.org"]])
      assert.deepStrictEqual([...headers.keys()].sort(), HEADERS)
      assert.deepStrictEqual(headers.get("from"), [FROM])
      assert.deepStrictEqual(headers.get("to"), ["ops@example.org"])
      assert.deepStrictEqual(headers.get("message-id"), ["<msg_abc-_1@example.com>"])
      assert.strictEqual(
        decodeWords(headers.get("subject")?.[0] ?? ""),
        '[Bursar] Budget "n" has reached 80 %: 8 of 10 USD spent'
      )
      assert.deepStrictEqual(headers.get("auto-submitted"), ["auto-generated"])
      assert.include(textOf(letter), "Severity: warning\r\n")
    })
  )

  const names: ReadonlyArray<readonly [string, string]> = [
    ["line ends", "n\r\nBcc: victim@example.net\r\nX-Evil: 1\r\n\r\nnew body"],
    ["bare line feeds", "n\nBcc: victim@example.net\n\nbody"],
    ["bare carriage returns", "n\rBcc: victim@example.net\r\rbody"],
    ["Unicode line ends", "n\u2028Bcc: victim@example.net\u2029\u0085Cc: a@b.c"],
    ["an encoded word", "=?utf-8?q?n=0D=0ABcc:_victim@example.net?="],
    ["the end of the data", "n\r\n.\r\nMAIL FROM:<victim@example.net>\r\n"],
    ["U+0000 and control characters", "n\u0000\u001b[31m\u0008\u007f"],
    ["text turned around, and lone surrogates", "\u202egpj.exe\ud800 ü 🙂"],
    ["addresses", '"victim" <victim@example.net>, a@b.c; group:;'],
    ["very long", "x".repeat(5_000)],
    ["very long without ASCII", "ü🙂".repeat(400)]
  ]
  it.live.each(names)("of a budget named with %s has its headers, and one recipient", ([, name]) =>
    Effect.gen(function* () {
      yield* send(message({ message: `Budget "${name}" is used up`, data: { name } }, name))
      const letter = only()
      const { from, to, headers } = letter
      assert.deepStrictEqual([from, to], ["bursar@example.com", ["ops@example.org"]])
      assert.deepStrictEqual([...headers.keys()].sort(), HEADERS)
      for (const [header, values] of headers) assert.lengthOf(values, 1, header)
      assert.deepStrictEqual(headers.get("to"), ["ops@example.org"])
      assert.match(decodeWords(headers.get("subject")?.[0] ?? ""), /^\[Bursar\] Budget "\P{Cc}+$/u)
      // What is written over several lines is one line of ours.
      assert.lengthOf(textOf(letter).trimEnd().split("\r\n"), 10)
    })
  )
})

describe("what the server says", () => {
  it.live("is a failure with its words, on one line", () =>
    Effect.gen(function* () {
      postbox.refuse = () => ({ code: 550, text: "no such user here" })
      const failure = yield* why(send(message()))
      assert.include(failure, "550 no such user here")
      assert.notInclude(failure, "\n")
      postbox.refuse = () => ({ code: 451, text: "greylisted" })
      assert.include(yield* why(send(message())), "451 greylisted")
      postbox.refuse = () => undefined
      yield* send(message())
      assert.lengthOf(postbox.letters, 1)
    })
  )

  it.live("a server that is not there is a failure", () =>
    Effect.gen(function* () {
      assert.include(yield* why(sender(1)(message())), "ECONNREFUSED")
    })
  )

  it.effect("is not waited for longer than half a minute", () =>
    Effect.gen(function* () {
      const connected = Promise.withResolvers<void>()
      const closed = Promise.withResolvers<void>()
      const silent = createServer((socket) => {
        connected.resolve()
        socket.on("close", () => closed.resolve())
        socket.on("error", () => {})
      })
      yield* Effect.promise(() => new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve)))
      const { port } = silent.address() as AddressInfo
      const fiber = yield* Effect.forkChild(why(sender(port)(message())), { startImmediately: true })
      yield* Effect.promise(() => connected.promise)
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "it took longer than 30 seconds")
      yield* Effect.promise(() => closed.promise)
      silent.close()
    })
  )
})

describe("a password", () => {
  it.live("is sent over TLS, and the server's name is verified", () =>
    Effect.gen(function* () {
      const certificate = makeCertificate("127.0.0.1")
      const secure = yield* Effect.promise(() =>
        Postbox.open({
          ...certificate,
          authOptional: false,
          onAuth: ({ username, password }, _session, callback) =>
            password === "hunter2" ? callback(null, { user: username }) : callback(new Error("wrong"))
        })
      )
      const failure = yield* why(sender(secure.port, "?requireTLS=true", "u:hunter2@")(message()))
      assert.match(failure, /self-signed|certificate/u)
      assert.notInclude(failure, "hunter2")
      const trusting = "?requireTLS=true&tls.rejectUnauthorized=false"
      yield* sender(secure.port, trusting, "u:hunter2@")(message())
      assert.deepInclude(secure.letters[0], { isEncrypted: true, user: "u" })
      const wrong = yield* why(sender(secure.port, trusting, "u:hunter3@")(message()))
      assert.notInclude(wrong, "hunter3")
      yield* Effect.promise(secure.close)
    })
  )
})
