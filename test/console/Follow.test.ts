import { describe, expect, it, vi } from "vitest"
import { Store } from "../../src/console/model/Store.ts"
import { Connection } from "../../src/console/wire/Connection.ts"
import { RpcClient, RpcFailure, type Socket, Unanswered } from "../../src/console/wire/RpcClient.ts"
import { parseAmount } from "../../src/signal/Money.ts"
import { actor, budget, record, usage, workflow, workflowFact } from "./Fixtures.ts"

interface Asked {
  readonly id: number
  readonly method: string
  readonly params: {
    readonly topic?: string
    readonly from_cursor?: string
    readonly cursor?: string
    readonly budget_id?: string
    readonly state?: string
    readonly type?: string
  }
}

/** A socket whose other end is the test. */
class TestSocket implements Socket {
  onopen: Socket["onopen"] = null
  onmessage: Socket["onmessage"] = null
  onclose: Socket["onclose"] = null
  readonly asked: Array<Asked> = []
  isClosed = false
  readonly #answer: (asked: Asked) => unknown

  constructor(answer: (asked: Asked) => unknown = () => undefined) {
    this.#answer = answer
  }

  send(text: string): void {
    const asked = JSON.parse(text) as Asked
    this.asked.push(asked)
    const result = this.#answer(asked)
    if (result instanceof Error)
      this.say({
        id: asked.id,
        error: { code: -32602, message: result.message, data: { _tag: result.name } }
      })
    else if (result !== undefined) this.say({ id: asked.id, result })
  }

  say(frame: object): void {
    this.onmessage?.({ data: JSON.stringify({ jsonrpc: "2.0", ...frame }) })
  }

  event(topic: string, event: object, cursor: string | null = null): void {
    this.say({ method: "event", params: { subscription: `of-${topic}`, cursor, event } })
  }

  close(): void {
    this.isClosed = true
  }
}

const TOTALS = {
  requests: 1,
  prompt_tokens: 100,
  completion_tokens: 50,
  total_tokens: 150,
  cost: "1",
  currency: "USD"
}

const answers = (asked: Asked): unknown => {
  switch (asked.method) {
    case "subscribe":
      return {
        subscription: `of-${asked.params.topic}`,
        cursor: ["usage", "workflows"].includes(asked.params.topic ?? "") ? "1" : null
      }
    case "get_usage":
      return { items: [usage({ cost: "1" })], next_cursor: null, totals: TOTALS }
    case "get_budget_status":
      return { budgets: [] }
    case "list_actors":
    case "list_workflows":
    case "list_overrides":
      return { items: [], next_cursor: null }
    default:
      return {}
  }
}

/** Waits until it is so; fails with the last difference. */
const until = (check: () => void) => vi.waitFor(check, { timeout: 5_000, interval: 1 })

/** Lets a socket open, once the page has asked for it. */
const open = async (socket: TestSocket) => {
  await until(() => expect(socket.onopen).not.toBeNull())
  socket.onopen?.(undefined as never)
}

const connect = (sockets: ReadonlyArray<TestSocket>) => {
  const store = new Store((frame) => setTimeout(frame, 0))
  let opened = 0
  const connection = new Connection(store, {
    openSocket: () => sockets[opened++] ?? new TestSocket(),
    identify: () => Promise.resolve({ tenant: "default", version: "1", playground: false }),
    random: () => 0
  })
  connection.connect()
  return { store, connection }
}

describe("the client", () => {
  it("matches answers, takes early events, and fails what waits when the connection ends", async () => {
    const socket = new TestSocket()
    const client = new RpcClient(socket)
    const first = client.request("get_status", {})
    const second = client.request("list_actors", {})
    socket.say({ id: 2, error: { code: -32003, message: "no", data: { _tag: "Forbidden" } } })
    await expect(second).rejects.toMatchObject({ tag: "Forbidden", message: "no" })
    await expect(second).rejects.toBeInstanceOf(RpcFailure)
    socket.event("signals", { signal: record() })
    const heard: Array<unknown> = []
    client.onSubscription("of-signals", (frame) => heard.push(frame.event))
    expect(heard).toHaveLength(1)
    client.end("gone")
    await expect(first).rejects.toBeInstanceOf(Unanswered)
  })
})

