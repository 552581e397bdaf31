/** What goes on in a key's name goes by what that key may do now: workflows end with their key, whoever has ended it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Result } from "effect"
import { DeadLetterStore } from "../../src/actor/DeadLetterStore.ts"
import { KeyAudit } from "../../src/bridge/KeyAudit.ts"
import { KeyStore } from "../../src/bridge/KeyStore.ts"
import { KnownKeys, principalOfKey } from "../../src/bridge/KnownKeys.ts"
import { makeDoor } from "../../src/host/Door.ts"
import type { HostParams } from "../../src/host/HostSignals.ts"
import { decodePayload } from "../../src/signal/Decode.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import { SignalRouter } from "../../src/signal/SignalRouter.ts"
import {
  answers,
  type Line,
  pass,
  scriptedProvider,
  settle,
  staysSilent,
  testLayer
} from "../../src/testing.ts"

type Workflow = Exclude<HostParams<"start_workflow">["workflow"], string>

const agent = (name: string, depends_on: ReadonlyArray<string> = []): Workflow["agents"][number] => ({
  ...{ name, provider: "scripted", model: "m", prompt: name, max_completion_tokens: 10 },
  depends_on: [...depends_on]
})

/** `first`, then `second`; beside them `beside`. */
const WORKFLOW: Workflow = {
  name: "row",
  agents: [agent("first"), agent("beside"), agent("second", ["first"])]
}

const running = (...lines: ReadonlyArray<Line>) => {
  const provider = scriptedProvider(lines)
  const ready = Effect.gen(function* () {
    const host = yield* makeDoor()
    const router = yield* SignalRouter
    const pricing = { prompt_per_million: "1", completion_per_million: "1" }
    yield* host.send("update_pricing", { provider: "scripted", model: "m", pricing })
    const started = (by: Principal, more: Partial<HostParams<"start_workflow">> = {}) =>
      Effect.gen(function* () {
        const params = { workflow: WORKFLOW, input: "x", workflow_id: "w1", ...more }
        const payload = Result.getOrThrow(decodePayload("start_workflow", params))
        yield* router.ask("start_workflow", payload, by)
        yield* settle
      })
    const holder = (keyId: string) =>
      Effect.map(
        Effect.flatMap(KeyStore, (store) => store.find(keyId)),
        (row) => (row === undefined ? assert.fail("there is no such key") : principalOfKey(row))
      )
    const keyWith = (more: Partial<HostParams<"create_key">> = {}) =>
      Effect.flatMap(host.send("create_key", { name: "k", roles: ["app"], ...more }), ({ key_id }) =>
        holder(key_id)
      )
    const shown = Effect.map(host.send("get_workflow", { workflow_id: "w1" }), ({ workflow }) => workflow)
    return { host, started, keyWith, shown, provider }
  })
  const here = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, testLayer({ providers: [provider] }))
  return { ready, here }
}

const TWO = [answers({ text: "one", afterMs: 1_000 }), staysSilent]

