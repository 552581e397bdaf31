/**
 * The program is killed while workflows are on their way. Each life has several of them, so that two hundred moments of
 * workflows are hit; how far they are when it happens comes from a seed.
 */
import { assert, it } from "@effect/vitest"
import { makeDatabase, startProgram } from "../support/Program.ts"
import { randomFrom } from "./support/Random.ts"
import { WorkflowLoad } from "./support/WorkflowLoad.ts"

const SEED = 20_261_125
const MOMENTS = 200
const AT_ONCE = 20

it(`killed at ${MOMENTS} moments of workflows: every output is applied once, every token is accounted, nothing is held`, {
  timeout: 300_000
}, async () => {
  const options = { databaseUrl: await makeDatabase() }
  const random = randomFrom(SEED)
  const load = new WorkflowLoad(AT_ONCE)
  let program = await startProgram(options)
  await load.prepare(program)
  while (load.hits < MOMENTS) {
    const killed = program
    const enough = 1 + random(90)
    const delayMs = random(90)
    let isKilled = false
    await load.run(killed, () => {
      if (load.facts < enough || isKilled) return
      isKilled = true
      setTimeout(() => void killed.kill(), delayMs)
    })
    assert.strictEqual((await killed.exited).signal, "SIGKILL")
    load.hit()
    program = await startProgram(options)
  }
  await load.finish(program)
  const { lost } = await load.verify(program)
  assert.isAbove(lost, 0, "calls were hit, and made again")
  await program.kill()
})
