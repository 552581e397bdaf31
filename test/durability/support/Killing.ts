/**
 * The program is ended in the middle of load (lessons 3, 12, 19), on whichever store it is given.
 */
import { assert, describe, it } from "@effect/vitest"
import { type ProgramOptions, startProgram } from "../../support/Program.ts"
import { Load } from "./Load.ts"
import { randomFrom } from "./Random.ts"

const SEED = 20_261_123

export const endingInTheMiddle = (
  store: string,
  rounds: number,
  optionsOf: () => Promise<ProgramOptions>
): void => {
  describe(`on ${store}`, () => {
    it(`killed ${rounds} times in the middle of load: everything acknowledged is there exactly once`, {
      timeout: 900_000
    }, async () => {
      const options = await optionsOf()
      const random = randomFrom(SEED)
      const load = new Load()
      let program = await startProgram(options)
      await load.prepare(program)
      for (let round = 1; round <= rounds; round++) {
        const enough = load.acknowledged + 20 + random(200)
        const killed = program
        await load.run(program, () => {
          if (load.acknowledged >= enough) void killed.kill()
        })
        assert.strictEqual((await killed.exited).signal, "SIGKILL")
        program = await startProgram(options)
        await load.verify(program)
      }
      await load.sendAgain(program)
      await load.verifyAnswers(program)
      await load.verify(program)
      await program.kill()
    })

    it("told to stop in the middle of load: everything acknowledged is there, and the exit code is 0", async () => {
      const options = await optionsOf()
      const load = new Load()
      let program = await startProgram(options)
      await load.prepare(program)
      const stopped = program
      await load.run(program, () => {
        if (load.acknowledged === 300) void stopped.stop()
      })
      assert.deepStrictEqual(await stopped.exited, { code: 0, signal: null })
      program = await startProgram(options)
      await load.verify(program)
      await load.sendAgain(program)
      await load.verifyAnswers(program)
      await program.kill()
    })
  })
}
