/**
 * The program loses its Postgres (lesson 17): in the moment of a commit, in the middle of load, for a while.
 * Nothing that was acknowledged is lost, nothing is counted twice, and everybody is told in bounded time.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { afterAll, beforeAll } from "vitest"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, failureOf, get, type Json, Refused } from "../support/Wire.ts"
import { Load } from "./support/Load.ts"
import { type Moment, startProxy, type TcpProxy } from "./support/TcpProxy.ts"

const MOMENTS: ReadonlyArray<Moment> = [
  "before it is sent",
  "in the middle",
  "while it is done",
  "after it is done, before the answer"
]

let databaseUrl: string
let proxy: TcpProxy
let program: Program

const MODEL = { provider: "cut", model: "cut-model" }

beforeAll(async () => {
  databaseUrl = await makeDatabase()
  proxy = await startProxy(databaseUrl)
  program = await startProgram({ databaseUrl: proxy.url })
  await program.call("update_pricing", {
    ...MODEL,
    pricing: { prompt_per_million: "1", completion_per_million: "1" }
  })
})

afterAll(async () => {
  await program.kill()
  await proxy.close()
})

/** Sends the same again for as long as the answer is that it is not known; answers how often that was said. */
const persistently = async (
  method: string,
  params: Json
): Promise<{ readonly result: Json; readonly times: number }> => {
  for (let times = 0; ; times++) {
    try {
      return { result: await program.call(method, params), times }
    } catch (error) {
      if (!(error instanceof Refused) || error.tag !== "Unavailable") throw error
      assert.isAbove(error.data.retry_after_ms, 0)
    }
  }
}

const spentOf = async (user_id: string): Promise<Json> => {
  const { totals } = await program.call("get_usage", { user_id })
  return { requests: totals.requests, cost: totals.cost }
}

describe("the connection is cut in the moment of a commit", () => {
  for (const [index, moment] of MOMENTS.entries()) {
    it(`of a report, ${moment}: it counts once`, async () => {
      const user_id = `report-${index}`
      await persistently("create_budget", {
        request_id: `budget-${index}`,
        name: user_id,
        type: "user",
        entity_id: user_id,
        period: "lifetime",
        limit: "1"
      })
      // The tag is written with the usage, and nowhere before.
      const marker = `marker-of-report-${index}`
      const cut = proxy.cut(marker, moment)
      const report = {
        request_id: `cut-${index}`,
        ...MODEL,
        prompt_tokens: 100_000,
        completion_tokens: 0,
        user_id,
        tags: { marker }
      }
      const { result } = await persistently("track_usage", report)
      await cut
      assert.strictEqual(result.usage.cost, "0.1")
      const again = await program.call("track_usage", report)
      assert.deepInclude(again, { duplicate: true, usage: result.usage })
      assert.deepStrictEqual(await spentOf(user_id), { requests: 1, cost: "0.1" })
      const { budgets } = await program.call("get_budget_status", { type: "user", entity_id: user_id })
      assert.deepInclude(budgets[0], { spent: "0.1", held: "0" })
    })

    it(`of a hold, ${moment}: it holds once`, async () => {
      const user_id = `hold-${index}`
      await persistently("create_budget", {
        request_id: `hold-budget-${index}`,
        name: user_id,
        type: "user",
        entity_id: user_id,
        period: "lifetime",
        limit: "1"
      })
      const marker = `marker-of-hold-${index}`
      const cut = proxy.cut(marker, moment)
      const ask = {
        request_id: `held-${index}`,
        user_id,
        estimated_cost: "0.4",
        estimated_tokens: 1,
        tags: { marker }
      }
      const { result } = await persistently("check_budget", ask)
      await cut
      assert.isTrue(result.allowed)
      assert.strictEqual((await program.call("check_budget", ask)).hold_id, result.hold_id)
      const { budgets } = await program.call("get_budget_status", { type: "user", entity_id: user_id })
      assert.deepInclude(budgets[0], { spent: "0", held: "0.4", open_holds: 1 })
    })
  }
})

