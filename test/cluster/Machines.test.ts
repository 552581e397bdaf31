/**
 * A tenant's durable machines live on the node that has the tenant, and nowhere else: when it leaves, they are stopped there
 * before anybody else has them, and go on at the next one under the same keys.
 */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterAll, beforeAll, vi } from "vitest"
import { scopedAddress } from "../../src/actor/Address.ts"
import { DurableMachines } from "../../src/actor/DurableMachines.ts"
import type { Principal } from "../../src/signal/Principal.ts"
import { parcel, parcelMachine, type Weigh } from "../actor/support/Parcel.ts"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"
import { eventually } from "../support/Wire.ts"
import { startNode, type TestNode, tenantsOf } from "./support/Nodes.ts"

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let database: TestDatabase
let a: TestNode
let b: TestNode
let tenant: Principal

beforeAll(async () => {
  database = await createTestDatabase()
  ;[a, b] = await Promise.all([startNode(database.url), startNode(database.url)])
  tenant = (await tenantsOf([a, b], 1)).get(b)?.[0] as Principal
})
afterAll(async () => {
  await Promise.all([a.leave(), b.leave()])
  await database.drop()
})

const kindOn = (node: TestNode, weigh: Weigh) =>
  node.runtime.runPromise(
    Effect.flatMap(DurableMachines, (machines) => machines.register(parcel(parcelMachine(weigh))))
  )

it("a machine goes on where its tenant goes", async () => {
  const happened: Array<string> = []
  const note = (what: string) => Effect.sync(() => void happened.push(what))
  const there = await kindOn(b, ({ key }) =>
    Effect.andThen(
      note(`b began ${key}`),
      Effect.onInterrupt(Effect.never, () => note("b was stopped"))
    )
  )
  const here = await kindOn(a, ({ key }) => Effect.as(note(`a began ${key}`), 7))
  const address = scopedAddress("parcel", tenant.tenant, "1")
  await b.runtime.runPromise(there.start(address, { name: "book" }))
  const view = () => a.runtime.runPromise(here.view(address))
  await eventually(
    () => Promise.resolve(happened.length),
    (count) => count > 0
  )
  await b.leave()
  await eventually(view, (found) => found?.snapshot.value === "waiting")
  const key = `${address.text}:weigh:1`
  assert.deepStrictEqual(happened, [`b began ${key}`, "b was stopped", `a began ${key}`])
})
