/** A webhook on its way to real servers: signed, pinned to what was checked, verified by name, never redirected. */
import { createHmac, timingSafeEqual } from "node:crypto"
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { afterAll, beforeEach } from "vitest"
import { failedBecause, type Message } from "../../src/alerts/Sending.ts"
import {
  bodyOf,
  makeWebhook,
  PRIVATE_TARGETS,
  PUBLIC_TARGETS,
  resolveByServers,
  type WebhookPolicy
} from "../../src/alerts/Webhook.ts"
import { makeCertificate } from "./support/Certificate.ts"
import { openNameServer } from "./support/NameServer.ts"
import { isSigned, Receiver } from "./support/Receiver.ts"

const SECRET = "a secret of our receiver"
const NAME = "hooks.test"

const certificate = makeCertificate(NAME)
const secure = await Receiver.open(certificate)
const plain = await Receiver.open()
afterAll(() => Promise.all([secure.close(), plain.close()]))
beforeEach(() => {
  for (const receiver of [secure, plain]) {
    receiver.received.length = 0
    receiver.connections = 0
    receiver.reply = () => 204
  }
})

const message = (target: string): Message => ({
  id: "msg_1",
  tenant: "acme",
  alert: {
    id: "alert_1",
    kind: "exceeded",
    severity: "critical",
    message: 'Budget "ü 🙂" is used up',
    budget_id: "budget_1",
    at: Date.UTC(2026, 2, 1),
    data: { spent: "10", limit: "10" }
  },
  target,
  secret: Redacted.make(SECRET)
})

/** As for the public internet, but that this machine counts as public, and its name is what the test says. */
const policy = (fields: Partial<WebhookPolicy> = {}): WebhookPolicy => ({
  ...PUBLIC_TARGETS,
  isAllowed: (address) => address === "127.0.0.1" || PUBLIC_TARGETS.isAllowed(address),
  resolve: () => Effect.succeed(["127.0.0.1"]),
  trustedCa: certificate.cert,
  ...fields
})

const url = (path = "/in?x=1", name = NAME) => `https://${name}:${secure.port}${path}`
const send = (target: string, fields: Partial<WebhookPolicy> = {}) =>
  makeWebhook(policy(fields))(message(target))
const why = (effect: ReturnType<typeof send>) => Effect.map(Effect.flip(effect), (error) => error.message)

describe("a webhook", () => {
  it.live("brings the alert, signed with the time, to the server of that name", () =>
    Effect.gen(function* () {
      const before = Math.floor(Date.now() / 1000)
      yield* send(url())
      const [received] = secure.received
      if (received === undefined) return assert.fail("nothing came")
      assert.strictEqual(received.path, "/in?x=1")
      assert.strictEqual(received.servername, NAME)
      assert.strictEqual(received.body, bodyOf(message("").alert))
      assert.deepStrictEqual(JSON.parse(received.body), {
        id: "alert_1",
        kind: "exceeded",
        severity: "critical",
        message: 'Budget "ü 🙂" is used up',
        budget_id: "budget_1",
        at: "2026-03-01T00:00:00.000Z",
        data: { spent: "10", limit: "10" }
      })
      const { headers } = received
      assert.deepInclude(headers, {
        host: `${NAME}:${secure.port}`,
        "content-type": "application/json",
        "webhook-id": "msg_1"
      })
      assert.isAtLeast(Number(headers["webhook-timestamp"]), before)
      assert.isAtMost(Number(headers["webhook-timestamp"]), Date.now() / 1000)
      assert.isTrue(isSigned(received, SECRET))
      assert.isFalse(isSigned(received, "another secret"))
      assert.isFalse(isSigned({ ...received, body: `${received.body} ` }, SECRET))
      assert.notInclude(JSON.stringify(received), SECRET)
    })
  )

  const statuses: ReadonlyArray<readonly [status: number, failure: string | undefined]> = [
    [200, undefined],
    [202, undefined],
    [204, undefined],
    [299, undefined],
    [300, "it answered 300: redirects are not followed"],
    [304, "it answered 304: redirects are not followed"],
    [400, "it answered 400"],
    [404, "it answered 404"],
    [410, "it answered 410"],
    [429, "it answered 429"],
    [500, "it answered 500"]
  ]
  it.live.each(statuses)("that is answered %d: %s", ([status, failure]) =>
    Effect.gen(function* () {
      secure.reply = () => status
      const result = yield* Effect.result(send(url()))
      assert.strictEqual(result._tag === "Failure" ? result.failure.message : undefined, failure)
      assert.lengthOf(secure.received, 1)
    })
  )

  it.live.each([301, 302, 303, 307, 308])("does not follow a %d", (status) =>
    Effect.gen(function* () {
      secure.reply = ({ path }) =>
        path === "/first" ? (response) => response.writeHead(status, { location: url("/second") }).end() : 204
      assert.include(yield* why(send(url("/first"))), `it answered ${status}`)
      assert.deepStrictEqual(
        secure.received.map(({ path }) => path),
        ["/first"]
      )
    })
  )

  it.live("takes the answer at its headers, however much follows", () =>
    Effect.gen(function* () {
      let isClosed: Promise<void> | undefined
      secure.reply = () => (response) => {
        isClosed = new Promise((resolve) => response.once("close", resolve))
        response.writeHead(200)
        const flood = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536))) {
            // as much as it takes
          }
        }
        response.on("drain", flood)
        flood()
      }
      yield* send(url())
      yield* Effect.promise(() => isClosed ?? Promise.reject(new Error("it was not asked")))
    })
  )

  it.live("fails when the server hangs up, speaks nonsense, or answers with endless headers", () =>
    Effect.gen(function* () {
      const replies: ReadonlyArray<(socket: NodeJS.WritableStream & { destroy: () => void }) => void> = [
        (socket) => socket.destroy(),
        (socket) => socket.write("nonsense\r\n\r\n"),
        (socket) => socket.write(`HTTP/1.1 200 OK\r\n${`x: ${"y".repeat(1000)}\r\n`.repeat(50)}\r\n`)
      ]
      for (const reply of replies) {
        secure.reply = () => (response) => reply(response.socket as never)
        assert.isNotEmpty(yield* why(send(url())))
      }
    })
  )

  it.effect("takes no longer than five seconds in all, and lets the connection go", () =>
    Effect.gen(function* () {
      let isClosed: Promise<void> | undefined
      secure.reply = () => (response) => {
        isClosed = new Promise((resolve) => response.once("close", resolve))
      }
      const fiber = yield* Effect.forkChild(why(send(url())), { startImmediately: true })
      yield* Effect.promise(() => secure.until(1))
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* Fiber.join(fiber), "it took longer than 5 seconds")
      yield* Effect.promise(() => isClosed ?? Promise.reject(new Error("it was not asked")))
    })
  )

  it.effect("counts the look-up of the name among the five seconds", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(why(send(url(), { resolve: () => Effect.never })), {
        startImmediately: true
      })
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "it took longer than 5 seconds")
    })
  )
})