describe("a commit that has not reached Postgres", () => {
  const report = (user_id: string) => ({
    request_id: `kept-back-${user_id}`,
    ...MODEL,
    prompt_tokens: 100_000,
    completion_tokens: 0,
    user_id,
    tags: { marker: `marker-of-${user_id}` }
  })
  const makeBudget = async (user_id: string): Promise<string> =>
    (
      await program.call("create_budget", {
        name: user_id,
        type: "user",
        entity_id: user_id,
        period: "lifetime",
        limit: "1"
      })
    ).budget_id

  it("is in no answer, no question decided after it, and no event", async () => {
    const budget_id = await makeBudget("waiting")
    const wire = await program.connect()
    const usage = await wire.subscribe("usage", { filter: { user_id: "waiting" } })
    const budgets = await wire.subscribe("budgets", { filter: { budget_id } })
    const left: Array<string> = []
    const watch = <A>(name: string, promise: Promise<A>): Promise<A> =>
      promise.then((value) => {
        left.push(name)
        return value
      })
    const heldBack = proxy.holdBack("marker-of-waiting")
    const tracked = watch("the answer", wire.call("track_usage", report("waiting")))
    const goOn = await heldBack
    const waiting = [
      watch("its event", usage.next()),
      watch("its budget's event", budgets.next()),
      watch("the budget", wire.call("get_budget_status", { budget_id })),
      watch(
        "a question",
        wire.call("check_budget", {
          request_id: "asked-after",
          user_id: "waiting",
          estimated_cost: "0.5",
          estimated_tokens: 1
        })
      )
    ]
    // Meanwhile the program answers what does not depend on it.
    for (let count = 0; count < 20; count++) await wire.call("get_status")
    assert.deepStrictEqual(left, [])
    goOn()
    const { usage: recorded } = await tracked
    const [event, , status, question] = await Promise.all(waiting as ReadonlyArray<Promise<Json>>)
    assert.deepStrictEqual(event.event.usage, recorded)
    assert.strictEqual(status.budgets[0].spent, "0.1")
    assert.strictEqual(question.budgets[0].spent, "0.1")
  })

  it("is gone when the program is killed, and is counted when it is sent again", async () => {
    const budget_id = await makeBudget("killed")
    const heldBack = proxy.holdBack("marker-of-killed")
    const lost = program.call("track_usage", report("killed")).then(
      () => assert.fail("it was acknowledged"),
      (error: unknown) => error
    )
    await heldBack
    await program.kill()
    await lost
    program = await startProgram({ databaseUrl: proxy.url })
    assert.deepStrictEqual(await spentOf("killed"), { requests: 0, cost: "0" })
    assert.isFalse((await program.call("track_usage", report("killed"))).duplicate)
    const { budgets } = await program.call("get_budget_status", { budget_id })
    assert.strictEqual(budgets[0].spent, "0.1")
  })
})

describe("the connection is cut while it is read", () => {
  for (const [index, moment] of MOMENTS.entries()) {
    it(`${moment}: the query is answered, or says that it can be asked again`, async () => {
      const user_id = `reader-of-usage-${index}`
      const cut = proxy.cut(user_id, moment)
      const { result } = await persistently("get_usage", { user_id })
      await cut
      assert.deepInclude(result, { items: [], next_cursor: null })
    })

    it(`${moment}: what a new request looks up is looked up again`, async () => {
      const request_id = `looked-up-${index}`
      const cut = proxy.cut(request_id, moment)
      const { result } = await persistently("check_budget", {
        request_id,
        estimated_cost: "0.1",
        estimated_tokens: 1
      })
      await cut
      assert.isTrue(result.allowed)
    })
  }
})

