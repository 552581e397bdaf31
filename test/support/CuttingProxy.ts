/**
 * A TCP proxy in front of Postgres that fails at a chosen moment.
 *
 * Owns: passing bytes on until it is told to cut, once, and telling when it did.
 * Does not decide: what the client makes of it.
 */
import { connect, createServer, type Socket } from "node:net"

/**
 * Where the next statement fails:
 * - `before`: what the client sends is not passed on; the connection is cut.
 * - `during`: it is passed on, and the client is cut off at once; the server goes on.
 * - `after`: the server's answer arrives here and is not passed on; the connection is cut.
 * - `silence`: it is passed on, and nothing comes back, nor is anything cut.
 */
type Cut = "before" | "during" | "after" | "silence"

export interface CuttingProxy {
  /** The database's address through the proxy. */
  readonly url: string
  /** Arms the proxy for the next bytes of a client; fulfilled when it has cut. */
  cutNext(cut: Cut): Promise<void>
  /** Passes on or refuses new connections. */
  setOpen(isOpen: boolean): void
  close(): Promise<void>
}

interface Armed {
  readonly cut: Cut
  readonly done: () => void
}

export const startCuttingProxy = async (target: string): Promise<CuttingProxy> => {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  let armed: Armed | undefined
  let isOpen = true

  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    socket.on("error", () => socket.destroy())
    socket.on("close", () => sockets.delete(socket))
    return socket
  }

  const server = createServer((client) => {
    keep(client)
    if (!isOpen) {
      client.destroy()
      return
    }
    const upstream = keep(connect(Number(port), hostname))
    /** What this connection does since it was hit. */
    let hit: Armed | undefined
    const cut = (of: Armed) => {
      client.destroy()
      // Half closed: the server runs what it has and notices when it answers.
      upstream.end()
      of.done()
    }
    client.on("data", (bytes) => {
      if (hit !== undefined) return
      hit = armed
      armed = undefined
      if (hit?.cut !== "before") upstream.write(bytes)
      if (hit?.cut === "before") cut(hit)
      if (hit?.cut === "during") cut(hit)
      if (hit?.cut === "silence") hit.done()
    })
    upstream.on("data", (bytes) => {
      if (hit === undefined) client.write(bytes)
      else if (hit.cut === "after") cut(hit)
    })
    client.on("close", () => upstream.end())
    upstream.on("close", () => {
      if (hit?.cut !== "silence") client.destroy()
    })
  })

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const through = new URL(target)
  through.hostname = "127.0.0.1"
  through.port = String((server.address() as { port: number }).port)
  return {
    url: through.href,
    cutNext: (cut) => new Promise((done) => (armed = { cut, done })),
    setOpen: (open) => {
      isOpen = open
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}
