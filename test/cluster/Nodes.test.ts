/**
 * Two nodes on one Postgres server, with the real connection between them: a signal that is sent to either reaches the
 * one that has the tenant, and is answered as if it were here.
 */
import { connect } from "node:net"
import { connect as connectTls } from "node:tls"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { afterAll, beforeAll, vi } from "vitest"
import { decodePayload } from "../../src/signal/Decode.ts"
import { parseAmount } from "../../src/signal/Money.ts"
import type { Principal } from "../../src/signal/Principal.ts"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"
import { eventually } from "../support/Wire.ts"
import { ownerOf, startNode, type TestNode, tenantsOf } from "./support/Nodes.ts"

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let database: TestDatabase
let a: TestNode
let b: TestNode
/** A tenant that lives on `a`. */
let ofA: Principal
/** A tenant that lives on `b`. */
let ofB: Principal
/** Another one. */
let idle: Principal

const shardsOf = async (node: TestNode): Promise<number> => {
  const { cluster } = await Effect.runPromise(node.ask("get_status", {}, ofA))
  return cluster?.shards ?? 0
}

beforeAll(async () => {
  database = await createTestDatabase()
  ;[a, b] = await Promise.all([startNode(database.url), startNode(database.url)])
  await eventually(
    async () => (await tenantsOf([a, b], 1)).get(b)?.[0],
    (tenant) => tenant !== undefined
  )
  const tenants = await tenantsOf([a, b], 2)
  ofA = tenants.get(a)?.[0] as Principal
  ofB = tenants.get(b)?.[0] as Principal
  idle = tenants.get(b)?.[1] as Principal
})
afterAll(async () => {
  await Promise.all([a.leave(), b.leave()])
  await database.drop()
})

const BUDGET = { name: "all", type: "global", period: "lifetime", limit: "10" }
const budget = Result.getOrThrow(decodePayload("create_budget", BUDGET))
const check = (request_id: string) =>
  Result.getOrThrow(decodePayload("check_budget", { request_id, estimated_cost: "1", estimated_tokens: 1 }))

describe("two nodes", () => {
  it("have all shards between them, and both know who has a tenant", async () => {
    assert.strictEqual((await shardsOf(a)) + (await shardsOf(b)), 64)
    for (const node of [a, b]) {
      assert.strictEqual(await Effect.runPromise(ownerOf(node, ofA)), a.address)
      assert.strictEqual(await Effect.runPromise(ownerOf(node, ofB)), b.address)
    }
  })

  it.live("a tenant's budget is the same from either of them, and is never overspent", () =>
    Effect.gen(function* () {
      yield* a.ask("create_budget", budget, ofB)
      const asks = Array.from({ length: 30 }, (_, n) =>
        (n % 2 === 0 ? a : b).ask("check_budget", check(`r${n}`), ofB)
      )
      const answers = yield* Effect.all(asks, { concurrency: "unbounded" })
      assert.strictEqual(answers.filter(({ allowed }) => allowed).length, 10)
      for (const node of [a, b]) {
        const { budgets } = yield* node.ask("get_budget_status", { include_inactive: false }, ofB)
        assert.strictEqual(budgets.length, 1)
        assert.strictEqual(budgets[0]?.held, parseAmount("10"))
      }
    })
  )

  it.live("errors keep their type on the way", () =>
    Effect.gen(function* () {
      const update = Result.getOrThrow(
        decodePayload("update_budget", { budget_id: "no_such", updates: { name: "x" } })
      )
      for (const node of [a, b]) {
        const error = yield* Effect.flip(node.ask("update_budget", update, ofB))
        assert.strictEqual(error._tag, "NotFound")
        assert.deepInclude(error, { kind: "budget", id: "no_such" })
      }
    })
  )

  it.live("what was sent to one and is sent again to the other is done once", () =>
    Effect.gen(function* () {
      const create = { ...budget, request_id: "create-once" }
      const first = yield* a.ask("create_budget", create, ofA)
      const again = yield* b.ask("create_budget", create, ofA)
      assert.strictEqual(again.budget_id, first.budget_id)
      const report = Result.getOrThrow(
        decodePayload("track_usage", {
          request_id: "used-once",
          provider: "p",
          model: "m",
          prompt_tokens: 3,
          completion_tokens: 4,
          tags: { b: "2", a: "1" }
        })
      )
      const [ours, theirs] = yield* Effect.all([
        a.ask("track_usage", report, ofB),
        b.ask("track_usage", report, ofB)
      ])
      assert.deepStrictEqual([ours.duplicate, theirs.duplicate], [false, true])
      assert.deepStrictEqual(theirs.usage, ours.usage)
    })
  )

  it.live("list_actors and inspect_actor find a TokenManager on the other node, and what is here", () =>
    Effect.gen(function* () {
      const address = `token_manager/${idle.tenant}`
      const prompt = {
        provider: "simulator",
        model: "sim-fast",
        messages: [{ role: "user", content: "hello" }]
      }
      yield* a.ask("complete", Result.getOrThrow(decodePayload("complete", prompt)), idle)
      const addresses = (node: TestNode, limit: number) =>
        Effect.gen(function* () {
          const found: Array<string> = []
          let cursor: string | null = null
          do {
            const after: object = cursor === null ? {} : { cursor }
            const page = yield* node.ask("list_actors", { limit, ...after }, idle)
            found.push(...page.items.map((item) => item.address))
            cursor = page.next_cursor
          } while (cursor !== null)
          return found.filter((one) => !one.startsWith("call/"))
        })
      for (const limit of [1, 100]) {
        assert.deepStrictEqual(yield* addresses(a, limit), ["provider/simulator", address])
        assert.deepStrictEqual(yield* addresses(b, limit), [address])
      }
      for (const node of [a, b]) {
        const inspected = yield* node.ask("inspect_actor", { address }, idle)
        assert.strictEqual(inspected.status, "running")
        const strange = { address: `token_manager/${ofA.tenant}` }
        const error = yield* Effect.flip(
          node.ask("inspect_actor", strange, { ...idle, isInstallation: false })
        )
        assert.strictEqual(error._tag, "NotFound")
      }
    })
  )
})

describe("the port between nodes", () => {
  const portOf = ({ address }: TestNode): number => Number(address.split(":").at(-1))
  const ended = (open: (done: (what: string) => void) => void): Promise<string> =>
    new Promise((done) => open(done))

  it("lets nobody in who does not know the installation's secret", async () => {
    const key = Buffer.alloc(32, 1)
    const wrong = await ended((done) => {
      const socket = connectTls({
        host: "127.0.0.1",
        port: portOf(a),
        minVersion: "TLSv1.3",
        pskCallback: () => ({ psk: key, identity: "bursar" }),
        checkServerIdentity: () => undefined
      })
      socket.on("secureConnect", () => done("connected"))
      socket.on("error", () => done("refused"))
    })
    assert.strictEqual(wrong, "refused")
    const without = await ended((done) => {
      const socket = connectTls({ host: "127.0.0.1", port: portOf(a), rejectUnauthorized: false })
      socket.on("secureConnect", () => done("connected"))
      socket.on("error", () => done("refused"))
    })
    assert.strictEqual(without, "refused")
  })

  it("answers nothing to what is not encrypted", async () => {
    const answer = await ended((done) => {
      const socket = connect(portOf(a), "127.0.0.1", () => socket.write('{"_tag":"Request"}\n'))
      let got = ""
      socket.on("data", (data) => (got += data.toString("latin1")))
      socket.on("error", () => {})
      socket.on("close", () => done(got))
    })
    assert.notInclude(answer, "_tag")
  })
})
