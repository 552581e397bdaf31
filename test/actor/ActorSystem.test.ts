/** Actors of one node: asking, telling, bounds, restarts, stopping, and what is told about them. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, type Exit, Fiber, type Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import { type ActorOptions, ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { scopedAddress, sharedAddress, tenantAddress } from "../../src/actor/Address.ts"
import type { Envelope } from "../../src/actor/Envelope.ts"
import { recordOf } from "../../src/actor/Inspection.ts"
import type { SupervisionPolicy } from "../../src/actor/Supervision.ts"
import { ACTOR_SIGNALS } from "../../src/signal/Catalogue.ts"
import { decodePayload, decodeSuccess } from "../../src/signal/Decode.ts"
import { Conflict } from "../../src/signal/Errors.ts"
import type { ActorFact } from "../../src/signal/Inspection.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { EXAMPLES } from "../signal/Examples.ts"

const WHO = installationPrincipal()
const HOME = tenantAddress("echo", "default")
const POLICY: SupervisionPolicy = { restartsMax: 2, withinMs: 60_000, backoffMs: 100, backoffMaxMs: 1_000 }

const told = <A, E>(test: Effect.Effect<A, E, Layer.Success<typeof layer>>) => Effect.provide(test, layer)

const quiet = Effect.gen(function* () {
  for (let turn = 0; turn < 30; turn++) yield* Effect.yieldNow
})

type Handle = (envelope: Envelope) => void

/** An actor that handles signals one by one. */
const handler = (handle: Handle, more: Partial<ActorOptions> = {}): ActorOptions => ({
  address: HOME,
  supervision: POLICY,
  behaviour: ({ ref }) =>
    Effect.gen(function* () {
      while (true) {
        yield* ref.mailbox.nonEmpty
        for (const envelope of ref.mailbox.takeNow(1)) handle(envelope)
      }
    }),
  ...more
})

const released: Handle = (envelope) => {
  if (envelope.name === "release_hold") envelope.succeed({ released: true })
}

const ask = (ref: ActorRef, id: string) =>
  Effect.forkDetach(ref.ask("release_hold", { hold_id: id }, WHO), { startImmediately: true })

const outcome = (exit: Exit.Exit<unknown, { readonly _tag: string }> | undefined): string => {
  if (exit === undefined) return "waits"
  if (exit._tag === "Success") return "ok"
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? reason.error._tag : "died"
}

