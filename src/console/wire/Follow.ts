/**
 * Reads a snapshot and follows the topics, without losing or doubling.
 *
 * Owns: the order (first subscribe, then read, then the events that came meanwhile), the cursors with which
 * `usage`, `alerts` and `workflows` go on after a reconnect, and saying where there was a gap.
 * Does not decide: when there is a connection (Connection), what a change means (Reduce).
 */
import type { Topic } from "../../signal/Subscriptions.ts"
import type { Change, Deniable, WireRecord } from "../model/Model.ts"
import type { Store } from "../model/Store.ts"
import {
  readActors,
  readBudgets,
  readOverrides,
  readSomeBudgets,
  readStatus,
  readUsage,
  readWorkflows
} from "./Reads.ts"
import { type EventFrame, type RpcClient, RpcFailure } from "./RpcClient.ts"

const TOPICS: ReadonlyArray<Topic> = ["usage", "alerts", "budgets", "signals", "actors", "workflows"]
/** Topics that live in the store: a cursor brings what is missing. */
const STORED: ReadonlySet<Topic> = new Set(["usage", "alerts", "workflows"])
/** Events that may wait for the snapshot; past it they are applied at once. */
const HELD_MAX = 20_000
/** How long after the end of a period the budgets are read again, and how seldom at least and at most. */
const PERIOD_END_MS = 1_500
const REREAD_MS_MIN = 30_000
const TIMER_MS_MAX = 2 ** 31 - 1

const isRefused = (error: unknown): error is RpcFailure =>
  error instanceof RpcFailure && (error.tag === "Forbidden" || error.tag === "UnknownSignal")

const keyOf = (record: WireRecord): string =>
  `${record.at} ${record.duration_ms} ${record.signal} ${record.address} ${record.request_id}`

export class Follow {
  readonly #store: Store
  /** Where to go on after a reconnect. */
  readonly #cursors = new Map<Topic, string>()
  /** Signals that the log has from before a reconnect: a server that sends recent ones again is not believed twice. */
  #known = new Set<string>()
  #knownUntil = ""
  #awaySince: number | null = null
  #rereadTimer: ReturnType<typeof setTimeout> | undefined
  #isReading = false

  constructor(store: Store) {
    this.#store = store
  }

