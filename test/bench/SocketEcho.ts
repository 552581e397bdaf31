/**
 * A bare ask of another process: one message over a socket, and the same back.
 *
 * Owns: starting that process, framing, waiting for the answer, its end.
 */
import { spawn } from "node:child_process"
import { connect, type Socket } from "node:net"
import { fileURLToPath } from "node:url"

const PROGRAM = fileURLToPath(new URL("EchoProgram.ts", import.meta.url))
const END_WITH_PARENT = new URL("../support/EndWithParent.ts", import.meta.url).href

export interface SocketEcho {
  readonly ask: (message: Buffer) => Promise<Buffer>
  readonly end: () => Promise<void>
}

const openedTo = (port: number): Promise<Socket> =>
  new Promise((opened, failed) => {
    const socket: Socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => opened(socket))
    socket.once("error", failed)
  })

export const startSocketEcho = async (): Promise<SocketEcho> => {
  const child = spawn(process.execPath, ["--import", END_WITH_PARENT, PROGRAM], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const exited = new Promise<void>((gone) => child.once("exit", () => gone()))
  const port = await new Promise<number>((listening) => {
    child.stdout.on("data", (text) => {
      const found = /^port (\d+)$/mu.exec(String(text))
      if (found !== null) listening(Number(found[1]))
    })
  })
  const socket = await openedTo(port)
  let waiting = Buffer.alloc(0)
  let answer: ((message: Buffer) => void) | undefined
  socket.on("data", (data) => {
    waiting = Buffer.concat([waiting, data])
    if (waiting.length < 4 || waiting.length < 4 + waiting.readUInt32BE(0)) return
    answer?.(waiting.subarray(4))
    waiting = Buffer.alloc(0)
  })
  return {
    ask: (message) =>
      new Promise((answered) => {
        answer = answered
        const length = Buffer.alloc(4)
        length.writeUInt32BE(message.length)
        socket.write(Buffer.concat([length, message]))
      }),
    end: () => {
      socket.destroy()
      child.kill("SIGKILL")
      return exited
    }
  }
}