describe("ask and tell", () => {
  it.effect("an ask is answered; the first answer counts", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const twice: Handle = (envelope) => {
        released(envelope)
        envelope.fail(new Conflict({ reason: "version_changed", message: "too late" }))
        released(envelope)
      }
      const ref = yield* system.spawn(handler(twice))
      assert.deepStrictEqual(yield* ref.ask("release_hold", { hold_id: "h" }, WHO), { released: true })
      assert.strictEqual(ref.signalsHandled, 1)
    }).pipe(told)
  )

  it.effect("a failure comes back as the error itself", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const conflict = new Conflict({ reason: "version_changed", message: "Read it again" })
      const ref = yield* system.spawn(handler((envelope) => envelope.fail(conflict)))
      assert.strictEqual(yield* Effect.flip(ref.ask("release_hold", { hold_id: "h" }, WHO)), conflict)
      assert.strictEqual(system.deadLetters.total, 0, "who asked was told; that is no dead letter")
    }).pipe(told)
  )

  it.effect("signals are handled in the order they were sent", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const seen: Array<string> = []
      const ref = yield* system.spawn(
        handler((envelope) => {
          if (envelope.name === "release_hold") seen.push(envelope.payload.hold_id)
          released(envelope)
        })
      )
      for (let index = 0; index < 100; index++) ref.tell("release_hold", { hold_id: `${index}` }, WHO)
      yield* ref.ask("release_hold", { hold_id: "last" }, WHO)
      assert.deepStrictEqual(seen, [...Array.from({ length: 100 }, (_, index) => `${index}`), "last"])
    }).pipe(told)
  )

  it.effect("a tell that fails becomes a dead letter", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const conflict = new Conflict({ reason: "version_changed", message: "Read it again" })
      const ref = yield* system.spawn(handler((envelope) => envelope.fail(conflict)))
      ref.tell("release_hold", { hold_id: "h" }, WHO)
      yield* quiet
      const [letter] = system.deadLetters.newest(1)
      assert.strictEqual(letter?.why, "Read it again")
      assert.strictEqual(letter?.address, "echo/default")
      assert.strictEqual(letter?.signal, "release_hold")
      assert.include(JSON.stringify(letter?.payload), "hold_id")
    }).pipe(told)
  )

  it.effect("at the bound an ask is Overloaded at once, and a tell is a dead letter", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(
        handler(released, { mailboxCapacity: 2, behaviour: () => Effect.never })
      )
      const waiting = [yield* ask(ref, "1"), yield* ask(ref, "2")]
      const over = yield* Effect.flip(ref.ask("release_hold", { hold_id: "3" }, WHO))
      if (over._tag !== "Overloaded") throw new Error(over._tag)
      assert.isTrue(over.retry_after_ms > 0)
      ref.tell("release_hold", { hold_id: "4" }, WHO)
      assert.strictEqual(system.deadLetters.total, 1)
      assert.deepStrictEqual(
        waiting.map((fiber) => outcome(fiber.pollUnsafe())),
        ["waits", "waits"]
      )
    }).pipe(told)
  )

  it.effect("a caller that gives up does not disturb the actor", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const late: Array<Envelope> = []
      const ref = yield* system.spawn(handler((envelope) => late.push(envelope)))
      const gone = yield* ask(ref, "1")
      yield* quiet
      yield* Fiber.interrupt(gone)
      for (const envelope of late) released(envelope)
      const timed = yield* Effect.forkChild(
        Effect.timeoutOption(ref.ask("release_hold", { hold_id: "2" }, WHO), "1 second")
      )
      yield* TestClock.adjust("1 second")
      assert.isTrue((yield* Fiber.join(timed))._tag === "None")
      assert.strictEqual(system.entry("echo/default")?.info.status, "running")
    }).pipe(told)
  )
})

describe("dead letters", () => {
  it.effect("are bounded: the newest thousand, and how many there were", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(
        handler(released, { mailboxCapacity: 1, behaviour: () => Effect.never })
      )
      ref.tell("release_hold", { hold_id: "has its place" }, WHO)
      for (let index = 0; index < 1_500; index++) ref.tell("release_hold", { hold_id: `${index}` }, WHO)
      assert.strictEqual(system.deadLetters.total, 1_500)
      const letters = system.deadLetters.newest(10_000)
      assert.strictEqual(letters.length, 1_000)
      assert.include(JSON.stringify(letters[0]?.payload), "1499")
      assert.include(JSON.stringify(letters[999]?.payload), "500")
      assert.strictEqual(system.deadLetters.newest(2).length, 2)
      assert.strictEqual(system.deadLetters.newest(0).length, 0)
    }).pipe(told)
  )
})

