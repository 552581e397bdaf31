/**
 * Writing to a connection whose other end does not keep up.
 *
 * Owns: that one write waits for the connection, and those after it wait for that one: in their order, and without a listener on the
 * connection for each (a node that answers a thousand asks of another one at once would have a thousand). What waits while the
 * connection breaks breaks with it: it is not sent on the next one.
 * Does not decide: when a connection is full, or what is written.
 */
import { Effect, Semaphore } from "effect"
import { Socket } from "effect/socket"

const broken = (): Socket.SocketError =>
  new Socket.SocketError({
    reason: new Socket.SocketWriteError({ cause: new Error("the connection broke before this was its turn") })
  })

/** All writers of the socket that comes of it stand in one line. */
export const writingInLine = (socket: Socket.Socket): Socket.Socket => {
  const line = Semaphore.makeUnsafe(1)
  let breaks = 0
  const broke = Effect.sync(() => {
    breaks += 1
  })
  const inLine = (write: Effect.Effect<void, Socket.SocketError>) =>
    Effect.suspend(() => {
      const breaksBefore = breaks
      return line.withPermits(1)(
        Effect.suspend(() =>
          breaks === breaksBefore ? Effect.tapError(write, () => broke) : Effect.fail(broken())
        )
      )
    })
  return Socket.make({
    reader: socket.reader,
    writer: Effect.map(socket.writer, ({ write, writeAll }) => ({
      write: (chunk) => inLine(write(chunk)),
      writeAll: (chunks) => inLine(writeAll(chunks))
    }))
  })
}
