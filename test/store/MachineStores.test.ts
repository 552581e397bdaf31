/** Every store of durable machines keeps the same promises. */
import { Layer, Redacted } from "effect"
import { afterAll } from "vitest"
import { MachineStore } from "../../src/actor/MachineStore.ts"
import { memoryMachineStore } from "../../src/store/MemoryMachineStore.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { machineStoreLayer } from "../../src/store/SqlMachineStore.ts"
import { machineStoreContract } from "../contract/MachineStoreContract.ts"
import { embeddedStore } from "../support/EmbeddedStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"

machineStoreContract("machines in memory", Layer.succeed(MachineStore, memoryMachineStore()))

machineStoreContract(
  "machines on embedded Postgres",
  machineStoreLayer("embedded").pipe(Layer.provide(embeddedStore))
)

const database = await createTestDatabase()
afterAll(() => database.drop())
machineStoreContract(
  "machines on a Postgres server",
  machineStoreLayer("server").pipe(Layer.provide(serverLayer({ url: Redacted.make(database.url) })))
)