describe("following", () => {
  it("applies what came while the snapshot was read, once", async () => {
    const next = usage({ id: "u2", usage_seq: 2, request_id: "r2", cost: "0.5" })
    const socket: TestSocket = new TestSocket((asked) => {
      if (asked.method === "get_usage") {
        // Already in the snapshot, and again on the stream: counted once.
        socket.event("usage", { usage: usage({ cost: "1" }) }, "1")
        socket.event("usage", { usage: next }, "2")
      }
      return answers(asked)
    })
    const { store, connection } = connect([socket])
    await open(socket)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    await until(() => expect(store.model.totals?.cost).toBe(parseAmount("1.5")))
    connection.stop()
  })

  it("reads who stands in each default, and goes without where that are too many", async () => {
    const everybody = budget({ id: "b1", entity_id: "*" })
    const crowd = budget({ id: "b2", entity_id: "*" })
    const tooMany = new Error("More than 1000 match")
    tooMany.name = "InvalidParams"
    const socket = new TestSocket((asked) => {
      if (asked.method !== "get_budget_status") return answers(asked)
      if (asked.params.budget_id === undefined) return { budgets: [everybody, crowd, budget({ id: "b3" })] }
      return asked.params.budget_id === "b2"
        ? tooMany
        : { budgets: [everybody, budget({ id: "b1", entity_id: "ada" })] }
    })
    const { store, connection } = connect([socket])
    await open(socket)
    await until(() => expect([...store.model.budgets.keys()]).toEqual(["b1", "b2", "b3", "b1/ada"]))
    connection.stop()
  })

  it("goes on from the cursor after a reconnect, and says that signals may be missing", async () => {
    const first = new TestSocket(answers)
    const second = new TestSocket(answers)
    const { store, connection } = connect([first, second])
    await open(first)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    first.event("usage", { usage: usage({ id: "u2", usage_seq: 2, request_id: "r2", cost: "0.5" }) }, "2")
    first.event("signals", { signal: record() })
    first.onclose?.({ code: 1006, reason: "" })
    await until(() => expect(store.model.connection).toMatchObject({ kind: "reconnecting", attempt: 1 }))
    connection.connect()
    await open(second)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    // The server tells its recent signals again: the one that is known is not doubled.
    second.event("signals", { signal: record() })
    second.event("signals", { signal: record({ signal: "track_usage" }) })
    second.event("usage", { usage: usage({ id: "u3", usage_seq: 3, request_id: "r3", cost: "0.25" }) }, "3")
    await until(() => expect(store.model.totals?.cost).toBe(parseAmount("1.75")))
    const subscribed = second.asked.filter(({ method }) => method === "subscribe")
    expect(subscribed.map(({ params }) => [params.topic, params.from_cursor])).toContainEqual(["usage", "2"])
    expect(second.asked.some(({ method }) => method === "get_usage")).toBe(false)
    expect(store.model.log.map((entry) => (entry.kind === "gap" ? "gap" : entry.record.signal))).toEqual([
      "check_budget",
      "gap",
      "track_usage"
    ])
    connection.stop()
  })

  it("reads afresh when the cursor is not known any more", async () => {
    const first = new TestSocket(answers)
    const second = new TestSocket((asked) => {
      if (asked.params.from_cursor === undefined) return answers(asked)
      const error = new Error("This is not a cursor of this topic")
      error.name = "InvalidParams"
      return error
    })
    const { store, connection } = connect([first, second])
    await open(first)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    first.onclose?.({ code: 1006, reason: "" })
    connection.connect()
    await open(second)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    expect(second.asked.filter(({ method }) => method === "get_usage")).toHaveLength(1)
    expect(store.model.connection.kind).toBe("live")
    connection.stop()
  })

  it("shows what a key may see, and says what it may not", async () => {
    const socket = new TestSocket((asked) => {
      if (asked.method !== "list_actors" && asked.params.topic !== "actors") return answers(asked)
      const error = new Error("The topic actors needs the role operator")
      error.name = "Forbidden"
      return error
    })
    const { store, connection } = connect([socket])
    await open(socket)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    expect(store.model.connection.kind).toBe("live")
    expect([...store.model.denied.keys()]).toEqual(["actors"])
    connection.stop()
  })

  it("reads every page of the actors", async () => {
    const socket = new TestSocket((asked) => {
      if (asked.method !== "list_actors") return answers(asked)
      return asked.params.cursor === undefined
        ? { items: [actor({ address: "call/default/a" })], next_cursor: "more" }
        : { items: [actor({ address: "call/default/b" })], next_cursor: null }
    })
    const { store, connection } = connect([socket])
    await open(socket)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    expect([...store.model.actors.keys()]).toEqual(["call/default/a", "call/default/b"])
    connection.stop()
  })

  it("knows a revoked key from a server that is away", async () => {
    const socket = new TestSocket(answers)
    const { store, connection } = connect([socket])
    await open(socket)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    socket.onclose?.({ code: 4001, reason: "revoked" })
    await until(() => expect(store.model.connection.kind).toBe("signed_out"))
    connection.stop()
  })

  it("reads workflows that wait however old they are, and goes on from the cursor after a reconnect", async () => {
    const listing = (asked: Asked) =>
      asked.method === "list_workflows"
        ? {
            items: asked.params.state === "parked" ? [workflow({ workflow_id: "old", state: "parked" })] : [],
            next_cursor: asked.params.state === undefined ? "older" : null
          }
        : answers(asked)
    const first = new TestSocket(listing)
    const second = new TestSocket(listing)
    const { store, connection } = connect([first, second])
    await open(first)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    expect([...store.model.workflows.keys(), store.model.workflowsMore]).toEqual(["old", "older"])
    first.event("workflows", workflowFact("started", { workflow_id: "w2" }), "7")
    await until(() => expect(store.model.workflows.size).toBe(2))
    first.onclose?.({ code: 1006, reason: "" })
    connection.connect()
    await open(second)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    const subscribed = second.asked.filter(({ method }) => method === "subscribe")
    expect(subscribed.map(({ params }) => [params.topic, params.from_cursor])).toContainEqual([
      "workflows",
      "7"
    ])
    expect(second.asked.some(({ method }) => method === "list_workflows")).toBe(false)
    connection.stop()
  })

  it("says a gap between the facts, and reads the list again", async () => {
    let steps = 1
    const socket = new TestSocket((asked) =>
      asked.method === "list_workflows"
        ? { items: [workflow({ steps_done: steps })], next_cursor: null }
        : answers(asked)
    )
    const { store, connection } = connect([socket])
    await open(socket)
    await until(() => expect(store.model.workflows.get("w1")?.progress.steps_done).toBe(1))
    steps = 2
    socket.event("workflows", { gap: 12 }, "20")
    await until(() => expect(store.model.workflows.get("w1")?.progress.steps_done).toBe(2))
    expect(store.model.workflowsGap?.count).toBe(12)
    connection.stop()
  })

  it("reads budgets by type where there are too many, and says which types are left out", async () => {
    const tooMany = new Error("More than 1000 budgets match")
    tooMany.name = "InvalidParams"
    const socket = new TestSocket((asked) => {
      if (asked.method !== "get_budget_status") return answers(asked)
      const { type } = asked.params
      if (type === undefined || type === "workflow") return tooMany
      return { budgets: type === "team" ? [budget({ id: "b-team", type: "team" })] : [] }
    })
    const { store, connection } = connect([socket])
    await open(socket)
    await until(() => expect(store.model.connection.kind).toBe("live"))
    expect([...store.model.budgets.keys()]).toEqual(["b-team"])
    expect(store.model.budgetsTooMany).toEqual(["workflow"])
    connection.stop()
  })

  it("goes on from nowhere when another key has signed in", async () => {
    const sockets = [new TestSocket(answers), new TestSocket(answers)] as const
    const store = new Store((frame) => setTimeout(frame, 0))
    let opened = 0
    const connection = new Connection(store, {
      openSocket: () => sockets[opened++] ?? new TestSocket(),
      identify: () =>
        Promise.resolve({ tenant: "default", version: "1", playground: false, key_id: `key-${opened}` }),
      random: () => 0
    })
    connection.connect()
    await open(sockets[0])
    await until(() => expect(store.model.connection.kind).toBe("live"))
    sockets[0].event("workflows", workflowFact("started"), "7")
    await until(() => expect(store.model.workflows.size).toBe(1))
    connection.connect()
    await open(sockets[1])
    await until(() => expect(store.model.connection.kind).toBe("live"))
    expect(store.model.workflows.size).toBe(0)
    expect(sockets[1].asked.some(({ params }) => params.from_cursor !== undefined)).toBe(false)
    connection.stop()
  })
})
