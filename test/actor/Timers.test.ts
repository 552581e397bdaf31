/** Timers and the stash: what belongs to a life, and ends with it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import { type ActorOptions, ActorSystem } from "../../src/actor/ActorSystem.ts"
import { tenantAddress } from "../../src/actor/Address.ts"
import { behave } from "../../src/actor/Behave.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"
import { quiet, told, WHO } from "./support/Till.ts"

const about = {
  family: "host",
  roles: [],
  description: "A signal of a test's own.",
  success: Schema.Void
} as const
const Order = command("order", { ...about, payload: { what: Schema.String } })
const Tick = command("tick", { ...about, payload: { of: Schema.String } })
const Note = command("note", { ...about, payload: { text: Schema.String } })
const Open = command("open", { ...about, payload: {} })
const DESK = protocol(Order, Tick, Note, Open)
type Desk = typeof DESK

const HOME = tenantAddress("desk", "default")

/**
 * Does what it is ordered to: `after KEY MS`, `every KEY MS`, `cancel KEY`, `crash`. It is open after `open`; a note that
 * comes before waits.
 */
const desk = (log: Array<string>, more: Partial<ActorOptions<Desk>> = {}): ActorOptions<Desk> => ({
  address: HOME,
  ...behave({
    protocol: DESK,
    initial: () => ({ isOpen: false }),
    handlers: {
      order: (_, { what }, { context }) => {
        const [order = "", key = "", ms] = what.split(" ")
        if (order === "after") context.after(key, Number(ms), "tick", { of: key })
        if (order === "every") context.every(key, Number(ms), "tick", { of: key })
        if (order === "cancel") context.cancel(key)
        if (order === "crash") throw new Error("scripted")
        return order === "sleep"
          ? Effect.as(Effect.sleep(Number(key)), { reply: undefined })
          : { reply: undefined }
      },
      tick: (_, { of }, { now, principal }) => {
        assert.strictEqual(principal.keyId, HOME.text)
        log.push(`${of}@${now}`)
        return { reply: undefined }
      },
      note: ({ isOpen }, { text }) => {
        if (!isOpen) return { stash: true }
        log.push(text)
        return { reply: undefined }
      },
      open: () => ({ state: { isOpen: true }, unstash: true, reply: undefined })
    }
  }),
  supervision: { restartsMax: 5, withinMs: 60_000, backoffMs: 10, backoffMaxMs: 10 },
  ...more
})

interface Case {
  readonly what: string
  /** Each is said at its moment. */
  readonly orders: ReadonlyArray<readonly [at: number, order: string]>
  readonly until: number
  readonly log: string
}

const CASES: ReadonlyArray<Case> = [
  { what: "after comes once", orders: [[0, "after a 100"]], until: 1_000, log: "a@100" },
  { what: "every comes again and again", orders: [[0, "every a 100"]], until: 350, log: "a@100 a@200 a@300" },
  {
    what: "another of the same key takes its place",
    orders: [
      [0, "after a 100"],
      [50, "after a 100"],
      [60, "every b 40"],
      [70, "every b 500"]
    ],
    until: 400,
    log: "a@150"
  },
  {
    what: "cancelled, it does not come",
    orders: [
      [0, "after a 100"],
      [0, "every b 100"],
      [150, "cancel b"],
      [99, "cancel a"],
      [10, "cancel nobody"]
    ],
    until: 1_000,
    log: "b@100"
  },
  {
    what: "lesson 23: it ends with the life that set it",
    orders: [
      [0, "after a 100"],
      [0, "every b 50"],
      [60, "crash"]
    ],
    until: 1_000,
    log: "b@50"
  },
  {
    what: "cancelled while its signal waits, it does not come either",
    orders: [
      [0, "after a 50"],
      [0, "after b 50"],
      [10, "sleep 100"],
      [20, "cancel a"]
    ],
    until: 1_000,
    log: "b@110"
  },
  {
    what: "a slow actor finds one tick, not all that came while it was busy",
    orders: [
      [0, "every a 10"],
      [5, "sleep 100"],
      [120, "cancel a"]
    ],
    until: 1_000,
    log: "a@105 a@110 a@120"
  },
  {
    what: "what a timer has sent is forgotten with the life",
    orders: [
      [0, "after a 50"],
      [10, "sleep 100"],
      [20, "crash"]
    ],
    until: 1_000,
    log: ""
  }
]

const push = (ref: ActorRef<Desk>, what: string) =>
  Effect.sync(() => ref.tell("order", { what }, WHO)).pipe(Effect.andThen(quiet))

describe("a timer", () => {
  for (const { what, orders, until, log } of CASES) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const seen: Array<string> = []
        const ref = yield* system.spawn(desk(seen))
        let now = 0
        for (const [at, order] of [...orders].sort(([a], [b]) => a - b)) {
          for (; now < at; now++) yield* Effect.andThen(TestClock.adjust(1), Effect.yieldNow)
          // Ahead of what waits already: an order is no part of what is ordered.
          ref.tell("order", { what: order }, WHO)
          yield* quiet
        }
        for (; now < until; now += 5) yield* Effect.andThen(TestClock.adjust(5), quiet)
        assert.strictEqual(seen.join(" "), log)
      }).pipe(told)
    )
  }

  it.effect("ends with its actor", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const seen: Array<string> = []
      const ref = yield* system.spawn(desk(seen))
      yield* ref.ask("order", { what: "every a 10" }, WHO)
      yield* system.stop(HOME)
      yield* TestClock.adjust(1_000)
      yield* quiet
      assert.deepStrictEqual(seen, [])
      assert.strictEqual(system.deadLetters.total, 0)
    }).pipe(told)
  )
})

