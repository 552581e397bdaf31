import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { PgConnection } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { afterAll, beforeAll } from "vitest"
import { Engine, type EngineOptions } from "../../src/store/embedded/Engine.ts"
import { encodeQuery, FrameReader } from "../../src/store/embedded/Frames.ts"

const options: EngineOptions = {
  idleInTransactionTimeoutMs: 5_000,
  statementTimeoutMs: 60_000,
  openTimeoutMs: 60_000
}

const connect = (engine: Engine, settings: Record<string, string> = {}) =>
  PgConnection.make({
    stream: () => engine.connect(),
    username: "postgres",
    connectTimeout: "20 seconds",
    startupParameters: settings
  })

const startupPacket = (words: ReadonlyArray<string>) => {
  const text = Buffer.from(`${words.join("\0")}\0\0`)
  const packet = Buffer.alloc(8 + text.length)
  packet.writeInt32BE(8 + text.length, 0)
  packet.writeInt32BE(3 << 16, 4)
  text.copy(packet, 8)
  return packet
}

const made: Array<string> = []
const temporary = () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bursar-embedded-"))
  made.push(directory)
  return directory
}
afterAll(() => {
  for (const directory of made) fs.rmSync(directory, { recursive: true, force: true })
})

describe("the frames of a client", () => {
  const startup = startupPacket(["user", "u", "application_name", "a"])
  const query = encodeQuery("SELECT 1")
  const terminate = Uint8Array.of(0x58, 0, 0, 0, 4)
  const whole = Buffer.concat([startup, query, query, terminate])

  it("come out whole, wherever the bytes are cut", () => {
    for (let cut = 1; cut < whole.length; cut += 1) {
      const reader = new FrameReader()
      const frames = [...reader.push(whole.subarray(0, cut)), ...reader.push(whole.subarray(cut))]
      const messages = frames.flatMap((frame) => (frame.kind === "messages" ? [...frame.bytes] : []))
      assert.deepStrictEqual(messages, [...query, ...query], `cut at ${cut}`)
      assert.strictEqual(frames[0]?.kind, "startup")
      assert.strictEqual(frames.at(-1)?.kind, "terminate")
    }
  })

  it("that claim an impossible length are refused", () => {
    assert.throws(() => new FrameReader().push(Uint8Array.of(0x7f, 0xff, 0xff, 0xff)))
    const reader = new FrameReader()
    reader.push(startup)
    assert.throws(() => reader.push(Uint8Array.of(0x51, 0x7f, 0xff, 0xff, 0xff)))
  })
})

