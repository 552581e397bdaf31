/**
 * Room for so many, and no more (lessons 1 and 4); the same thing sent twice (lesson 3). Over real sockets, on a
 * Postgres server, also after the program was killed.
 */
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll } from "vitest"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { failureOf, type Json, type Wire } from "../support/Wire.ts"

const CONNECTIONS = 8
const CHECKS = 200
const ROOM = 37
const RUNS = 100

const MODEL = { provider: "mint", model: "coin" }

let databaseUrl: string
let program: Program
let wires: ReadonlyArray<Wire>

const open = async () => {
  program = await startProgram({ databaseUrl })
  wires = await Promise.all(Array.from({ length: CONNECTIONS }, () => program.connect()))
}

const restart = async () => {
  await program.kill()
  await open()
}

beforeAll(async () => {
  databaseUrl = await makeDatabase()
  await open()
  await program.call("update_pricing", {
    ...MODEL,
    pricing: { prompt_per_million: "1", completion_per_million: "1" }
  })
})

afterAll(() => program.kill())

const makeBudget = async (type: string, entity_id: string, limit: string, more: Json = {}): Promise<string> =>
  (
    await program.call("create_budget", {
      name: entity_id,
      type,
      entity_id,
      period: "lifetime",
      limit,
      ...more
    })
  ).budget_id

const statusOf = async (budget_id: string): Promise<Json> =>
  (await program.call("get_budget_status", { budget_id })).budgets[0]

/** 200 questions at once, over all connections. */
const askAll = (run: string, more: Json): Promise<ReadonlyArray<Json>> =>
  Promise.all(
    Array.from({ length: CHECKS }, (_, index) =>
      (wires[index % CONNECTIONS] as Wire).call("check_budget", {
        request_id: `${run}-${index}`,
        estimated_cost: "0.1",
        estimated_tokens: 100,
        ...more
      })
    )
  )

describe(`${CHECKS} checks at once over ${CONNECTIONS} connections`, () => {
  it(`with room for ${ROOM}: exactly ${ROOM} are admitted, ${RUNS} runs in a row`, async () => {
    for (let run = 0; run < RUNS; run++) {
      const user_id = `parallel-${run}`
      const team_id = `team-${run}`
      // A little more than 37 times the price, and less than 38 times; the team has room for all of them.
      const user = await makeBudget("user", user_id, "3.79")
      const team = await makeBudget("team", team_id, "20")
      const answers = await askAll(user_id, { user_id, team_id })
      const admitted = answers.filter(({ allowed }) => allowed)
      assert.strictEqual(admitted.length, ROOM, `run ${run}`)
      assert.strictEqual(new Set(admitted.map(({ hold_id }) => hold_id)).size, ROOM)
      const refused = answers.filter(({ allowed }) => !allowed)
      assert.isTrue(
        refused.every(({ violations }) => violations.length === 1 && violations[0].budget_id === user)
      )
      assert.deepInclude(await statusOf(user), { held: "3.7", spent: "0", open_holds: ROOM })
      assert.deepInclude(await statusOf(team), { held: "3.7", spent: "0", open_holds: ROOM })
    }
  })

  it("all of them hold after the program was killed, and there is room for none", async () => {
    await restart()
    const answers = await askAll("parallel-0", { user_id: "parallel-0", team_id: "team-0" })
    assert.strictEqual(answers.filter(({ allowed }) => allowed).length, ROOM, "the same holds answer again")
    const more = await askAll("parallel-0-more", { user_id: "parallel-0", team_id: "team-0" })
    assert.strictEqual(more.filter(({ allowed }) => allowed).length, 0)
  })
})

describe("exactly the limit", () => {
  const ask = (request_id: string, user_id: string, estimated_cost: string) =>
    program.call("check_budget", { request_id, user_id, estimated_cost, estimated_tokens: 1 })
  const report = (request_id: string, user_id: string, prompt_tokens: number) =>
    program.call("track_usage", { request_id, user_id, ...MODEL, prompt_tokens, completion_tokens: 0 })

  it("a first call that takes all of it is admitted, and spends it", async () => {
    const id = await makeBudget("user", "whole", "0.5")
    assert.isTrue((await ask("whole-1", "whole", "0.5")).allowed)
    const { budgets } = await report("whole-1", "whole", 500_000)
    assert.deepInclude(budgets[0], {
      budget_id: id,
      spent: "0.5",
      held: "0",
      remaining: "0",
      state: "exceeded"
    })
    const refused = await ask("whole-2", "whole", "0.000000000001")
    assert.deepInclude(refused.violations[0], { shortfall: "0.000000000001", remaining: "0" })
  })

  it("the last millionth fits, one more does not", async () => {
    await makeBudget("user", "millionth", "1")
    assert.isTrue((await ask("millionth-1", "millionth", "0.999999")).allowed)
    assert.isFalse((await ask("millionth-2", "millionth", "0.000002")).allowed)
    assert.isTrue((await ask("millionth-3", "millionth", "0.000001")).allowed)
    assert.isFalse((await ask("millionth-4", "millionth", "0.000001")).allowed)
  })

  it("counts tokens and requests the same way", async () => {
    await makeBudget("team", "counted", "100", { measure: "tokens" })
    await makeBudget("project", "counted", "2", { measure: "requests" })
    const asked = async (request_id: string, more: Json, estimated_tokens: number) =>
      (await program.call("check_budget", { request_id, estimated_cost: "0", estimated_tokens, ...more }))
        .allowed
    assert.isFalse(await asked("tokens-0", { team_id: "counted" }, 101))
    assert.isTrue(await asked("tokens-1", { team_id: "counted" }, 100))
    assert.isFalse(await asked("tokens-2", { team_id: "counted" }, 1))
    const project = { project_id: "counted" }
    assert.deepStrictEqual(
      [
        await asked("requests-1", project, 1),
        await asked("requests-2", project, 1),
        await asked("requests-3", project, 1)
      ],
      [true, true, false]
    )
  })
})

