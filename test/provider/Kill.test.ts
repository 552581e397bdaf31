/** Lesson 2: whoever dies, in whatever state of a call, held money returns to zero and what was sent is reported. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { scopedAddress } from "../../src/actor/Address.ts"
import type { Adapter } from "../../src/provider/Adapter.ts"
import type { CompletePayload } from "../../src/provider/CallRequest.ts"
import { seededOrder } from "../../src/testing/SeededScheduler.ts"
import { pass, settle } from "../../src/testing.ts"
import { FakeKeeper } from "./support/FakeKeeper.ts"
import { fail, ScriptedAdapter, type Step, text } from "./support/ScriptedAdapter.ts"
import { ground, makeWorld, principal, request } from "./support/World.ts"

type Gate = "check" | "track" | "release"

interface Scene {
  readonly state: string
  readonly steps: ReadonlyArray<Step>
  readonly gates?: ReadonlyArray<Gate>
  readonly payload?: Partial<CompletePayload>
  /** The caller leaves first, so that the state is reached at all. */
  readonly leavesFirst?: boolean
  /** Attempts that reached the provider, and so must be reported. */
  readonly sent: number
}

const LONG = "All work and no play makes a long text. ".repeat(1500)
const fallback = [{ provider: "scripted", model: "model-b" }]

const SCENES: ReadonlyArray<Scene> = [
  { state: "estimating", steps: [], payload: { messages: [{ role: "user", content: LONG }] }, sent: 0 },
  { state: "awaiting_budget", steps: [{ kind: "never" }], gates: ["check"], sent: 0 },
  { state: "calling", steps: [{ kind: "never" }], sent: 1 },
  {
    state: "calling",
    steps: [{ kind: "stream", events: text("one", "two"), ending: "never" }],
    payload: { stream: true },
    sent: 1
  },
  {
    state: "cutting_short",
    steps: [{ kind: "stream", events: text(LONG), ending: "never" }],
    payload: { stream: true },
    leavesFirst: true,
    sent: 1
  },
  { state: "reporting", steps: [fail(503)], gates: ["track"], sent: 1 },
  { state: "backing_off", steps: [fail(429, 30_000)], sent: 1 },
  { state: "falling_back", steps: [fail(400)], gates: ["release"], payload: { fallback }, sent: 1 },
  { state: "releasing", steps: [fail(429, 30_000)], gates: ["release"], leavesFirst: true, sent: 1 }
]

/** The scripted adapter without its own count, so that estimating takes a while. */
const counting = (adapter: ScriptedAdapter): Adapter => ({
  name: adapter.name,
  tokenFactor: 1,
  call: (asked) => adapter.call(asked),
  stream: (asked) => adapter.stream(asked)
})

const SEEDS = 20

const DEATHS = ["the caller goes away", "the call's actor is stopped", "the runtime ends"] as const

const untilState = (states: ReadonlyArray<string>, wanted: string) =>
  Effect.gen(function* () {
    for (let turn = 0; turn < 5000 && states.at(-1) !== wanted; turn += 1) {
      yield* Effect.yieldNow
      if (turn % 10 === 9) yield* Effect.promise(() => new Promise<void>((done) => setImmediate(done)))
    }
    assert.strictEqual(states.at(-1), wanted)
  })

const play = (scene: Scene, death: (typeof DEATHS)[number]) =>
  Effect.gen(function* () {
    const adapter = new ScriptedAdapter(scene.steps)
    const keeper = new FakeKeeper()
    const scope = yield* Scope.make()
    const world = yield* makeWorld([counting(adapter)], {}, keeper).pipe(Scope.provide(scope))
    const gates = (scene.gates ?? []).map((name) => keeper.gate(name))
    const caller = yield* Effect.forkChild(world.providers.complete(request(scene.payload), principal))
    if (scene.leavesFirst === true) {
      yield* settle
      yield* Fiber.interrupt(caller)
    }
    yield* untilState(world.states, scene.state)
    const died = yield* Effect.forkChild(
      death === "the caller goes away"
        ? Fiber.interrupt(caller)
        : death === "the runtime ends"
          ? Scope.close(scope, Exit.void)
          : world.system.stop(scopedAddress("call", principal.tenant, "r1")),
      { startImmediately: true }
    )
    yield* settle
    for (const gate of gates) yield* Deferred.succeed(gate, undefined)
    yield* pass(1_000, 100)
    yield* Fiber.join(died)
    assert.strictEqual(keeper.held, 0n)
    assert.strictEqual(keeper.openHolds, 0)
    assert.strictEqual(adapter.requests.length, scene.sent)
    assert.strictEqual(keeper.tracked.length, scene.sent)
    assert.isUndefined(world.system.find(scopedAddress("call", principal.tenant, "r1")))
  })

for (const death of DEATHS) {
  describe(`when ${death}`, () => {
    for (const scene of SCENES) {
      const name = `in ${scene.state}${scene.payload?.stream === true ? " of a stream" : ""}`
      it.effect(`${name}, nothing stays held`, () => play(scene, death).pipe(Effect.provide(ground)))
    }
  })
}

/** Stops the call's actor so many turns after its model was asked; the order of what is ready is drawn. */
const stoppedAfter = (turns: number) =>
  Effect.gen(function* () {
    const adapter = new ScriptedAdapter([fail(503)])
    const world = yield* makeWorld([adapter], {}, new FakeKeeper())
    yield* Effect.forkChild(world.providers.complete(request(), principal))
    while (adapter.requests.length === 0) yield* Effect.yieldNow
    for (let turn = 0; turn < turns; turn += 1) yield* Effect.yieldNow
    yield* world.system.stop(scopedAddress("call", principal.tenant, "r1"))
    return world.keeper
  }).pipe(Effect.provide(ground))

describe("in any order of what is ready", () => {
  for (let turns = 0; turns < 12; turns += 1) {
    it.effect(`a report is written before the hold is given back and the stop is over (${turns} turns)`, () =>
      Effect.gen(function* () {
        for (let seed = 1; seed <= SEEDS; seed += 1) {
          const { asks, tracked } = yield* Effect.provide(stoppedAfter(turns), seededOrder(seed))
          assert.strictEqual(tracked.length, 1, `seed ${seed}`)
          assert.deepStrictEqual(
            asks.filter((ask) => /^(track|release)/.test(ask)).map((ask) => ask.split(" ")[0]),
            asks.includes("release") ? ["track", "release"] : ["track"],
            `seed ${seed}`
          )
        }
      })
    )
  }
})
