/**
 * Who watches a tenant from a node that does not have it sees what happens where it is, also after it has moved; what
 * lives in the store goes on from its cursor without loss, and the rest says that there is a gap.
 */
import { assert, it } from "@effect/vitest"
import { type Cause, Effect, Queue, Result, Stream } from "effect"
import { afterAll, beforeAll, vi } from "vitest"
import { decodePayload } from "../../src/signal/Decode.ts"
import type { SignalError } from "../../src/signal/Errors.ts"
import type { Principal } from "../../src/signal/Principal.ts"
import type { TopicEvent } from "../../src/signal/SignalRouter.ts"
import type { Event, Topic } from "../../src/signal/Subscriptions.ts"
import { createTestDatabase, type TestDatabase } from "../support/Postgres.ts"
import { startNode, type TestNode, tenantsOf } from "./support/Nodes.ts"

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 })

const MEANWHILE = 20
/** Nothing takes longer than a node that is missed, also on a machine with much to do. */
const SILENT_MS = 60_000

let database: TestDatabase
/** It watches, and stays. */
let a: TestNode
/** It has the tenant, and leaves. */
let b: TestNode
let tenant: Principal

beforeAll(async () => {
  database = await createTestDatabase()
  ;[a, b] = await Promise.all([startNode(database.url), startNode(database.url)])
  tenant = (await tenantsOf([a, b], 1)).get(b)?.[0] as Principal
})
afterAll(async () => {
  await Promise.all([a.leave(), b.leave()])
  await database.drop()
})

const create = Result.getOrThrow(
  decodePayload("create_budget", { name: "all", type: "global", period: "lifetime", limit: "10" })
)
const call = Result.getOrThrow(
  decodePayload("complete", {
    provider: "simulator",
    model: "sim-fast",
    messages: [{ role: "user", content: "hello" }]
  })
)
const usage = (request_id: string) =>
  Result.getOrThrow(
    decodePayload("track_usage", {
      request_id,
      provider: "p",
      model: "m",
      prompt_tokens: 1,
      completion_tokens: 1
    })
  )

const kindsOf = (events: ReadonlyArray<TopicEvent>): string =>
  events.map(({ event }) => Object.keys(event)[0]).join(" ")

/** A subscription of the node that stays, read one event after the other. One that ends, or is silent, fails the test and says so. */
const watch = (topic: Topic) =>
  Effect.gen(function* () {
    const opened = yield* a.subscribe(topic, tenant)
    const seen = yield* Queue.unbounded<TopicEvent, SignalError | Cause.Done>()
    yield* Effect.forkScoped(Stream.runIntoQueue(opened.events, seen))
    const all: Array<TopicEvent> = []
    /** Reads on until an event is what was asked for, and answers all that were read. */
    const until = (isIt: (event: Event) => boolean, what = "what was waited for") =>
      Effect.gen(function* () {
        const read: Array<TopicEvent> = []
        const waited = Effect.timeoutOrElse(Queue.take(seen), {
          duration: SILENT_MS,
          orElse: () => Effect.die(new Error(`${topic} has not told ${what}; it told: ${kindsOf(all)}`))
        })
        for (;;) {
          const event = yield* Effect.orDie(waited)
          read.push(event)
          all.push(event)
          if (isIt(event.event)) return read
        }
      })
    /** As `until`; but it may be told already: on a machine with much to do a tenant goes to another node earlier than the test wants. */
    const ever = (isIt: (event: Event) => boolean, what: string) =>
      Effect.suspend(() =>
        all.some(({ event }) => isIt(event)) ? Effect.void : Effect.asVoid(until(isIt, what))
      )
    return { cursor: opened.cursor, until, ever }
  })

const isUsageOf = (request_id: string) => (event: Event) =>
  "usage" in event && event.usage.request_id === request_id
const isOf = (kind: string) => (event: Event) => kind in event
const isSignal = (name: string, address: string) => (event: Event) =>
  "signal" in event && event.signal.signal === name && event.signal.address === address
const isActor = (fact: string, address: string) => (event: Event) =>
  "actor" in event && event.actor.fact === fact && event.actor.actor.address === address
const isGap = isOf("gap")

const sequences = (events: ReadonlyArray<TopicEvent>) =>
  events.flatMap(({ event }) => ("usage" in event ? [event.usage.usage_seq] : []))

it.live("each topic is followed at the owner, and goes on at the next one", () =>
  Effect.gen(function* () {
    const manager = `token_manager/${tenant.tenant}`
    const watched = yield* Effect.all({
      usage: watch("usage"),
      alerts: watch("alerts"),
      budgets: watch("budgets"),
      signals: watch("signals"),
      actors: watch("actors")
    })
    assert.deepStrictEqual(
      [watched.usage.cursor, watched.alerts.cursor, watched.budgets.cursor],
      ["0", "0", null]
    )
    yield* b.ask("create_budget", create, tenant)
    yield* watched.budgets.until(isOf("budget"))
    yield* watched.signals.until(isSignal("create_budget", manager))
    yield* watched.actors.until(isActor("mailbox", manager))
    // A model without a price raises an alert.
    yield* b.ask("track_usage", usage("before"), tenant)
    const before = yield* watched.usage.until(isUsageOf("before"))
    yield* watched.alerts.until(isOf("alert"))
    // A call that runs where it is watched from.
    yield* a.ask("complete", call, tenant)
    yield* watched.usage.until(isOf("in_flight"))
    const called = yield* watched.usage.until(isOf("usage"))

    const left = b.leave()
    // What is committed at the next owner before anybody follows it there must not be missed.
    const meanwhile = Array.from({ length: MEANWHILE }, (_, n) =>
      a.ask("track_usage", usage(`m${n}`), tenant)
    )
    yield* Effect.all(meanwhile, { concurrency: "unbounded" })
    yield* Effect.promise(() => left)
    yield* a.ask("track_usage", usage("after"), tenant)
    const after = yield* watched.usage.until(isUsageOf("after"))
    assert.deepStrictEqual(
      sequences([...before, ...called, ...after]),
      Array.from({ length: MEANWHILE + 3 }, (_, index) => index + 1)
    )
    assert.isFalse(after.some(({ event }) => isGap(event)))
    yield* watched.budgets.ever(isGap, "a gap")
    yield* a.ask("update_budget", yield* renamed, tenant)
    yield* watched.budgets.until((event) => "budget" in event && event.budget.name === "renamed")
    yield* watched.signals.until(isSignal("update_budget", manager))
    yield* watched.actors.ever(isActor("started", manager), "that it was started")
  }).pipe(Effect.scoped)
)

const renamed = Effect.suspend(() =>
  Effect.map(a.ask("get_budget_status", { include_inactive: false }, tenant), ({ budgets }) =>
    Result.getOrThrow(
      decodePayload("update_budget", { budget_id: budgets[0]?.id, updates: { name: "renamed", limit: "20" } })
    )
  )
)

it.live("a cursor that is none is refused, as it is by the node that has the tenant", () =>
  Effect.gen(function* () {
    for (const [topic, cursor] of [
      ["usage", "nonsense"],
      ["usage", "999999"],
      ["budgets", "1"],
      ["signals", "1"]
    ] as const) {
      const error = yield* Effect.flip(a.subscribe(topic, tenant, {}, cursor))
      assert.strictEqual(error._tag, "InvalidParams")
    }
  })
)
