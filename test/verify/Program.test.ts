/**
 * `bursar audit verify`, as people run it.
 *
 * Accepted with 200, never counted: what was acknowledged equals what was counted, and a command proves it.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { type CommandLine, readCommandLine } from "../../src/runtime/CommandLine.ts"
import {
  makeData,
  makeDatabase,
  makeFolder,
  type Program,
  runProgram,
  startProgram
} from "../support/Program.ts"

const VERIFY = ["audit", "verify"]
const MODEL = { provider: "simulator", model: "sim-fast" }

/** Some calls, holds and budgets in two tenants; answers how many reports were acknowledged. */
const work = async (program: Program): Promise<number> => {
  const { key } = await program.call("create_key", { name: "acme", roles: ["admin"], tenant: "acme" })
  let acknowledged = 0
  for (const by of [undefined, key]) {
    const budget = { name: "all", type: "global", period: "daily", limit: "100", alert_thresholds: [1] }
    await program.call("create_budget", budget, by)
    const reports = Array.from({ length: 30 }, async (_, n) => {
      const request_id = `r${n}`
      if (n % 3 > 0) await program.call("check_budget", { request_id, ...MODEL, estimated_cost: "0.01" }, by)
      if (n % 3 === 2) return
      const counts = { prompt_tokens: 1000 + n, completion_tokens: n }
      const { tracked } = await program.call("track_usage", { request_id, ...MODEL, ...counts }, by)
      if (tracked) acknowledged += 1
    })
    await Promise.all(reports)
  }
  return acknowledged
}

const damage = (url: string, statement: string): Promise<void> =>
  Effect.runPromise(
    Effect.gen(function* () {
      yield* (yield* PgClient.PgClient).unsafe(statement).unprepared
    }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })))
  )

const rowsIn = (log: string): number =>
  [...log.matchAll(/: (\d+) usage rows/gu)].reduce((sum, [, count]) => sum + Number(count), 0)

describe("bursar audit verify", () => {
  it("lesson 19: what was acknowledged is counted, on a server beside the program at work", async () => {
    const databaseUrl = await makeDatabase()
    const program = await startProgram({ databaseUrl })
    const acknowledged = await work(program)
    const clean = await runProgram({ databaseUrl, args: VERIFY })
    assert.strictEqual(clean.code, 0, clean.log)
    assert.include(clean.log, "2 tenants: all true")
    assert.strictEqual(rowsIn(clean.log), acknowledged, clean.log)

    await damage(databaseUrl, "DELETE FROM usage WHERE tenant = 'acme' AND usage_seq = 3")
    const damaged = await runProgram({ databaseUrl, args: VERIFY })
    assert.strictEqual(damaged.code, 1, damaged.log)
    assert.include(damaged.log, "acme: usage, usage_seq 3: row is nothing, should be a row")
    assert.strictEqual((await runProgram({ databaseUrl, args: [...VERIFY, "--tenant", "default"] })).code, 0)
    assert.strictEqual((await runProgram({ databaseUrl, args: [...VERIFY, "--tenant=acme"] })).code, 1)

    const unknown = await runProgram({ databaseUrl, args: [...VERIFY, "--tenant", "nobody"] })
    assert.strictEqual(unknown.code, 2)
    assert.include(unknown.log, "There is no tenant nobody")
    await damage(databaseUrl, "DELETE FROM tenant_head WHERE tenant = 'acme'")
    const headless = await runProgram({ databaseUrl, args: VERIFY })
    assert.strictEqual(headless.code, 1)
    assert.include(headless.log, "acme: usage, all rows: tenant is acme, should be a tenant that has a head")
    await program.kill()
  })

  it("lesson 19: what was acknowledged is counted, on the embedded store when no server has it", async () => {
    const data = await makeData()
    const program = await startProgram({ data })
    const acknowledged = await work(program)
    const busy = await runProgram({ data, args: VERIFY })
    assert.strictEqual(busy.code, 2, busy.log)
    assert.include(busy.log, "is in use by process")
    await program.kill()
    const clean = await runProgram({ data, args: VERIFY })
    assert.strictEqual(clean.code, 0, clean.log)
    assert.strictEqual(rowsIn(clean.log), acknowledged, clean.log)
  })

  it("says why it could not run, and makes no store", async () => {
    const data = makeFolder()
    const none = await runProgram({ data, args: VERIFY })
    assert.strictEqual(none.code, 2)
    assert.include(none.log, "There is no store in")
    const away = await runProgram({ databaseUrl: "postgres://127.0.0.1:1/nothing", args: VERIFY })
    assert.strictEqual(away.code, 2, away.log)
    assert.include(away.log, "could not run")
  })
})

describe("the command line", () => {
  const ROWS: ReadonlyArray<readonly [words: string, read: CommandLine]> = [
    ["", { _tag: "serve", mayPlay: true, inCluster: false }],
    ["--no-playground", { _tag: "serve", mayPlay: false, inCluster: false }],
    ["serve", { _tag: "serve", mayPlay: true, inCluster: false }],
    ["serve --cluster", { _tag: "serve", mayPlay: false, inCluster: true }],
    ["--cluster --no-playground", { _tag: "serve", mayPlay: false, inCluster: true }],
    ["serve --clutser", { _tag: "wrong", what: "--clutser" }],
    ["audit verify", { _tag: "verify", tenant: undefined }],
    ["audit verify --tenant acme", { _tag: "verify", tenant: "acme" }],
    ["audit verify --tenant=acme", { _tag: "verify", tenant: "acme" }],
    ["audit verify --tenant", { _tag: "wrong", what: "--tenant without a name" }],
    ["audit verify --tenant acme more", { _tag: "wrong", what: "more" }],
    ["audit verify --quick", { _tag: "wrong", what: "--quick" }],
    ["audit", { _tag: "wrong", what: "audit" }],
    ["audit verify --help", { _tag: "help" }],
    [
      "recording show f.jsonl",
      { _tag: "recording", file: "f.jsonl", actor: undefined, signal: undefined, isSummary: false }
    ],
    [
      "recording show --actor=call/t --signal complete f --summary",
      { _tag: "recording", file: "f", actor: "call/t", signal: "complete", isSummary: true }
    ],
    ["recording show", { _tag: "wrong", what: "recording show without a file" }],
    ["recording show f --actor", { _tag: "wrong", what: "--actor without a name" }],
    ["recording show f --quick", { _tag: "wrong", what: "--quick" }],
    ["recording show f g", { _tag: "wrong", what: "g" }],
    ["recording f", { _tag: "wrong", what: "recording f" }],
    ["--version", { _tag: "version" }]
  ]
  for (const [words, read] of ROWS) {
    it(`bursar ${words}`, () => {
      assert.deepStrictEqual(readCommandLine(words === "" ? [] : words.split(" ")), read)
    })
  }
})
