/**
 * A host's own durable machine in a cluster of real processes: it is asked from each of three nodes, its owner is killed, and the
 * next ask goes on from what was committed. Everything that was acknowledged is there once, with what it sent.
 */
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, Refused } from "../support/Wire.ts"
import { settled } from "./support/Programs.ts"

const HOST = fileURLToPath(new URL("support/MachineHost.ts", import.meta.url))
const TENANT = "acme"

it("is asked from each of three nodes, and goes on where it was when its owner is killed", async () => {
  const databaseUrl = await makeDatabase()
  const start = () => startProgram({ databaseUrl, main: HOST })
  const nodes = await Promise.all([start(), start(), start()])
  await settled(nodes)
  const acknowledged = new Map<string, number>()
  let next = 1
  const add = async (node: Program) => {
    const amount = next++
    const request_id = `add ${amount}`
    const again = (error: unknown) => {
      // Whoever is told that nobody knows sends the same again.
      if (error instanceof Refused && error.tag === "Unavailable") return undefined
      throw error
    }
    const answer = await eventually(
      () => node.call("add", { tenant: TENANT, amount, request_id }).catch(again),
      (sum) => sum !== undefined
    )
    acknowledged.set(request_id, amount)
    return answer.sum
  }
  const sum = () => [...acknowledged.values()].reduce((all, one) => all + one, 0)

  const opened = await Promise.all(nodes.map((node) => node.call("open", { tenant: TENANT })))
  assert.lengthOf(
    opened.filter(({ isNew }) => isNew),
    1,
    "one of them began it"
  )
  for (const node of nodes) assert.strictEqual(await add(node), sum())

  const { owner } = (await nodes[0]?.call("get_status", { tenant: TENANT }))?.cluster ?? {}
  const names = await Promise.all(nodes.map(async (node) => (await node.call("get_status")).cluster.node))
  const killed = nodes[names.indexOf(owner)]
  const left = nodes.filter((node) => node !== killed)
  assert.lengthOf(left, 2, "one of them has the tenant")
  const during = Promise.all([...left, ...left, ...left].map(add))
  await killed?.kill()
  await during
  for (const node of left) assert.strictEqual(await add(node), sum())

  // What its steps have sent, and what it invoked, came once, too.
  const expected = { sum: sum(), count: acknowledged.size }
  const { account, booked } = await eventually(
    async () => left[0]?.call("sums", { tenant: TENANT }),
    (sums) => sums?.booked.count === expected.count
  )
  assert.deepStrictEqual(booked, expected)
  assert.deepStrictEqual(account, { ...expected, tenant: TENANT, opened: 1 })
  await Promise.all(left.map((node) => node.stop()))
})