it.live("is verified by the five lines of README", () =>
  Effect.gen(function* () {
    yield* send(url())
    const [received] = secure.received
    if (received === undefined) return assert.fail("nothing came")
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8")
    const lines =
      /```js\n(const \{ "webhook-id"[^`]*(?:`[^`]+)*?)\n```/u.exec(readme)?.[1] ?? assert.fail("no lines")
    assert.lengthOf(lines.split("\n"), 5)
    const names = ["createHmac", "timingSafeEqual", "SECRET", "request", "rawBody"]
    const verify = new Function(...names, `${lines}\nreturn [isSigned, isFresh]`)
    const verdict = (secret: string, headers: object, body: string) =>
      verify(createHmac, timingSafeEqual, secret, { headers }, body)
    const { headers, body } = received
    assert.deepStrictEqual(verdict(SECRET, headers, body), [true, true])
    const rotated = { ...headers, "webhook-signature": `v1,other ${headers["webhook-signature"]}` }
    assert.deepStrictEqual(verdict(SECRET, rotated, body), [true, true])
    assert.deepStrictEqual(verdict("another secret of a receiver", headers, body), [false, true])
    assert.deepStrictEqual(verdict(SECRET, headers, `${body} `), [false, true])
    const old = { ...headers, "webhook-timestamp": String(Number(headers["webhook-timestamp"]) - 301) }
    assert.deepStrictEqual(verdict(SECRET, old, body), [false, false])
  })
)

describe("the certificate", () => {
  it.live("must be for the name in the URL, not for the address", () =>
    Effect.gen(function* () {
      assert.include(yield* why(send(url("/", "other.test"))), "other.test")
      assert.include(yield* why(send(`https://127.0.0.1:${secure.port}/`)), "127.0.0.1")
    })
  )

  it.live("must be of somebody who is trusted", () =>
    Effect.gen(function* () {
      const { trustedCa: _, ...usual } = policy()
      assert.include(yield* why(makeWebhook(usual)(message(url()))), "self-signed")
      assert.lengthOf(secure.received, 0)
    })
  )
})

const refusedForItsName = "its name has an address that is not public: nothing was sent"

