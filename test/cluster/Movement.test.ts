/**
 * Three nodes under load of several tenants: holds and reports, and workflows that are started at any node, park, and go on
 * by an approval that comes to any other one. One node is killed, one joins, one leaves in order, one is frozen until others
 * have taken over, and wakes up. Whoever sends again until there is an answer loses nothing, nothing is counted twice, no
 * budget ever gives more than it has, and every workflow ends (lessons 1, 12 and 16).
 */
import { assert, it } from "@effect/vitest"
import { makeDatabase, type Program, runProgram } from "../support/Program.ts"
import { eventually } from "../support/Wire.ts"
import { Crowd } from "./support/Crowd.ts"
import { settled, startNodeProgram } from "./support/Programs.ts"

const TENANTS = 3
/** On a machine with much else to do, what takes a second takes a minute. */
const WITHIN_MS = 120_000

/** Waits until some more has been acknowledged. */
const more = async (crowd: Crowd, count: number): Promise<void> => {
  const before = crowd.acknowledged
  await eventually(
    () => Promise.resolve(crowd.acknowledged),
    (now) => now >= before + count,
    WITHIN_MS
  )
}

/** Waits until some more workflows have ended. */
const moreEnded = async ({ workflows }: Crowd, count: number): Promise<void> => {
  const before = workflows.ended
  await eventually(
    () => Promise.resolve(workflows.ended),
    (now) => now >= before + count,
    WITHIN_MS
  )
}

it("a kill, a join, a leave and a frozen node lose nothing, double nothing, overspend nothing, and every workflow ends", {
  timeout: 600_000
}, async () => {
  const databaseUrl = await makeDatabase()
  const start = () => startNodeProgram(databaseUrl)
  const [a, b, c] = (await Promise.all([start(), start(), start()])) as [Program, Program, Program]
  await settled([a, b, c])
  const crowd = new Crowd()
  for (const node of [a, b, c]) crowd.add(node)
  await crowd.prepare(TENANTS)
  crowd.start()
  await more(crowd, 60)
  await moreEnded(crowd, TENANTS)

  await a.kill()
  crowd.remove(a)
  await crowd.allAnswered()
  await more(crowd, 60)

  const d = await start()
  crowd.add(d)
  await settled([b, c, d])
  await more(crowd, 60)

  const left = b.stop()
  await more(crowd, 50)
  crowd.remove(b)
  assert.deepStrictEqual(await left, { code: 0, signal: null })
  await crowd.allAnswered()

  process.kill(c.pid, "SIGSTOP")
  crowd.remove(c)
  await settled([d])
  await more(crowd, 60)
  process.kill(c.pid, "SIGCONT")
  crowd.add(c)
  await more(crowd, 60)
  await settled([c, d])
  await moreEnded(crowd, TENANTS)

  await crowd.stop()
  assert.isAbove(crowd.workflows.approved, 0, "some were parked, and went on")
  await crowd.verify()
  const verified = await runProgram({ databaseUrl, args: ["audit", "verify"] })
  assert.strictEqual(verified.code, 0, verified.log)
})
