/**
 * Keeps one connection open for as long as the page is.
 *
 * Owns: connecting, backoff with jitter, noticing a dead connection, and the difference between a server that is
 * away and a person who is signed out.
 * Does not decide: what is read (Follow), what is shown (rooms/).
 */
import type { Connection as ConnectionState, Identity } from "../model/Model.ts"
import { isSomebodyElse } from "../model/Reduce.ts"
import type { Store } from "../model/Store.ts"
import { Follow } from "./Follow.ts"
import { RpcClient, type Socket, Unanswered } from "./RpcClient.ts"

export interface Surroundings {
  readonly openSocket: () => Socket
  /** Who we are; `null` when the server does not know us. Rejects when it cannot be reached. */
  readonly identify: () => Promise<Identity | null>
  readonly random: () => number
}

const BACKOFF_MS_MIN = 400
const BACKOFF_MS_MAX = 15_000
/** A connection that was quiet so long is asked whether it still lives. This is a heartbeat, not polling. */
const SILENCE_MS_MAX = 30_000
const HEARTBEAT_MS_MAX = 10_000
const REVOKED = 4001

/** Milliseconds until attempt `attempt` (1, 2, …): doubled each time, and between half and all of it. */
export const backoffMs = (attempt: number, random: number): number =>
  Math.round(Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (attempt - 1)) * (0.5 + random / 2))

export class Connection {
  readonly #store: Store
  readonly #surroundings: Surroundings
  readonly #follow: Follow
  #client: RpcClient | null = null
  #attempt = 0
  #retry: ReturnType<typeof setTimeout> | undefined
  #heartbeat: ReturnType<typeof setInterval> | undefined
  #generation = 0

  constructor(store: Store, surroundings: Surroundings) {
    this.#store = store
    this.#surroundings = surroundings
    this.#follow = new Follow(store)
  }

  /** The client of the open connection, or `null` while there is none. */
  get client(): RpcClient | null {
    return this.#client
  }

  /** Connects now, whatever was planned. */
  connect(): void {
    clearTimeout(this.#retry)
    this.#drop("connecting again")
    const generation = ++this.#generation
    if (this.#attempt === 0) this.#say({ kind: "connecting" })
    this.#identify(generation).catch(() => this.#away(generation))
  }

  stop(): void {
    this.#generation += 1
    clearTimeout(this.#retry)
    this.#drop("the page is closed")
  }

  async #identify(generation: number): Promise<void> {
    const identity = await this.#surroundings.identify()
    if (generation !== this.#generation) return
    if (identity === null) {
      this.#attempt = 0
      this.#say({ kind: "signed_out", reason: "This browser has no session here, or it has ended." })
      return
    }
    if (isSomebodyElse(this.#store.model.identity, identity)) this.#follow.forget()
    this.#store.push({ kind: "identity", identity })
    this.#open(generation)
  }

  #open(generation: number): void {
    const socket = this.#surroundings.openSocket()
    const client = new RpcClient(socket)
    this.#client = client
    socket.onopen = () => {
      this.#say({ kind: "loading" })
      this.#follow.start(client).then(
        () => this.#live(generation, client),
        () => client.end("the page could not be read")
      )
    }
    socket.onclose = ({ code }) => {
      client.end("The connection ended before the answer came; the signal may have been taken")
      if (generation !== this.#generation) return
      if (code === REVOKED) {
        this.#drop("signed out")
        this.#say({ kind: "signed_out", reason: "The key of this session was revoked." })
      } else this.#away(generation)
    }
  }

  #live(generation: number, client: RpcClient): void {
    if (generation !== this.#generation || client.isClosed) return
    this.#attempt = 0
    this.#say({ kind: "live" })
    this.#heartbeat = setInterval(() => {
      if (Date.now() - client.lastFrameAt < SILENCE_MS_MAX) return
      client.request("get_status", {}, HEARTBEAT_MS_MAX).then(
        (status) => this.#store.push({ kind: "status", status }),
        (error: unknown) => {
          if (error instanceof Unanswered && !client.isClosed) this.#away(generation)
        }
      )
    }, SILENCE_MS_MAX / 3)
  }

  #away(generation: number): void {
    if (generation !== this.#generation) return
    this.#drop("the connection is away")
    this.#attempt += 1
    const waitMs = backoffMs(this.#attempt, this.#surroundings.random())
    this.#say({ kind: "reconnecting", retryAt: Date.now() + waitMs, attempt: this.#attempt })
    this.#generation += 1
    this.#retry = setTimeout(() => this.connect(), waitMs)
  }

  #drop(why: string): void {
    clearInterval(this.#heartbeat)
    if (this.#client === null) return
    this.#client.end(why)
    this.#client = null
    this.#follow.lost()
  }

  #say(connection: ConnectionState): void {
    this.#store.push({ kind: "connection", connection })
  }
}