describe("supervision", () => {
  const crashing = (crashes: number): ActorOptions => {
    let left = crashes
    return handler(released, {
      behaviour: (context) => {
        if (left > 0) {
          left -= 1
          return Effect.die(new Error("scripted"))
        }
        return handler(released).behaviour(context)
      }
    })
  }
  const statusOf = (system: ActorSystem) => system.entry("echo/default")?.info

  it.effect("a crash is followed by a restart, after a pause that grows; who waits is served then", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(crashing(2))
      yield* quiet
      assert.strictEqual(statusOf(system)?.status, "restarting")
      const waiting = yield* ask(ref, "1")
      yield* TestClock.adjust(99)
      assert.strictEqual(statusOf(system)?.restarts, 0)
      yield* TestClock.adjust(1)
      yield* quiet
      assert.strictEqual(statusOf(system)?.restarts, 1)
      assert.strictEqual(statusOf(system)?.status, "restarting")
      yield* TestClock.adjust(200)
      yield* quiet
      assert.strictEqual(statusOf(system)?.restarts, 2)
      assert.strictEqual(statusOf(system)?.status, "running")
      assert.strictEqual(outcome(waiting.pollUnsafe()), "ok")
    }).pipe(told)
  )

  it.effect("past the limit it has failed: it is gone, and who waits is told", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const facts: Array<ActorFact> = []
      system.inspection.listen({ onFact: (fact) => facts.push(fact) })
      const ref = yield* system.spawn(crashing(99))
      const waiting = yield* ask(ref, "1")
      for (let turn = 0; turn < 4; turn++) yield* TestClock.adjust(1_000)
      yield* quiet
      assert.strictEqual(outcome(waiting.pollUnsafe()), "NotFound")
      assert.isUndefined(system.find(HOME))
      assert.strictEqual(
        outcome((yield* Effect.exit(ref.ask("release_hold", { hold_id: "2" }, WHO))) as never),
        "NotFound"
      )
      assert.deepStrictEqual(
        facts.map(({ fact }) => fact),
        ["started", "restarted", "restarted", "failed"]
      )
      assert.strictEqual(facts.at(-1)?.actor.status, "failed")
    }).pipe(told)
  )

  it.effect("a crashing actor takes no other with it", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const neighbour = yield* system.spawn(handler(released, { address: tenantAddress("echo", "other") }))
      yield* system.spawn(crashing(99))
      for (let turn = 0; turn < 4; turn++) yield* TestClock.adjust(1_000)
      yield* quiet
      assert.deepStrictEqual(yield* neighbour.ask("release_hold", { hold_id: "h" }, WHO), { released: true })
    }).pipe(told)
  )

  it.effect("a crash beside which fibers were interrupted is a crash, not a stop", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      let lives = 0
      yield* system.spawn(
        handler(released, {
          behaviour: () => {
            lives += 1
            return Effect.all([Effect.never, Effect.andThen(Effect.yieldNow, Effect.die("scripted"))], {
              concurrency: "unbounded"
            })
          }
        } as Partial<ActorOptions>)
      )
      yield* quiet
      yield* TestClock.adjust(100)
      yield* quiet
      assert.strictEqual(lives, 2)
    }).pipe(told)
  )

  it.effect("a loop that interrupts itself is restarted as well", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      let lives = 0
      yield* system.spawn(
        handler(released, {
          behaviour: () =>
            Effect.suspend(() => {
              lives += 1
              return lives === 1 ? Effect.interrupt : Effect.never
            })
        })
      )
      yield* quiet
      yield* TestClock.adjust(100)
      yield* quiet
      assert.strictEqual(lives, 2)
    }).pipe(told)
  )

  it.effect("a typed failure is a crash like any other", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      yield* system.spawn(handler(released, { behaviour: () => Effect.fail("scripted") }))
      yield* quiet
      assert.strictEqual(statusOf(system)?.status, "restarting")
    }).pipe(told)
  )

  it.effect("a loop that returns has stopped", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const facts: Array<string> = []
      system.inspection.listen({ onFact: ({ fact }) => facts.push(fact) })
      yield* system.spawn(handler(released, { behaviour: () => Effect.void }))
      yield* quiet
      assert.deepStrictEqual(facts, ["started", "stopped"])
      assert.isUndefined(system.find(HOME))
    }).pipe(told)
  )
})

