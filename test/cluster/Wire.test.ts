/** What one node sends arrives at another one as it was: every signal, who sends it, every answer, error and event. */
import { assert, describe, it } from "@effect/vitest"
import { Redacted, Result } from "effect"
import {
  MOVED,
  readEvent,
  readName,
  readOpened,
  readPayload,
  readPrincipal,
  readRequest,
  readSuccess,
  writeError,
  writeEvent,
  writeOpened,
  writePayload,
  writePrincipal,
  writeRequest,
  writeSuccess
} from "../../src/cluster/Wire.ts"
import type { SignalPayload } from "../../src/signal/Catalogue.ts"
import { decodePayload, decodeSuccess } from "../../src/signal/Decode.ts"
import { Conflict, NotFound, Unavailable } from "../../src/signal/Errors.ts"
import type { Principal } from "../../src/signal/Principal.ts"
import { repeatable } from "../../src/signal/Repeatable.ts"
import { EXAMPLES, SIGNAL_NAMES } from "../signal/Examples.ts"

const WHO: Principal = {
  keyId: "key",
  owner: "ann",
  tenant: "acme",
  roles: ["app", "analyst"],
  attribution: { team_id: "red", tags: { env: "prod" } },
  isInstallation: false
}

describe("from node to node", () => {
  for (const name of SIGNAL_NAMES) {
    it(`${name} and its answers arrive as they were`, () => {
      const payload = Result.getOrThrow(decodePayload(name, EXAMPLES[name].params))
      assert.deepStrictEqual(readPayload(name, writePayload(name, payload)), payload)
      for (const result of EXAMPLES[name].results) {
        const success = decodeSuccess(name, result)
        assert.deepStrictEqual(readSuccess(name, writeSuccess(name, success)), { _tag: "success", success })
      }
    })
  }

  it("a secret that was sealed arrives sealed, whatever its length", () => {
    const payload: SignalPayload<"configure_manager"> = {
      alert_channels: [
        { type: "webhook", url: "https://example.com/hook", secret: Redacted.make("sealed ".repeat(200)) }
      ]
    } as SignalPayload<"configure_manager">
    const [channel] =
      readPayload("configure_manager", writePayload("configure_manager", payload)).alert_channels ?? []
    assert.isTrue(channel !== undefined && "secret" in channel)
    const { secret } = channel as { readonly secret: Redacted.Redacted<string> }
    assert.strictEqual(Redacted.value(secret), "sealed ".repeat(200))
  })

  it("so does who sends it", () => {
    assert.deepStrictEqual(readPrincipal(writePrincipal(WHO)), WHO)
  })

  it("errors keep their class and their fields", () => {
    const errors = [
      new NotFound({ kind: "budget", id: "b1", message: "not there" }),
      new Conflict({ reason: "version_changed", message: "changed" }),
      new Unavailable({ message: "away", retry_after_ms: 7 })
    ]
    for (const error of errors) {
      const answer = readSuccess("get_status", writeError(error))
      if (answer._tag !== "error") throw new Error(answer._tag)
      assert.strictEqual(answer.error._tag, error._tag)
      assert.deepStrictEqual({ ...answer.error }, { ...error })
    }
  })

  it("an address that moved is told apart from every answer", () => {
    assert.deepStrictEqual(readSuccess("get_status", MOVED), { _tag: "moved" })
    assert.deepStrictEqual(readOpened(MOVED), { _tag: "moved" })
  })

  it("topics and events", () => {
    const request = {
      topic: "usage",
      filter: { user_id: "ann", tags: { env: "prod" } },
      fromCursor: undefined,
      from: "n:1"
    } as const
    assert.deepStrictEqual(readRequest(writeRequest(request)), request)
    assert.deepStrictEqual(readOpened(writeOpened("7")), { _tag: "success", success: "7" })
    const event = { cursor: "8", event: { gap: null } }
    assert.deepStrictEqual(readEvent(writeEvent(event)), { _tag: "success", success: event })
  })

  it("a name that no actor here knows is not looked up in what every object has", () => {
    assert.strictEqual(readName("check_budget"), "check_budget")
    assert.strictEqual(readName("constructor"), undefined)
    assert.strictEqual(readName("of_tomorrow"), undefined)
  })
})

describe("a command that is passed on", () => {
  const CREATE = { name: "all", type: "global", period: "lifetime", limit: "1" }

  it("gets an id where it had none, so that sending it twice does it once", () => {
    const payload = Result.getOrThrow(decodePayload("create_budget", CREATE))
    const { request_id, ...rest } = repeatable("create_budget", payload)
    assert.isString(request_id)
    assert.deepStrictEqual(rest, payload as typeof rest)
  })

  it("keeps the one that it has; a query needs none", () => {
    const payload = Result.getOrThrow(decodePayload("create_budget", { ...CREATE, request_id: "mine" }))
    assert.strictEqual(repeatable("create_budget", payload), payload)
    const query = Result.getOrThrow(decodePayload("get_status", {}))
    assert.strictEqual(repeatable("get_status", query), query)
  })
})
