/**
 * A process that sends back what it is sent: each message is its length, four bytes, and its bytes.
 *
 * Owns: nothing but a socket. It is the least that asking another process can cost.
 */
import { type AddressInfo, createServer } from "node:net"

const server = createServer({ noDelay: true }, (socket) => {
  let waiting = Buffer.alloc(0)
  socket.on("data", (data) => {
    waiting = waiting.length === 0 ? data : Buffer.concat([waiting, data])
    for (;;) {
      if (waiting.length < 4) return
      const end = 4 + waiting.readUInt32BE(0)
      if (waiting.length < end) return
      socket.write(waiting.subarray(0, end))
      waiting = waiting.subarray(end)
    }
  })
  socket.on("error", () => socket.destroy())
})
server.listen(0, "127.0.0.1", () => process.stdout.write(`port ${(server.address() as AddressInfo).port}\n`))
