/** What a full mailbox does, as a table; and what is counted of it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch } from "effect"
import type { ActorRef, MailboxPolicy } from "../../src/actor/ActorRef.ts"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { HOME, quiet, TILL, type Till, told, WHO } from "./support/Till.ts"

interface Asked {
  readonly coins: number
  readonly fiber: Fiber.Fiber<string>
}

const outcomes = (asked: ReadonlyArray<Asked>): string =>
  asked
    .map(({ coins, fiber }) => {
      const exit = fiber.pollUnsafe()
      return `${coins} ${exit === undefined ? "waits" : exit._tag === "Success" ? exit.value : "died"}`
    })
    .join(", ")

const askAll = (ref: ActorRef<Till>, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, index) => index + 1),
    (coins) =>
      Effect.map(
        Effect.forkDetach(
          Effect.match(ref.ask("pay", { coins }, WHO), {
            onSuccess: ({ total }) => `took ${total}`,
            onFailure: ({ _tag }) => _tag
          }),
          { startImmediately: true }
        ),
        (fiber): Asked => ({ coins, fiber })
      )
  )

/** An actor that begins to read when it is told to, and takes what is in its mailbox one by one. */
const slow = (policy: MailboxPolicy | undefined, seen: Array<number>) =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const open = yield* Latch.make(false)
    const ref = yield* system.spawn<Till>({
      address: HOME,
      protocol: TILL,
      mailboxCapacity: 2,
      ...(policy === undefined ? {} : { mailboxPolicy: policy }),
      behaviour: ({ ref: { mailbox } }) =>
        Effect.gen(function* () {
          yield* open.await
          while (true) {
            yield* mailbox.nonEmpty
            for (const envelope of mailbox.takeNow(1)) {
              if (envelope.name !== "pay") continue
              seen.push(envelope.payload.coins)
              envelope.succeed({ total: seen.length })
            }
          }
        })
    })
    yield* quiet
    const counts = () => system.entry(HOME.text)?.details().mailbox
    return { system, ref, open: open.open, counts }
  })

interface Case {
  readonly policy: MailboxPolicy | undefined
  readonly full: string
  readonly after: string
  readonly seen: ReadonlyArray<number>
  readonly counts: object
}

const CASES: ReadonlyArray<Case> = [
  {
    policy: undefined,
    full: "1 waits, 2 waits, 3 Overloaded, 4 Overloaded, 5 Overloaded",
    after: "1 took 1, 2 took 2, 3 Overloaded, 4 Overloaded, 5 Overloaded",
    seen: [1, 2],
    counts: { policy: "refuse", refused: 3, dropped: 0, waited: 0, waiting: 0 }
  },
  {
    policy: { kind: "backpressure", sendersMax: 2 },
    full: "1 waits, 2 waits, 3 waits, 4 waits, 5 Overloaded",
    after: "1 took 1, 2 took 2, 3 took 3, 4 took 4, 5 Overloaded",
    seen: [1, 2, 3, 4],
    counts: { policy: "backpressure", refused: 1, dropped: 0, waited: 2, waiting: 2 }
  },
  {
    policy: { kind: "drop_oldest" },
    full: "1 Overloaded, 2 Overloaded, 3 Overloaded, 4 waits, 5 waits",
    after: "1 Overloaded, 2 Overloaded, 3 Overloaded, 4 took 1, 5 took 2",
    seen: [4, 5],
    counts: { policy: "drop_oldest", refused: 0, dropped: 3, waited: 0, waiting: 0 }
  }
]

describe("a full mailbox", () => {
  for (const { policy, full, after, seen, counts } of CASES) {
    it.effect(`${policy?.kind ?? "without a policy"}: ${full}`, () =>
      Effect.gen(function* () {
        const took: Array<number> = []
        const actor = yield* slow(policy, took)
        const asked = yield* askAll(actor.ref, 5)
        yield* quiet
        assert.strictEqual(outcomes(asked), full)
        assert.deepInclude(actor.counts(), counts)
        yield* actor.open
        yield* quiet
        assert.strictEqual(outcomes(asked), after)
        assert.deepStrictEqual(took, seen)
        assert.strictEqual(actor.ref.unanswered, 0)
        assert.strictEqual(actor.ref.mailbox.waiting, 0)
      }).pipe(told)
    )
  }

  it.effect("what was told and refused or dropped is a dead letter", () =>
    Effect.gen(function* () {
      const { system, ref } = yield* slow({ kind: "drop_oldest" }, [])
      for (const coins of [1, 2, 3, 4]) ref.tell("pay", { coins }, WHO)
      assert.deepStrictEqual(
        system.deadLetters.newest(9).map(({ payload }) => payload),
        ["{coins:2}", "{coins:1}"]
      )
    }).pipe(told)
  )
})

describe("a sender that waits for room", () => {
  const policy = { kind: "backpressure", sendersMax: 2 } as const

  it.effect("and gives up leaves its place to another, and its signal never arrives", () =>
    Effect.gen(function* () {
      const took: Array<number> = []
      const actor = yield* slow(policy, took)
      const asked = yield* askAll(actor.ref, 4)
      yield* quiet
      const third = asked[2]
      if (third === undefined) throw new Error("unreachable")
      yield* Fiber.interrupt(third.fiber)
      actor.ref.tell("pay", { coins: 6 }, WHO)
      yield* actor.open
      yield* quiet
      assert.deepStrictEqual(took, [1, 2, 4, 6])
      assert.strictEqual(actor.ref.unanswered, 0)
    }).pipe(told)
  )

  it.effect("push waits for the place, not for the answer; a failure afterwards is a dead letter", () =>
    Effect.gen(function* () {
      const took: Array<number> = []
      const actor = yield* slow(policy, took)
      const pushed = yield* Effect.forEach([1, 2, 3, 4, 5], (coins) =>
        Effect.forkDetach(
          Effect.match(actor.ref.push("pay", { coins }, WHO), {
            onSuccess: () => "placed",
            onFailure: ({ _tag }) => _tag
          }),
          { startImmediately: true }
        )
      )
      yield* quiet
      const seen = () => pushed.map((fiber) => (fiber.pollUnsafe() as { value?: string } | undefined)?.value)
      assert.deepStrictEqual(seen(), ["placed", "placed", undefined, undefined, "Overloaded"])
      assert.strictEqual(actor.system.deadLetters.total, 0, "who is told is no dead letter")
      yield* actor.open
      yield* quiet
      assert.deepStrictEqual(seen(), ["placed", "placed", "placed", "placed", "Overloaded"])
      assert.deepStrictEqual(took, [1, 2, 3, 4])
    }).pipe(told)
  )

  it.effect("is told when the actor stops", () =>
    Effect.gen(function* () {
      const actor = yield* slow(policy, [])
      const asked = yield* askAll(actor.ref, 4)
      yield* quiet
      yield* actor.system.stop(HOME)
      yield* quiet
      assert.strictEqual(outcomes(asked), "1 NotFound, 2 NotFound, 3 NotFound, 4 NotFound")
    }).pipe(told)
  )

  it.effect("gets a place when the bound grows", () =>
    Effect.gen(function* () {
      const actor = yield* slow(policy, [])
      yield* askAll(actor.ref, 4)
      actor.ref.mailbox.resize(3)
      assert.strictEqual(actor.ref.mailbox.depth, 3)
      assert.strictEqual(actor.ref.mailbox.waiting, 1)
    }).pipe(told)
  )
})
