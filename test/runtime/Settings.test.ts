/** What the program says of a setting that it cannot use, and of one that it does not know. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { unknownSettings } from "../../src/Config.ts"
import { serverStore } from "../../src/store/Store.ts"
import { runProgram } from "../support/Program.ts"

const REFUSED: ReadonlyArray<readonly [name: string, value: string, what: RegExp]> = [
  ["BURSAR_PORT", "abc", /^a port: a whole number from 0 to 65535$/u],
  ["BURSAR_PORT", "70000", /^a port: a whole number from 0 to 65535$/u],
  ["BURSAR_LOG_LEVEL", "loud", /^"error" or "warn" or "info" or "debug"$/u],
  ["BURSAR_SIMULATOR", "yes", /^"on" or "off"$/u],
  ["BURSAR_TRUST_PROXY", "perhaps", /^true or false$/u]
]

describe("a setting that cannot be used", () => {
  for (const [name, value, what] of REFUSED)
    it(`${name}=${value} is named, with what it has to be`, async () => {
      const { code, log } = await runProgram({ env: { [name]: value } })
      assert.strictEqual(code, 1)
      const start = `bursar could not start: ${name} is "${value}", and has to be `
      assert.isTrue(log.startsWith(start), log)
      assert.match(log.slice(start.length).trimEnd(), what)
    })

  const refusalOf = (url: string) =>
    Effect.map(
      Effect.flip(Effect.scoped(Layer.build(serverStore({ url: Redacted.make(url) })))),
      ({ message }) => message
    )

  it.live("a server that is not there is named with its port and the cause, and never its password", () =>
    Effect.gen(function* () {
      const message = yield* refusalOf("postgres://x:sesame@127.0.0.1:1/x")
      assert.match(message, /ECONNREFUSED.*127\.0\.0\.1:1, of DATABASE_URL \(or `databaseUrl`\)/u)
      assert.notInclude(message, "sesame")
    })
  )

  it.live("what is no address of a server is told which form it has to have", () =>
    Effect.gen(function* () {
      for (const url of ["foo", "mysql://x:sesame@there/x"]) {
        const message = yield* refusalOf(url)
        assert.include(
          message,
          "DATABASE_URL (`databaseUrl` where the runtime is embedded) has to be postgres://"
        )
        assert.notInclude(message, "sesame")
      }
    })
  )
})

describe("a variable that looks like a setting", () => {
  it("and is none is told, with the name that was probably meant", () => {
    assert.strictEqual(
      unknownSettings([
        "PATH",
        "BURSAR_PORT",
        "BURSAR_PROT",
        "BURSAR_KEY",
        "BURSAR_PUBLISH_HOST",
        "BURSAR_Q"
      ]),
      "No setting, and so without effect: BURSAR_PROT (did you mean BURSAR_PORT?), BURSAR_Q"
    )
    assert.isUndefined(unknownSettings(["BURSAR_RECORD", "BURSARIES"]))
  })

  it("is told of in one line at start, and a short admin key in another", async () => {
    // The port is not to be had: the program says what it has to say, and ends.
    const { log } = await runProgram({
      env: { BURSAR_PROT: "1", BURSAR_ADMIN_KEY: "short", BURSAR_HOST: "192.0.2.1" }
    })
    const lines = log.split("\n").filter((line) => line.includes("level=WARN"))
    assert.strictEqual(lines.length, 2, log)
    assert.include(lines[0], "BURSAR_PROT (did you mean BURSAR_PORT?)")
    assert.include(lines[1], "BURSAR_ADMIN_KEY is shorter than 16 characters")
  })
})
