/**
 * What each node asks every few seconds costs what it answers, however many machines there are that have ended or wait.
 *
 * On a real server, with a hundred thousand ended machines: the plans themselves are looked at, because times say nothing
 * about a machine that is busy.
 */

import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { afterAll } from "vitest"
import { MachineStore } from "../../src/actor/MachineStore.ts"
import { DUE, OPEN, OPEN_COUNT, OPEN_TENANTS, OWING, OWING_TO } from "../../src/store/MachineLooking.ts"
import { REMOVE_ENDED } from "../../src/store/MachineRemoval.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { machineStoreLayer } from "../../src/store/SqlMachineStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"

const ENDED = 100_000
const WAITING = 20_000
const RUNNING = 500
const NOW = new Date(Date.UTC(2026, 10, 25, 12))
const LATER = new Date(NOW.getTime() + 1)

/** Rows as commits leave them, of ten tenants. */
const FILL = `INSERT INTO machine
  (tenant, address, kind, owner, epoch, revision, status, state, about, version, snapshot, wakes_at, ended_at, updated_at)
SELECT 't' || n % 10, 'workflow/t' || n % 10 || '/' || $1 || n, 'workflow', 'o', 1, 9, $1, 's', 'null', '1',
  repeat('x', 200), $2::timestamptz, $3::timestamptz, $4::timestamptz FROM generate_series(1, $5::int8) n`

const OWE = `INSERT INTO machine_outbox SELECT 'workflow/t' || n % 10 || '/active' || n, s, 'r', 's', '{}'
FROM generate_series(1, 50) n, generate_series(1, 100) s`

const SEE = "INSERT INTO machine_seen SELECT address, 'r', 0, NULL, 9, 1 FROM machine"

interface Node {
  readonly "Node Type": string
  readonly "Relation Name"?: string
  readonly "Actual Rows": number
  readonly "Actual Loops": number
  readonly "Rows Removed by Filter"?: number
  readonly Plans?: ReadonlyArray<Node>
}

const nodesOf = (node: Node): ReadonlyArray<Node> => [node, ...(node.Plans ?? []).flatMap(nodesOf)]

/** How the tables of machines are read: by which kinds of nodes, and how many rows of them in all. */
const readingOf = (sql: PgClient.PgClient, text: string, parameters: ReadonlyArray<unknown>) =>
  Effect.map(
    sql.unsafe<{ readonly "QUERY PLAN": ReadonlyArray<{ readonly Plan: Node }> }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
      parameters
    ),
    (rows) => {
      const scans = rows
        .flatMap((row) => row["QUERY PLAN"])
        .flatMap(({ Plan }) => nodesOf(Plan))
        .filter((node) => node["Relation Name"]?.startsWith("machine") === true)
        .filter((node) => node["Node Type"] !== "ModifyTable")
      const read = scans.reduce(
        (sum, node) =>
          sum + (node["Actual Rows"] + (node["Rows Removed by Filter"] ?? 0)) * node["Actual Loops"],
        0
      )
      return { kinds: scans.map((node) => node["Node Type"]), read }
    }
  )

const database = await createTestDatabase()
afterAll(() => database.drop())
const server = serverLayer({ url: Redacted.make(database.url) })

layer(machineStoreLayer("server").pipe(Layer.provideMerge(server)), {
  timeout: "2 minutes",
  excludeTestServices: true
})("looking for machines", (it) => {
  it.effect(
    "reads no table from one end to the other",
    () =>
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const store = yield* MachineStore
        // On a busy machine it takes longer than a statement may.
        const filled = Effect.gen(function* () {
          yield* sql.unsafe("SET LOCAL statement_timeout = 0")
          yield* sql.unsafe(FILL, ["done", null, NOW, NOW, BigInt(ENDED)])
          yield* sql.unsafe(FILL, ["parked", null, null, NOW, BigInt(WAITING)])
          yield* sql.unsafe(FILL, ["active", new Date(0), null, NOW, BigInt(RUNNING)])
          yield* sql.unsafe(OWE)
          yield* sql.unsafe(SEE)
        })
        yield* sql.withTransaction(filled)
        for (const table of ["machine", "machine_outbox", "machine_seen"])
          yield* sql.unsafe(`ANALYZE ${table}`)
        const kinds = "{workflow}"
        const asked: ReadonlyArray<readonly [string, string, ReadonlyArray<unknown>, number]> = [
          ["due", DUE, [kinds, NOW, null, "", 200n], 200],
          ["due, the next page", DUE, [kinds, NOW, new Date(0), "workflow/t5/active55", 200n], 200],
          ["owing", OWING, [kinds, "", 200n], 50 * 2],
          ["owing, the next page", OWING, [kinds, "workflow/t5/active5", 200n], 50 * 2],
          ["who owes a receiver", OWING_TO, ["r", ["workflow/t5/active5", "workflow/t6/active6"]], 4],
          ["how many are open", OPEN_COUNT, ["t5", "workflow"], (WAITING + RUNNING) / 10],
          ["which are open", OPEN, ["workflow", "t5", "workflow/t5/parked", 200n], 200],
          ["whose are open", OPEN_TENANTS, ["workflow", "", 200n], 11],
          ["removed", REMOVE_ENDED, ["t5", LATER, 500n], 500 * 3]
        ]
        for (const [what, text, parameters, most] of asked) {
          const { kinds: scans, read } = yield* readingOf(sql, text, parameters)
          assert.isAbove(read, 0, what)
          assert.isAtMost(read, most, what)
          assert.notInclude(scans, "Seq Scan", what)
        }
        const due = yield* store.due({ kinds: ["workflow"], now: NOW.getTime(), after: null, limit: 1_000 })
        assert.strictEqual(due.length, RUNNING)
        const owing = yield* store.owing({ kinds: ["workflow"], after: null, limit: 1_000 })
        assert.deepStrictEqual([owing.machines.length, owing.next], [50, null])
        assert.strictEqual(yield* store.openCount("t5", "workflow"), (WAITING + RUNNING) / 10)
      }),
    120_000
  )
})