describe("a timer of an actor whose mailbox is full", () => {
  for (const mailboxPolicy of [
    { kind: "refuse" },
    { kind: "backpressure", sendersMax: 2 },
    { kind: "drop_oldest" }
  ] as const) {
    it.effect(`comes all the same, once for each key: ${mailboxPolicy.kind}`, () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const seen: Array<string> = []
        const ref = yield* system.spawn(desk(seen, { mailboxCapacity: 2, mailboxPolicy }))
        for (const what of ["after a 100", "every b 60", "sleep 200"]) yield* push(ref, what)
        const fill = Effect.gen(function* () {
          for (let times = 0; times < 6; times++) ref.tell("order", { what: "nothing" }, WHO)
          yield* quiet
        })
        yield* fill
        const full = ref.mailbox.depth + ref.mailbox.waiting
        // b, then a, then b again: what b had sent is taken back.
        for (let times = 0; times < 3; times++) yield* Effect.andThen(TestClock.adjust(50), fill)
        assert.strictEqual(ref.mailbox.depth + ref.mailbox.waiting, full + 2)
        assert.deepStrictEqual(
          system.deadLetters.newest(1_000).filter(({ signal }) => signal === "tick"),
          []
        )
        yield* Effect.andThen(TestClock.adjust(50), quiet)
        assert.strictEqual(seen.join(" "), "a@200 b@200")
        assert.strictEqual(ref.unanswered, 0)
      }).pipe(told)
    )
  }

  it.effect("may have nothing else in it: then a new signal is refused, and no timer's is dropped", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const seen: Array<string> = []
      const ref = yield* system.spawn(
        desk(seen, { mailboxCapacity: 1, mailboxPolicy: { kind: "drop_oldest" } })
      )
      for (const what of ["after a 10", "after b 20", "sleep 100"]) yield* push(ref, what)
      yield* Effect.andThen(TestClock.adjust(50), quiet)
      ref.tell("order", { what: "nothing" }, WHO)
      assert.strictEqual(system.entry(HOME.text)?.details().mailbox.refused, 1)
      yield* Effect.andThen(TestClock.adjust(50), quiet)
      assert.strictEqual(seen.join(" "), "a@100 b@100")
    }).pipe(told)
  )
})

describe("a signal that is put aside", () => {
  const note = (ref: ActorRef<Desk>, text: string) =>
    Effect.forkDetach(
      Effect.match(ref.ask("note", { text }, WHO), { onSuccess: () => "ok", onFailure: ({ _tag }) => _tag }),
      { startImmediately: true }
    )

  it.effect(
    "is looked at when the actor is ready, in the order of its coming, and before what came later",
    () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const seen: Array<string> = []
        const ref = yield* system.spawn(desk(seen))
        const notes = [yield* note(ref, "1"), yield* note(ref, "2")]
        yield* quiet
        assert.isUndefined(notes[0]?.pollUnsafe())
        assert.strictEqual(system.entry(HOME.text)?.details().mailbox.stashed, 2)
        ref.tell("open", {}, WHO)
        notes.push(yield* note(ref, "3"))
        for (const fiber of notes) assert.strictEqual(yield* Fiber.join(fiber), "ok")
        assert.deepStrictEqual(seen, ["1", "2", "3"])
      }).pipe(told)
  )

  it.effect("is Overloaded past the bound, and counted", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(desk([], { stashCapacity: 1 }))
      yield* note(ref, "1")
      const over = yield* note(ref, "2")
      assert.strictEqual(yield* Fiber.join(over), "Overloaded")
      assert.strictEqual(system.entry(HOME.text)?.details().mailbox.refused, 1)
    }).pipe(told)
  )

  it.effect("goes back to the mailbox when its life ends, and on to the next one", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const seen: Array<string> = []
      const ref = yield* system.spawn(desk(seen))
      const first = yield* note(ref, "1")
      yield* quiet
      ref.tell("order", { what: "crash" }, WHO)
      yield* quiet
      yield* TestClock.adjust(10)
      yield* quiet
      ref.tell("open", {}, WHO)
      assert.strictEqual(yield* Fiber.join(first), "ok")
      assert.deepStrictEqual(seen, ["1"])
    }).pipe(told)
  )

  it.effect("is answered when the actor stops", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const ref = yield* system.spawn(desk([]))
      const first = yield* note(ref, "1")
      yield* quiet
      yield* system.stop(HOME)
      assert.strictEqual(yield* Fiber.join(first), "NotFound")
      assert.strictEqual(ref.unanswered, 0)
    }).pipe(told)
  )
})
