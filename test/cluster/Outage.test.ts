/** What a node says of a store that it does not reach: a line when it begins, one a minute, one when it is over. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Layer, Logger } from "effect"
import { RunnerAddress, RunnerStorage, ShardId } from "effect/cluster"
import { TestClock } from "effect/testing"
import { makeLease } from "../../src/cluster/Lease.ts"
import { Outage, withoutTries } from "../../src/cluster/Outage.ts"

describe("an outage", () => {
  it("is told as often as a person wants to hear of it", () => {
    const START = Date.UTC(2026, 10, 26, 5)
    const outage = new Outage()
    const said: Array<string> = []
    const at = (second: number, does: "fails" | "answers") => {
      const now = START + second * 1_000
      const line = does === "fails" ? outage.failed("ECONNREFUSED", now) : outage.answered(now)
      if (line !== undefined) said.push(`${second}: ${line}`)
    }
    at(0, "answers")
    for (let second = 10; second < 100; second += 2) at(second, "fails")
    for (let second = 100; second < 110; second += 2) at(second, "answers")
    // It comes and goes: a line a minute is enough for that, too.
    for (let second = 110; second < 130; second += 2) at(second, second % 4 === 0 ? "answers" : "fails")
    const lines = said.map((line) => line.slice(0, 60))
    assert.deepStrictEqual(lines, [
      "10: The store cannot be reached (ECONNREFUSED): unless it is",
      "70: The store cannot be reached since 2026-11-26T05:00:10.00",
      "100: The store is back after 90.0 s"
    ])
  })

  it.effect("is said by who holds the lease, without stacks; and not by others again and again", () => {
    const written: Array<string> = []
    const logger = Logger.make(({ message, cause }) => {
      written.push(`${message}${cause.reasons.length === 0 ? "" : " WITH A STACK"}`)
    })
    const SELF = RunnerAddress.make("127.0.0.1", 1)
    const shards = [ShardId.make("default", 1)]
    let isAway = false
    const answer = Effect.suspend(() =>
      isAway ? Effect.die(new Error("ECONNREFUSED")) : Effect.succeed(shards)
    )
    const storage = { acquire: () => answer, refresh: () => answer } as never
    return Effect.gen(function* () {
      const lease = yield* makeLease(() => SELF)
      const store = yield* Effect.provide(
        RunnerStorage.RunnerStorage,
        Layer.provide(lease.layer, Layer.succeed(RunnerStorage.RunnerStorage, storage))
      )
      yield* store.acquire(SELF, shards)
      written.length = 0
      isAway = true
      for (let turn = 0; turn < 10; turn++) {
        const tried = yield* Effect.exit(store.refresh(SELF, shards))
        // As Effect Cluster does it.
        if (tried._tag === "Failure") yield* Effect.logError("Shard lock storage is unhealthy", tried.cause)
        yield* TestClock.adjust(2_000)
      }
      isAway = false
      yield* store.refresh(SELF, shards)
      yield* Effect.logInfo("Shard lock storage has recovered")
      yield* Effect.logWarning("something else", Cause.die(new Error("x")))
      assert.strictEqual(written.length, 3)
      assert.match(
        written[0] ?? "",
        /^The store cannot be reached \(ECONNREFUSED\): unless it is back within 6 s/u
      )
      assert.strictEqual(written[1], "The store is back after 20.0 s")
      assert.strictEqual(written[2], "something else WITH A STACK")
    }).pipe(Effect.provide(Layer.provideMerge(withoutTries, Logger.layer([logger]))))
  })
})
