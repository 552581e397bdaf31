/** The rules of delivering that need nobody: when it is tried again, what is signed, what is sealed, what a letter says. */
import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { ATTEMPTS_MAX, pauseAfter } from "../../src/alerts/DeliverySchedule.ts"
import { letterOf, needsTls, smtpProblem } from "../../src/alerts/Email.ts"
import { makeSecretVault } from "../../src/alerts/SecretVault.ts"
import { oneLine } from "../../src/alerts/Sending.ts"
import { signatureHeaders } from "../../src/alerts/Signature.ts"
import { PRIVATE_TARGETS, PUBLIC_TARGETS, targetProblem } from "../../src/alerts/Webhook.ts"
import type { Alert } from "../../src/signal/Budget.ts"

describe("a delivery that failed", () => {
  const table: ReadonlyArray<readonly [attempt: number, random: number, pauseMs: number | undefined]> = [
    [1, 0.5, 15_000],
    [1, 0, 12_000],
    [1, 1, 18_000],
    [2, 0.5, 60_000],
    [3, 0.5, 240_000],
    [4, 0.5, 960_000],
    [5, 0.5, 3_840_000],
    [6, 0.5, 15_360_000],
    [7, 0.5, 61_440_000],
    [7, 1, 73_728_000],
    [8, 0.5, undefined],
    [9, 0, undefined]
  ]
  it.each(table)("after try %d (chance %d) waits %s ms", (attempt, random, pauseMs) => {
    assert.strictEqual(pauseAfter(attempt, random), pauseMs)
  })

  it("is tried for most of a day, and not longer", () => {
    const whole = (random: number) =>
      Array.from({ length: ATTEMPTS_MAX }, (_, index) => pauseAfter(index + 1, random) ?? 0).reduce(
        (a, b) => a + b
      )
    assert.isAbove(whole(0), 18 * 3_600_000)
    assert.isBelow(whole(1), 28 * 3_600_000)
  })
})

