/** The promise door: a method for each signal, loops that end cleanly, somebody else's rights, the end. */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll, expectTypeOf } from "vitest"
import {
  type Bursar,
  type CallStream,
  type Client,
  Conflict,
  Forbidden,
  InvalidParams,
  type LogEntry,
  NotFound,
  ProviderFailed,
  type SignalMethods,
  type SignalName,
  startBursar,
  Unavailable
} from "../../src/index.ts"
import { SIGNALS } from "../../src/signal/Catalogue.ts"
import { makeDatabase, makeFolder } from "../support/Program.ts"
import { callOverHttp, eventually, type Json } from "../support/Wire.ts"

const messages = [{ role: "user" as const, content: "Tell a story about a river, and take your time." }]
const SLOW = { provider: "simulator", model: "sim-slow", messages }
const FAST = { provider: "simulator", model: "sim-fast", messages }

const failureOf = (promise: Promise<unknown>): Promise<Json> =>
  promise.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => error
  )

const thrownBy = (run: () => unknown): Json => {
  try {
    run()
  } catch (error) {
    return error
  }
  return assert.fail("it did not throw")
}

const textOf = async (stream: CallStream): Promise<string> => {
  let text = ""
  for await (const piece of stream.texts()) text += piece
  return text
}

let bursar: Bursar
beforeAll(async () => {
  bursar = await startBursar({ databaseUrl: await makeDatabase() })
})
afterAll(() => bursar.close())

const budgetOf = (entity_id: string, limit: string) =>
  bursar.create_budget({ name: entity_id, type: "user", entity_id, period: "lifetime", limit })

describe("a method for each signal", () => {
  it("is there for every name of the catalogue but the two that loops stand for, and hides nothing", () => {
    const overTime = ["subscribe", "unsubscribe"]
    const { send: _send, stream: _stream, subscribe: _subscribe, as: _as, ...rest } = bursar
    const methods = Object.entries(rest)
      .filter(([name, value]) => typeof value === "function" && name !== "close")
      .map(([name]) => name)
    assert.deepStrictEqual(
      methods.sort(),
      Object.keys(SIGNALS)
        .filter((name) => !overTime.includes(name))
        .sort()
    )
    expectTypeOf<
      Extract<SignalName, "send" | "stream" | "subscribe" | "as" | "url" | "close">
    >().toEqualTypeOf<never>()
    expectTypeOf<keyof SignalMethods>().toEqualTypeOf<SignalName>()
  })

  it("answers what the signal answers, and may be called without params where it needs none", async () => {
    const { tenant } = await bursar.get_status()
    assert.strictEqual(tenant, "default")
    const { get_status } = bursar
    assert.deepStrictEqual((await get_status({})).config, (await bursar.send("get_status")).config)
    // @ts-expect-error this one needs some
    assert.instanceOf(await failureOf(bursar.create_budget()), InvalidParams)
    // @ts-expect-error a field that there is not
    assert.instanceOf(await failureOf(bursar.get_usage({ limitt: 1 })), InvalidParams)
  })

  it("refuses by name what a host does another way", async () => {
    const byField = await failureOf(bursar.complete({ ...FAST, stream: true } as never))
    assert.instanceOf(byField, InvalidParams)
    assert.deepStrictEqual(byField.issues[0]?.path, ["stream"])
    const byName = await failureOf(bursar.send("subscribe" as "get_status", {}))
    assert.strictEqual(byName._tag, "UnknownSignal")
    assert.include(byName.message, "subscribe(topic)")
  })

  it("makes, lists and revokes keys, and a bridge's connections know it at once", async () => {
    await using served = await startBursar({
      databaseUrl: await makeDatabase(),
      dataDirectory: makeFolder(),
      listen: { port: 0, adminKey: "bk_admin_of_a_test" },
      log: { level: "none" }
    })
    const url = served.url ?? assert.fail("it does not listen")
    const { key, key_id } = await served.create_key({ name: "Ann", roles: ["analyst"] })
    await callOverHttp(url, "get_budget_status", {}, key)
    assert.include(
      (await served.list_keys()).items.map((item) => item.key_id),
      key_id
    )
    assert.deepStrictEqual(await served.revoke_key({ key_id }), { revoked: true })
    const refused = await fetch(`${url}/signals`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "get_budget_status", params: {} })
    })
    assert.strictEqual(refused.status, 401)
    assert.instanceOf(await failureOf(served.revoke_key({ key_id: "none" })), NotFound)
  })
})

