/**
 * Lesson 16: a process that was frozen (SIGSTOP) and whose tenant another one has taken over meanwhile admits nothing
 * and writes nothing when it goes on, wherever it was frozen; no budget is overspent, and the sums are right.
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, type Json, Refused } from "../support/Wire.ts"
import { Load } from "./support/Load.ts"
import { startProxy } from "./support/TcpProxy.ts"

const LIMIT = 10

const freeze = ({ pid }: Program): void => void process.kill(pid, "SIGSTOP")
const thaw = ({ pid }: Program): void => void process.kill(pid, "SIGCONT")

/** Asks for one dollar. */
const ask = (request_id: string, more: Json = {}): Json => ({
  request_id,
  estimated_cost: "1",
  estimated_tokens: 1,
  hold_ttl_ms: 86_400_000,
  ...more
})

const outcome = (answer: Promise<Json>): Promise<string> =>
  answer.then(
    ({ allowed, tracked }) => (tracked ? "tracked" : allowed ? "allowed" : "refused"),
    (error: unknown) => {
      if (error instanceof Refused) return error.tag
      throw error
    }
  )

/** Sends again for as long as it is told to. */
const persistently = (program: Program, method: string, params: Json): Promise<Json> =>
  eventually(
    () =>
      program.call(method, params).catch((error: unknown) => {
        if (error instanceof Refused && error.tag === "Unavailable") return undefined
        throw error
      }),
    (answer) => answer !== undefined
  )

const standingOn = async (program: Program): Promise<Json> => {
  const { budgets } = await persistently(program, "get_budget_status", {})
  const { spent, held, remaining, open_holds } = budgets[0]
  return { spent, held, remaining, open_holds }
}

const makeBudget = (program: Program): Promise<Json> =>
  program.call("create_budget", { name: "all", type: "global", period: "lifetime", limit: `${LIMIT}` })

const journalSeq = (url: string): Promise<number> =>
  Effect.gen(function* () {
    const sql = yield* PgClient.PgClient
    const rows = yield* sql<{ journal_seq: string }>`SELECT journal_seq FROM tenant_head`
    return Number(rows[0]?.journal_seq)
  }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })), Effect.runPromise)