describe("spawning and stopping", () => {
  it.effect("an address has one actor", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const first = yield* system.spawn(handler(released))
      const second = yield* system.spawn(handler(released))
      assert.strictEqual(first, second)
      assert.strictEqual(system.find(HOME), first)
      assert.strictEqual(system.entries().length, 1)
    }).pipe(told)
  )

  it.effect("stopping answers who waits, and who comes later", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(handler(released, { behaviour: () => Effect.never }))
      yield* quiet
      const waiting = yield* ask(ref, "1")
      yield* system.stop(HOME)
      yield* quiet
      assert.strictEqual(outcome(waiting.pollUnsafe()), "NotFound")
      const late = yield* ask(ref, "2")
      assert.strictEqual(outcome(late.pollUnsafe()), "NotFound")
      ref.tell("release_hold", { hold_id: "3" }, WHO)
      assert.strictEqual(system.deadLetters.total, 1)
      assert.isUndefined(system.find(HOME))
      yield* system.stop(HOME)
    }).pipe(told)
  )

  it.effect("an actor that is stopped before it has run is stopped", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(handler(released, { behaviour: () => Effect.never }))
      const waiting = yield* ask(ref, "1")
      yield* system.stop(HOME)
      yield* quiet
      assert.strictEqual(outcome(waiting.pollUnsafe()), "NotFound")
      assert.isUndefined(system.find(HOME))
    }).pipe(told)
  )

  it.effect("an actor that is being stopped makes way for its successor", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const finished = yield* Deferred.make<void>()
      const slow = handler(released, {
        behaviour: () => Effect.onInterrupt(Effect.never, () => Deferred.await(finished))
      })
      const first = yield* system.spawn(slow)
      yield* quiet
      yield* Effect.forkChild(system.stop(HOME))
      yield* quiet
      const spawning = yield* Effect.forkChild(system.spawn(handler(released)))
      yield* quiet
      assert.isUndefined(spawning.pollUnsafe(), "the first still has things to finish")
      yield* Deferred.succeed(finished, undefined)
      yield* quiet
      const second = yield* Fiber.join(spawning)
      assert.notStrictEqual(second, first)
      assert.deepStrictEqual(yield* second.ask("release_hold", { hold_id: "h" }, WHO), { released: true })
    }).pipe(told)
  )

  it.effect("a restart can be stopped in its pause", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(handler(released, { behaviour: () => Effect.die("scripted") }))
      yield* quiet
      const waiting = yield* ask(ref, "1")
      yield* system.stop(HOME)
      yield* quiet
      assert.strictEqual(outcome(waiting.pollUnsafe()), "NotFound")
    }).pipe(told)
  )

  it.effect("all actors end with their system", () =>
    Effect.gen(function* () {
      const ended: Array<string> = []
      let ref: ActorRef | undefined
      yield* Effect.gen(function* () {
        const system = yield* ActorSystem
        ref = yield* system.spawn(
          handler(released, {
            behaviour: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended.push("x")))
          })
        )
        yield* quiet
      }).pipe(told)
      assert.deepStrictEqual(ended, ["x"])
      assert.isTrue(ref?.isClosed)
    })
  )

  it.effect("lists what lives here, with its parent and its mailbox", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const provider = sharedAddress("provider", "anthropic")
      yield* system.spawn(handler(released, { address: provider }))
      const ref = yield* system.spawn(
        handler(released, {
          address: scopedAddress("call", "default", "r/1"),
          parent: provider,
          mailboxCapacity: 7,
          behaviour: () => Effect.never,
          insight: () => ({ machine: null, context: { mood: "fine" } })
        })
      )
      yield* ask(ref, "1")
      const entry = system.entry("call/default/r/1")
      assert.deepInclude(entry?.info as object, {
        address: "call/default/r/1",
        kind: "call",
        parent: "provider/anthropic",
        mailbox_depth: 1,
        mailbox_capacity: 7,
        signals_handled: 0,
        restarts: 0,
        state: null
      })
      assert.deepStrictEqual(entry?.insight(), { machine: null, context: { mood: "fine" } })
      assert.isUndefined(system.entry("nobody"))
    }).pipe(told)
  )
})

