/** Actors by their handlers, with a protocol of a host's own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import { type ActorContext, type ActorOptions, ActorSystem } from "../../src/actor/ActorSystem.ts"
import { tenantAddress } from "../../src/actor/Address.ts"
import { behave } from "../../src/actor/Behave.ts"
import { recordOf } from "../../src/actor/Inspection.ts"
import { DEFAULT_SUPERVISION, ESCALATE } from "../../src/actor/Supervision.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { query } from "../../src/signal/Signal.ts"
import { HOME, quiet, TILL, type Till, till, tillAt, told, WHO } from "./support/Till.ts"

const pay = (ref: ActorRef<Till>, coins: number, more: { slowly?: number } = {}) =>
  Effect.forkDetach(ref.ask("pay", { coins, ...more }, WHO), { startImmediately: true })

const tagOf = (ref: Effect.Effect<unknown, { readonly _tag: string }>) =>
  Effect.match(ref, { onSuccess: () => "ok", onFailure: ({ _tag }) => _tag })

describe("a handler", () => {
  it.effect("decides the next state and the reply", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      assert.deepStrictEqual(yield* ref.ask("pay", { coins: 2 }, WHO), { total: 2 })
      assert.deepStrictEqual(yield* ref.ask("pay", { coins: 3 }, WHO), { total: 5 })
      assert.deepStrictEqual(yield* ref.ask("total", {}, WHO), { total: 5 })
      ref.tell("pay", { coins: 1 }, WHO)
      assert.deepStrictEqual(yield* ref.ask("total", {}, WHO), { total: 6 })
    }).pipe(told)
  )

  it.effect("may answer an Effect; until it has ended nothing else is looked at", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      const slow = yield* pay(ref, 1, { slowly: 1_000 })
      const quick = yield* pay(ref, 10)
      yield* TestClock.adjust(999)
      yield* quiet
      assert.isUndefined(slow.pollUnsafe())
      assert.isUndefined(quick.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* Fiber.join(slow), { total: 1 })
      assert.deepStrictEqual(yield* Fiber.join(quick), { total: 11 })
    }).pipe(told)
  )

  it.effect("that there is not: who asks is told which there are", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      const refused = yield* Effect.flip(ref.ask("totl" as "total", {}, WHO))
      assert.deepInclude(refused, { _tag: "UnknownSignal", signal: "totl" })
      assert.include(refused.message, "till/default does not answer totl: it answers total,")
    }).pipe(told)
  )

  it.effect("of an actor that was stopped says how it comes back", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const why = (ref: ActorRef<Till>) =>
        Effect.map(Effect.flip(ref.ask("total", {}, WHO)), ({ _tag, message }) => `${_tag}: ${message}`)
      const ref = yield* system.spawn(tillAt())
      yield* system.stop(HOME)
      assert.include(yield* why(ref), "nothing brings it back by itself: spawn it again")
      const gone = yield* Effect.flip(ref.ask("total", {}, WHO))
      assert.deepInclude(gone, { _tag: "NotFound", kind: "actor", id: HOME.text })
      yield* system.spawn(tillAt())
      assert.include(yield* why(ref), "send it again to its address")
      const made = yield* system.spawn(tillAt({ address: tenantAddress("kept", "default"), isRemade: true }))
      yield* system.stop(made.address)
      assert.include(yield* why(made), "send it again to its address")
      system.register({ kind: "booth", make: (address) => tillAt({ address }) })
      const booth = yield* system.spawn(tillAt({ address: tenantAddress("booth", "default") }))
      yield* system.stop(booth.address)
      assert.include(yield* why(booth), "send it again to its address")
    }).pipe(told)
  )

  it.effect("that refuses changes nothing and crashes nobody", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      yield* ref.ask("pay", { coins: 4 }, WHO)
      assert.strictEqual(yield* tagOf(ref.ask("pay", { coins: -1 }, WHO)), "InvalidParams")
      assert.strictEqual(yield* tagOf(ref.ask("break", { how: "fail" }, WHO)), "InvalidParams")
      assert.deepStrictEqual(yield* ref.ask("total", {}, WHO), { total: 4 })
      assert.strictEqual(system.entry(HOME.text)?.info.restarts, 0)
    }).pipe(told)
  )

  for (const how of ["throw", "die", "interrupt"] as const) {
    it.effect(
      `that breaks (${how}) tells the incident; the next life begins afresh and takes what waits`,
      () =>
        Effect.gen(function* () {
          const system = yield* ActorSystem
          const ref = yield* system.spawn(tillAt())
          yield* ref.ask("pay", { coins: 4 }, WHO)
          const broken = yield* Effect.forkDetach(tagOf(ref.ask("break", { how }, WHO)), {
            startImmediately: true
          })
          const waiting = yield* pay(ref, 1)
          yield* quiet
          assert.strictEqual(yield* Fiber.join(broken), "InternalError")
          assert.isUndefined(waiting.pollUnsafe())
          assert.strictEqual(system.entry(HOME.text)?.info.status, "restarting")
          yield* TestClock.adjust("1 second")
          yield* quiet
          assert.deepStrictEqual(yield* Fiber.join(waiting), { total: 1 })
        }).pipe(told)
    )
  }

  it.effect("that is at work when its actor is stopped leaves nobody waiting", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      const atWork = yield* pay(ref, 1, { slowly: 1_000 })
      const waiting = yield* pay(ref, 1)
      yield* quiet
      yield* system.stop(HOME)
      assert.strictEqual(yield* tagOf(Fiber.join(atWork)), "Unavailable")
      assert.strictEqual(yield* tagOf(Fiber.join(waiting)), "NotFound")
    }).pipe(told)
  )

  it.effect("may end its actor", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      yield* ref.ask("pay", { coins: 4 }, WHO)
      assert.deepStrictEqual(yield* ref.ask("shut", {}, WHO), { total: 4 })
      yield* quiet
      assert.isUndefined(system.entry(HOME.text))
    }).pipe(told)
  )

  it.effect("that answers at once again and again lets others live", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const Again = query("again", {
        family: "host",
        roles: [],
        description: "Tells itself again.",
        payload: {},
        success: Schema.Void
      })
      const AGAIN = protocol(Again)
      let turns = 0
      const ref = yield* system.spawn({
        address: HOME,
        ...behave({
          protocol: AGAIN,
          initial: () => 0,
          handlers: {
            again: (_state, _payload, { self }) => {
              turns += 1
              if (turns < 5_000) self.tell("again", {}, WHO)
              return { reply: undefined }
            }
          }
        })
      })
      ref.tell("again", {}, WHO)
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      assert.isAbove(turns, 0)
      assert.isBelow(turns, 5_000)
    }).pipe(told)
  )
})

describe("the state that a life begins with", () => {
  it.effect("is made anew for each, by an Effect if need be; where that fails, supervision decides", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      let lives = 0
      const first = () => {
        lives += 1
        return lives === 1 ? Effect.fail("not read yet") : Effect.as(Effect.sleep(10), 100)
      }
      const ref = yield* system.spawn(tillAt(till(first)))
      const waiting = yield* pay(ref, 1)
      yield* TestClock.adjust("1 second")
      yield* quiet
      assert.deepStrictEqual(yield* Fiber.join(waiting), { total: 101 })
      assert.strictEqual(system.entry(HOME.text)?.info.restarts, 1)
    }).pipe(told)
  )
})

describe("what is left to do when a life ends", () => {
  const CASES: ReadonlyArray<
    readonly [string, (ref: ActorRef<Till>, system: ActorSystem) => Effect.Effect<unknown>, number]
  > = [
    ["is done when the actor is stopped", (_, system) => system.stop(HOME), 1],
    [
      "is done when somebody restarts it",
      (_, system) => Effect.sync(() => system.restart(HOME, "asked for")),
      1
    ],
    ["is done when a step ends it", (ref) => Effect.exit(ref.ask("shut", {}, WHO)), 1],
    ["is not done after a crash", (ref) => Effect.exit(ref.ask("break", { how: "throw" }, WHO)), 0],
    [
      "is not done after an interruption of its own",
      (ref) => Effect.exit(ref.ask("break", { how: "interrupt" }, WHO)),
      0
    ],
    [
      "is not done after a child has escalated",
      (_, system) =>
        Effect.gen(function* () {
          const address = tenantAddress("till", "child")
          const child = yield* system.spawn({ ...tillAt(), address, parent: HOME, supervision: ESCALATE })
          yield* Effect.exit(child.ask("break", { how: "throw" }, WHO))
        }),
      0
    ]
  ]
  for (const [what, end, expected] of CASES) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        let left = 0
        const leave = () =>
          Effect.sync(() => {
            left += 1
          })
        const ref = yield* system.spawn(tillAt(till(() => 0, leave)))
        yield* quiet
        yield* end(ref, system)
        yield* quiet
        assert.strictEqual(left, expected)
      }).pipe(told)
    )
  }
})

describe("a context whose life has ended", () => {
  it.effect("begins nothing, says nothing, and refuses by name", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const contexts: Array<ActorContext<Till>> = []
      const options = tillAt(
        till((context) => {
          contexts.push(context)
          return 0
        })
      )
      yield* system.spawn(options)
      system.restart(HOME, "for another life")
      yield* quiet
      const [old, now] = contexts
      if (old === undefined || now === undefined) return assert.fail("it has lived twice")
      const child = { address: tenantAddress("till", "child"), ...till() }
      assert.include(String(yield* Effect.exit(old.spawn(child))), "this life of till/default has ended")
      assert.throws(() => old.watch(HOME, () => {}), "watch: this life of till/default has ended")
      assert.throws(() => old.after("a", 1, "total", {}), "after and every: this life")
      assert.throws(() => old.every("a", 1, "total", {}), "after and every: this life")
      assert.throws(() => old.stash({} as never), "stash: this life")
      old.transition("of the past")
      old.shows(() => ({ machine: null, context: { of: "the past" } }))
      old.ends("of the past", 7)
      old.cancel("a")
      old.unwatch(HOME)
      old.unstash()
      yield* now.spawn(child)
      yield* old.childrenEnded
      assert.isDefined(system.entry(child.address.text), "the children of the next life are not its own")
      assert.deepInclude(system.entry(HOME.text)?.info, { state: null, status: "running" })
      assert.deepStrictEqual(system.entry(HOME.text)?.insight().context, { total: 0 })
      assert.strictEqual(system.watchers, 0)
    }).pipe(told)
  )
})

describe("what cannot be", () => {
  const BAD: ReadonlyArray<readonly [string, Partial<ActorOptions<Till>>]> = [
    ["mailboxCapacity is 0, and has to be a whole number above zero", { mailboxCapacity: 0 }],
    ["mailboxCapacity is NaN", { mailboxCapacity: Number.NaN }],
    ["stashCapacity is NaN", { stashCapacity: Number.NaN }],
    ["mailboxPolicy.sendersMax is 0", { mailboxPolicy: { kind: "backpressure", sendersMax: 0 } }],
    ...(["restartsMax", "withinMs", "backoffMs", "backoffMaxMs"] as const).map(
      (name) =>
        [
          `supervision.${name} is NaN`,
          { supervision: { ...DEFAULT_SUPERVISION, [name]: Number.NaN } }
        ] as const
    ),
    ["supervision.withinMs is 0", { supervision: { ...DEFAULT_SUPERVISION, withinMs: 0 } }]
  ]
  for (const [problem, more] of BAD) {
    it.effect(`is refused where an actor starts: ${problem}`, () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const exit = yield* Effect.exit(system.spawn(tillAt(more)))
        assert.include(String(exit), `till/default cannot start: ${problem}`)
        assert.isUndefined(system.entry(HOME.text))
      }).pipe(told)
    )
  }

  it.effect("is refused where a kind is registered, or a timer set; ten thousand timers are enough", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const make = () => undefined
      for (const idleMs of [0, -1, Number.NaN])
        assert.throws(
          () => system.register({ kind: "till", idleMs, make }),
          `The kind till: idleMs is ${idleMs}`
        )
      let context: ActorContext<Till> | undefined
      yield* system.spawn(
        tillAt(
          till((given) => {
            context = given
            return 0
          })
        )
      )
      yield* quiet
      const given = context ?? assert.fail("it has begun")
      assert.throws(() => given.after("a", Number.NaN, "total", {}), "The timer a: its delay is no number")
      for (const interval of [0, Number.NaN])
        assert.throws(
          () => given.every("a", interval, "total", {}),
          `The timer a: its interval is ${interval}`
        )
      for (let key = 0; key < 10_000; key++) given.after(`${key}`, key === 0 ? 10 : 1_000_000, "total", {})
      assert.throws(() => given.after("more", 1, "total", {}), "An actor has 10000 timers at most")
      given.after("9999", 1_000_000, "total", {})
      yield* TestClock.adjust(10)
      yield* quiet
      given.after("more", 1, "total", {})
    }).pipe(told)
  )
})

describe("a protocol of one's own", () => {
  it.effect("is found under its address by those who know it", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      assert.strictEqual(system.find(HOME, TILL), ref)
      assert.isUndefined(system.find(HOME), "it does not take the product's signals")
      const other = yield* Effect.exit(system.spawn({ address: HOME, behaviour: () => Effect.never }))
      assert.strictEqual(other._tag, "Failure")
    }).pipe(told)
  )

  it.effect("is typed: names, payloads and answers", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      const { total }: { readonly total: number } = yield* ref.ask("pay", { coins: 1 }, WHO)
      assert.strictEqual(total, 1)
      // @ts-expect-error: no such signal; whoever sends it all the same is told
      assert.strictEqual(yield* tagOf(ref.ask("constructor", {}, WHO)), "UnknownSignal")
      // @ts-expect-error: a payload without its field
      ref.tell("pay", {}, WHO)
    }).pipe(told)
  )

  it("has each name once", () => {
    const twice = () => protocol(TILL.pay, TILL.pay)
    assert.throws(twice, "Two signals of a protocol are named pay: rename one")
  })

  it.effect("is inspected and redacted by its own definitions", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(tillAt())
      yield* ref.ask("pay", { coins: 1, pin: "1234" }, WHO)
      yield* ref.ask("total", {}, WHO)
      const kept = system.inspection.recentSignals()
      assert.notInclude(JSON.stringify(kept.map(({ payload, answer }) => [payload, answer])), "1234")
      assert.deepInclude(recordOf(kept[0] as never), {
        signal: "pay",
        address: "till/default",
        outcome: "ok",
        payload: { coins: 1 },
        answer: { total: 1 }
      })
      assert.deepInclude(recordOf(kept[1] as never), { signal: "total", answer: null })
      assert.deepStrictEqual(system.entry(HOME.text)?.insight(), { machine: null, context: { total: 1 } })
      ref.tell("pay", { coins: -1, pin: "1234" }, WHO)
      yield* quiet
      assert.notInclude(JSON.stringify(system.deadLetters.newest(1)), "1234")
      assert.include(JSON.stringify(system.deadLetters.newest(1)), "coins:-1")
    }).pipe(told)
  )
})