describe("what is read in a loop", () => {
  it("is open before it is read: what happens in between is not missed", async () => {
    await using budgets = await bursar.subscribe("budgets")
    assert.isNull(budgets.cursor)
    await budgetOf("between", "5")
    for await (const { event } of budgets) {
      expectTypeOf(event).not.toHaveProperty("usage")
      if ("budget" in event && event.budget.entity_id === "between") break
    }
  })

  it("ends by its AbortSignal with the signal's reason, also while it waits, and leaves nothing behind", async () => {
    const controller = new AbortController()
    const subscription = await bursar.subscribe("actors", { signal: controller.signal })
    const reading = failureOf(
      (async () => {
        for await (const _ of subscription) {
          // reads until it is told not to
        }
      })()
    )
    controller.abort(new Error("enough"))
    assert.strictEqual((await reading).message, "enough")
    const again = subscription[Symbol.asyncIterator]()
    assert.deepStrictEqual(await again.next(), { done: true, value: undefined })
    const before = await failureOf(bursar.subscribe("usage", { signal: AbortSignal.abort(new Error("no")) }))
    assert.strictEqual(before.message, "no")
  })

  it("a call ends by its AbortSignal, and is charged", async () => {
    await budgetOf("cut", "5")
    const controller = new AbortController()
    const stream = await bursar.stream({ ...SLOW, user_id: "cut" }, { signal: controller.signal })
    const reading = failureOf(
      (async () => {
        for await (const _ of stream.texts()) controller.abort(new Error("enough"))
      })()
    )
    assert.strictEqual((await reading).message, "enough")
    const { items } = await eventually(
      () => bursar.get_usage({ user_id: "cut" }),
      (page) => page.items.length > 0
    )
    assert.strictEqual(items[0]?.status, "cancelled")
    assert.strictEqual(
      (await bursar.get_budget_status({ entity_id: "cut", type: "user" })).budgets[0]?.held,
      "0"
    )
  })

  it("a call that is never read is cancelled by closing it", async () => {
    await budgetOf("unread", "5")
    const stream = await bursar.stream({ ...SLOW, user_id: "unread" })
    await Promise.all([stream.close(), stream.close()])
    await eventually(
      () => bursar.get_budget_status({ entity_id: "unread", type: "user" }),
      ({ budgets }) => budgets[0]?.held === "0"
    )
  })

  it("answers as often as it is asked, in order, though nobody waits in between", async () => {
    const stream = await bursar.stream(FAST)
    const reader = stream[Symbol.asyncIterator]()
    const parts = await Promise.all(Array.from({ length: 200 }, () => reader.next()))
    const text = parts.map(({ value }) => (value !== undefined && "text" in value ? value.text : "")).join("")
    const finished = parts.find(({ value }) => value !== undefined && "finished" in value)?.value
    assert.isTrue(parts.at(-1)?.done)
    assert.strictEqual(
      finished !== undefined && "finished" in finished ? finished.finished.content : "",
      text
    )
  })

  it("goes on after a cursor, without loss", async () => {
    const first = await bursar.subscribe("usage", { filter: { user_id: "resumed" } })
    const { cursor } = first
    await first.close()
    await bursar.complete({ ...FAST, user_id: "resumed", request_id: "resumed" })
    assert.isNotNull(cursor)
    await using second = await bursar.subscribe("usage", {
      filter: { user_id: "resumed" },
      fromCursor: cursor ?? ""
    })
    for await (const { event } of second) {
      if (!("usage" in event)) continue
      assert.strictEqual(event.usage.request_id, "resumed")
      break
    }
  })

  it("tells of a call's failure by throwing it", async () => {
    const stream = await bursar.stream({ ...FAST, model: "sim-none", max_attempts: 1 })
    const failed = await failureOf(textOf(stream))
    assert.instanceOf(failed, ProviderFailed)
    assert.strictEqual(failed.status, 404)
  })
})

