/**
 * Stands between the program and its Postgres, and cuts the connection where a test wants it cut.
 *
 * Owns: the moments: before something is sent, in the middle of it, after the server has done it and before its
 * answer arrives; and being away altogether.
 */
import { connect, createServer, type Server, type Socket } from "node:net"

/** Where the connection is cut, seen from a message that contains the marker. */
export type Moment =
  | "before it is sent"
  | "in the middle"
  | "while it is done"
  | "after it is done, before the answer"

interface Trap {
  readonly marker: Buffer
  readonly moment: Moment | "held back"
  readonly sprung: (goOn: () => void) => void
}

/** The end of every answer: ReadyForQuery, idle. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])

export interface TcpProxy {
  /** The same database, through the proxy. */
  readonly url: string
  /** Cuts one connection, once: the one that sends `marker`. Resolves when that has happened. */
  readonly cut: (marker: string, moment: Moment) => Promise<void>
  /** Keeps back what contains `marker`, once. Resolves when it has come, with how to let it go on. */
  readonly holdBack: (marker: string) => Promise<() => void>
  /** Cuts everything, and lets nobody through. */
  readonly refuse: () => void
  /** Lets through again. */
  readonly accept: () => void
  readonly close: () => Promise<void>
}

class Relay {
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  #traps: ReadonlyArray<Trap> = []
  isAway = false
  readonly #target: URL

  constructor(target: URL) {
    this.#target = target
  }

  set(trap: Trap): void {
    this.#traps = [...this.#traps, trap]
  }

  cutAll(): void {
    for (const pair of this.#pairs) this.#cut(pair)
  }

  #cut(pair: readonly [Socket, Socket]): void {
    this.#pairs.delete(pair)
    for (const socket of pair) socket.destroy()
  }

  /** The trap that this chunk springs; it is gone then. */
  #springs(chunk: Buffer): Trap | undefined {
    const trap = this.#traps.find(({ marker }) => chunk.includes(marker))
    this.#traps = this.#traps.filter((other) => other !== trap)
    return trap
  }

  carry(client: Socket): void {
    if (this.isAway) {
      client.destroy()
      return
    }
    const server = connect(Number(this.#target.port), this.#target.hostname)
    const pair = [client, server] as const
    this.#pairs.add(pair)
    let swallowing: Trap | undefined
    for (const socket of pair) {
      socket.on("error", () => this.#cut(pair))
      socket.on("close", () => this.#cut(pair))
    }
    client.on("data", (chunk) => {
      const trap = this.#springs(chunk)
      if (trap === undefined) server.write(chunk)
      else if (trap.moment === "held back") trap.sprung(() => server.write(chunk))
      else if (trap.moment === "while it is done") this.#leave(trap, pair, chunk)
      else if (trap.moment === "after it is done, before the answer") {
        swallowing = trap
        server.write(chunk)
      } else if (trap.moment === "in the middle") {
        server.write(chunk.subarray(0, chunk.indexOf(trap.marker) + 1), () => this.#spring(trap, pair))
      } else this.#spring(trap, pair)
    })
    server.on("data", (chunk) => {
      if (swallowing === undefined) client.write(chunk)
      else if (chunk.subarray(-READY.length).equals(READY)) this.#spring(swallowing, pair)
    })
  }

  /** The client is gone; the server has everything, and goes on until it notices. */
  #leave(trap: Trap, pair: readonly [Socket, Socket], chunk: Buffer): void {
    const [client, server] = pair
    this.#pairs.delete(pair)
    server.removeAllListeners("data").resume()
    client.removeAllListeners("close").destroy()
    server.end(chunk)
    trap.sprung(() => {})
  }

  #spring(trap: Trap, pair: readonly [Socket, Socket]): void {
    this.#cut(pair)
    trap.sprung(() => {})
  }
}

const listen = (server: Server): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      resolve(typeof address === "object" && address !== null ? address.port : 0)
    })
  })

export const startProxy = async (databaseUrl: string): Promise<TcpProxy> => {
  const proxy = new Relay(new URL(databaseUrl))
  const server = createServer((client) => proxy.carry(client))
  const url = new URL(databaseUrl)
  url.hostname = "127.0.0.1"
  url.port = String(await listen(server))
  return {
    url: url.href,
    cut: (marker, moment) =>
      new Promise((done) => proxy.set({ marker: Buffer.from(marker), moment, sprung: () => done() })),
    holdBack: (marker) =>
      new Promise((sprung) => proxy.set({ marker: Buffer.from(marker), moment: "held back", sprung })),
    refuse: () => {
      proxy.isAway = true
      proxy.cutAll()
    },
    accept: () => {
      proxy.isAway = false
    },
    close: () => {
      proxy.cutAll()
      return new Promise((done) => server.close(() => done()))
    }
  }
}
