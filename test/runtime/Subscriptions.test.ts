/**
 * What is seen live (lesson 24): events resume from a cursor, also after the program was killed, without loss and
 * without doubling; a slow reader is told one gap; prompt text is nowhere.
 */
import { assert, describe, it } from "@effect/vitest"
import { beforeAll } from "vitest"
import {
  makeData,
  makeDatabase,
  type Program,
  type ProgramOptions,
  startProgram
} from "../support/Program.ts"
import { Disconnected, type Json, Refused, type Subscription, type Wire } from "../support/Wire.ts"

const MODEL = { provider: "seen", model: "seen-model" }
const report = (n: number, more: Json = {}) => ({
  request_id: `r${n}`,
  ...MODEL,
  prompt_tokens: 1000,
  completion_tokens: 0,
  ...more
})

const STORES: { readonly [name: string]: () => Promise<ProgramOptions> } = {
  "a Postgres server": async () => ({ databaseUrl: await makeDatabase() }),
  "the embedded store": async () => ({ data: await makeData() })
}

const prepare = (program: Program) =>
  program.call("update_pricing", {
    ...MODEL,
    pricing: { prompt_per_million: "1000", completion_per_million: "1000" }
  })

/** Reports again and again until the program is gone; answers the number of the last that was sent. */
const reportUntilGone = async (wires: ReadonlyArray<Wire>, first: number, onDone: (n: number) => void) => {
  let next = first
  const worker = async (wire: Wire) => {
    for (;;) {
      const n = next++
      try {
        await wire.call("track_usage", report(n))
        onDone(n)
      } catch (error) {
        if (error instanceof Disconnected) return
        if (!(error instanceof Refused) || error.tag !== "Unavailable") throw error
      }
    }
  }
  await Promise.all(wires.flatMap((wire) => [wire, wire, wire, wire]).map(worker))
  return next
}

/** Reads usage until the connection ends; keeps what came, and the last cursor. */
class Reader {
  readonly seqs: Array<number> = []
  cursor: string | undefined

  async read(subscription: Subscription, isLast: (seq: number) => boolean = () => false): Promise<void> {
    for (;;) {
      try {
        const { cursor, event } = await subscription.next()
        assert.isDefined(event.usage, JSON.stringify(event))
        assert.strictEqual(cursor, String(event.usage.usage_seq))
        this.seqs.push(event.usage.usage_seq)
        this.cursor = cursor ?? this.cursor
        if (isLast(event.usage.usage_seq)) return
      } catch (error) {
        if (error instanceof Disconnected) return
        throw error
      }
    }
  }
}

for (const [store, optionsOf] of Object.entries(STORES)) {
  it(`on ${store}, usage resumes from its cursor after the program was killed in the middle: nothing is lost or doubled`, async () => {
    const options = await optionsOf()
    let program = await startProgram(options)
    await prepare(program)
    const reader = new Reader()
    let next = 1
    for (let round = 0; round < 3; round++) {
      const wires = await Promise.all([program.connect(), program.connect()])
      const watcher = await program.connect()
      const from = reader.cursor === undefined ? {} : { from_cursor: reader.cursor }
      const reading = reader.read(await watcher.subscribe("usage", from))
      const killed = program
      const enough = next + 250
      next = await reportUntilGone(wires, next, (n) => {
        if (n >= enough) void killed.kill()
      })
      await reading
      await killed.exited
      program = await startProgram(options)
    }
    const watcher = await program.connect()
    const { total_tracked } = await program.call("get_status")
    assert.isAbove(total_tracked, 700)
    const rest = await watcher.subscribe("usage", { from_cursor: reader.cursor })
    await program.call("track_usage", report(next))
    await reader.read(rest, (seq) => seq === total_tracked + 1)
    assert.deepStrictEqual(
      reader.seqs,
      Array.from({ length: total_tracked + 1 }, (_, index) => index + 1)
    )
    await program.kill()
  })
}