describe("a signature", () => {
  it("is what the reference libraries of Standard Webhooks expect", () => {
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    const headers = signatureHeaders(
      secret,
      "msg_p5jXN8AQM9LWM0D4loKWxJek",
      1_614_265_330,
      '{"test": 2432232314}'
    )
    assert.deepStrictEqual(headers, {
      "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    })
  })

  it("of a secret without the prefix is made with its own bytes, and changes with each part", () => {
    const signatures = [
      signatureHeaders("a secret of ours ü", "id", 1, "body"),
      signatureHeaders("another secret ü", "id", 1, "body"),
      signatureHeaders("a secret of ours ü", "ie", 1, "body"),
      signatureHeaders("a secret of ours ü", "id", 2, "body"),
      signatureHeaders("a secret of ours ü", "id", 1, "Body")
    ].map((headers) => headers["webhook-signature"])
    assert.strictEqual(new Set(signatures).size, 5)
  })
})

describe("a sealed secret", () => {
  const keys = (fill: number) => ({ encryption: Buffer.alloc(32, fill), nonce: Buffer.alloc(32, fill + 1) })
  const vault = makeSecretVault(keys(1))
  const SECRET = "a secret of our receiver ü"
  const seal = (tenant: string, url: string, text = SECRET) =>
    Redacted.value(vault.seal(tenant, url, Redacted.make(text)))
  const sealed = seal("acme", "https://a/")

  it("opens for its tenant and URL, and is the same every time", () => {
    const opened = vault.open("acme", "https://a/", sealed)
    assert.strictEqual(opened && Redacted.value(opened), SECRET)
    assert.strictEqual(seal("acme", "https://a/"), sealed)
    assert.notInclude(sealed, SECRET)
    assert.notInclude(
      Buffer.from(sealed.slice("sealed.v1.".length), "base64url").toString("latin1"),
      "secret"
    )
  })

  it("shares its beginning, which is its nonce, with no other", () => {
    const others = [
      seal("acme", "https://b/"),
      seal("other", "https://a/"),
      seal("acme", "https://a/", `${SECRET}.`)
    ]
    assert.strictEqual(new Set([sealed, ...others].map((text) => text.slice(0, 26))).size, 4)
  })

  it("opens for nobody else, nowhere else, under no other key, and not when it was changed", () => {
    const bytes = Buffer.from(sealed.slice("sealed.v1.".length), "base64url")
    const changed = (index: number) => {
      const other = Buffer.from(bytes)
      other[index] = (other[index] as number) ^ 1
      return `sealed.v1.${other.toString("base64url")}`
    }
    for (const text of [
      changed(0),
      changed(15),
      changed(bytes.length - 1),
      sealed.slice(0, 40),
      "sealed.v1.",
      SECRET
    ]) {
      assert.isUndefined(vault.open("acme", "https://a/", text), text)
    }
    assert.isUndefined(vault.open("acme", "https://b/", sealed))
    assert.isUndefined(vault.open("other", "https://a/", sealed))
    assert.isUndefined(makeSecretVault(keys(5)).open("acme", "https://a/", sealed))
  })
})

describe("a target", () => {
  const table: ReadonlyArray<readonly [url: string, isPublic: boolean, isPrivate: boolean]> = [
    ["https://hooks.example.com/a", true, true],
    ["https://hooks.example.com:8443/a?b", true, true],
    ["https://8.8.8.8/", true, true],
    ["https://[2606:4700::1111]/", true, true],
    ["http://hooks.example.com/", false, true],
    ["https://127.0.0.1/", false, true],
    ["https://127.1/", false, true],
    ["https://0x7f.0.0.1/", false, true],
    ["https://2130706433/", false, true],
    ["https://[::1]/", false, true],
    ["https://[::ffff:10.0.0.1]/", false, true],
    ["https://169.254.169.254/latest/meta-data", false, true],
    // What a name means is asked when it is sent to.
    ["https://localhost/", true, true]
  ]
  it.each(table)("%s: public %s, private %s", (url, isPublic, isPrivate) => {
    assert.strictEqual(targetProblem(url, PUBLIC_TARGETS) === undefined, isPublic)
    assert.strictEqual(targetProblem(url, PRIVATE_TARGETS) === undefined, isPrivate)
  })
})

const alert = (fields: Partial<Alert> = {}): Alert => ({
  id: "alert_7",
  kind: "threshold",
  severity: "warning",
  message: 'Budget "n" has reached 80 %: 8 of 10 USD spent',
  budget_id: "budget_1",
  at: Date.UTC(2026, 2, 1),
  data: { threshold: 80, spent: "8" },
  ...fields
})

describe("a letter", () => {
  it("says what happened", () => {
    assert.deepStrictEqual(letterOf({ id: "msg_1", tenant: "acme", alert: alert() }), {
      subject: '[Bursar] Budget "n" has reached 80 %: 8 of 10 USD spent',
      text: `Budget "n" has reached 80 %: 8 of 10 USD spent

Kind:     threshold
Severity: warning
Tenant:   acme
At:       2026-03-01T00:00:00.000Z
Budget:   budget_1
Data:     {"threshold":80,"spent":"8"}

Alert alert_7, message msg_1. A message of the same id is a repeat.
`
    })
  })

  it("gives a name no way out of its line, nor to turn the text around", () => {
    const hostile = "a\r\nBcc: x@y.z\n\n.\r\nb\u2028c\u2029d\u202ee\u0000f\u007fg\ud800h"
    const { subject, text } = letterOf({
      id: "m",
      tenant: "t\nu",
      alert: alert({ message: hostile, data: { name: hostile } })
    })
    assert.strictEqual(subject, "[Bursar] a Bcc: x@y.z . b c d e f g\ufffdh")
    assert.strictEqual(text.split("\n").length, 11)
    assert.isTrue(text.startsWith("a Bcc: x@y.z . b c d e f g\ufffdh\n\nKind:"))
    assert.notMatch(text, /[\p{Bidi_Control}\p{Zl}\p{Zp}\r\0]/u)
  })

  it("has a subject of bounded length, whole letters only", () => {
    const { subject } = letterOf({ id: "m", tenant: "t", alert: alert({ message: "🙂".repeat(500) }) })
    assert.strictEqual([...subject].length, 160)
    assert.isTrue(subject.isWellFormed() && subject.endsWith("🙂…"))
  })

  it("a line of somebody else is one line", () => {
    assert.strictEqual(oneLine(" 550\r\n no\u001b[31m such user "), "550  no [31m such user")
  })
})

describe("settings of SMTP", () => {
  const problem = (url: string, from = "a@b.c") => smtpProblem({ url: Redacted.make(url), from })
  it.each([
    ["smtp://u:p@h:587", "Bursar <bursar@example.com>"],
    ["smtps://h", "bursar@localhost"],
    ["smtp://[::1]:25?tls.rejectUnauthorized=false", "a@b.c"]
  ])("%s from %s can work", (url, from) => {
    assert.isUndefined(problem(url, from))
  })
  it.each([
    ["smtp://u:p@mail.example.com:587", true],
    ["smtp://u:p@10.0.0.1", true],
    ["smtp://u:p@localhost.example.com", true],
    ["smtp://mail.example.com", false],
    ["smtps://u:p@mail.example.com", false],
    ["smtp://u:p@localhost:2525", false],
    ["smtp://u:p@127.0.0.1", false],
    ["smtp://u:p@[::1]", false]
  ])("%s is not used without STARTTLS: %s", (url, isNeeded) => {
    assert.strictEqual(needsTls(new URL(url)), isNeeded)
  })
  it.each([
    ["h:587", "a@b.c"],
    ["https://u:hunter2@h", "a@b.c"],
    ["smtp:", "a@b.c"],
    ["smtp://h", ""],
    ["smtp://h", "Bursar"],
    ["smtp://h", "a@b.c\r\nBcc: d@e.f"],
    ["smtp://h", "x <a@b.c>, y <d@e.f>"]
  ])("%s from %j cannot, and the password is not quoted", (url, from) => {
    assert.match(problem(url, from) ?? "", /BURSAR_SMTP_(URL|FROM)/u)
    assert.notInclude(problem(url, from) ?? "", "hunter2")
  })
})
