/**
 * Workflows whose tenant moves while a call of theirs is on its way: the call is ended and charged by the node that made it,
 * before anybody else has the tenant, and the workflow goes on at the next one.
 */
import { assert, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { afterAll, beforeAll, vi } from "vitest"
import { decodePayload } from "../../src/signal/Decode.ts"
import type { Principal } from "../../src/signal/Principal.ts"
import { ScriptedAdapter } from "../provider/support/ScriptedAdapter.ts"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"
import { eventually } from "../support/Wire.ts"
import { ownerOf, startNode, type TestNode, tenantsOf } from "./support/Nodes.ts"

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

/** A third of what a node has goes to one that joins: so many make it certain that a tenant is among it. */
const TENANTS = 20
const WITHIN_MS = 120_000

let database: TestDatabase
let a: TestNode
/** It has the tenants. */
let b: TestNode
let tenants: ReadonlyArray<Principal>
const joined: Array<TestNode> = []

/** A node whose provider never answers: whenever a tenant moves, its call is on its way. */
const start = () => startNode(database.url, [new ScriptedAdapter([])])

beforeAll(async () => {
  database = await createTestDatabase()
  ;[a, b] = await Promise.all([start(), start()])
  tenants = (await tenantsOf([a, b], TENANTS)).get(b) ?? []
})
afterAll(async () => {
  await Promise.all([a, b, ...joined].map((node) => node.leave()))
  await database.drop()
})

const WORKFLOW = Result.getOrThrow(
  decodePayload("start_workflow", {
    workflow_id: "slow",
    input: "tides",
    workflow: {
      name: "slow",
      agents: [
        {
          name: "research",
          provider: "scripted",
          model: "silent",
          prompt: "{{input}}",
          max_completion_tokens: 1_000
        }
      ]
    }
  })
)

const ask = <A, E>(effect: Effect.Effect<A, E>): Promise<A> => Effect.runPromise(effect)

it("a call is settled by the node that made it, and the workflow asks again at the next one", async () => {
  for (const tenant of tenants) await ask(a.ask("start_workflow", WORKFLOW, tenant))
  for (const tenant of tenants)
    await eventually(
      () => ask(a.ask("get_status", {}, tenant)),
      ({ open_holds }) => open_holds === 1,
      WITHIN_MS
    )
  joined.push(await start())
  const moved = await eventually(
    async () => {
      const owners = await Promise.all(tenants.map((tenant) => ask(ownerOf(a, tenant))))
      return tenants.filter((_, index) => owners[index] !== b.address)
    },
    (some) => some.length > 0,
    WITHIN_MS
  )
  for (const tenant of moved) {
    const usage = Result.getOrThrow(decodePayload("get_usage", { workflow_id: "slow" }))
    const { items } = await eventually(
      () => ask(a.ask("get_usage", usage, tenant)),
      (page) => page.items.length > 0,
      WITHIN_MS
    )
    const first = items.find(({ request_id }) => request_id === "slow/research/1")
    // Else the next owner would have said that whoever made it has died, and guessed.
    assert.strictEqual(first?.status, "cancelled")
    const again = await eventually(
      () => ask(a.ask("get_workflow", { workflow_id: "slow" }, tenant)),
      ({ workflow }) => workflow.steps[0]?.tries === 2,
      WITHIN_MS
    )
    assert.strictEqual(again.workflow.total_tokens, first?.total_tokens)
    await ask(a.ask("cancel_workflow", { workflow_id: "slow" }, tenant))
  }
})