describe("on a running program", () => {
  let options: ProgramOptions
  let program: Program
  let wire: Wire

  beforeAll(async () => {
    options = { databaseUrl: await makeDatabase() }
    program = await startProgram(options)
    await prepare(program)
    wire = await program.connect()
  })

  const makeBudget = async (user: string, limit: string): Promise<string> =>
    (
      await program.call("create_budget", {
        name: user,
        type: "user",
        entity_id: user,
        period: "lifetime",
        limit
      })
    ).budget_id

  it("alerts resume from their cursor after the program was killed", async () => {
    const budget_id = await makeBudget("alerted", "10")
    const before = await wire.subscribe("alerts", { filter: { budget_id } })
    await program.call("track_usage", { ...report(10_001, { user_id: "alerted" }), prompt_tokens: 5_000 })
    const first = await before.next()
    assert.deepInclude(first.event.alert, { kind: "threshold", severity: "warning", budget_id })
    assert.strictEqual(first.event.alert.data.threshold, 50)
    await program.call("track_usage", { ...report(10_002, { user_id: "alerted" }), prompt_tokens: 5_000 })
    await program.kill()
    program = await startProgram(options)
    wire = await program.connect()
    const after = await wire.subscribe("alerts", { filter: { budget_id }, from_cursor: first.cursor })
    const thresholds = []
    for (let count = 0; count < 3; count++) thresholds.push((await after.next()).event.alert.data.threshold)
    assert.deepStrictEqual(thresholds, [80, 90, 100])
    const all = await wire.subscribe("alerts", { filter: { budget_id }, from_cursor: "0" })
    assert.deepStrictEqual(await all.next(), first)
  })

  it("budgets follow every commit that changes them", async () => {
    const budget_id = await makeBudget("followed", "1000")
    const budgets = await wire.subscribe("budgets", { filter: { budget_id } })
    const { hold_id } = await program.call("check_budget", {
      request_id: "followed-1",
      user_id: "followed",
      estimated_cost: "2",
      estimated_tokens: 1
    })
    await budgets.until(({ budget }) => budget.held === "2" && budget.spent === "0")
    await program.call("track_usage", report(0, { request_id: "followed-1", user_id: "followed", hold_id }))
    await budgets.until(({ budget }) => budget.held === "0" && budget.spent === "1")
    await program.call("update_budget", { budget_id, updates: { limit: "2000" } })
    const last = (await budgets.until(({ budget }) => budget.limit === "2000")).at(-1)
    assert.deepInclude(last.budget, { spent: "1", held: "0", remaining: "1999", budget_id })
  })

  it("a filter of usage lets through what matches, and nothing else", async () => {
    const filtered = await wire.subscribe("usage", { filter: { user_id: "wanted", tags: { env: "a" } } })
    for (const [n, more] of [
      [20_001, { user_id: "other", tags: { env: "a" } }],
      [20_002, { user_id: "wanted", tags: { env: "b" } }],
      [20_003, { user_id: "wanted", tags: { env: "a", more: "x" } }]
    ] as const) {
      await program.call("track_usage", report(n, more))
    }
    assert.strictEqual((await filtered.next()).event.usage.request_id, "r20003")
  })

  it("a call in flight shows its tokens and cost so far, and then its usage", async () => {
    const usage = await wire.subscribe("usage", { filter: { user_id: "in-flight" } })
    const params = {
      provider: "simulator",
      model: "sim-slow",
      messages: [{ role: "user", content: "Tell a story about a river, and take your time." }],
      max_completion_tokens: 60,
      user_id: "in-flight"
    }
    const completed = program.call("complete", { ...params, request_id: "in-flight-1" })
    const events = await usage.until((event) => event.usage !== undefined)
    const inFlight = events.flatMap((event) => (event.in_flight === undefined ? [] : [event.in_flight]))
    assert.isNotEmpty(inFlight)
    for (const progress of inFlight) {
      assert.deepInclude(progress, { request_id: "in-flight-1", provider: "simulator", model: "sim-slow" })
    }
    assert.includeMembers(
      inFlight.map(({ state }) => state),
      ["calling", "reporting"]
    )
    const { usage: recorded } = await completed
    assert.deepStrictEqual(events.at(-1).usage, recorded)
    assert.isTrue(
      inFlight.some(
        ({ state, prompt_tokens, cost }) => state === "calling" && prompt_tokens > 0 && cost !== "0"
      ),
      "the prompt counts and costs while the call runs"
    )
  })

  it("signals show a refusal with its reason and violations, and prompt text nowhere", async () => {
    const SECRET = "xyzzy-secret-of-the-prompt"
    const budget_id = await makeBudget("refused", "0.000001")
    const signals = await wire.subscribe("signals")
    const actors = await wire.subscribe("actors")
    const usage = await wire.subscribe("usage")
    const messages = [{ role: "user", content: `Keep this: ${SECRET}` }]
    const call = { provider: "simulator", model: "sim-fast", messages, system: SECRET }
    await program.call("complete", { ...call, max_completion_tokens: 20, request_id: "kept-secret" })
    const refusal = await program
      .call("complete", { ...call, request_id: "refused-secret", user_id: "refused" })
      .then(
        () => assert.fail("was not refused"),
        (error: Refused) => error
      )
    await program.call("check_budget", {
      request_id: "refused-check",
      user_id: "refused",
      estimated_cost: "1",
      estimated_tokens: 1
    })
    const seen = await signals.until(({ signal }) => signal.request_id === "refused-check")
    const records = seen.map(({ signal }) => signal)
    const checked = records.at(-1)
    assert.deepInclude(checked, { signal: "check_budget", outcome: "refused", principal: "installation" })
    assert.isString(checked.reason)
    assert.strictEqual(checked.answer.violations[0].budget_id, budget_id)
    const ofCall = records.find(
      ({ signal, request_id }) => signal === "complete" && request_id === "refused-secret"
    )
    assert.deepInclude(ofCall, { outcome: "BudgetExceeded", reason: refusal.message })
    assert.strictEqual(ofCall.answer.violations[0].budget_id, budget_id)
    assert.strictEqual(ofCall.payload.messages, "[redacted]")
    const inspected = await program.call("list_actors", {})
    const used = await usage.until((event) => event.usage?.request_id === "kept-secret")
    const facts = await actors.until(({ actor }) => actor.actor.address === "call/default/refused-secret")
    assert.notInclude(JSON.stringify([seen, inspected, used, facts]), SECRET)
    assert.notInclude(program.log(), SECRET)
  })

  it("a slow reader gets one gap in place of what it missed, and nothing else slows down", async () => {
    const tags = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`t${index}`, "x".repeat(256)]))
    const look = (request_id: string) =>
      wire.call("check_budget", { request_id, estimated_cost: "0", estimated_tokens: 0, hold: false, tags })
    const slow = await program.connect()
    const signals = await slow.subscribe("signals", { filter: { signal: "check_budget" } })
    await look("slow-begins")
    await signals.until(({ signal }) => signal?.request_id === "slow-begins")
    slow.ws.pause()
    // Far more than all the buffers on the way can keep: 25 MB.
    const sent = 5_000
    for (let count = 0; count < sent; count += 200) {
      await Promise.all(Array.from({ length: 200 }, (_, index) => look(`slow-${count + index}`)))
    }
    slow.ws.resume()
    const before = await signals.until((event) => event.gap !== undefined)
    await look("slow-ends")
    const after = await signals.until(({ signal }) => signal?.request_id === "slow-ends")
    const gap = before.at(-1).gap
    assert.isAbove(gap, 0)
    assert.strictEqual(before.length - 1 + gap + after.length - 1, sent)
    assert.isEmpty(after.filter((event) => event.gap !== undefined))
    slow.close()
  })

  it("signals tell of arrivals where that is asked for, and actors tell of dead letters", async () => {
    const signals = await wire.subscribe("signals", { filter: { signal: "get_pricing", received: true } })
    const actors = await wire.subscribe("actors", { filter: { address: "bridge" } })
    await program.call("get_pricing", { provider: "arrives" })
    const { received } = (await signals.until((event) => event.received !== undefined)).at(-1)
    const { signal } = (await signals.until((event) => event.signal?.signal_id === received.signal_id)).at(-1)
    assert.deepInclude(received, { version: 1, address: "token_manager/default", signal: "get_pricing" })
    assert.deepInclude(signal, { version: 1, outcome: "ok", at: received.at })
    wire.ws.send('{"jsonrpc":"2.0","method":"track_usage","params":{"request_id":"dead"}}')
    const { dead_letter } = (await actors.next()).event
    assert.deepInclude(dead_letter, { version: 1, address: "bridge", signal: "track_usage" })
    assert.include(dead_letter.payload, "dead")
  })

  it("a topic that cannot be resumed refuses a cursor, and so does one with a wrong cursor, or one from the future", async () => {
    for (const [topic, from_cursor] of [
      ["budgets", "1"],
      ["signals", "1"],
      ["actors", "1"],
      ["usage", "not a cursor"],
      ["alerts", "-1"],
      ["usage", "999999999"],
      ["alerts", "999999999"]
    ]) {
      await wire.subscribe(topic as string, { from_cursor }).then(
        () => assert.fail(`${topic} took it`),
        (error: Refused) => assert.strictEqual(error.code, -32602)
      )
    }
  })
})