describe("a workflow", () => {
  const { ready, here } = running(...TWO, answers("never asked for"))
  it.effect(
    "fails at its next call when its key was revoked; what is beside it is settled, nothing is held",
    () =>
      Effect.gen(function* () {
        const { host, started, keyWith, shown, provider } = yield* ready
        const ann = yield* keyWith()
        yield* started(ann)
        yield* host.send("revoke_key", { key_id: ann.keyId })
        assert.strictEqual((yield* shown).state, "running", "what was begun is paid for, and ends")
        yield* pass(1_000)
        const failed = yield* shown
        assert.deepInclude(failed, { state: "failed", steps_done: 1 })
        assert.deepInclude(failed.failure, { agent: "second", error: "key_revoked" })
        assert.include(
          failed.failure?.message,
          `The key ${ann.keyId}, which started it, was revoked. Start it again`
        )
        assert.deepStrictEqual(
          failed.steps.map(({ state }) => state),
          ["done", "cancelled", "failed"]
        )
        assert.lengthOf(provider.requests, 2)
        assert.strictEqual((yield* host.send("get_status", {})).open_holds, 0)
        const { totals, items } = yield* host.send("get_usage", { workflow_id: "w1" })
        assert.lengthOf(items, 2)
        assert.deepStrictEqual([failed.total_tokens, failed.cost], [totals?.total_tokens, totals?.cost])
      }).pipe(here)
  )

  const expiring = running(...TWO, answers("never asked for"))
  it.effect("fails when its key has expired", () =>
    Effect.gen(function* () {
      const { host, started, keyWith, shown } = yield* expiring.ready
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      const ann = yield* keyWith({ expires_at: new Date(now + 1_000).toISOString() })
      yield* started(ann)
      yield* pass(1_000)
      assert.deepInclude((yield* shown).failure, { error: "key_expired" })
      assert.strictEqual((yield* host.send("get_status", {})).open_holds, 0)
    }).pipe(expiring.here)
  )

  const elsewhere = running(
    answers({ text: "one", afterMs: 29_000 }),
    staysSilent,
    answers({ text: "two", afterMs: 1_000 }),
    answers("never asked for")
  )
  it.effect("hears of a key that another node has revoked within half a minute", () =>
    Effect.gen(function* () {
      const { started, keyWith, shown } = yield* elsewhere.ready
      const ann = yield* keyWith()
      yield* started(ann, {
        workflow: { ...WORKFLOW, agents: [...WORKFLOW.agents, agent("third", ["second"])] }
      })
      const store = yield* KeyStore
      yield* store.revoke(ann.keyId, null, 1)
      yield* pass(29_000)
      assert.deepInclude((yield* shown).current_agents, "second", "it is believed for that long")
      yield* pass(1_000)
      assert.deepInclude((yield* shown).failure, { agent: "third", error: "key_revoked" })
    }).pipe(elsewhere.here)
  )

  const local = running(
    answers("one"),
    answers("two"),
    answers("three"),
    answers("one"),
    answers("two"),
    answers("three")
  )
  it.effect("of who speaks without a key goes on: the installation, a host, and whom the host names", () =>
    Effect.gen(function* () {
      const { host, started } = yield* local.ready
      const named = { ...installationPrincipal("default", "host:0123456789abcdef01"), isInstallation: false }
      for (const [index, by] of [installationPrincipal(), { ...named, roles: ["app"] } as const].entries()) {
        const workflow_id = `w${index}`
        yield* started(by, { workflow_id })
        yield* settle
        const { workflow } = yield* host.send("get_workflow", { workflow_id })
        assert.strictEqual(workflow.state, "completed")
      }
    }).pipe(local.here)
  )

  const parking = running(answers("one"), answers("two"))
  it.effect("that is parked ends, too, and asks for no budget any more", () =>
    Effect.gen(function* () {
      const { host, started, keyWith, shown } = yield* parking.ready
      const ann = yield* keyWith()
      yield* host.send("create_budget", {
        ...{ name: "two calls", type: "user", entity_id: "ann", period: "lifetime" },
        ...{ limit: "2", measure: "requests" }
      })
      yield* started(ann, { user_id: "ann" })
      assert.strictEqual((yield* shown).state, "parked")
      yield* host.send("revoke_key", { key_id: ann.keyId })
      yield* pass(30_000)
      assert.deepInclude(yield* shown, { state: "failed", steps_done: 2 })
      assert.deepInclude((yield* shown).failure, { agent: "second", error: "key_revoked" })
    }).pipe(parking.here)
  )
})

