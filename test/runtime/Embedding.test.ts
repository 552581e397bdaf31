/** The runtime in a host's own process, as the first example has it: started, asked, watched, cancelled, closed. */
import { execFile } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll } from "vitest"
import {
  BudgetExceeded,
  type Bursar,
  Conflict,
  InvalidParams,
  NotFound,
  type SignalResult,
  startBursar,
  Unavailable
} from "../../src/index.ts"
import { makeDatabase, makeFolder, runProgram } from "../support/Program.ts"
import { callOverHttp, eventually, type Json } from "../support/Wire.ts"

const messages = [{ role: "user" as const, content: "Tell a story about a river, and take your time." }]
const SLOW = { provider: "simulator", model: "sim-slow", messages }
const FAST = { provider: "simulator", model: "sim-fast", messages }

const failureOf = (promise: Promise<unknown>): Promise<Json> =>
  promise.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => error
  )

describe("a host", () => {
  let bursar: Bursar

  beforeAll(async () => {
    bursar = await startBursar({ databaseUrl: await makeDatabase() })
  })
  afterAll(() => bursar.close())

  /** The rows of this user, when there are some. */
  const rowsOf = async (user_id: string): Promise<SignalResult<"get_usage">["items"]> =>
    (
      await eventually(
        () => bursar.send("get_usage", { user_id }),
        ({ items }) => items.length > 0
      )
    ).items

  const heldBy = async (user_id: string): Promise<string | undefined> =>
    (await bursar.send("get_budget_status", { type: "user", entity_id: user_id })).budgets[0]?.held

  const makeBudget = (user_id: string, limit: string) =>
    bursar.send("create_budget", {
      name: user_id,
      type: "user",
      entity_id: user_id,
      period: "lifetime",
      limit
    })

  it("sends signals as they are on the wire, and their types are known", async () => {
    const { budget } = await makeBudget("typed", "5.00")
    const limit: string = budget.limit
    assert.strictEqual(limit, "5")
    assert.match(budget.created_at, /^\d{4}-\d\d-\d\dT.*Z$/u)
    const completion = await bursar.send("complete", { ...FAST, user_id: "typed" })
    const cost: string = completion.usage.cost
    assert.strictEqual((await rowsOf("typed"))[0]?.cost, cost)
    // @ts-expect-error a signal that there is not
    await failureOf(bursar.send("get_usages", {}).then())
    // @ts-expect-error a field that there is not
    await failureOf(bursar.send("get_usage", { limitt: 1 }))
    // @ts-expect-error an amount is a string
    await failureOf(bursar.send("create_budget", { name: "n", type: "global", period: "daily", limit: 5 }))
  })

  it("is told errors as the classes of the module", async () => {
    await makeBudget("poor", "0.000001")
    const refused = await failureOf(bursar.send("complete", { ...FAST, user_id: "poor" }))
    assert.instanceOf(refused, BudgetExceeded)
    assert.strictEqual(refused.violations[0]?.entity_id, "poor")
    // Half of the limit is far too little, and more may not be asked for; where that would do, it is said.
    assert.match(refused.message, /: waiting does not help\. Raise the budget or ask for fewer tokens$/u)
    await bursar.send("create_budget", {
      name: "raised",
      type: "user",
      entity_id: "raised",
      period: "daily",
      limit: "0.000001",
      override_policy: {
        requires_approval: true,
        approvers: ["budget_admin"],
        max_override_percentage: 1_000_000_000,
        notification_required: false
      }
    })
    const askable = await failureOf(bursar.send("complete", { ...FAST, user_id: "raised" }))
    assert.match(String(askable), /\. Ask for an override, raise the budget or ask for fewer tokens$/u)
    const invalid = await failureOf(bursar.send("get_usage", { limit: 0 }))
    assert.instanceOf(invalid, InvalidParams)
    assert.deepStrictEqual(invalid.issues[0]?.path, ["limit"])
    assert.instanceOf(await failureOf(bursar.send("release_hold", { hold_id: "none" })), NotFound)
    const report = { request_id: "twice", provider: "p", model: "m", prompt_tokens: 1, completion_tokens: 1 }
    await bursar.send("track_usage", report)
    const conflict = await failureOf(bursar.send("track_usage", { ...report, prompt_tokens: 2 }))
    assert.instanceOf(conflict, Conflict)
  })

  it("reads the text of a call as it comes", async () => {
    let text = ""
    let finished: Json
    for await (const part of await bursar.stream({ ...FAST, user_id: "streamed" })) {
      if ("text" in part) text += part.text
      else finished = part.finished
    }
    assert.isNotEmpty(text)
    assert.strictEqual(finished.content, text)
    assert.strictEqual((await rowsOf("streamed"))[0]?.cost, finished.usage.cost)
  })

  it("is told of a refusal before there is anything to read", async () => {
    assert.instanceOf(await failureOf(bursar.stream({ ...FAST, user_id: "poor" })), BudgetExceeded)
  })

  it("cancels a call by leaving its loop, and the call is charged", async () => {
    await makeBudget("left", "5")
    let pieces = 0
    for await (const _ of (await bursar.stream({ ...SLOW, user_id: "left" })).texts()) {
      if (++pieces === 3) break
    }
    const [usage] = await rowsOf("left")
    assert.strictEqual(usage?.status, "cancelled")
    assert.isAtLeast(usage?.completion_tokens ?? 0, 3)
    assert.notStrictEqual(usage?.cost, "0")
    assert.strictEqual(await heldBy("left"), "0")
  })

  it("cancels a call by its AbortSignal, and the call is charged", async () => {
    await makeBudget("aborted", "5")
    const controller = new AbortController()
    const usage = await bursar.subscribe("usage", { filter: { user_id: "aborted" } })
    const failed = failureOf(
      bursar.send("complete", { ...SLOW, user_id: "aborted" }, { signal: controller.signal })
    )
    for await (const { event } of usage) {
      if ("in_flight" in event && event.in_flight.state === "calling") break
    }
    controller.abort(new Error("enough"))
    assert.strictEqual((await failed).message, "enough")
    const [row] = await rowsOf("aborted")
    assert.strictEqual(row?.status, "cancelled")
    assert.notStrictEqual(row?.cost, "0")
    assert.strictEqual(await heldBy("aborted"), "0")
    const before = await failureOf(
      bursar.send("get_status", {}, { signal: AbortSignal.abort(new Error("no")) })
    )
    assert.strictEqual(before.message, "no")
  })
})