  /** The connection is gone; what happens now is not seen. */
  lost(): void {
    this.#awaySince ??= Date.now()
    clearTimeout(this.#rereadTimer)
    this.#store.flush()
    const records = this.#store.model.log.flatMap((entry) => (entry.kind === "signal" ? [entry.record] : []))
    this.#known = new Set(records.map(keyOf))
    this.#knownUntil = records.reduce((latest, record) => (record.at > latest ? record.at : latest), "")
  }

  /** Somebody else has signed in: nothing goes on from where it was. */
  forget(): void {
    this.#cursors.clear()
    this.#known = new Set()
    this.#knownUntil = ""
    this.#awaySince = null
  }

  /** Subscribes and reads. Rejects when the connection ends in between. */
  async start(client: RpcClient): Promise<void> {
    const held: Array<Change> = []
    let isHolding = true
    const take = (topic: Topic) => (frame: EventFrame) => {
      if (frame.cursor !== null && STORED.has(topic)) this.#cursors.set(topic, frame.cursor)
      if ("signal" in frame.event && this.#isKnown(frame.event.signal)) return
      const change: Change = { kind: "event", topic, event: frame.event, now: Date.now() }
      if (isHolding && held.length < HELD_MAX) held.push(change)
      else this.#store.push(change)
      // Every fact says where its workflow stands, so a list makes good what was missed.
      if (topic === "workflows" && "gap" in frame.event && !isHolding) this.#rereadWorkflows(client)
    }
    const resumed = new Set<Topic>()
    await Promise.all(TOPICS.map((topic) => this.#subscribe(client, topic, take(topic), resumed)))
    this.#store.push(...(await this.#snapshot(client, resumed)), ...this.#gap(), { kind: "loaded" })
    isHolding = false
    for (const change of held) this.#store.push(change)
    if (
      held.some((change) => change.kind === "event" && change.topic === "workflows" && "gap" in change.event)
    )
      this.#rereadWorkflows(client)
    this.#keepBudgets(client)
  }

  #rereadWorkflows(client: RpcClient): void {
    readWorkflows(client)
      .then((change) => this.#store.push(change))
      .catch(() => undefined)
  }

  /** Reads the budgets again when an event names a new one, and when a period has ended. */
  #keepBudgets(client: RpcClient): void {
    const reread = (read: (client: RpcClient) => Promise<Change>) => {
      if (this.#isReading || client.isClosed) return
      this.#isReading = true
      read(client)
        .then((change) => this.#store.push(change))
        .catch(() => undefined)
        .finally(() => {
          this.#isReading = false
          plan()
        })
    }
    const plan = () => {
      clearTimeout(this.#rereadTimer)
      const ends = [...this.#store.model.budgets.values()].flatMap(({ period_end }) =>
        period_end === null ? [] : [Date.parse(period_end)]
      )
      const waitMs = Math.min(...ends) - Date.now() + PERIOD_END_MS
      if (Number.isFinite(waitMs))
        this.#rereadTimer = setTimeout(
          () => reread(readBudgets),
          Math.min(TIMER_MS_MAX, Math.max(REREAD_MS_MIN, waitMs))
        )
    }
    plan()
    const stop = this.#store.subscribe(() => {
      if (client.isClosed) stop()
      else if (this.#store.model.unknownBudgets.size > 0) {
        const unknown = [...this.#store.model.unknownBudgets]
        reread((of) => readSomeBudgets(of, unknown))
      }
    })
  }

  async #subscribe(
    client: RpcClient,
    topic: Topic,
    take: (frame: EventFrame) => void,
    resumed: Set<Topic>
  ): Promise<void> {
    const cursor = this.#cursors.get(topic)
    try {
      const answer = await client
        .request("subscribe", cursor === undefined ? { topic } : { topic, from_cursor: cursor })
        .then((opened) => {
          if (cursor !== undefined) resumed.add(topic)
          return opened
        })
        .catch((error: unknown) => {
          // A cursor that the server does not know any more: start afresh, and read the snapshot again.
          if (cursor === undefined || !(error instanceof RpcFailure) || isRefused(error)) throw error
          this.#cursors.delete(topic)
          const why = "the server does not know any more where this page was"
          this.#store.push({ kind: "gap", topic, count: null, why, now: Date.now() })
          return client.request("subscribe", { topic })
        })
      if (answer.cursor !== null && STORED.has(topic)) this.#cursors.set(topic, answer.cursor)
      client.onSubscription(answer.subscription, take)
    } catch (error) {
      if (!isRefused(error)) throw error
      this.#store.push({ kind: "denied", what: topic, why: error.message })
    }
  }

  async #snapshot(client: RpcClient, resumed: ReadonlySet<Topic>): Promise<ReadonlyArray<Change>> {
    const read = async (what: Deniable, ask: (client: RpcClient) => Promise<Change>): Promise<Change> => {
      try {
        return await ask(client)
      } catch (error) {
        if (!isRefused(error)) throw error
        return { kind: "denied", what, why: error.message }
      }
    }
    const asks = [read("status", readStatus), read("budgets", readBudgets), read("overrides", readOverrides)]
    const { totals, workflows } = this.#store.model
    // A resumed topic brings every record that is missing, so that the page goes on from where it was.
    if (!resumed.has("usage") || totals === null) asks.push(read("usage", readUsage))
    if (!resumed.has("workflows") || workflows.size === 0) asks.push(read("workflows", readWorkflows))
    // Actors come last: a call that was cut off in the middle has records, but no actor any more.
    asks.push(read("actors", readActors))
    return Promise.all(asks)
  }

  #gap(): ReadonlyArray<Change> {
    if (this.#awaySince === null) return []
    const seconds = Math.max(1, Math.round((Date.now() - this.#awaySince) / 1000))
    this.#awaySince = null
    const why = `the connection was away for ${seconds} s`
    return [{ kind: "gap", topic: "signals", count: null, why, now: Date.now() }]
  }

  #isKnown(record: WireRecord): boolean {
    return record.at <= this.#knownUntil && this.#known.has(keyOf(record))
  }
}
