import { assert, describe, it } from "@effect/vitest"
import {
  isRefusal,
  joinAnswers,
  readMessage,
  writeError,
  writeEvent,
  writeResult
} from "../../src/bridge/JsonRpc.ts"
import { InvalidRequest } from "../../src/signal/Errors.ts"

/** What each text is read as: `id method`, `- method` for a notification, or `! id Error`. */
const read = (text: string) => {
  const { isBatch, items } = readMessage(text)
  const lines = items.map((item) =>
    isRefusal(item)
      ? `! ${JSON.stringify(item.id)} ${item.refusal._tag}`
      : `${item.id === undefined ? "-" : JSON.stringify(item.id)} ${item.method}${item.problem === undefined ? "" : " InvalidParams"}`
  )
  return isBatch ? lines : lines[0]
}

const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`

const TABLE: ReadonlyArray<readonly [string, string | ReadonlyArray<string>]> = [
  ['{"jsonrpc":"2.0","id":1,"method":"m"}', "1 m"],
  ['{"jsonrpc":"2.0","id":0,"method":"m","params":{}}', "0 m"],
  ['{"jsonrpc":"2.0","id":-7,"method":"m"}', "-7 m"],
  ['{"jsonrpc":"2.0","id":1.5,"method":"m"}', "1.5 m"],
  ['{"jsonrpc":"2.0","id":"1","method":"m"}', '"1" m'],
  ['{"jsonrpc":"2.0","id":"","method":"m"}', '"" m'],
  ['{"jsonrpc":"2.0","id":null,"method":"m"}', "null m"],
  ['{"jsonrpc":"2.0","method":"m"}', "- m"],
  ['{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}', "! null InvalidRequest"],
  ['{"jsonrpc":"2.0","id":1e400,"method":"m"}', "! null InvalidRequest"],
  ['{"jsonrpc":"2.0","id":true,"method":"m"}', "! null InvalidRequest"],
  ['{"jsonrpc":"2.0","id":{},"method":"m"}', "! null InvalidRequest"],
  ['{"jsonrpc":"2.0","id":[1],"method":"m"}', "! null InvalidRequest"],
  ['{"jsonrpc":"1.0","id":1,"method":"m"}', "! 1 InvalidRequest"],
  ['{"jsonrpc":2,"id":1,"method":"m"}', "! 1 InvalidRequest"],
  ['{"id":1,"method":"m"}', "! 1 InvalidRequest"],
  ['{"jsonrpc":"2.0","id":1}', "! 1 InvalidRequest"],
  ['{"jsonrpc":"2.0","id":1,"method":1}', "! 1 InvalidRequest"],
  ['{"jsonrpc":"2.0","method":1,"params":"bar"}', "! null InvalidRequest"],
  ['{"jsonrpc":"2.0","id":1,"result":1}', "! 1 InvalidRequest"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":"x"}', "! 1 InvalidRequest"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":null}', "! 1 InvalidRequest"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","parms":{}}', "! 1 InvalidRequest"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","trace":"t"}', "1 m"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":[1]}', "1 m InvalidParams"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":[]}', "1 m InvalidParams"],
  ['{"jsonrpc":"2.0","method":"m","params":[1]}', "- m InvalidParams"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":{"__proto__":1}}', "1 m InvalidParams"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[{"\\u005f_proto__":1}]}}', "1 m InvalidParams"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":{"constructor":1}}}', "1 m InvalidParams"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":{"prototype":{}}}}', "1 m InvalidParams"],
  ['{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":"__proto__"}}', "1 m"],
  ['{"__proto__":{"id":5},"jsonrpc":"2.0","method":"m"}', "- m"],
  [`{"jsonrpc":"2.0","id":1,"method":"m","params":${nested(64)}}`, "1 m"],
  [`{"jsonrpc":"2.0","id":1,"method":"m","params":${nested(65)}}`, "1 m InvalidParams"],
  [`{"jsonrpc":"2.0","id":1,"method":"m","params":${nested(150_000)}}`, "1 m InvalidParams"],
  [
    `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":${"[".repeat(400_000)}${"]".repeat(400_000)}}}`,
    "1 m InvalidParams"
  ],
  [`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[${"0,".repeat(19_998)}0]}}`, "1 m"],
  [`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[${"0,".repeat(19_999)}0]}}`, "1 m InvalidParams"],
  ["", "! null ParseError"],
  ['{"jsonrpc":"2.0","id":1,"method":"m"', "! null ParseError"],
  ['{"jsonrpc":"2.0","id":1,"method":"m"}{}', "! null ParseError"],
  ["{'jsonrpc':'2.0'}", "! null ParseError"],
  ["1", "! null InvalidRequest"],
  ['"text"', "! null InvalidRequest"],
  ["null", "! null InvalidRequest"],
  ["true", "! null InvalidRequest"],
  ["[]", "! null InvalidRequest"],
  ["[1]", ["! null InvalidRequest"]],
  ["[1,[],null]", ["! null InvalidRequest", "! null InvalidRequest", "! null InvalidRequest"]],
  [
    '[{"jsonrpc":"2.0","id":1,"method":"a"},{"jsonrpc":"2.0","method":"b"},{"foo":1}]',
    ["1 a", "- b", "! null InvalidRequest"]
  ],
  [
    JSON.stringify(Array.from({ length: 100 }, () => 1)),
    Array.from({ length: 100 }, () => "! null InvalidRequest")
  ],
  [JSON.stringify(Array.from({ length: 101 }, () => 1)), "! null InvalidRequest"]
]

describe("reading", () => {
  for (const [text, expected] of TABLE) {
    it(text.length > 90 ? `${text.slice(0, 80)}… (${text.length})` : text, () => {
      assert.deepStrictEqual(read(text), expected)
    })
  }

  it("says where a forbidden key stands", () => {
    const [item] = readMessage(
      '{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[0,{"__proto__":1}]}}'
    ).items
    assert.isTrue(item !== undefined && !isRefusal(item))
    if (item === undefined || isRefusal(item)) return
    assert.deepStrictEqual(item.problem?.issues[0]?.path, ["a", 1, "__proto__"])
  })
})

describe("writing", () => {
  it("echoes ids as they came", () => {
    for (const id of ["a", "", 0, 1.5, -1, null, 'q"\\\n']) {
      assert.deepStrictEqual(JSON.parse(writeResult(id, { a: 1 })), { jsonrpc: "2.0", id, result: { a: 1 } })
    }
  })
  it("carries an error's tag and fields", () => {
    assert.deepStrictEqual(JSON.parse(writeError(7, new InvalidRequest({ message: "no" }))), {
      jsonrpc: "2.0",
      id: 7,
      error: { code: -32600, message: "no", data: { _tag: "InvalidRequest" } }
    })
  })
  it("writes events as notifications", () => {
    assert.deepStrictEqual(JSON.parse(writeEvent("s", null, { gap: 3 })), {
      jsonrpc: "2.0",
      method: "event",
      params: { subscription: "s", cursor: null, event: { gap: 3 } }
    })
  })
  it("answers nothing where there is nothing to answer", () => {
    assert.isUndefined(joinAnswers(true, []))
    assert.isUndefined(joinAnswers(false, []))
    assert.strictEqual(joinAnswers(true, ["1"]), "[1]")
    assert.strictEqual(joinAnswers(false, ["1"]), "1")
  })
})
