import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { MachineStoreUnreachable } from "../../src/actor/MachineStore.ts"
import { boundFacts, FACTS_KEPT } from "../../src/runtime/FactRetention.ts"

describe("facts of durable machines", () => {
  it.effect("are bounded where some were committed, also after the store was away", () =>
    Effect.gen(function* () {
      const removed: Array<readonly [string, number]> = []
      let listener: (tenant: string) => void = () => undefined
      yield* boundFacts(
        {
          onFacts: (given) => {
            listener = given
            return () => undefined
          }
        },
        {
          removeFacts: (tenant, keep) =>
            tenant === "away"
              ? Effect.fail(new MachineStoreUnreachable({ message: "away" }))
              : Effect.sync(() => void removed.push([tenant, keep]))
        }
      )
      for (const tenant of ["a", "b", "a", "away"]) listener(tenant)
      yield* TestClock.adjust("1 minute")
      yield* TestClock.adjust("1 minute")
      listener("c")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(removed, [
        ["a", FACTS_KEPT],
        ["b", FACTS_KEPT],
        ["c", FACTS_KEPT]
      ])
    })
  )
})
