/** Many writes to a connection whose other end does not read: one waits for it, and the others for that one. */
import { createServer, type Socket as TcpSocket } from "node:net"
import { NodeSocket } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { Socket } from "effect/socket"
import { writingInLine } from "../../src/cluster/WritingInLine.ts"

const MANY = 40

/** A socket whose writes end when a test says so. */
const scripted = () => {
  const written: Array<string> = []
  const ends: Array<Deferred.Deferred<void, Socket.SocketError>> = []
  const write = (chunk: unknown) =>
    Effect.suspend(() => {
      const end = Deferred.makeUnsafe<void, Socket.SocketError>()
      written.push(String(chunk))
      ends.push(end)
      return Deferred.await(end)
    })
  const socket = Socket.make({ reader: Effect.never, writer: Effect.succeed({ write, writeAll: write }) })
  return { socket: writingInLine(socket), written, ends }
}

const failed = new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause: new Error("reset") }) })

describe("a connection that is full", () => {
  it.effect("is waited for by one write at a time, in their order", () =>
    Effect.gen(function* () {
      const { socket, written, ends } = scripted()
      const { write } = yield* socket.writer
      const writes = yield* Effect.forEach(["a", "b", "c"], (text) =>
        Effect.forkChild(write(text), { startImmediately: true })
      )
      assert.deepStrictEqual(written, ["a"])
      for (const count of [1, 2, 3]) {
        assert.lengthOf(written, count)
        yield* Deferred.succeed(ends[count - 1] as never, undefined)
        yield* Effect.yieldNow
        yield* Effect.yieldNow
      }
      yield* Fiber.joinAll(writes)
      assert.deepStrictEqual(written, ["a", "b", "c"])
    }).pipe(Effect.scoped)
  )

  it.effect("takes what waits with it when it breaks; what is written afterwards is written", () =>
    Effect.gen(function* () {
      const { socket, written, ends } = scripted()
      const { write } = yield* socket.writer
      const waiting = yield* Effect.forEach(["a", "b"], (text) =>
        Effect.forkChild(Effect.exit(write(text)), { startImmediately: true })
      )
      yield* Deferred.fail(ends[0] as never, failed as never)
      const exits = yield* Effect.forEach(waiting, (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual(
        exits.map(({ _tag }) => _tag),
        ["Failure", "Failure"]
      )
      assert.deepStrictEqual(written, ["a"], "nothing of it goes to the next connection")
      yield* Effect.forkChild(write("c"), { startImmediately: true })
      assert.deepStrictEqual(written, ["a", "c"])
    }).pipe(Effect.scoped)
  )

  it.live("has no more listeners for many writes than for one, so nobody warns of a leak", () =>
    Effect.gen(function* () {
      const warnings: Array<string> = []
      const warned = ({ name }: Error) => void warnings.push(name)
      process.on("warning", warned)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.off("warning", warned)))
      const reader = Promise.withResolvers<TcpSocket>()
      const server = createServer((connection) => {
        connection.pause()
        reader.resolve(connection)
      })
      yield* Effect.addFinalizer(() =>
        Effect.promise(() => new Promise<void>((end) => server.close(() => end())))
      )
      const port = yield* Effect.promise(
        () =>
          new Promise<number>((opened) =>
            server.listen(0, "127.0.0.1", () => opened((server.address() as { readonly port: number }).port))
          )
      )
      const socket = writingInLine(yield* NodeSocket.makeNet({ host: "127.0.0.1", port }))
      const { pull } = yield* socket.reader
      const { write } = yield* socket.writer
      yield* Effect.forkScoped(Effect.ignore(pull))
      const chunk = new Uint8Array(2 * 1024 * 1024)
      const writes = yield* Effect.forEach(Array.from({ length: MANY }), () => Effect.forkChild(write(chunk)))
      const connection = yield* Effect.promise(() => reader.promise)
      yield* Effect.addFinalizer(() => Effect.sync(() => connection.destroy()))
      connection.resume()
      yield* Fiber.joinAll(writes)
      assert.deepStrictEqual(warnings, [])
    }).pipe(Effect.scoped)
  )
})
