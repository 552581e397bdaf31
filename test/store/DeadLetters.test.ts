/** Every store of dead letters keeps the same promises. */
import { Layer, Redacted } from "effect"
import { afterAll } from "vitest"
import { DeadLetterStore } from "../../src/actor/DeadLetterStore.ts"
import { makeMemoryDeadLetters } from "../../src/store/MemoryDeadLetters.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { deadLetterStoreLayer } from "../../src/store/SqlDeadLetters.ts"
import { deadLetterStoreContract } from "../contract/DeadLetterStoreContract.ts"
import { embeddedStore } from "../support/EmbeddedStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"

deadLetterStoreContract("in memory", Layer.succeed(DeadLetterStore, makeMemoryDeadLetters()))
deadLetterStoreContract("on embedded Postgres", deadLetterStoreLayer.pipe(Layer.provide(embeddedStore)))

const database = await createTestDatabase()
afterAll(() => database.drop())
const server = serverLayer({ url: Redacted.make(database.url) })
deadLetterStoreContract("on a Postgres server", deadLetterStoreLayer.pipe(Layer.provide(server)))
