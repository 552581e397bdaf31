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

it.effect("of workflows, where the store goes away meanwhile", () =>
  Effect.gen(function* () {
    let listening = 0
    const machines = {
      onFacts: () => {
        listening += 1
        return () => {
          listening -= 1
        }
      }
    } as Partial<DurableMachines> as DurableMachines
    const store = {
      lastFactSeq: () => Effect.succeed(0),
      facts: () => Effect.fail(new MachineStoreUnreachable({ message: "away" }))
    } as Partial<MachineStore> as MachineStore
    const workflows = yield* Deferred.make<Workflows>()
    const feed = { store, machines, workflows, isShared: false }
    const error = yield* Effect.flip(workflowsTopic(feed, {}, undefined, WHO))
    assert.strictEqual(error._tag, "Unavailable")
    assert.strictEqual(listening, 0)
  })
)
