import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { embeddedLayer } from "../../src/store/embedded/EmbeddedPostgres.ts"

const writer = fileURLToPath(new URL("./EmbeddedWriter.ts", import.meta.url))

/** Runs the writer, kills it in the middle of its work, and returns what it was promised. */
const writeAndKill = (directory: string, first: bigint, killAfter: number) =>
  Effect.promise(
    () =>
      new Promise<ReadonlyArray<string>>((resolve, reject) => {
        const child = spawn(process.execPath, [writer, directory, String(first)])
        let output = ""
        let problem = ""
        child.stderr.on("data", (text) => {
          problem += text
        })
        child.stdout.on("data", (text) => {
          output += text
          if (output.split("\n").length > killAfter) child.kill("SIGKILL")
        })
        child.once("close", (_code, signal) => {
          if (signal !== "SIGKILL") return reject(new Error(`the writer ended by itself: ${problem}`))
          // A line without its end was not promised.
          resolve(output.split("\n").slice(0, -1))
        })
      })
  )

it.live(
  "keeps everything it acknowledged when the process is killed, and only whole transactions",
  () =>
    Effect.gen(function* () {
      const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bursar-kill-"))
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
      )
      const promised: Array<string> = []
      for (const [round, killAfter] of [1, 40, 90, 17, 150].entries()) {
        promised.push(...(yield* writeAndKill(directory, BigInt(round * 100_000), killAfter)))
        const rows = yield* Effect.gen(function* () {
          const sql = yield* PgClient.PgClient
          return yield* sql<{ id: bigint; parts: bigint }>`
          SELECT id, count(*) AS parts FROM written GROUP BY id ORDER BY id`
        }).pipe(Effect.provide(embeddedLayer({ directory })))
        const stored = new Set(rows.map(({ id }) => String(id)))
        assert.deepStrictEqual(
          promised.filter((id) => !stored.has(id)),
          [],
          `lost in round ${round}`
        )
        assert.deepStrictEqual(
          rows.filter(({ parts }) => parts !== 50n),
          [],
          `torn in round ${round}`
        )
        // At most one transaction a round can be committed and not promised.
        assert.isAtMost(rows.length, promised.length + round + 1)
      }
    }),
  120_000
)
