/** A key's end that nobody has told its workflows at rest of: its process ended first, or the tenant has moved since. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Result, Scope } from "effect"
import { type KeyRow, KeyStore } from "../../src/bridge/KeyStore.ts"
import { makeKnownKeys, principalOfKey } from "../../src/bridge/KnownKeys.ts"
import { makeDoor } from "../../src/host/Door.ts"
import { keyStandings } from "../../src/runtime/KeyStandings.ts"
import { decodePayload } from "../../src/signal/Decode.ts"
import { SignalRouter } from "../../src/signal/SignalRouter.ts"
import { memoryStore } from "../../src/testing/MemoryStore.ts"
import { pass, scriptedProvider, settle, testLayer } from "../../src/testing.ts"
import { restingWorkflows } from "../../src/workflow/RestingWorkflows.ts"
import { RoomLine } from "../../src/workflow/RoomLine.ts"
import { FakePorts } from "../workflow/support/FakePorts.ts"

const MINUTE = 60_000
const AGENT = { name: "first", provider: "scripted", model: "m", prompt: "x", max_completion_tokens: 10 }

/** Runtimes one after the other, over one store. */
const lives = Effect.gen(function* () {
  const memo = yield* Layer.makeMemoMap
  const stores = yield* Layer.buildWithMemoMap(memoryStore, memo, yield* Scope.Scope)
  const layer = testLayer({ providers: [scriptedProvider([])] })
  const live = <A, E>(life: Effect.Effect<A, E, Layer.Success<typeof layer>>) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithMemoMap(layer, memo, scope)
      const lived = yield* Effect.provide(life, services)
      yield* Scope.close(scope, Exit.void)
      return lived
    })
  return { live, keys: Context.get(stores, KeyStore) }
})

describe("a parked workflow at rest, in the life after the one in which its key ended", () => {
  it.effect("ends at once, and not when it looks by itself", () =>
    Effect.gen(function* () {
      const { live, keys } = yield* lives
      const shown = Effect.flatMap(makeDoor(), (host) =>
        Effect.map(host.send("get_workflow", { workflow_id: "w1" }), ({ workflow }) => workflow)
      )
      const parked = Effect.gen(function* () {
        const host = yield* makeDoor()
        const pricing = { prompt_per_million: "1", completion_per_million: "1" }
        yield* host.send("update_pricing", { provider: "scripted", model: "m", pricing })
        const { key_id } = yield* host.send("create_key", { name: "k", roles: ["app"] })
        const row = yield* keys.find(key_id)
        const ann = row === undefined ? assert.fail("there is no such key") : principalOfKey(row)
        yield* host.send("create_budget", {
          ...{
            name: "none",
            type: "user",
            entity_id: "ann",
            period: "lifetime",
            limit: "0",
            measure: "requests"
          }
        })
        const params = {
          workflow: { name: "row", agents: [AGENT] },
          input: "x",
          workflow_id: "w1",
          user_id: "ann"
        }
        const payload = Result.getOrThrow(decodePayload("start_workflow", params))
        yield* Effect.flatMap(SignalRouter, (router) => router.ask("start_workflow", payload, ann))
        yield* settle
        yield* pass(12 * MINUTE, MINUTE)
        assert.strictEqual((yield* shown).state, "parked")
        return key_id
      })
      const keyId = yield* live(parked)
      yield* keys.revoke(keyId, null, 1)
      yield* live(
        Effect.gen(function* () {
          yield* pass(MINUTE, 1_000)
          assert.deepInclude((yield* shown).failure, { agent: "first", error: "key_revoked" })
        })
      )
    })
  )
})

describe("what a tenant's workflows at rest wait for, when it has come to this node", () => {
  const idOf = (number: number): string => `${number}`.padStart(18, "0")
  const rowOf = (id: string, more: Partial<KeyRow> = {}): KeyRow =>
    ({
      id,
      tenant: "acme",
      owner: "ann",
      roles: ["app"],
      revokedAt: null,
      expiresAt: null,
      ...more
    }) as KeyRow
  const placeOf = (workflowId: string, keyId: string) => ({
    ...{ tenant: "acme", workflowId, keyId, since: 0, overrides: [] },
    refusals: [{ violations: [JSON.parse(violationText)] }]
  })
  const violationText = JSON.stringify({ budget_id: "budget_1", entity_id: "red", requested: "1" })

  it.effect(
    "brings those back whose keys have ended, also where their keys were good here a moment ago",
    () =>
      Effect.gen(function* () {
        const rows = new Map([1, 2].map((number) => [idOf(number), rowOf(idOf(number))]))
        const asked: Array<string> = []
        const store = {
          find: (id: string) =>
            Effect.sync(() => {
              asked.push(id)
              return rows.get(id)
            })
        } as Partial<KeyStore> as KeyStore
        const known = makeKnownKeys(store)
        for (const id of rows.keys()) yield* known.find(id)
        rows.set(idOf(2), rowOf(idOf(2), { revokedAt: 1 }))
        asked.length = 0
        const standing = { entity_id: "red", remaining: 0n } as never
        const ports = Object.assign(new FakePorts().script("get_budget_status", { budgets: [standing] }), {
          keys: keyStandings(known)
        })
        const woken: Array<string> = []
        const line = new RoomLine(ports, (_, workflowId) => void woken.push(workflowId))
        for (const [index, keyId] of [idOf(1), idOf(2), idOf(1), idOf(3), "host:a"].entries())
          line.found(placeOf(`wf${index}`, keyId), false)
        yield* restingWorkflows(ports, line).complete?.("acme") ?? Effect.void
        yield* settle
        assert.deepStrictEqual(woken, ["wf1"], "one after the other")
        line.leave("acme", "wf1")
        line.leave("acme", "wf3")
        assert.deepStrictEqual(woken, ["wf1", "wf3"], "a key that is gone has ended, too")
        assert.deepStrictEqual(asked.toSorted(), [1, 2, 3].map(idOf), "each key once")
      })
  )
})
