/**
 * The program is killed, or told to stop, while workflows are on their way. Each life has several of them, so that two hundred moments of
 * workflows are hit; how far they are when it happens comes from a seed, and some lives end as soon as they have begun.
 */
import { assert, it } from "@effect/vitest"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import type { Json } from "../support/Wire.ts"
import { randomFrom } from "./support/Random.ts"
import { WorkflowLoad } from "./support/WorkflowLoad.ts"

const SEED = 20_261_125
const MOMENTS = 200
const AT_ONCE = 20
const STOPS = 3

/** What was answered with an error while this was done: on a program that has only just started, from its start on. */
const failedDuring = async (program: Program, work: Promise<void>): Promise<ReadonlyArray<Json>> => {
  const wire = await program.connect()
  const events = await wire.subscribe("signals")
  await work
  await wire.call("get_status")
  const seen = await events.until(({ signal }) => signal?.signal === "get_status")
  wire.close()
  return seen.filter(({ signal }) => signal?.outcome !== "ok")
}

/** Lets workflows run until so much has happened; then the program is ended in this way. Answers how it ended. */
const endedAmidst = async (load: WorkflowLoad, program: Program, enough: number, end: () => void) => {
  let isEnding = false
  await load.run(program, () => {
    if (load.facts < enough || isEnding) return
    isEnding = true
    end()
  })
  return program.exited
}

it(`killed at ${MOMENTS} moments of workflows: every output is applied once, every token is accounted, nothing is held`, {
  timeout: 900_000
}, async () => {
  const options = { databaseUrl: await makeDatabase() }
  const random = randomFrom(SEED)
  const load = new WorkflowLoad(AT_ONCE)
  let program = await startProgram(options)
  await load.prepare(program)
  while (load.hits < MOMENTS) {
    const killed = program
    // Some have only just begun to take up what the one before them has left.
    const enough = random(3) === 0 ? 0 : 1 + random(90)
    const delayMs = random(90)
    const kill = () => setTimeout(() => void killed.kill(), delayMs)
    assert.strictEqual((await endedAmidst(load, killed, enough, kill)).signal, "SIGKILL")
    load.hit()
    program = await startProgram(options)
  }
  await load.finish(program)
  const { lost } = await load.verify(program)
  assert.isAbove(lost, 0, "calls were hit, and made again")
  await program.kill()
})

it("told to stop while they call: each call that was cut is made again, and nothing is shown as having failed", {
  timeout: 900_000
}, async () => {
  const options = { databaseUrl: await makeDatabase() }
  const random = randomFrom(SEED)
  const load = new WorkflowLoad(AT_ONCE)
  let program = await startProgram(options)
  await load.prepare(program)
  for (let round = 1; round <= STOPS; round++) {
    const stopped = program
    const ended = await endedAmidst(load, stopped, 1 + random(60), () => void stopped.stop())
    assert.deepStrictEqual(ended, { code: 0, signal: null })
    program = await startProgram(options)
    assert.deepStrictEqual(await failedDuring(program, load.finish(program)), [])
  }
  const { lost } = await load.verify(program)
  assert.isAbove(lost, 0, "calls were cut")
  await program.kill()
})
