/** Every store of alerts that are owed to somebody keeps the same promises. */
import { Layer, Redacted } from "effect"
import { afterAll } from "vitest"
import { DeadLetterStore } from "../../src/actor/DeadLetterStore.ts"
import { DeliveryStore } from "../../src/alerts/DeliveryStore.ts"
import { MemoryDeliveries, memoryDeliveryStore } from "../../src/store/MemoryDeliveries.ts"
import { makeMemoryLedgerStore } from "../../src/store/MemoryLedgerStore.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { deadLetterStoreLayer } from "../../src/store/SqlDeadLetters.ts"
import { deliveryStoreLayer } from "../../src/store/SqlDeliveryStore.ts"
import { ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { deliveryStoreContract } from "../contract/DeliveryStoreContract.ts"
import { embeddedStore } from "../support/EmbeddedStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"

const deliveries = new MemoryDeliveries()
deliveryStoreContract(
  "owed alerts in memory",
  Layer.mergeAll(
    Layer.succeed(LedgerStore, makeMemoryLedgerStore({ deliveries })),
    Layer.succeed(DeliveryStore, memoryDeliveryStore(deliveries)),
    Layer.succeed(DeadLetterStore, deliveries.letters)
  )
)

deliveryStoreContract(
  "owed alerts on embedded Postgres",
  Layer.mergeAll(ledgerStoreLayer("embedded"), deliveryStoreLayer, deadLetterStoreLayer).pipe(
    Layer.provide(embeddedStore)
  )
)

const database = await createTestDatabase()
afterAll(() => database.drop())
deliveryStoreContract(
  "owed alerts on a Postgres server",
  Layer.mergeAll(ledgerStoreLayer("server"), deliveryStoreLayer, deadLetterStoreLayer).pipe(
    Layer.provide(serverLayer({ url: Redacted.make(database.url) }))
  )
)
