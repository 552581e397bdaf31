/**
 * The client of the WebSocket row, in a process of its own, so that the server is what is measured.
 *
 * Owns: a WebSocket client that does as little as can be: it writes frames ready to go and counts frames that come
 * back, without reading their JSON. It serves every contender alike.
 */
import { request } from "node:http"
import type { Socket } from "node:net"

/** What the row asks for. */
export interface Order {
  readonly url: string
  readonly key: string
  readonly connections: number
  readonly inFlight: number
  readonly seconds: number
  /** Requests that are sent in turns; `ID` stands for a number that those of one turn share. */
  readonly texts: ReadonlyArray<string>
}

export interface Outcome {
  readonly perSecond: number
  readonly failed: number
}

const open = (order: Order): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const upgrade = request(`${order.url.replace("ws:", "http:")}`, {
      headers: {
        Authorization: `Bearer ${order.key}`,
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="
      }
    })
    upgrade.on("upgrade", (_response, socket) => resolve(socket as Socket))
    upgrade.on("response", (response) => reject(new Error(`the server answered ${response.statusCode}`)))
    upgrade.on("error", reject)
    upgrade.end()
  })

/** Text frames with a mask of zeros, which leaves the text as it is. */
const writeFrame = (into: Buffer, at: number, text: string): number => {
  const length = text.length
  into[at] = 0x81
  if (length < 126) {
    into[at + 1] = 0x80 | length
    into.writeUInt32BE(0, at + 2)
    return at + 6 + into.write(text, at + 6, "latin1")
  }
  into[at + 1] = 0x80 | 126
  into.writeUInt16BE(length, at + 2)
  into.writeUInt32BE(0, at + 4)
  return at + 8 + into.write(text, at + 8, "latin1")
}

const TEXT_FRAME = 0x81

/** Counts the text frames in a stream of frames, whatever the borders of its chunks. */
class FrameCounter {
  readonly #header: Array<number> = []
  #left = 0

  count(chunk: Buffer): number {
    let frames = 0
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, chunk.length - at)
        at += skipped
        this.#left -= skipped
        continue
      }
      this.#header.push(chunk[at++] as number)
      const length = this.#lengthInHeader()
      if (length === undefined) continue
      if (this.#header[0] === TEXT_FRAME) frames += 1
      this.#header.length = 0
      this.#left = length
    }
    return frames
  }

  #lengthInHeader(): number | undefined {
    const [, second, high = 0, low] = this.#header
    if (second === undefined) return undefined
    if (second < 126) return second
    if (second === 127) throw new Error("a frame is larger than this client knows")
    return low === undefined ? undefined : high * 256 + low
  }
}

const ERROR = Buffer.from('"error":{')

let ids = 0

const drive = async (
  order: Order,
  deadline: number,
  tally: { done: number; failed: number }
): Promise<void> => {
  const socket = await open(order)
  socket.setNoDelay(true)
  const turn = order.texts.map((text) => text.split("ID"))
  const longest = Math.max(...order.texts.map((text) => text.length))
  const scratch = Buffer.allocUnsafe(order.inFlight * (longest + 64))
  let sent = 0
  let id = ""
  const next = (): string => {
    const index = sent++ % turn.length
    if (index === 0) id = String(++ids)
    return (turn[index] as ReadonlyArray<string>).join(id)
  }
  const send = (count: number) => {
    let at = 0
    for (let index = 0; index < count; index++) at = writeFrame(scratch, at, next())
    socket.write(Buffer.from(scratch.subarray(0, at)))
  }
  const counter = new FrameCounter()
  let inFlight = order.inFlight
  await new Promise<void>((resolve, reject) => {
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("the server closed the connection")))
    socket.on("data", (chunk: Buffer) => {
      const answered = counter.count(chunk)
      if (chunk.includes(ERROR)) tally.failed += 1
      inFlight -= answered
      const isOver = performance.now() > deadline
      if (!isOver) {
        tally.done += answered
        if (answered > 0) send(answered)
        inFlight += answered
      } else if (inFlight === 0) resolve()
    })
    send(order.inFlight)
  })
  socket.removeAllListeners("close")
  socket.destroy()
}

const carryOut = async (order: Order): Promise<Outcome> => {
  const tally = { done: 0, failed: 0 }
  const deadline = performance.now() + order.seconds * 1000
  await Promise.all(Array.from({ length: order.connections }, () => drive(order, deadline, tally)))
  return { perSecond: tally.done / order.seconds, failed: tally.failed }
}

process.on("message", (order) => {
  carryOut(order as Order).then(
    (outcome) => process.send?.(outcome),
    (error) => process.send?.({ perSecond: 0, failed: -1, error: String(error) })
  )
})
