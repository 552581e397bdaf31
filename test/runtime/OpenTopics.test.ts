/** A subscription that could not be opened leaves nothing open behind it. */
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import type { DurableMachines } from "../../src/actor/DurableMachines.ts"
import { type MachineStore, MachineStoreUnreachable } from "../../src/actor/MachineStore.ts"
import type { Placement } from "../../src/actor/Placement.ts"
import { openPlacedTopic } from "../../src/runtime/PlacedTopics.ts"
import type { TopicSurroundings } from "../../src/runtime/Topics.ts"
import { workflowsTopic } from "../../src/runtime/WorkflowsTopic.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import type { Workflows } from "../../src/workflow/Workflows.ts"

const WHO = installationPrincipal()

it.effect("at the owner, where the cursor is none", () =>
  Effect.gen(function* () {
    let opened = 0
    const placement = {
      status: () => ({ node: "a:1", shards: 1, shardsOfAll: 1 }),
      follow: () =>
        Effect.sync(() => {
          opened += 1
          return { cursor: null, events: Stream.never }
        })
    } as Partial<Placement> as Placement
    for (const topic of ["signals", "actors"] as const) {
      const opening = openPlacedTopic({} as TopicSurroundings, placement, topic, {}, "1", WHO)
      assert.strictEqual((yield* Effect.flip(opening))._tag, "InvalidParams")
    }
    assert.strictEqual(opened, 0)
  })
)

/** A feed over a store that says what it is told to; it counts who listens. */
const feedOf = (facts: MachineStore["facts"], newest: number) => {
  const listeners = { count: 0 }
  const machines = {
    onFacts: () => {
      listeners.count += 1
      return () => {
        listeners.count -= 1
      }
    }
  } as Partial<DurableMachines> as DurableMachines
  const store = {
    lastFactSeq: () => Effect.succeed(newest),
    facts
  } as Partial<MachineStore> as MachineStore
  const workflows = Deferred.makeUnsafe<Workflows>()
  return { feed: { store, machines, workflows, isShared: false }, listeners }
}

it.effect("of workflows, where the store goes away meanwhile", () =>
  Effect.gen(function* () {
    const { feed, listeners } = feedOf(() => Effect.fail(new MachineStoreUnreachable({ message: "away" })), 1)
    const { events } = yield* workflowsTopic(feed, {}, 0, WHO)
    const error = yield* Effect.flip(Stream.runDrain(events))
    assert.strictEqual(error._tag, "Unavailable")
    assert.strictEqual(listeners.count, 0)
  })
)

it.effect("of workflows, tells what was removed while it was read as a gap", () =>
  Effect.gen(function* () {
    const newest = 900
    let removedTo = 0
    const { feed } = feedOf(
      (_, after, limit) =>
        Effect.sync(() => {
          const from = Math.max(after, removedTo)
          const facts = Array.from({ length: Math.min(limit, newest - from) }, (_, index) => ({
            seq: from + index + 1,
            address: "counter/default/x",
            kind: "counter",
            body: null,
            at: 0
          }))
          // The minute's tidying comes after the first page.
          removedTo = 600
          return { removedTo: from === 0 ? 0 : removedTo, facts }
        }),
      newest
    )
    const { events } = yield* workflowsTopic(feed, {}, 0, WHO)
    const seen = yield* Stream.runCollect(Stream.take(events, 1))
    assert.deepStrictEqual([...seen], [{ cursor: "600", event: { gap: 400 } }])
  })
)
