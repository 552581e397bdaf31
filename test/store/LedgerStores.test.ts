/** Every store of a ledger keeps the same promises. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Effect, Layer, Redacted } from "effect"
import { afterAll } from "vitest"
import { embeddedLayer, memoryLayer } from "../../src/store/embedded/EmbeddedPostgres.ts"
import { makeMemoryLedgerStore, memoryLedgerStoreLayer } from "../../src/store/MemoryLedgerStore.ts"
import { migrationsLayer } from "../../src/store/Migrations.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { ledgerStoreContract } from "../contract/LedgerStoreContract.ts"
import { createTestDatabase } from "../support/Postgres.ts"

const kept = makeMemoryLedgerStore()
ledgerStoreContract({
  name: "the ledger's store in memory",
  store: memoryLedgerStoreLayer(),
  restartable: () => Layer.succeed(LedgerStore, kept)
})

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "bursar-ledger-"))
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))
ledgerStoreContract({
  name: "the ledger's store on embedded Postgres",
  store: ledgerStoreLayer("embedded").pipe(Layer.provide(migrationsLayer), Layer.provide(memoryLayer())),
  restartable: () =>
    ledgerStoreLayer("embedded").pipe(
      Layer.provide(migrationsLayer),
      Layer.provide(embeddedLayer({ directory }))
    )
})

const database = await createTestDatabase()
afterAll(() => database.drop())
const server = () =>
  ledgerStoreLayer("server").pipe(Layer.provide(serverLayer({ url: Redacted.make(database.url) })))
ledgerStoreContract({
  name: "the ledger's store on a Postgres server",
  store: server(),
  restartable: () => Layer.unwrap(Effect.sync(server))
})