describe("the one session", () => {
  let engine: Engine
  beforeAll(async () => {
    engine = new Engine({ ...options, idleInTransactionTimeoutMs: 300 })
    await engine.open()
  }, 60_000)
  afterAll(() => engine.close())

  const count = Effect.fnUntraced(function* (connection: PgConnection.PgConnection) {
    const { rows } = yield* connection.query("SELECT count(*) AS n FROM ghost")
    return rows[0]?.n
  })

  it.live("rolls back and forgets what a vanished connection left", () =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* connect(engine, { statement_timeout: "1234" })
          assert.deepStrictEqual((yield* connection.query("SHOW statement_timeout")).rows, [
            { statement_timeout: "1234ms" }
          ])
          yield* connection.query("CREATE TABLE ghost (id int8 PRIMARY KEY)")
          yield* connection.query("CREATE TEMP TABLE mine (id int8)")
          yield* connection.query("PREPARE kept AS SELECT 1")
          yield* connection.query("SET work_mem = '8MB'")
          yield* connection.query("BEGIN")
          yield* connection.query("INSERT INTO ghost VALUES (1)")
        })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* connect(engine)
          assert.strictEqual(yield* count(connection), 0n)
          const left = yield* connection.query(
            `SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name = 'kept') AS prepared,
                    to_regclass('mine') AS temporary, current_setting('work_mem') AS work_mem,
                    current_setting('statement_timeout') AS statement_timeout`
          )
          assert.deepStrictEqual(left.rows, [
            { prepared: 0n, temporary: null, work_mem: "4MB", statement_timeout: "0" }
          ])
        })
      )
    })
  )

  it.live("serves the next one when the last died in a failed transaction or in half a query", () =>
    Effect.gen(function* () {
      const stream = engine.connect()
      stream.on("error", () => {})
      stream.write(startupPacket(["user", "postgres"]))
      yield* Effect.promise(() => once(stream, "data"))
      stream.write(encodeQuery("BEGIN"))
      stream.write(encodeQuery("SELECT 1 / 0"))
      // An extended query that fails, without the Sync that would end it.
      stream.write(Uint8Array.of(0x50, 0, 0, 0, 11, 0, 0x78, 0x78, 0x78, 0, 0, 0))
      stream.destroy()
      const connection = yield* connect(engine)
      assert.deepStrictEqual((yield* connection.query("SELECT 1 AS one")).rows, [{ one: 1 }])
    })
  )

  it.live("makes a second connection wait for its turn", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const second = yield* Effect.scoped(
        Effect.gen(function* () {
          const first = yield* connect(engine)
          const waiting = yield* Effect.scoped(
            Effect.flatMap(connect(engine), (connection) => connection.query("SELECT 1"))
          ).pipe(
            Effect.tap(() => Effect.sync(() => order.push("second"))),
            Effect.forkDetach({ startImmediately: true })
          )
          yield* first.query("SELECT 1")
          order.push("first")
          return waiting
        })
      )
      yield* Fiber.join(second)
      assert.deepStrictEqual(order, ["first", "second"])
    })
  )

  it.live("ends a session that idles in a transaction", () =>
    Effect.gen(function* () {
      const connection = yield* connect(engine)
      yield* connection.query("BEGIN")
      yield* connection.query("INSERT INTO ghost VALUES (2)")
      yield* Effect.sleep("900 millis")
      const error = yield* Effect.flip(connection.query("COMMIT"))
      assert.strictEqual((error.reason.cause as { code?: string }).code, "25P03")
      const next = yield* connect(engine)
      assert.strictEqual(yield* count(next), 0n)
    })
  )

  it.live("closes a connection that does not speak the protocol, and goes on", () =>
    Effect.gen(function* () {
      const stream = engine.connect()
      const failed = once(stream, "error")
      stream.write("GET / HTTP/1.1\r\n\r\n")
      yield* Effect.promise(() => failed)
      const refused = yield* Effect.flip(connect(engine, { no_such_setting: "1" }))
      assert.include(String((refused.reason.cause as Error).message), "no_such_setting")
      const connection = yield* connect(engine)
      assert.deepStrictEqual((yield* connection.query("SELECT 1 AS one")).rows, [{ one: 1 }])
    })
  )
})

describe("the thread", () => {
  it.live("says why it does not open", () =>
    Effect.gen(function* () {
      const file = path.join(temporary(), "file")
      fs.writeFileSync(file, "not a directory")
      const engine = new Engine({ ...options, dataDirectory: file })
      const error = yield* Effect.flip(Effect.tryPromise(() => engine.open()))
      assert.match((error.cause as Error).message, /the embedded database failed: .+/)
      yield* Effect.promise(() => engine.close())
    })
  )

  it.live("fails everybody when it breaks, and does not hang", () =>
    Effect.gen(function* () {
      const workerUrl = new URL("data:text/javascript,throw new Error('boom')")
      const engine = new Engine({ ...options, workerUrl })
      const error = yield* Effect.flip(connect(engine))
      assert.include((error.reason.cause as Error).message, "boom")
      yield* Effect.promise(() => engine.close())
      assert.match(String(yield* Effect.flip(connect(engine))), /./)
    })
  )

  it.live("is ended when a statement does not, and recovers for the next connection", () =>
    Effect.gen(function* () {
      const engine = new Engine({
        ...options,
        statementTimeoutMs: 5_000,
        dataDirectory: path.join(temporary(), "data")
      })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* connect(engine)
          yield* connection.query("CREATE TABLE kept (id int8)")
          yield* connection.query("INSERT INTO kept VALUES (1)")
          const error = yield* Effect.flip(connection.query("SELECT pg_sleep(600)"))
          assert.include((error.reason.cause as Error).message, "ran for more than 5000 ms")
        })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* connect(engine)
          assert.deepStrictEqual((yield* connection.query("SELECT id FROM kept")).rows, [{ id: 1n }])
        })
      )
      yield* Effect.promise(() => engine.close())
    })
  )
})
