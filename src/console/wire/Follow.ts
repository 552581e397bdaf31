/**
 * Reads a snapshot and follows the topics, without losing or doubling.
 *
 * Owns: the order (first subscribe, then read, then the events that came meanwhile), the cursors with which
 * `usage` and `alerts` go on after a reconnect, and saying where there was a gap.
 * Does not decide: when there is a connection (Connection), what a change means (Reduce).
 */
import type { Topic } from "../../signal/Subscriptions.ts"
import type { Change, WireActor, WireBudget, WireRecord } from "../model/Model.ts"
import { ACTORS_MAX } from "../model/Model.ts"
import { isDefault } from "../model/Standings.ts"
import type { Store } from "../model/Store.ts"
import { type EventFrame, type RpcClient, RpcFailure } from "./RpcClient.ts"

const TOPICS: ReadonlyArray<Topic> = ["usage", "alerts", "budgets", "signals", "actors"]
const PAGE = 1_000
const RECENT_USAGE = 200
/** Defaults whose standings are read; those of others are seen when they change. */
const DEFAULTS_MAX = 20
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

  /** Subscribes and reads. Rejects when the connection ends in between. */
  async start(client: RpcClient): Promise<void> {
    const held: Array<Change> = []
    let isHolding = true
    const take = (topic: Topic) => (frame: EventFrame) => {
      if (frame.cursor !== null && (topic === "usage" || topic === "alerts"))
        this.#cursors.set(topic, frame.cursor)
      if ("signal" in frame.event && this.#isKnown(frame.event.signal)) return
      const change: Change = { kind: "event", topic, event: frame.event, now: Date.now() }
      if (isHolding && held.length < HELD_MAX) held.push(change)
      else this.#store.push(change)
    }
    const resumed = new Set<Topic>()
    await Promise.all(TOPICS.map((topic) => this.#subscribe(client, topic, take(topic), resumed)))
    this.#store.push(...(await this.#snapshot(client, resumed)), ...this.#gap(), { kind: "loaded" })
    isHolding = false
    for (const change of held) this.#store.push(change)
    this.#keepBudgets(client)
  }

  /** Reads the budgets again when an event names a new one, and when a period has ended. */
  #keepBudgets(client: RpcClient): void {
    const reread = () => {
      if (this.#isReading || client.isClosed) return
      this.#isReading = true
      this.#readBudgets(client)
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
        this.#rereadTimer = setTimeout(reread, Math.min(TIMER_MS_MAX, Math.max(REREAD_MS_MIN, waitMs)))
    }
    plan()
    const stop = this.#store.subscribe(() => {
      if (client.isClosed) stop()
      else if (this.#store.model.unknownBudgets.size > 0) reread()
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
          return client.request("subscribe", { topic })
        })
      if (answer.cursor !== null && (topic === "usage" || topic === "alerts"))
        this.#cursors.set(topic, answer.cursor)
      client.onSubscription(answer.subscription, take)
    } catch (error) {
      if (!isRefused(error)) throw error
      this.#store.push({ kind: "denied", what: topic, why: error.message })
    }
  }

  async #snapshot(client: RpcClient, resumed: ReadonlySet<Topic>): Promise<ReadonlyArray<Change>> {
    const read = async (what: Topic | "status", ask: () => Promise<Change>): Promise<Change> => {
      try {
        return await ask()
      } catch (error) {
        if (!isRefused(error)) throw error
        return { kind: "denied", what, why: error.message }
      }
    }
    const asks = [
      read("status", async () => ({ kind: "status", status: await client.request("get_status", {}) })),
      read("budgets", () => this.#readBudgets(client))
    ]
    // A resumed `usage` brings every record that is missing, so that totals go on from where they were.
    if (!resumed.has("usage") || this.#store.model.totals === null) {
      asks.push(
        read("usage", async () => ({
          kind: "usage",
          answer: await client.request("get_usage", { limit: RECENT_USAGE })
        }))
      )
    }
    // Actors come last: a call that was cut off in the middle has records, but no actor any more.
    asks.push(
      read("actors", async () => ({
        kind: "actors",
        actors: await this.#listActors(client),
        now: Date.now()
      }))
    )
    return Promise.all(asks)
  }

  /** All budgets, and who stands in the defaults among them: a list does not say that, a default's id does. */
  async #readBudgets(client: RpcClient): Promise<Change> {
    const { budgets } = await client.request("get_budget_status", { include_inactive: true })
    const defaults = budgets.filter((budget) => budget.active && isDefault(budget)).slice(0, DEFAULTS_MAX)
    const standings = await Promise.all(defaults.map(({ id }) => this.#readStandings(client, id)))
    return { kind: "budgets", budgets: [...budgets, ...standings.flat()], isAll: true }
  }

  /** A default with too many standings lists none: whoever spends is seen when it happens. */
  async #readStandings(client: RpcClient, id: string): Promise<ReadonlyArray<WireBudget>> {
    try {
      return (await client.request("get_budget_status", { budget_id: id })).budgets
    } catch (error) {
      if (!(error instanceof RpcFailure)) throw error
      return []
    }
  }

  async #listActors(client: RpcClient): Promise<ReadonlyArray<WireActor>> {
    const actors: Array<WireActor> = []
    let cursor: string | null = null
    do {
      const params: { limit: number; cursor?: string } =
        cursor === null ? { limit: PAGE } : { limit: PAGE, cursor }
      const page: { readonly items: ReadonlyArray<WireActor>; readonly next_cursor: string | null } =
        await client.request("list_actors", params)
      actors.push(...page.items)
      cursor = page.next_cursor
    } while (cursor !== null && actors.length < ACTORS_MAX)
    return actors
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
