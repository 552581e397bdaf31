/**
 * The writing side of one WebSocket.
 *
 * Owns: writing many answers at once, knowing when the reader is slow, and not reading more requests from a client
 * that does not read its answers.
 * Does not decide: what is dropped for a slow reader (Subscriptions).
 */
import type { Duplex } from "node:stream"
import { Effect } from "effect"
import type { WebSocket } from "ws"

export interface Outlet {
  /** Writes a text. After the socket closed, it is dropped. */
  readonly write: (text: string) => void
  /** Whether the reader is behind: whoever can wait should wait for `untilRoom`. */
  readonly isFull: () => boolean
  /** Calls back once, when there is room again. Answers how to stop waiting. */
  readonly onRoom: (callback: () => void) => () => void
  readonly untilRoom: Effect.Effect<void>
}

/** `backlogBytesMax`: past it, no more requests are read until the answers are. */
export const makeOutlet = (ws: WebSocket, socket: Duplex, backlogBytesMax: number): Outlet => {
  let isCorked = false
  let isPaused = false
  let waiters = new Set<() => void>()

  // One system call for all that is written in this turn of the event loop.
  const uncork = () => {
    isCorked = false
    socket.uncork()
  }
  socket.on("drain", () => {
    if (isPaused && ws.readyState === ws.OPEN) {
      isPaused = false
      ws.resume()
    }
    const ready = waiters
    waiters = new Set()
    for (const waiter of ready) waiter()
  })

  const onRoom = (callback: () => void) => {
    waiters.add(callback)
    return () => void waiters.delete(callback)
  }
  return {
    write: (text) => {
      if (ws.readyState !== ws.OPEN) return
      if (!isCorked) {
        isCorked = true
        socket.cork()
        process.nextTick(uncork)
      }
      ws.send(text)
      if (!isPaused && ws.bufferedAmount > backlogBytesMax) {
        isPaused = true
        ws.pause()
      }
    },
    isFull: () => socket.writableNeedDrain,
    onRoom,
    untilRoom: Effect.callback<void>((resume) => {
      const stop = onRoom(() => resume(Effect.void))
      return Effect.sync(stop)
    })
  }
}
