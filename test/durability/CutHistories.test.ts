/**
 * Random histories on a Postgres server whose connections are cut at random: before a statement, while it runs, and
 * before its answer comes; now and then somebody else takes a tenant over. Clients send again what was not answered for
 * good. The same invariants hold of what is in Postgres as of the rows of the simulation (lessons 3, 12, 13 and 16).
 */
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Result, Schedule } from "effect"
import { afterAll, beforeAll } from "vitest"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import type { SignalParams, SignalSuccess } from "../../src/signal/Catalogue.ts"
import { decodePayload } from "../../src/signal/Decode.ts"
import { serverLayer } from "../../src/store/Postgres.ts"
import { ledgerStoreLayer } from "../../src/store/SqlLedgerStore.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { tokenManager } from "../../src/tokens/TokenManager.ts"
import { Random } from "../simulation/Random.ts"
import { type Command, Signals } from "../simulation/Signals.ts"
import { type CuttingProxy, startCuttingProxy } from "../support/CuttingProxy.ts"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"
import { ADMIN, TEST_PRICES } from "../tokens/support/Books.ts"
import { checkRows } from "../tokens/support/Invariants.ts"
import { rowsOfStore } from "./support/RowsOfStore.ts"

const HISTORIES = 16
const ROUNDS = 25
const AT_ONCE_MAX = 4
const FIRST_SEED = 1
/** What a client is told for good. */
const REFUSALS = ["Conflict", "NotFound", "InvalidParams", "RateUnknown", "PriceUnknown"]

let database: TestDatabase
let proxy: CuttingProxy

beforeAll(async () => {
  database = await createTestDatabase()
  proxy = await startCuttingProxy(database.url)
})
afterAll(async () => {
  await proxy.close()
  await database.drop()
})

const storeAt = (url: () => string) =>
  Layer.unwrap(
    Effect.sync(() =>
      ledgerStoreLayer("server").pipe(
        Layer.provide(serverLayer({ url: Redacted.make(url()), maxConnections: 4 }))
      )
    )
  )

/** Sends again for as long as it is told to. */
const persistently = (ref: ActorRef, { name, params }: Command) =>
  Effect.gen(function* () {
    const payload = decodePayload(name, params as SignalParams<typeof name>)
    if (Result.isFailure(payload)) return undefined
    return yield* ref.ask(name, payload.success, ADMIN).pipe(
      Effect.retry({ while: ({ _tag }) => _tag === "Unavailable", schedule: Schedule.spaced("20 millis") }),
      Effect.catch((error) => {
        assert.include(REFUSALS, error._tag, JSON.stringify(params))
        return Effect.undefined
      })
    )
  })

const history = (seed: number) =>
  Effect.gen(function* () {
    const tenant = `history-${seed}`
    const random = new Random(seed)
    const signals = new Signals(random)
    const acknowledged = new Map<string, SignalSuccess<"track_usage">["usage"]>()
    const store = yield* LedgerStore
    const system = yield* ActorSystem
    const ref = yield* system.spawn(
      tokenManager({
        tenant,
        store,
        builtInPrices: TEST_PRICES,
        version: "test",
        observer: { isObserved: () => false, committed: () => {}, reset: () => {} }
      })
    )
    for (let round = 0; round < ROUNDS; round++) {
      if (random.isLikely(0.3)) void proxy.cutNext(random.pick(["before", "during", "after"]))
      if (random.isLikely(0.05)) yield* Effect.ignore(store.claim(tenant, "somebody else"))
      const commands = Array.from({ length: random.int(1, AT_ONCE_MAX) }, () => signals.next(Date.now()))
      const answers = yield* Effect.forEach(commands, (command) => persistently(ref, command), {
        concurrency: "unbounded"
      })
      for (const answer of answers) {
        if (answer === undefined) continue
        if ("hold_id" in answer && answer.hold_id !== undefined) signals.learnHold(answer.hold_id)
        if ("tracked" in answer)
          acknowledged.set(`${answer.usage.request_id}/${answer.usage.attempt}`, answer.usage)
      }
    }
    return { tenant, acknowledged }
  })

it.live(`${HISTORIES} histories at once: what is in Postgres is what was acknowledged, once`, () =>
  Effect.gen(function* () {
    const seeds = Array.from({ length: HISTORIES }, (_, index) => FIRST_SEED + index)
    const done = yield* Effect.forEach(seeds, history, { concurrency: 4 }).pipe(
      Effect.provide(
        Layer.merge(
          layer,
          storeAt(() => proxy.url)
        ),
        { local: true }
      )
    )
    const store = yield* LedgerStore
    for (const { tenant, acknowledged } of done) {
      const rows = yield* Effect.orDie(rowsOfStore(store, tenant))
      checkRows(rows, tenant)
      const first = rows.usage.filter(({ usage }) => usage.adjusts === undefined)
      const keys = new Set(first.map(({ usage }) => `${usage.request_id}/${usage.attempt}`))
      assert.strictEqual(keys.size, first.length, `${tenant}: every attempt is counted once`)
      assert.isAbove(acknowledged.size, 0)
      for (const [key, { id, usage_seq }] of acknowledged)
        assert.strictEqual(
          rows.usage[usage_seq - 1]?.usage.id,
          id,
          `${tenant}: ${key} was acknowledged and is there`
        )
    }
  }).pipe(Effect.provide(storeAt(() => database.url)))
)
