/**
 * Text that was made to break something never stops a tenant: it is refused at the edge, or kept exactly.
 */
import { assert, describe, it } from "@effect/vitest"
import { beforeAll } from "vitest"
import {
  makeData,
  makeDatabase,
  type Program,
  type ProgramOptions,
  startProgram
} from "../support/Program.ts"
import { ADMIN_KEY, type Json } from "../support/Wire.ts"

const MODEL = { provider: "hostile", model: "hostile-model" }

/** Written as JSON writes them, so that what no JavaScript string writer would send is sent. */
const REFUSED: { readonly [what: string]: string } = {
  "a lone high surrogate": '"a\\ud800b"',
  "a lone low surrogate": '"\\udfff"',
  "surrogates the wrong way round": '"\\ude00\\ud83d"',
  "U+0000": '"a\\u0000b"',
  "more than 256 bytes": JSON.stringify("🙂".repeat(65)),
  "a number": "17",
  null: "null",
  "an object": '{"toString":"x"}'
}

const KEPT: { readonly [what: string]: string } = {
  quotes: JSON.stringify(`'"\`''""\\'\\"`),
  SQL: JSON.stringify("'); DROP TABLE usage; --"),
  placeholders: JSON.stringify("$1 $2 :x ? %s {} #{x}"),
  "an array literal": JSON.stringify('{"a","b\\\\",NULL}'),
  "NULL, NaN and Infinity": JSON.stringify("NULL,NaN,Infinity,-infinity"),
  "Postgres escapes": JSON.stringify("\\x00 \\000 \\u0000 E'\\n' \\N"),
  "JSON in JSON": JSON.stringify(JSON.stringify({ a: 'b"c\\u0000' })),
  controls: '"\\u0001\\b\\t\\n\\f\\r\\u001f\\u007f\\u0085"',
  "right to left": JSON.stringify("\u202eאבג العربية\u202c"),
  "4-byte emoji": JSON.stringify("👩‍👩‍👧‍👦🏴‍☠️𝕏"),
  "256 bytes of emoji": JSON.stringify("🙂".repeat(64)),
  "combining marks": JSON.stringify(`e${"\u0301".repeat(50)}`),
  "composed and not": JSON.stringify("é e\u0301"),
  noncharacters: '"\\uffff\\ufffe\\ufdd0"',
  "a byte order mark": '"\\ufeffa"',
  "line separators": '"\\u2028\\u2029"',
  "spaces around": JSON.stringify("  a  "),
  "names of JavaScript": JSON.stringify("__proto__"),
  "names of SQL": JSON.stringify("null")
}

/** Sends params as they are written. */
const sendRaw = async (program: Program, method: string, params: string): Promise<Json> => {
  const response = await fetch(`${program.url}/signals`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${ADMIN_KEY}` },
    body: `{"jsonrpc":"2.0","id":1,"method":"${method}","params":${params}}`
  })
  return response.json()
}

const STORES: { readonly [name: string]: () => Promise<ProgramOptions> } = {
  "a Postgres server": async () => ({ databaseUrl: await makeDatabase() }),
  "the embedded store": async () => ({ data: await makeData() })
}

for (const [store, makeOptions] of Object.entries(STORES)) {
  describe(`on ${store}`, () => {
    let options: ProgramOptions
    let program: Program
    let requests = 0

    beforeAll(async () => {
      options = await makeOptions()
      program = await startProgram(options)
      await program.call("update_pricing", {
        ...MODEL,
        pricing: { prompt_per_million: "1", completion_per_million: "1" }
      })
    })

    const reportWith = (fields: string, request_id = JSON.stringify(`r${++requests}`)): string =>
      `{"request_id":${request_id},"provider":"hostile","model":"hostile-model","prompt_tokens":10,"completion_tokens":1,${fields}}`

    /** The tenant works: a report is taken and counted. */
    const works = async () => {
      const answer = await sendRaw(program, "track_usage", reportWith('"user_id":"harmless"'))
      assert.strictEqual(answer.result?.usage.cost, "0.000011")
    }

    for (const [what, text] of Object.entries(REFUSED)) {
      it(`${what} is refused at the edge`, async () => {
        const places = [
          reportWith(`"tags":{"t":${text}}`),
          reportWith(`"user_id":${text}`),
          reportWith('"user_id":"x"', text)
        ]
        for (const params of places) {
          const answer = await sendRaw(program, "track_usage", params)
          assert.strictEqual(answer.error?.code, -32602, params)
          assert.isNotEmpty(answer.error.data.issues)
        }
        await works()
      })
    }

    for (const [what, text] of Object.entries(KEPT)) {
      it(`${what}: kept exactly, everywhere`, async () => {
        const value: string = JSON.parse(text)
        const request_id = JSON.stringify(`${value.slice(0, 60).toWellFormed()} ${++requests}`)
        const fields = `"tags":{"t":${text}},"user_id":${text},"metadata":{"m":${text}},"tools_used":[${text}],"raw_usage":{"r":[${text}]}`
        const answer = await sendRaw(program, "track_usage", reportWith(fields, request_id))
        assert.isUndefined(answer.error, JSON.stringify(answer.error))
        const expected = {
          request_id: JSON.parse(request_id),
          tags: { t: value },
          user_id: value,
          metadata: { m: value },
          tools_used: [value],
          raw_usage: { r: [value] }
        }
        assert.deepInclude(answer.result.usage, expected)
        for (const filter of [`{"tags":{"t":${text}}}`, `{"user_id":${text}}`]) {
          const { result } = await sendRaw(program, "get_usage", filter)
          assert.strictEqual(result.items.length, 1, filter)
          assert.deepStrictEqual(result.items[0], answer.result.usage)
        }
        const again = await sendRaw(program, "track_usage", reportWith(fields, request_id))
        assert.isTrue(again.result.duplicate)
        const budget = await sendRaw(
          program,
          "create_budget",
          `{"name":${text},"type":"user","entity_id":${text},"period":"lifetime","limit":"1"}`
        )
        assert.deepInclude(budget.result.budget, { name: value, entity_id: value, spent: "0.000011" })
        await works()
      })
    }

    it("is all there after the program was killed", async () => {
      const before = [
        await program.call("get_usage", { limit: 1000 }),
        await program.call("get_budget_status")
      ]
      await program.kill()
      program = await startProgram(options)
      const after = [
        await program.call("get_usage", { limit: 1000 }),
        await program.call("get_budget_status")
      ]
      assert.deepStrictEqual(after[0].items, before[0].items)
      const names = (status: Json) => status.budgets.map(({ name, spent }: Json) => [name, spent])
      assert.sameDeepMembers(names(after[1]), names(before[1]))
      assert.strictEqual(after[1].budgets.length, Object.keys(KEPT).length)
    })

    it("names that reach into JavaScript are refused at any depth", async () => {
      for (const name of ["__proto__", "constructor", "prototype"]) {
        for (const fields of [`"tags":{"${name}":"x"}`, `"metadata":{"a":{"${name}":1}}`, `"${name}":{}`]) {
          const answer = await sendRaw(program, "track_usage", reportWith(fields))
          assert.strictEqual(answer.error?.code, -32602, fields)
        }
      }
      await works()
    })
  })
}