describe("somebody else", () => {
  let ann: Client
  beforeAll(() => {
    ann = bursar.as({ roles: ["app"], owner: "ann", attribution: { user_id: "ann", team_id: "bridges" } })
  })

  it("spends as who it is, and cannot spend as somebody else", async () => {
    const { usage } = await ann.complete(FAST)
    assert.strictEqual(usage.user_id, "ann")
    assert.strictEqual(usage.team_id, "bridges")
    const refused = await failureOf(ann.complete({ ...FAST, user_id: "bob" }))
    assert.instanceOf(refused, Forbidden)
    assert.include(refused.message, "user_id")
    assert.instanceOf(await failureOf(ann.stream({ ...FAST, user_id: "bob" })), Forbidden)
    assert.instanceOf(await failureOf(ann.subscribe("usage", { filter: { user_id: "bob" } })), Forbidden)
  })

  it("sees what is attributed to it, and no more", async () => {
    await bursar.complete({ ...FAST, user_id: "bob", team_id: "bridges" })
    const { items } = await ann.get_usage({})
    assert.isNotEmpty(items)
    for (const { user_id } of items) assert.strictEqual(user_id, "ann")
    await using usage = await ann.subscribe("usage")
    await bursar.complete({ ...FAST, user_id: "bob", team_id: "bridges" })
    await ann.complete({ ...FAST, request_id: "hers" })
    for await (const { event } of usage) {
      if ("in_flight" in event) assert.strictEqual(event.in_flight.user_id, "ann")
      if (!("usage" in event)) continue
      assert.strictEqual(event.usage.request_id, "hers")
      break
    }
  })

  it("may do what its roles may, and hands on less", async () => {
    const refused = await failureOf(
      ann.create_budget({ name: "n", type: "global", period: "daily", limit: "1" })
    )
    assert.instanceOf(refused, Forbidden)
    assert.strictEqual(refused.required_role, "budget_admin")
    assert.instanceOf(
      thrownBy(() => ann.as({ roles: ["admin"] })),
      Forbidden
    )
    assert.instanceOf(
      thrownBy(() => ann.as({ roles: ["app"], owner: "bob" })),
      Forbidden
    )
    assert.instanceOf(
      thrownBy(() => ann.as({ roles: ["app"], tenant: "other" })),
      Forbidden
    )
    assert.instanceOf(
      thrownBy(() => ann.as({ roles: ["app"], attribution: { user_id: "bob" } })),
      Forbidden
    )
    const misspelt = thrownBy(() => bursar.as({ roles: ["apq" as "app"], ownr: "x" } as never))
    assert.instanceOf(misspelt, InvalidParams)
    assert.lengthOf(misspelt.issues, 2)
    const feature = ann.as({ roles: ["app"], attribution: { feature: "search" } })
    const { usage } = await feature.complete(FAST)
    assert.deepInclude(usage, { user_id: "ann", team_id: "bridges", feature: "search" })
  })

  it("has holds of its own, and leaves alone those of others with the same owner", async () => {
    const bob = bursar.as({ roles: ["app"], owner: "ann", attribution: { user_id: "bob" } })
    await budgetOf("ann", "100")
    const check = { provider: "simulator", model: "sim-fast", estimated_tokens: 10, estimated_cost: "0.01" }
    const held = await ann.check_budget({ ...check, request_id: "held by ann" })
    if (!held.allowed || held.hold_id === undefined) return assert.fail("there is room")
    const { hold_id } = held
    assert.instanceOf(await failureOf(bob.release_hold({ hold_id })), NotFound)
    assert.instanceOf(await failureOf(bob.check_budget({ ...check, request_id: "held by ann" })), Conflict)
    const sameAgain = bursar.as({
      roles: ["app"],
      owner: "ann",
      attribution: { team_id: "bridges", user_id: "ann" }
    })
    assert.deepStrictEqual(await sameAgain.release_hold({ hold_id }), { released: true })
  })

  it("asks for an override, and only another owner decides it", async () => {
    const { budget_id } = await budgetOf("ann-asks", "10")
    const asks = bursar.as({ roles: ["app"], owner: "asker", attribution: { user_id: "ann-asks" } })
    const decides = (owner: string) => bursar.as({ roles: ["budget_admin"], owner })
    const { override_id } = await asks.request_override({ budget_id, amount: "1", reason: "a long story" })
    assert.instanceOf(
      await failureOf(decides("asker").decide_override({ override_id, decision: "approve" })),
      Forbidden
    )
    const { override } = await decides("boss").decide_override({ override_id, decision: "approve" })
    assert.strictEqual(override.status, "approved")
  })

  it("in another tenant sees nothing of this one", async () => {
    const other = bursar.as({ roles: ["admin"], owner: "other", tenant: "other" })
    assert.lengthOf((await other.get_usage({})).items, 0)
    assert.strictEqual((await other.get_status()).tenant, "other")
    const { items } = await other.list_actors()
    for (const { address } of items) assert.notInclude(address, "/default")
  })
})

