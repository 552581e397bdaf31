/** Clients that are not ours tell the story to the whole product, on both stores. */
import { describe, it } from "@effect/vitest"
import { beforeAll } from "vitest"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { ADMIN_KEY } from "../support/Wire.ts"
import { FOREIGN_CLIENTS } from "./ForeignClients.ts"
import { tellStory } from "./Story.ts"

const STORES = {
  "a Postgres server": async () => startProgram({ databaseUrl: await makeDatabase() }),
  "the embedded store": () => startProgram()
}

for (const [store, start] of Object.entries(STORES)) {
  describe(`on ${store}, a foreign client tells the story`, () => {
    let program: Program
    beforeAll(async () => {
      program = await start()
    })
    for (const [index, [name, open]] of Object.entries(FOREIGN_CLIENTS).entries()) {
      it(name, async () => {
        const client = await open(program.url, ADMIN_KEY)
        try {
          await tellStory(client.call, `of-${index}`)
        } finally {
          client.close()
        }
      })
    }
  })
}
