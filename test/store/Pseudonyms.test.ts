/** Every store of pseudonyms keeps the same promises. */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { afterAll } from "vitest"
import { DEFAULT_MANAGER_CONFIG } from "../../src/signal/Management.ts"
import { makeMemoryPseudonyms } from "../../src/store/MemoryPseudonyms.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { pseudonymStoreLayer } from "../../src/store/SqlPseudonymStore.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { PseudonymStore } from "../../src/tokens/PseudonymStore.ts"
import { batch } from "../contract/LedgerRows.ts"
import { pseudonymStoreContract } from "../contract/PseudonymStoreContract.ts"
import { embeddedStore } from "../support/EmbeddedStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"

const kept = makeMemoryPseudonyms()
pseudonymStoreContract("in memory", Layer.succeed(PseudonymStore, kept))
pseudonymStoreContract("on embedded Postgres", pseudonymStoreLayer.pipe(Layer.provide(embeddedStore)))

const database = await createTestDatabase()
afterAll(() => database.drop())
const server = serverLayer({ url: Redacted.make(database.url) })
pseudonymStoreContract("on a Postgres server", pseudonymStoreLayer.pipe(Layer.provide(server)))

it.live("a tenant anonymises when its committed configuration says so", () =>
  Effect.gen(function* () {
    const store = yield* LedgerStore
    const pseudonyms = yield* PseudonymStore
    const claim = yield* store.claim("acme", "owner")
    const configured = (journalSeq: number, anonymize_users: boolean) =>
      store.commit(
        claim,
        batch(`b${journalSeq}`, { journalSeq }, { config: { ...DEFAULT_MANAGER_CONFIG, anonymize_users } })
      )
    assert.isFalse(yield* pseudonyms.isAnonymising("acme"))
    yield* configured(0, false)
    assert.isFalse(yield* pseudonyms.isAnonymising("acme"))
    yield* configured(1, true)
    assert.isTrue(yield* pseudonyms.isAnonymising("acme"))
    assert.isFalse(yield* pseudonyms.isAnonymising("globex"))
  }).pipe(
    Effect.provide(Layer.mergeAll(ledgerStoreLayer("server"), pseudonymStoreLayer)),
    Effect.provide(server)
  )
)