describe("a parked workflow at rest", () => {
  const MINUTE = 60_000
  const refused: HostParams<"create_budget"> = {
    ...{ name: "none", type: "user", entity_id: "ann", period: "lifetime" },
    limit: "0"
  } as const

  /** Parked and at rest, by a key. */
  const atRest = (of: ReturnType<typeof running>, more: Partial<HostParams<"create_key">> = {}) =>
    Effect.gen(function* () {
      const ready = yield* of.ready
      const { host, started, keyWith } = ready
      const ann = yield* keyWith(more)
      yield* host.send("create_budget", { ...refused, measure: "requests" })
      yield* started(ann, { user_id: "ann" })
      yield* pass(12 * MINUTE, MINUTE)
      const { items } = yield* host.send("list_actors", { kind: "workflow" })
      assert.lengthOf(items, 0)
      return { ...ready, ann }
    })

  const revoking = running()
  it.effect("ends at once when its key is revoked here", () =>
    Effect.gen(function* () {
      const { host, shown, ann } = yield* atRest(revoking)
      yield* host.send("revoke_key", { key_id: ann.keyId })
      yield* pass(1_000)
      assert.deepInclude((yield* shown).failure, { agent: "first", error: "key_revoked" })
    }).pipe(revoking.here)
  )

  const noted = running()
  it.effect("ends when another node notes in its tenant's trail that it has revoked its key", () =>
    Effect.gen(function* () {
      const { shown, ann } = yield* atRest(noted)
      // It is known here, and would be believed for some time.
      yield* Effect.flatMap(KnownKeys, (keys) => keys.find(ann.keyId))
      yield* Effect.flatMap(KeyStore, (store) => store.revoke(ann.keyId, null, 1))
      yield* (yield* KeyAudit).record({
        ...{ action: "revoke_key", principal: installationPrincipal(), tenant: ann.tenant, keyId: ann.keyId },
        ...{ before: null, after: null }
      })
      yield* pass(1_000)
      assert.deepInclude((yield* shown).failure, { agent: "first", error: "key_revoked" })
    }).pipe(noted.here)
  )

  const expiring = running()
  it.effect("ends when its key expires, and says that it looks then", () =>
    Effect.gen(function* () {
      const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
      const expires_at = new Date(now + 25 * MINUTE).toISOString()
      const { shown } = yield* atRest(expiring, { expires_at })
      assert.strictEqual((yield* shown).parked?.looks_at, expires_at)
      yield* pass(13 * MINUTE - 1_000, MINUTE)
      assert.strictEqual((yield* shown).state, "parked")
      yield* pass(2_000)
      assert.deepInclude((yield* shown).failure, { agent: "first", error: "key_expired" })
    }).pipe(expiring.here)
  )
})

describe("a dead letter", () => {
  const { ready, here } = running()
  const REPORT = { provider: "scripted", model: "m", prompt_tokens: 1, completion_tokens: 1 }

  /** As a door would have kept it. */
  const lost = (principal: Principal, params: object) =>
    Effect.gen(function* () {
      const store = Option.getOrThrow(yield* Effect.serviceOption(DeadLetterStore))
      const about = {
        address: "bridge",
        signal: "track_usage",
        principal,
        at: 1,
        why: "It failed",
        preview: ""
      }
      yield* store.add("default", [{ ...about, params: JSON.stringify(params) }], 0)
    })

  it.effect("goes by its key: sent while that is good, kept when it was revoked", () =>
    Effect.gen(function* () {
      const { host, keyWith } = yield* ready
      const ann = yield* keyWith()
      yield* lost(ann, { ...REPORT, request_id: "r1" })
      yield* lost(ann, { ...REPORT, request_id: "r2" })
      const { items } = yield* host.send("list_dead_letters", {})
      const [second = "", first = ""] = items.map(({ letter_id }) => letter_id)
      assert.isTrue((yield* host.send("redrive_dead_letter", { letter_id: first })).redriven)
      yield* host.send("revoke_key", { key_id: ann.keyId })
      const refused = yield* Effect.flip(host.send("redrive_dead_letter", { letter_id: second }))
      assert.deepInclude(refused, { _tag: "Conflict", reason: "letter_not_redrivable" })
      assert.lengthOf((yield* host.send("list_dead_letters", {})).items, 1)
      assert.strictEqual((yield* host.send("get_status", {})).total_tracked, 1)
    }).pipe(here)
  )

  it.effect("of before its tenant began to anonymise is attributed to the pseudonym of its user", () =>
    Effect.gen(function* () {
      const { host, keyWith } = yield* ready
      yield* lost(yield* keyWith(), { ...REPORT, request_id: "r1", user_id: "ann" })
      yield* host.send("configure_manager", { anonymize_users: true })
      const { items } = yield* host.send("list_dead_letters", {})
      const letter_id = items[0]?.letter_id ?? ""
      assert.deepInclude(yield* host.send("redrive_dead_letter", { letter_id }), {
        redriven: true,
        error: null
      })
      const rows = yield* host.send("get_usage", { user_id: "ann" })
      assert.lengthOf(rows.items, 1)
      assert.match(rows.items[0]?.user_id ?? "", /^anon_/u)
    }).pipe(here)
  )
})