describe("inspection", () => {
  it.effect("keeps the newest signals, the oldest first, in bounded memory", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(handler(released))
      for (let index = 0; index < 700; index++) yield* ref.ask("release_hold", { hold_id: `${index}` }, WHO)
      const ids = system.inspection
        .recentSignals()
        .map(({ payload }) => (payload as { hold_id: string }).hold_id)
      assert.strictEqual(ids.length, 512)
      assert.strictEqual(ids[0], "188")
      assert.strictEqual(ids.at(-1), "699")
    }).pipe(told)
  )

  it.effect("tells of mailboxes twice a second, of those that have moved, while somebody listens", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const moved: Array<string> = []
      const ref = yield* system.spawn(handler(released, { behaviour: () => Effect.never }))
      yield* system.spawn(handler(released, { address: tenantAddress("echo", "idle") }))
      yield* TestClock.adjust("1 hour")
      const leave = system.inspection.listen({
        onFact: ({ fact, actor }) =>
          fact === "mailbox" && moved.push(`${actor.address} ${actor.mailbox_depth}`)
      })
      yield* ask(ref, "1")
      yield* TestClock.adjust(499)
      assert.deepStrictEqual(moved, [])
      yield* TestClock.adjust(1)
      yield* quiet
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(moved, ["echo/default 1"])
      leave()
      yield* ask(ref, "2")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(moved, ["echo/default 1"])
      system.inspection.listen({ onFact: ({ fact }) => fact === "mailbox" && moved.push("again") })
      yield* TestClock.adjust(500)
      yield* quiet
      assert.deepStrictEqual(moved, ["echo/default 1", "again"])
    }).pipe(told)
  )

  it.effect("tells who listens, and nobody after they have left", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const seen: Array<string> = []
      const leave = system.inspection.listen({ onSignal: ({ name }) => seen.push(name) })
      const ref = yield* system.spawn(handler(released))
      yield* ref.ask("release_hold", { hold_id: "1" }, WHO)
      leave()
      yield* ref.ask("release_hold", { hold_id: "2" }, WHO)
      assert.deepStrictEqual(seen, ["release_hold"])
    }).pipe(told)
  )

  it.effect("makes no fact that nobody wants", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const facts: Array<string> = []
      const leave = system.inspection.listen({
        facts: ["started"],
        onFact: ({ fact }) => facts.push(fact)
      })
      assert.isTrue(system.inspection.hears("started"))
      assert.isFalse(system.inspection.hears("mailbox"))
      const ref = yield* system.spawn(handler(released))
      yield* system.stop(ref.address)
      assert.deepStrictEqual(facts, ["started"])
      leave()
      assert.isFalse(system.inspection.hears("started"))
    }).pipe(told)
  )

  const answered = (payload: unknown, answer: unknown, name: "track_usage" | "complete" | "check_budget") =>
    recordOf({
      signalId: 1,
      name,
      definition: ACTOR_SIGNALS[name],
      payload,
      principal: WHO,
      address: HOME,
      at: 0,
      durationMs: 1.23456,
      answer: answer as { success: unknown }
    })

  it("shows a signal without prompt text, answers or raw facts, however deep they lie", () => {
    const secret = "the launch code"
    const usage = {
      ...(EXAMPLES.track_usage.results[0]?.usage as object),
      metadata: { note: secret },
      raw_usage: { note: secret }
    }
    const tracked = decodeSuccess("track_usage", { ...EXAMPLES.track_usage.results[0], usage })
    const report = answered(
      {
        ...Result.getOrThrow(decodePayload("track_usage", EXAMPLES.track_usage.params)),
        metadata: { note: secret },
        raw_usage: { note: secret }
      },
      { success: tracked },
      "track_usage"
    )
    assert.notInclude(JSON.stringify(report), secret)
    assert.strictEqual(report.request_id, "r1")
    assert.strictEqual(report.outcome, "ok")
    const completion = decodeSuccess("complete", {
      ...EXAMPLES.complete.results[0],
      content: secret,
      tool_calls: [{ id: "1", name: "look", arguments: secret }],
      usage
    })
    const call = answered(
      {
        provider: "p",
        model: "m",
        fallback: [],
        max_attempts: 1,
        stream: false,
        on_overrun: "stop",
        messages: [{ role: "user", content: secret }],
        system: secret,
        tools: [{ name: "look", description: secret, parameters: {} }]
      },
      { success: completion },
      "complete"
    )
    assert.notInclude(JSON.stringify(call), secret)
  })

  it("a refusal says why", () => {
    const success = decodeSuccess("check_budget", EXAMPLES.check_budget.results[1])
    const record = answered({ request_id: "r1", hold: true, hold_ttl_ms: 1 }, { success }, "check_budget")
    assert.strictEqual(record.outcome, "refused")
    assert.strictEqual(record.reason, "Refused: no room")
  })

  it("an error says which, and why", () => {
    const error = new Conflict({ reason: "hold_already_posted", message: "It has been posted" })
    const record = answered({ request_id: "r1", hold: true, hold_ttl_ms: 1 }, { error }, "check_budget")
    assert.strictEqual(record.outcome, "Conflict")
    assert.strictEqual(record.reason, "It has been posted")
    assert.deepStrictEqual(record.answer, { _tag: "Conflict", reason: "hold_already_posted" })
  })

  it("what can hardly be written down is shown all the same", () => {
    const usage = decodeSuccess("track_usage", EXAMPLES.track_usage.results[0])
    const huge = { ...usage, usage: { ...usage.usage, cost: 10n ** 40n, total_tokens: 2 ** 60 } }
    const report = { request_id: "r1", provider: "p", model: "m", prompt_tokens: -1, completion_tokens: 0 }
    assert.strictEqual(answered(report, { success: huge }, "track_usage").outcome, "ok")
  })
})
