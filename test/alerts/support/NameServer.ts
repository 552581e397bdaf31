/** A name server of a test's own: it answers what it was told, or nothing at all. */
import { createSocket } from "node:dgram"

type Records = {
  readonly [name: string]: { readonly v4?: ReadonlyArray<string>; readonly v6?: ReadonlyArray<string> }
}

const TYPE_A = 1
const TYPE_AAAA = 28
const NAME_ERROR = 3

/** The name in a question, and where it ends. */
const readName = (query: Buffer): { readonly name: string; readonly end: number } => {
  const labels: Array<string> = []
  let at = 12
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length))
    at += length + 1
  }
  return { name: labels.join(".").toLowerCase(), end: at + 1 }
}

const bytesOf = (address: string, type: number): Buffer => {
  if (type === TYPE_A) return Buffer.from(address.split(".").map(Number))
  const [head = "", tail = ""] = address.split("::")
  const groups = (part: string) => (part === "" ? [] : part.split(":"))
  const zeros = Array(8 - groups(head).length - groups(tail).length).fill("0")
  return Buffer.from(
    [...groups(head), ...zeros, ...groups(tail)].map((group) => group.padStart(4, "0")).join(""),
    "hex"
  )
}

const answerOf = (query: Buffer, records: Records): Buffer | undefined => {
  const { name, end } = readName(query)
  const type = query.readUInt16BE(end)
  if (name.startsWith("silent.")) return undefined
  const known = Object.hasOwn(records, name) ? records[name] : undefined
  const addresses = (type === TYPE_A ? known?.v4 : type === TYPE_AAAA ? known?.v6 : undefined) ?? []
  const header = Buffer.alloc(12)
  query.copy(header, 0, 0, 2)
  header.writeUInt16BE(0x8180 | (known === undefined ? NAME_ERROR : 0), 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(addresses.length, 6)
  const answers = addresses.map((address) => {
    const data = bytesOf(address, type)
    const head = Buffer.from([0xc0, 0x0c, 0, type, 0, 1, 0, 0, 0, 0, 0, data.length])
    return Buffer.concat([head, data])
  })
  return Buffer.concat([header, query.subarray(12, end + 4), ...answers])
}

export const openNameServer = async (records: Records) => {
  const socket = createSocket("udp4")
  let asked = 0
  const heard = Promise.withResolvers<void>()
  socket.on("message", (query, { port, address }) => {
    asked += 1
    heard.resolve()
    const answer = answerOf(query, records)
    if (answer !== undefined) socket.send(answer, port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", () => resolve()))
  return {
    server: `127.0.0.1:${socket.address().port}`,
    /** Until anybody has asked anything. */
    heard: heard.promise,
    asked: () => asked,
    close: () => new Promise<void>((resolve) => socket.close(() => resolve()))
  }
}