describe("the end of a runtime", () => {
  it("lets signals on their way be answered", async () => {
    const closing = await startBursar({ databaseUrl: await makeDatabase() })
    const budgets = Array.from({ length: 50 }, (_, index) =>
      closing.create_budget({
        name: `b${index}`,
        type: "user",
        entity_id: `b${index}`,
        period: "daily",
        limit: "1"
      })
    )
    const closed = closing.close()
    assert.lengthOf(await Promise.all(budgets), 50)
    await closed
    assert.instanceOf(await failureOf(closing.get_status()), Unavailable)
    assert.instanceOf(await failureOf(closing.stream(FAST)), Unavailable)
    assert.instanceOf(await failureOf(closing.as({ roles: ["app"] }).get_usage()), Unavailable)
  })

  it("gives calls the time that it is told to, and is one closing however often it is asked for", async () => {
    const closing = await startBursar({ databaseUrl: await makeDatabase() })
    const running = closing.complete(FAST)
    const stream = await closing.stream(FAST)
    const read = textOf(stream)
    await Promise.all([closing.close({ graceMs: 30_000 }), closing.close()])
    const { content } = await running
    assert.strictEqual(await read, content)
  })

  it("ends a subscription's loop as one that has come to its end", async () => {
    const databaseUrl = await makeDatabase()
    const read: Array<unknown> = []
    {
      await using closing = await startBursar({ databaseUrl })
      const usage = await closing.subscribe("usage")
      void (async () => {
        for await (const event of usage) read.push(event)
        read.push("the end")
      })()
    }
    assert.deepStrictEqual(read, ["the end"])
  })

  it("a start that fails leaves nothing open", async () => {
    const databaseUrl = await makeDatabase()
    await using first = await startBursar({ databaseUrl, dataDirectory: makeFolder(), listen: { port: 0 } })
    const port = Number(new URL(first.url ?? "").port)
    const listen = { port, adminKey: "bk_admin_of_a_test" }
    const failed = await failureOf(startBursar({ databaseUrl: await makeDatabase(), listen }))
    assert.include(failed.message, `Cannot listen on 127.0.0.1:${port}`)
    assert.instanceOf(await failureOf(startBursar({ databaseUrl, tenant: "Not A Name" })), InvalidParams)
  })
})

describe("the log", () => {
  it("goes to the host's own logger, from the level that it asks for", async () => {
    const entries: Array<LogEntry> = []
    const databaseUrl = await makeDatabase()
    await using logged = await startBursar({
      databaseUrl,
      log: { level: "debug", write: (entry) => void entries.push(entry) }
    })
    await logged.get_status()
    for (const { level, message, at } of entries) {
      assert.include(["error", "warn", "info", "debug"], level)
      assert.isString(message)
      assert.match(at, /Z$/u)
    }
  })
})
