/** What works for as long as there is work is waited for longer than a command that is quick. */
import { assert, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Latch, Result } from "effect"
import { TestClock } from "effect/testing"
import { tenantAddress } from "../../src/actor/Address.ts"
import { type AskingOptions, askRemotely, type Client } from "../../src/cluster/Asking.ts"
import { AGAIN_WITHIN_MS, PATIENCE_MS } from "../../src/cluster/Timing.ts"
import { MOVED, writeError } from "../../src/cluster/Wire.ts"
import type { ActorSignalName } from "../../src/signal/Catalogue.ts"
import { Forbidden, Unavailable } from "../../src/signal/Errors.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"

const refused = new Forbidden({ message: "the owner has answered" })

/** An owner that answers after a minute. */
const client = (() => ({
  ask: () => Effect.andThen(Effect.sleep("1 minute"), Effect.die(refused))
})) as unknown as Client

const optionsWith = (isCutOff: boolean): AskingOptions => ({
  client,
  address: tenantAddress("token_manager", "default"),
  principal: installationPrincipal(),
  isLeaving: () => false,
  isCutOff: () => isCutOff,
  confirmedAt: () => Date.UTC(2026, 10, 26, 5),
  changed: Effect.never
})

const answer = (name: ActorSignalName, payload: object) =>
  Effect.gen(function* () {
    const asked = yield* Effect.forkChild(
      Effect.exit(Effect.result(askRemotely(optionsWith(false), name, payload as never)))
    )
    yield* TestClock.adjust(PATIENCE_MS)
    yield* TestClock.adjust("1 minute")
    const exit = yield* Fiber.join(asked)
    if (exit._tag === "Failure") return Cause.squash(exit.cause)
    return Result.isFailure(exit.value) ? exit.value.failure._tag : exit.value.success
  })

it.effect("a cleaning and a forgetting", () =>
  Effect.gen(function* () {
    assert.strictEqual(yield* answer("get_status", {}), "Unavailable")
    assert.strictEqual(yield* answer("cleanup_old_data", { dry_run: true }), refused)
    assert.strictEqual(
      yield* answer("forget_named", { user_id: "ann", user_key: "k", fresh: "anon" }),
      refused
    )
  })
)

it.effect("nobody, while the store is away: it says so, as soon as one node by itself would", () =>
  Effect.gen(function* () {
    const asked = yield* Effect.forkChild(Effect.flip(askRemotely(optionsWith(true), "get_status", {})))
    yield* TestClock.adjust(5_000)
    const { _tag, message } = yield* Fiber.join(asked)
    assert.strictEqual(_tag, "Unavailable")
    assert.match(
      message,
      /^The store cannot be reached from this node since 2026-11-26T05:00:00.000Z, so that nobody/u
    )
  })
)

it.effect(
  "who asks while an address moves asks again as soon as nodes have changed, and else after a pause",
  () =>
    Effect.gen(function* () {
      const changed = Latch.makeUnsafe(false)
      let asked = 0
      const moving = (() => ({
        ask: () =>
          Effect.sync(() => {
            asked += 1
            return MOVED
          })
      })) as unknown as Client
      const options = { ...optionsWith(false), client: moving, changed: changed.await }
      const asking = yield* Effect.forkChild(askRemotely(options, "get_status", {}), {
        startImmediately: true
      })
      for (const pauseMs of [5, 10, 20, 40]) yield* TestClock.adjust(pauseMs)
      assert.strictEqual(asked, 5, "the pauses grow")
      yield* changed.open
      yield* Effect.sync(() => changed.closeUnsafe())
      yield* TestClock.adjust(0)
      assert.strictEqual(asked, 6, "the pause of 50 ms is not waited for")
      yield* TestClock.adjust(5)
      assert.strictEqual(asked, 7, "and the next one is short again")
      yield* Fiber.interrupt(asking)
    })
)

it.effect("what was sent again and has no answer is given up, and sent again", () =>
  Effect.gen(function* () {
    const answers = [Effect.succeed(MOVED), Effect.never, Effect.die(refused)]
    let asked = 0
    const lost = (() => ({
      ask: () => Effect.suspend(() => answers[asked++] ?? Effect.never)
    })) as unknown as Client
    const asking = yield* Effect.forkChild(
      Effect.exit(askRemotely({ ...optionsWith(false), client: lost }, "get_status", {})),
      { startImmediately: true }
    )
    yield* TestClock.adjust(5)
    assert.strictEqual(asked, 2)
    yield* TestClock.adjust(AGAIN_WITHIN_MS + 10)
    const exit = yield* Fiber.join(asking)
    assert.strictEqual(exit._tag === "Failure" ? Cause.squash(exit.cause) : undefined, refused)
  })
)

/** What is heard of a new owner that needs so long for each answer, once the old one has said `moved`, and how often it was asked. */
const afterMove = (tookMs: number) =>
  Effect.gen(function* () {
    let asked = 0
    const said = writeError(new Unavailable({ message: "The owner says so", retry_after_ms: 100 }))
    const slow = (() => ({
      ask: () =>
        Effect.suspend(() => {
          asked += 1
          return asked === 1 ? Effect.succeed(MOVED) : Effect.as(Effect.sleep(tookMs), said)
        })
    })) as unknown as Client
    const asking = yield* Effect.forkChild(
      Effect.flip(askRemotely({ ...optionsWith(false), client: slow }, "get_status", {})),
      { startImmediately: true }
    )
    // Short steps: what is waited for next begins when the step before has ended.
    for (let elapsedMs = 0; elapsedMs <= PATIENCE_MS; elapsedMs += 100) yield* TestClock.adjust(100)
    const { message } = yield* Fiber.join(asking)
    return { isHeard: message === "The owner says so", askedOfOwner: asked - 1 }
  })

it.effect.each([
  ["answers at once", 0, { isHeard: true, askedOfOwner: 1 }],
  ["has to be activated", 1_200, { isHeard: true, askedOfOwner: 2 }],
  ["reads a large report", 2_500, { isHeard: true, askedOfOwner: 3 }],
  ["says after five seconds that the store is away", 5_000, { isHeard: true, askedOfOwner: 4 }],
  ["says so when a statement of its has hung", 6_000, { isHeard: true, askedOfOwner: 4 }],
  ["never answers", 60_000, { isHeard: false, askedOfOwner: 4 }]
] as const)("a new owner that %s: its work is not multiplied", ([, tookMs, expected]) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* afterMove(tookMs), expected)
  })
)