describe("hosts and their directory", () => {
  it("one after another find what was kept, and one at the same time is refused", async () => {
    const dataDirectory = makeFolder()
    const first = await startBursar({ dataDirectory })
    const { budget_id } = await first.send("create_budget", {
      name: "kept",
      type: "global",
      period: "lifetime",
      limit: "5"
    })
    await first.send("complete", { ...FAST, request_id: "kept" })
    const second = await failureOf(startBursar({ dataDirectory }))
    assert.instanceOf(second, Error)
    assert.include(second.message, dataDirectory)
    assert.include(second.message, `in use by process ${process.pid}`)
    assert.include(
      second.message,
      "another runtime of it has it. End that one, or give this one a directory of its own (dataDirectory"
    )
    const program = await runProgram({ data: dataDirectory })
    assert.strictEqual(program.code, 1)
    assert.include(program.log, `in use by process ${process.pid}`)
    const usage = await first.send("get_usage", {})
    await first.close()
    const third = await startBursar({ dataDirectory })
    assert.deepStrictEqual(await third.send("get_usage", {}), usage)
    const { budgets } = await third.send("get_budget_status", { budget_id })
    assert.strictEqual(budgets[0]?.spent, usage.totals?.cost)
    await third.close()
  })

  it("closing ends what waits, refuses what comes later, and can be asked for twice", async () => {
    const bursar = await startBursar({ databaseUrl: await makeDatabase() })
    const usage = (await bursar.subscribe("usage"))[Symbol.asyncIterator]()
    const waiting = usage.next()
    const running = bursar.send("complete", SLOW).catch((error: unknown) => error)
    await eventually(
      () => bursar.send("list_actors", { kind: "call" }),
      ({ items }) => items.some(({ state }) => state === "calling")
    )
    await Promise.all([bursar.close(), bursar.close()])
    for (let event = await waiting; event.done !== true; ) event = await usage.next()
    assert.instanceOf(await running, Unavailable)
    assert.instanceOf(await failureOf(bursar.send("get_status", {})), Unavailable)
    assert.instanceOf(await failureOf(bursar.subscribe("usage")), Unavailable)
  })

  it("serves the bridge for others, with a key that is kept in the directory", async () => {
    const dataDirectory = makeFolder()
    const bursar = await startBursar({ dataDirectory, listen: { port: 0 } })
    const key = readFileSync(join(dataDirectory, "admin.key"), "utf8").trim()
    const url = bursar.url ?? assert.fail("it does not listen")
    await callOverHttp(url, "create_budget", { name: "n", type: "global", period: "daily", limit: "1" }, key)
    assert.lengthOf((await bursar.send("get_budget_status", {})).budgets, 1)
    await bursar.close()
    await failureOf(fetch(`${url}/healthz`))
  })
})

describe("examples/01-embed.ts", () => {
  const EXAMPLE = fileURLToPath(new URL("../../examples/01-embed.ts", import.meta.url))

  it("is under 30 lines", () => {
    const lines = readFileSync(EXAMPLE, "utf8").trimEnd().split("\n")
    assert.isBelow(lines.filter((line) => line.trim() !== "").length, 30)
  })

  it("runs: a budget, a call, its usage, and an end", async () => {
    const env = { PATH: process.env.PATH ?? "", TMPDIR: makeFolder() }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [EXAMPLE], { env })
    assert.match(stdout, /\n1 request, [1-9]\d* tokens, 0\.\d+ USD\n$/u)
    assert.strictEqual(stderr, "")
  })
})

describe("examples/07-workflow.ts", () => {
  const EXAMPLE = fileURLToPath(new URL("../../examples/07-workflow.ts", import.meta.url))

  it("runs: three agents in a row, told step by step, and what the last one said", async () => {
    const env = { PATH: process.env.PATH ?? "", TMPDIR: makeFolder() }
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [EXAMPLE], { env })
    const lines = stdout.trimEnd().split("\n")
    assert.deepStrictEqual(
      lines.slice(0, -1).map((line) => line.replace(/: \d+ %(?:, .*)?$/u, "")),
      [
        "started",
        "step_started research",
        "step_done research",
        "step_started draft",
        "step_done draft",
        "step_started review",
        "step_done review",
        "completed"
      ]
    )
    assert.match(lines.at(-1) ?? "", /^[A-Z].*\S$/u)
    assert.strictEqual(stderr, "")
  })
})
