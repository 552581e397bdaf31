/** Every store of refusals keeps the same promises. */
import { Layer, Redacted } from "effect"
import { afterAll } from "vitest"
import { makeMemoryRefusals } from "../../src/store/MemoryRefusals.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { refusalStoreLayer } from "../../src/store/SqlRefusals.ts"
import { RefusalStore } from "../../src/tokens/RefusalStore.ts"
import { refusalStoreContract } from "../contract/RefusalStoreContract.ts"
import { embeddedStore } from "../support/EmbeddedStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"

refusalStoreContract("in memory", Layer.succeed(RefusalStore, makeMemoryRefusals()))
refusalStoreContract("on embedded Postgres", refusalStoreLayer.pipe(Layer.provide(embeddedStore)))

const database = await createTestDatabase()
afterAll(() => database.drop())
const server = serverLayer({ url: Redacted.make(database.url) })
refusalStoreContract("on a Postgres server", refusalStoreLayer.pipe(Layer.provide(server)))