describe("the same request_id again", () => {
  const CONFLICT = { _tag: "Conflict", reason: "request_reused_with_different_content" }
  const POSTED = { _tag: "Conflict", reason: "hold_already_posted" }
  const who = { user_id: "again" }
  const counts = { prompt_tokens: 1000, completion_tokens: 500 }
  const report = { request_id: "again-1", ...MODEL, ...counts, ...who, tags: { env: "test" } }
  const ask = { request_id: "again-2", ...who, estimated_cost: "0.1", estimated_tokens: 10 }
  const make = {
    request_id: "make-again",
    name: "again",
    type: "user",
    entity_id: "again",
    period: "daily",
    limit: "1",
    alert_thresholds: [1]
  }
  let first: Json
  let budget: Json
  let hold: Json

  it("answers the first result, with today's budgets and no alerts", async () => {
    budget = await program.call("create_budget", make)
    assert.deepStrictEqual(await program.call("create_budget", make), budget)
    first = await program.call("track_usage", { ...report, prompt_tokens: 20_000 })
    assert.strictEqual(first.alerts.length, 1)
    const again = await program.call("track_usage", { ...report, prompt_tokens: 20_000 })
    assert.deepStrictEqual(again, { ...first, duplicate: true, alerts: [] })
    hold = await program.call("check_budget", ask)
    assert.strictEqual((await program.call("check_budget", ask)).hold_id, hold.hold_id)
  })

  const conflicts: ReadonlyArray<readonly [string, string, Json, Json]> = [
    ["other counts", "track_usage", { ...report, prompt_tokens: 20_001 }, CONFLICT],
    ["another model", "track_usage", { ...report, prompt_tokens: 20_000, model: "note" }, CONFLICT],
    ["another user", "track_usage", { ...report, prompt_tokens: 20_000, user_id: "other" }, CONFLICT],
    ["another tag", "track_usage", { ...report, prompt_tokens: 20_000, tags: { env: "prod" } }, CONFLICT],
    ["another status", "track_usage", { ...report, prompt_tokens: 20_000, status: "error" }, CONFLICT],
    ["another limit", "create_budget", { ...make, limit: "2" }, CONFLICT],
    ["a check of a request that is reported", "check_budget", { ...ask, request_id: "posted" }, POSTED]
  ]

  const checkConflicts = async () => {
    for (const [title, method, params, expected] of conflicts) {
      assert.deepInclude((await failureOf(program.call(method, params))).data, expected, title)
    }
    const { hold_id } = await program.call("check_budget", { ...ask, request_id: "released" })
    assert.deepStrictEqual(await program.call("release_hold", { hold_id }), { released: true })
    assert.deepStrictEqual(await program.call("release_hold", { hold_id }), { released: true })
  }

  it("with other content it is a Conflict, and a hold that is posted cannot be asked for or released", async () => {
    const { hold_id } = await program.call("check_budget", { ...ask, request_id: "posted" })
    await program.call("track_usage", { request_id: "posted", ...MODEL, ...counts, ...who, hold_id })
    assert.deepInclude((await failureOf(program.call("release_hold", { hold_id }))).data, POSTED)
    await checkConflicts()
  })

  it("a refused question is decided afresh when there is room", async () => {
    const asked = { ...ask, request_id: "refused-first", estimated_cost: "5" }
    assert.isFalse((await program.call("check_budget", asked)).allowed)
    await program.call("update_budget", { budget_id: budget.budget_id, updates: { limit: "10" } })
    const now = await program.call("check_budget", asked)
    assert.isTrue(now.allowed)
    await program.call("release_hold", { hold_id: now.hold_id })
  })

  it("is all the same after the program was killed", async () => {
    const before = await statusOf(budget.budget_id)
    await restart()
    const again = await program.call("track_usage", { ...report, prompt_tokens: 20_000 })
    assert.deepInclude(again, { duplicate: true, alerts: [], usage: first.usage })
    assert.strictEqual((await program.call("check_budget", ask)).hold_id, hold.hold_id)
    assert.deepStrictEqual(await program.call("create_budget", make), budget)
    await checkConflicts()
    const after = await statusOf(budget.budget_id)
    for (const field of ["spent", "held", "version", "limit"])
      assert.deepStrictEqual(after[field], before[field])
  })
})