describe("a frozen process whose tenant has another owner", () => {
  it("between two commits: what was sent to it is answered Unavailable, what it remembers as held too", async () => {
    const databaseUrl = await makeDatabase()
    const [old, successor] = await Promise.all([startProgram({ databaseUrl }), startProgram({ databaseUrl })])
    await makeBudget(old)
    const wire = await old.connect()
    for (let n = 1; n <= 6; n++) assert.isTrue((await wire.call("check_budget", ask(`r${n}`))).allowed)

    freeze(old)
    const { budgets } = await successor.call("get_budget_status", {})
    assert.deepInclude(budgets[0], { held: "6", open_holds: 6 })
    const [first] = (await successor.call("check_budget", ask("r1"))).hold_id.split(".")
    await successor.call("release_hold", { hold_id: `${first}.r1` })
    for (let n = 7; n <= 11; n++) assert.isTrue((await successor.call("check_budget", ask(`r${n}`))).allowed)
    // In its memory there is room for four, and r1 is held.
    const late = ["r1", "late1", "late2", "late3", "late4"].map((id) =>
      outcome(wire.call("check_budget", ask(id)))
    )
    const status = outcome(wire.call("get_budget_status", {}))
    const report = outcome(
      wire.call("track_usage", {
        request_id: "r2",
        provider: "p",
        model: "m",
        prompt_tokens: 1,
        completion_tokens: 1
      })
    )
    thaw(old)
    assert.strictEqual(await status, "Unavailable", "what it remembers is not where the budget stands")
    const outcomes = await Promise.all(late)
    assert.strictEqual(outcomes[0], "Unavailable")
    assert.notInclude(outcomes, "allowed")
    assert.strictEqual(await report, "Unavailable")

    const full = { spent: "0", held: "10", remaining: "0", open_holds: LIMIT }
    assert.deepStrictEqual(await standingOn(successor), full)
    assert.isFalse(
      (await persistently(old, "check_budget", ask("late1"))).allowed,
      "it has read the tenant again"
    )
    assert.deepStrictEqual(await standingOn(old), full)
    assert.deepStrictEqual((await old.call("get_usage", {})).items, [])
    await Promise.all([old.kill(), successor.kill()])
  })

  it("while its statement is on the way to Postgres: it arrives, and writes nothing", async () => {
    const databaseUrl = await makeDatabase()
    const proxy = await startProxy(databaseUrl)
    const [old, successor] = await Promise.all([
      startProgram({ databaseUrl: proxy.url }),
      startProgram({ databaseUrl })
    ])
    await makeBudget(old)
    const wire = await old.connect()
    const heldBack = proxy.holdBack("marker-on-the-way")
    const tags = { marker: "marker-on-the-way" }
    const onTheWay = outcome(wire.call("check_budget", ask("on the way", { estimated_cost: "6", tags })))
    const goOn = await heldBack

    freeze(old)
    assert.isTrue((await successor.call("check_budget", ask("r1", { estimated_cost: "7" }))).allowed)
    const before = await journalSeq(databaseUrl)
    goOn()
    thaw(old)
    assert.strictEqual(await onTheWay, "Unavailable")
    assert.strictEqual(await journalSeq(databaseUrl), before)
    const full = { spent: "0", held: "7", remaining: "3", open_holds: 1 }
    assert.deepStrictEqual(await standingOn(successor), full)
    const again = await persistently(old, "check_budget", ask("on the way", { estimated_cost: "6", tags }))
    assert.isFalse(again.allowed, "there is room for three")
    await Promise.all([old.kill(), successor.kill()])
    await proxy.close()
  })

  it("after Postgres has done its statement: what was written is told, and is the last that it admits", async () => {
    const databaseUrl = await makeDatabase()
    const proxy = await startProxy(databaseUrl)
    const [old, successor] = await Promise.all([
      startProgram({ databaseUrl: proxy.url }),
      startProgram({ databaseUrl })
    ])
    await makeBudget(old)
    const wire = await old.connect()
    const before = await journalSeq(databaseUrl)
    const heldBack = proxy.holdBack("marker-that-arrives")
    const written = ask("written", { estimated_cost: "6", tags: { marker: "marker-that-arrives" } })
    const answer = wire.call("check_budget", written)
    const goOn = await heldBack

    freeze(old)
    goOn()
    await eventually(
      () => journalSeq(databaseUrl),
      (seq) => seq > before
    )
    assert.isFalse((await successor.call("check_budget", ask("r1", { estimated_cost: "7" }))).allowed)
    assert.isTrue((await successor.call("check_budget", ask("r2", { estimated_cost: "4" }))).allowed)
    const late = outcome(wire.call("check_budget", ask("late")))
    thaw(old)
    const { hold_id } = await answer
    assert.strictEqual(await late, "Unavailable")
    assert.strictEqual((await persistently(successor, "check_budget", written)).hold_id, hold_id)
    assert.deepStrictEqual(await standingOn(successor), {
      spent: "0",
      held: "10",
      remaining: "0",
      open_holds: 2
    })
    await Promise.all([old.kill(), successor.kill()])
    await proxy.close()
  })

  it("in the middle of load, again and again: everything acknowledged is there once", async () => {
    const databaseUrl = await makeDatabase()
    const [old, successor] = await Promise.all([startProgram({ databaseUrl }), startProgram({ databaseUrl })])
    const load = new Load()
    await load.prepare(old)
    let rounds = 0
    let isFrozen = false
    await load.run(old, () => {
      if (isFrozen || load.acknowledged < (rounds + 1) * 60) return
      isFrozen = true
      freeze(old)
      void successor
        .call("get_budget_status", { budget_id: load.budgetId })
        .catch(() => undefined)
        .then(() => {
          thaw(old)
          isFrozen = false
          if (++rounds === 8) load.enough()
        })
    })
    // Both have had it by turns. The old one has read it again; then the other takes it back, and does not answer from
    // what it knew.
    await standingOn(old)
    await standingOn(successor)
    await load.verify(successor)
    await load.sendAgain(successor)
    await load.verifyAnswers(successor)
    await load.verify(successor)
    await Promise.all([old.kill(), successor.kill()])
  })
})