/** Ends every session but its own. */
const terminateAll = (url: string) =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`
  }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })), Effect.runPromise)

/** Lets a load run on a program of its own; `disturb` is called again and again until it says that it is enough. */
const underLoad = async (
  disturb: (own: {
    readonly program: Program
    readonly proxy: TcpProxy
    readonly url: string
  }) => Promise<void>,
  times: number
) => {
  const url = await makeDatabase()
  const ownProxy = await startProxy(url)
  const own = { url, proxy: ownProxy, program: await startProgram({ databaseUrl: ownProxy.url }) }
  const load = new Load()
  await load.prepare(own.program)
  let done = 0
  let isDisturbing = false
  await load.run(own.program, () => {
    if (isDisturbing || load.acknowledged < (done + 1) * 60) return
    isDisturbing = true
    void disturb(own).then(() => {
      isDisturbing = false
      if (++done === times) load.enough()
    })
  })
  await load.verify(own.program)
  await load.sendAgain(own.program)
  await load.verifyAnswers(own.program)
  await load.verify(own.program)
  await own.program.kill()
  await ownProxy.close()
}

describe("in the middle of load, everything acknowledged is there exactly once", () => {
  it("when Postgres ends every session, ten times", () => underLoad(({ url }) => terminateAll(url), 10))

  it("when Postgres goes away and comes back, three times", () =>
    underLoad(async ({ program, proxy }) => {
      proxy.refuse()
      await eventually(
        () => get(program.url, "/readyz"),
        ({ status }) => status === 503
      )
      proxy.accept()
    }, 3))
})

describe("Postgres is away for a while", () => {
  const report = {
    request_id: "while-away",
    ...MODEL,
    prompt_tokens: 1000,
    completion_tokens: 0,
    user_id: "away"
  }
  const ask = { request_id: "held-while-away", user_id: "away", estimated_cost: "0.1", estimated_tokens: 1 }

  it("every ask is told Unavailable in bounded time; the status and /readyz say why", async () => {
    const before = await program.call("track_usage", { ...report, request_id: "before" })
    proxy.refuse()
    const calls: ReadonlyArray<readonly [string, Json]> = [
      ["track_usage", report],
      ["check_budget", ask],
      ["get_usage", { user_id: "away" }],
      ["create_budget", { name: "away", type: "user", entity_id: "away", period: "daily", limit: "1" }],
      [
        "complete",
        { provider: "simulator", model: "sim-fast", messages: [{ role: "user", content: "Anybody there?" }] }
      ]
    ]
    const failures = await Promise.all(
      calls.map(([method, params]) => failureOf(program.call(method, params)))
    )
    for (const [index, failure] of failures.entries()) {
      assert.strictEqual(failure.code, -32050, calls[index]?.[0])
      assert.strictEqual(failure.tag, "Unavailable")
      assert.isAbove(failure.data.retry_after_ms, 0)
    }
    const status = await program.call("get_status")
    assert.isFalse(status.healthy)
    assert.deepInclude(status.store, { kind: "server", reachable: false })
    const readiness = await get(program.url, "/readyz")
    assert.strictEqual(readiness.status, 503)
    assert.strictEqual((await get(program.url, "/healthz")).status, 200)
    assert.isFalse(before.duplicate)
  })

  it("when it is back, the same request is sent again and counts once", async () => {
    proxy.accept()
    await eventually(
      () => get(program.url, "/readyz"),
      ({ status }) => status === 200
    )
    const { result } = await persistently("track_usage", report)
    const again = await program.call("track_usage", report)
    assert.deepInclude(again, { duplicate: true, usage: result.usage })
    assert.isTrue((await persistently("check_budget", ask)).result.allowed)
    assert.deepStrictEqual(await spentOf("away"), { requests: 2, cost: "0.002" })
    const status = await eventually(
      () => program.call("get_status"),
      ({ healthy }) => healthy
    )
    assert.isTrue(status.store.reachable)
  })
})
