/**
 * A tenant's durable machines live on the node that has the tenant, and nowhere else: when it leaves, they are stopped there
 * before anybody else has them, and go on at the next one under the same keys. The others ask it there.
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
import { ownerOf, startNode, type TestNode, tenantsOf } from "./support/Nodes.ts"

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

/** A node that joins takes about a third of the shards of each, by chance: it must take the shard of at least one of these. */
const TENANTS = 24

let database: TestDatabase
let a: TestNode
/** It has the tenants. */
let b: TestNode
let tenants: ReadonlyArray<Principal>
const joined: Array<TestNode> = []

beforeAll(async () => {
  database = await createTestDatabase()
  ;[a, b] = await Promise.all([startNode(database.url), startNode(database.url)])
  tenants = (await tenantsOf([a, b], TENANTS)).get(b) ?? []
})
afterAll(async () => {
  await Promise.all([a, b, ...joined].map((node) => node.leave()))
  await database.drop()
})

const addressIn = ({ tenant }: Principal) => scopedAddress("parcel", tenant, "1")

const kindOn = (node: TestNode, weigh: Weigh) =>
  node.runtime.runPromise(
    Effect.flatMap(DurableMachines, (machines) => machines.register(parcel(parcelMachine(weigh))))
  )

it("a machine goes on where its tenant goes, once it was stopped where it was", async () => {
  const happened: Array<string> = []
  const note = (what: string) => Effect.sync(() => void happened.push(what))
  const there = await kindOn(b, ({ key }) =>
    Effect.onInterrupt(Effect.andThen(note(`b began ${key}`), Effect.never), () => note(`b stopped ${key}`))
  )
  const elsewhere: Weigh = ({ key }) => Effect.as(note(`another began ${key}`), 7)
  const here = await kindOn(a, elsewhere)
  await Promise.all(
    tenants.map((tenant) => b.runtime.runPromise(there.start(addressIn(tenant), { name: "book" })))
  )
  const [first] = tenants
  if (first === undefined) throw new Error("b has no tenant")
  const again = await a.runtime.runPromise(here.start(addressIn(first), { name: "book" }))
  assert.isFalse(again.isNew)
  const told = await a.runtime.runPromise(again.ref.ask("note", { text: "from a" }, first))
  assert.deepStrictEqual(told, { state: "weighing", notes: ["from a"], weight: 0 })
  assert.strictEqual((await a.runtime.runPromise(here.view(addressIn(first))))?.status, "active")
  assert.isTrue(
    happened.every((what) => what.startsWith("b began")),
    happened.join()
  )
  // The one that joins takes some of them, while the one that had them lives on.
  const c = await startNode(database.url)
  joined.push(c)
  await kindOn(c, elsewhere)
  const moved = await eventually(
    async () => {
      const owners = await Promise.all(tenants.map((tenant) => Effect.runPromise(ownerOf(a, tenant))))
      return tenants.filter((_, index) => owners[index] !== b.address)
    },
    (some) => some.length > 0
  )
  const isWeighed = (tenant: Principal) =>
    eventually(
      () => a.runtime.runPromise(here.view(addressIn(tenant))),
      (found) => found?.snapshot.value === "waiting"
    )
  await Promise.all(moved.map(isWeighed))
  // The rest go when it leaves.
  await b.leave()
  await Promise.all(tenants.map(isWeighed))
  for (const tenant of tenants) {
    const key = `${addressIn(tenant).text}:weigh:1`
    const ofIt = happened.filter((what) => what.endsWith(key))
    assert.deepStrictEqual(ofIt, [`b began ${key}`, `b stopped ${key}`, `another began ${key}`])
  }
  // The handle is from when its machine was on b.
  const { notes } = await a.runtime.runPromise(again.ref.ask("note", { text: "still" }, first))
  assert.deepStrictEqual(notes, ["from a", "still"])
})
