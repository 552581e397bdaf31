/** Keys and sessions on Postgres keep the same promises as in memory; the secret and finished calls outlive a restart. */
import { assert, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { afterAll } from "vitest"
import { InstallationSecret } from "../../src/bridge/InstallationSecret.ts"
import { CompletionLog } from "../../src/provider/BudgetKeeper.ts"
import { ProviderFailed } from "../../src/signal/Errors.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { completionLogLayer } from "../../src/store/SqlCompletionLog.ts"
import { keyStoreLayer } from "../../src/store/SqlKeyStore.ts"
import { installationSecretLayer, sessionStoreLayer } from "../../src/store/SqlSessionStore.ts"
import { keyStoreContract } from "../contract/KeyStoreContract.ts"
import { Random, randomUsage } from "../contract/LedgerRows.ts"
import { embeddedStore } from "../support/EmbeddedStore.ts"
import { createTestDatabase } from "../support/Postgres.ts"

const ports = Layer.mergeAll(keyStoreLayer, sessionStoreLayer, installationSecretLayer, completionLogLayer)

const freshDatabase = Effect.acquireRelease(
  Effect.promise(() => createTestDatabase()),
  (database) => Effect.promise(() => database.drop())
)
const at = (url: string) => ports.pipe(Layer.provide(serverLayer({ url: Redacted.make(url) })))

keyStoreContract("on a Postgres server", Layer.unwrap(Effect.map(freshDatabase, ({ url }) => at(url))))
/** One embedded database for all tests of the contract, emptied before each: opening one takes seconds. */
const scope = Scope.makeUnsafe()
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
const opened = Effect.runPromise(Effect.cached(Layer.buildWithScope(embeddedStore, scope)))
const emptied = Effect.gen(function* () {
  const context = yield* yield* Effect.promise(() => opened)
  const sql = Context.get(context, SqlClient.SqlClient)
  yield* sql.unsafe("TRUNCATE access_key, browser_session").unprepared
  return context
})

keyStoreContract("on embedded Postgres", ports.pipe(Layer.provide(Layer.effectContext(emptied))))

it.live("the installation's secret is made once, by whoever comes first, and stays", () =>
  Effect.gen(function* () {
    const { url } = yield* freshDatabase
    const read = Effect.map(InstallationSecret, ({ secret }) => Redacted.value(secret)).pipe(
      Effect.provide(at(url), { local: true })
    )
    const secrets = yield* Effect.all([read, read, read, read], { concurrency: "unbounded" })
    secrets.push(yield* read)
    assert.lengthOf([...new Set(secrets)], 1)
    assert.isAtLeast(Buffer.from(secrets[0] ?? "", "base64url").length, 32)
  })
)

it.live("a call ends once, and comes back as it ended, whatever the model wrote", () =>
  Effect.gen(function* () {
    const { url } = yield* freshDatabase
    const random = new Random(7)
    const completion = (content: string) => ({
      request_id: "r1",
      provider: "p'",
      model: "m",
      content,
      tool_calls: [{ id: "t", name: "n", arguments: '{"a":"\\u0000"}' }],
      finish_reason: "stop" as const,
      usage: randomUsage(random, 1),
      attempts: [{ provider: "p", model: "m", status: "error" as const, latency_ms: 1, why: null }]
    })
    const hostile = { digest: "d", outcome: { completion: completion("a\u0000b \ud800 🙂 \\u0000 '\"") } }
    const failure = {
      digest: "e",
      outcome: {
        error: new ProviderFailed({
          message: "m",
          provider: "p",
          status: null,
          retryable: false,
          attempts: 3
        })
      }
    }
    yield* Effect.gen(function* () {
      const log = yield* CompletionLog
      yield* log.save("acme", "r1", hostile)
      yield* log.save("acme", "r1", { ...hostile, digest: "later" })
      yield* log.save("acme", "r2", failure)
    }).pipe(Effect.provide(at(url), { local: true }))
    yield* Effect.gen(function* () {
      const log = yield* CompletionLog
      assert.deepStrictEqual(yield* log.find("acme", "r1"), hostile)
      assert.deepStrictEqual(yield* log.find("acme", "r2"), failure)
      assert.isUndefined(yield* log.find("other", "r1"))
      assert.isUndefined(yield* log.find("acme", "\u0000"))
    }).pipe(Effect.provide(at(url), { local: true }))
  })
)