describe("a private target", () => {
  const table: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
    ["a private address", ["10.0.0.1"]],
    ["loopback in IPv6", ["::1"]],
    ["loopback mapped", ["::ffff:127.0.0.2"]],
    ["metadata behind NAT64", ["64:ff9b::a9fe:a9fe"]],
    ["a public one and a private one", ["127.0.0.1", "169.254.169.254"]],
    ["a private one first", ["fd00:ec2::254", "127.0.0.1"]]
  ]
  it.live.each(table)("is refused: %s", ([, addresses]) =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* why(send(url(), { resolve: () => Effect.succeed(addresses) })),
        refusedForItsName
      )
      assert.strictEqual(secure.connections, 0)
    })
  )

  it.live("cannot be reached by a name that answers differently the second time", () =>
    Effect.gen(function* () {
      let asked = 0
      // The first answer is where the server is. Whoever asks again before connecting is led into the network.
      const resolve = () => Effect.sync(() => (++asked === 1 ? ["127.0.0.1"] : ["10.0.0.1"]))
      yield* send(url(), { resolve })
      assert.deepStrictEqual([asked, secure.received.length], [1, 1])
      assert.strictEqual(yield* why(send(url(), { resolve })), refusedForItsName)
      assert.deepStrictEqual([asked, secure.connections], [2, 1])
    })
  )

  it.live("written as an address is refused without asking anybody", () =>
    Effect.gen(function* () {
      const resolve = () => Effect.die(new Error("it asked"))
      for (const target of [`http://127.0.0.1:${plain.port}/`, "https://10.0.0.1/", "https://[::1]/"]) {
        assert.include(yield* why(makeWebhook({ ...PUBLIC_TARGETS, resolve })(message(target))), "Expected a")
      }
      assert.strictEqual(plain.connections, 0)
    })
  )

  it.live("is reached where the installation allows it, without TLS too, by address and by name", () =>
    Effect.gen(function* () {
      for (const host of ["127.0.0.1", "localhost"]) {
        yield* makeWebhook(PRIVATE_TARGETS)(message(`http://${host}:${plain.port}/`))
      }
      assert.lengthOf(plain.received, 2)
      assert.isTrue(plain.received.every((received) => isSigned(received, SECRET)))
    })
  )
})

describe("a name", () => {
  it.live("that cannot be resolved, or has no address, is a failure", () =>
    Effect.gen(function* () {
      const notFound = Effect.fail(failedBecause(new Error("queryA ENOTFOUND hooks.test")))
      assert.strictEqual(yield* why(send(url(), { resolve: () => notFound })), "queryA ENOTFOUND hooks.test")
      assert.strictEqual(
        yield* why(send(url(), { resolve: () => Effect.succeed([]) })),
        "its name has no address"
      )
      assert.isNotEmpty(yield* why(makeWebhook(PRIVATE_TARGETS)(message("https://no-such-name.invalid/"))))
    })
  )

  it.live("with several addresses is reached at one that answers", () =>
    Effect.gen(function* () {
      // Nobody listens on this machine's IPv6 loopback at that port.
      const addresses = ["::1", "127.0.0.1"]
      yield* send(url(), { resolve: () => Effect.succeed(addresses), isAllowed: () => true })
      assert.lengthOf(secure.received, 1)
    })
  )
})

describe("a name server", () => {
  it.live("is asked for both kinds of addresses, of the name as it is", () =>
    Effect.gen(function* () {
      const names = yield* Effect.promise(() =>
        openNameServer({
          "both.test": { v4: ["8.8.8.8", "10.0.0.1"], v6: ["2606:4700::1111"] },
          "four.test": { v4: ["1.1.1.1"] },
          "six.test": { v6: ["::1"] },
          "none.test": {}
        })
      )
      const resolve = resolveByServers([names.server])
      assert.sameMembers([...(yield* resolve("both.test"))], ["8.8.8.8", "10.0.0.1", "2606:4700::1111"])
      assert.deepStrictEqual(yield* resolve("four.test"), ["1.1.1.1"])
      assert.deepStrictEqual(yield* resolve("six.test"), ["::1"])
      for (const name of ["none.test", "unknown.test"]) {
        assert.include((yield* Effect.flip(resolve(name))).message, name)
      }
      assert.strictEqual(yield* why(send(url("/", "both.test"), { resolve })), refusedForItsName)
      yield* Effect.promise(names.close)
    })
  )

  it.effect("that never answers is given up with the try", () =>
    Effect.gen(function* () {
      const names = yield* Effect.promise(() => openNameServer({}))
      const resolve = resolveByServers([names.server])
      const fiber = yield* Effect.forkChild(why(send(url("/", "silent.test"), { resolve })), {
        startImmediately: true
      })
      yield* Effect.promise(() => names.heard)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), "it took longer than 5 seconds")
      yield* Effect.promise(names.close)
    })
  )
})

it.live("a webhook without a secret is not sent", () =>
  Effect.gen(function* () {
    const unsigned = { ...message(url()), secret: undefined }
    assert.include(yield* why(makeWebhook(policy())(unsigned)), "no secret to sign with")
    assert.strictEqual(secure.connections, 0)
  })
)
