/**
 * Cuts a client's bytes into whole wire-protocol messages.
 *
 * Owns: framing of the frontend half of the Postgres protocol, version 3, and the few messages
 * that are answered without the database (SSL, cancel) or made by us (errors).
 * Does not decide: what a message means to the database.
 */

/** What one message is, for somebody who passes messages on. */
export type Frame =
  | { readonly kind: "ssl" }
  | { readonly kind: "cancel" }
  | {
      readonly kind: "startup"
      readonly packet: Uint8Array<ArrayBuffer>
      readonly parameters: ReadonlyMap<string, string>
    }
  | { readonly kind: "terminate" }
  /** One or more whole messages of an authenticated session. */
  | { readonly kind: "messages"; readonly bytes: Uint8Array<ArrayBuffer> }

/** A client broke the protocol, or a message is larger than what we hold in memory. */
export class FrameError extends Error {
  override readonly name = "FrameError"
}

const sslRequestCode = 80877103
const gssRequestCode = 80877104
const cancelRequestCode = 80877102
const terminateTag = 0x58
const startupBytesMax = 10_000

/** A Postgres message may be 1 GiB; nothing the store sends comes near this. */
export const messageBytesMax = 64 * 1024 * 1024

/** Holds the bytes of a message that has not arrived whole. One per connection. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)
  #started = false

  /** Adds bytes; returns the messages that are now whole. */
  push(chunk: Uint8Array): ReadonlyArray<Frame> {
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    const bytes = this.#rest.length === 0 ? view : Buffer.concat([this.#rest, view])
    const frames: Array<Frame> = []
    let offset = 0
    while (!this.#started) {
      const length = startupLength(bytes, offset)
      if (length === undefined) break
      const frame = readStartup(bytes.subarray(offset, offset + length))
      offset += length
      frames.push(frame)
      this.#started = frame.kind === "startup"
    }
    if (this.#started) {
      const end = wholeMessages(bytes, offset)
      if (end.stop > offset) frames.push({ kind: "messages", bytes: own(bytes.subarray(offset, end.stop)) })
      if (end.terminated) frames.push({ kind: "terminate" })
      offset = end.next
    }
    this.#rest = offset === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(offset))
    return frames
  }
}

/** A copy in a buffer of its own, so that it can be handed to another thread without a second copy. */
const own = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes)

const startupLength = (bytes: Buffer, offset: number): number | undefined => {
  if (bytes.length - offset < 4) return undefined
  const length = bytes.readInt32BE(offset)
  if (length < 8 || length > startupBytesMax)
    throw new FrameError(`invalid startup packet of ${length} bytes`)
  return bytes.length - offset < length ? undefined : length
}

const readStartup = (packet: Buffer): Frame => {
  const code = packet.readInt32BE(4)
  if (code === sslRequestCode || code === gssRequestCode) return { kind: "ssl" }
  if (code === cancelRequestCode) return { kind: "cancel" }
  if (code >>> 16 !== 3) throw new FrameError(`unsupported protocol version ${code >>> 16}.${code & 0xffff}`)
  const words = packet.subarray(8).toString("utf8").split("\0")
  const parameters = new Map<string, string>()
  for (let i = 0; i + 1 < words.length && words[i] !== ""; i += 2) {
    parameters.set(words[i] as string, words[i + 1] as string)
  }
  return { kind: "startup", packet: own(packet), parameters }
}

/** Where the whole messages end (`stop`), and where reading goes on (`next`). */
const wholeMessages = (bytes: Buffer, start: number) => {
  let offset = start
  while (bytes.length - offset >= 5) {
    const length = bytes.readInt32BE(offset + 1)
    if (length < 4 || length > messageBytesMax) throw new FrameError(`invalid message of ${length} bytes`)
    if (bytes.length - offset < length + 1) break
    if (bytes[offset] === terminateTag) return { stop: offset, next: bytes.length, terminated: true }
    offset += length + 1
  }
  return { stop: offset, next: offset, terminated: false }
}

/** A simple query, as a client would send it. */
export const encodeQuery = (sql: string): Uint8Array => {
  const text = Buffer.from(`${sql}\0`)
  const frame = Buffer.alloc(5 + text.length)
  frame[0] = 0x51
  frame.writeInt32BE(4 + text.length, 1)
  text.copy(frame, 5)
  return frame
}

/** `Sync`: ends an extended query that its sender did not end, failed or not. */
export const syncFrame: Uint8Array = Uint8Array.of(0x53, 0, 0, 0, 4)

/** A fatal `ErrorResponse`, after which the connection is closed. */
export const encodeFatal = (code: string, message: string): Uint8Array => {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${message}\0\0`)
  const frame = Buffer.alloc(5 + fields.length)
  frame[0] = 0x45
  frame.writeInt32BE(4 + fields.length, 1)
  fields.copy(frame, 5)
  return frame
}

/** The text of the first error in a run of backend messages, if there is one. */
export const firstError = (
  bytes: Uint8Array
): { readonly code: string; readonly message: string } | undefined => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let offset = 0; offset + 5 <= view.length; offset += view.readInt32BE(offset + 1) + 1) {
    if (view[offset] !== 0x45) continue
    const fields = view
      .subarray(offset + 5, offset + 1 + view.readInt32BE(offset + 1))
      .toString("utf8")
      .split("\0")
    const field = (key: string) => fields.find((text) => text.startsWith(key))?.slice(1) ?? ""
    return { code: field("C"), message: field("M") }
  }
  return undefined
}
