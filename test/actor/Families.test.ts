/** Parents and children: strategies as a table, who ends before whom, and who is told. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { ActorContext } from "../../src/actor/ActorContext.ts"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import { ActorSystem } from "../../src/actor/ActorSystem.ts"
import { sharedAddress } from "../../src/actor/Address.ts"
import {
  DEFAULT_SUPERVISION,
  ESCALATE,
  type RestartPolicy,
  type SupervisionPolicy
} from "../../src/actor/Supervision.ts"
import type { Ended } from "../../src/actor/Watching.ts"
import { quiet, type Till, till, tillAt, told, WHO } from "./support/Till.ts"

const PARENT = sharedAddress("till", "parent")
const CHILD = sharedAddress("till", "child")
const SIBLING = sharedAddress("till", "sibling")
const GRANDCHILD = sharedAddress("till", "grandchild")
const STRANGER = sharedAddress("till", "stranger")
const ALL = [PARENT, CHILD, SIBLING, GRANDCHILD, STRANGER]

const RESTART: RestartPolicy = { ...DEFAULT_SUPERVISION, backoffMs: 10, backoffMaxMs: 10 }
const STOP: SupervisionPolicy = { strategy: "stop" }

/** A parent, its two children, a child of the first one, and somebody who has nothing to do with them. */
const family = (policies: { parent?: SupervisionPolicy; child?: SupervisionPolicy }) =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const ended: Array<string> = []
    let isFirst = true
    const child = (address: typeof CHILD, supervision: SupervisionPolicy = RESTART) => ({
      address,
      supervision,
      ...till()
    })
    yield* system.spawn<Till>({
      address: PARENT,
      supervision: policies.parent ?? RESTART,
      protocol: till().protocol,
      behaviour: (context: ActorContext<Till>) =>
        Effect.gen(function* () {
          if (isFirst) {
            isFirst = false
            yield* context.spawn(child(CHILD, policies.child))
            yield* context.spawn(child(SIBLING))
          }
          yield* till().behaviour(context)
        })
    })
    yield* system.spawn({ ...child(GRANDCHILD), parent: CHILD })
    yield* system.spawn(child(STRANGER))
    yield* quiet
    for (const address of ALL) system.watch(address, ({ address: who }) => ended.push(who.slice(5)))
    const lives = () =>
      ALL.map(({ text }) => {
        const info = system.entry(text)?.info
        return `${text.slice(5)} ${info === undefined ? "gone" : info.restarts}`
      }).join(", ")
    const settle = Effect.andThen(TestClock.adjust("10 seconds"), quiet)
    const breaks = (address: typeof CHILD) =>
      Effect.gen(function* () {
        const ref = system.find(address, till().protocol)
        yield* Effect.ignore(ref?.ask("break", { how: "throw" }, WHO) ?? Effect.void)
        yield* settle
      })
    return { system, ended, lives, settle, breaks }
  })

interface Case {
  readonly what: string
  readonly policies: { parent?: SupervisionPolicy; child?: SupervisionPolicy }
  readonly breaks: typeof CHILD
  readonly lives: string
  readonly ended: ReadonlyArray<string>
}

const CASES: ReadonlyArray<Case> = [
  {
    what: "a child that restarts begins again, and its children have ended",
    policies: {},
    breaks: CHILD,
    lives: "parent 0, child 1, sibling 0, grandchild gone, stranger 0",
    ended: ["grandchild"]
  },
  {
    what: "a child that keeps its children begins again among them",
    policies: { child: { ...RESTART, children: "keep" } },
    breaks: CHILD,
    lives: "parent 0, child 1, sibling 0, grandchild 0, stranger 0",
    ended: []
  },
  {
    what: "a child that stops takes its children with it, and nobody else",
    policies: { child: STOP },
    breaks: CHILD,
    lives: "parent 0, child gone, sibling 0, grandchild gone, stranger 0",
    ended: ["grandchild", "child"]
  },
  {
    what: "a child that escalates fails its parent, which begins again without its children",
    policies: { child: ESCALATE },
    breaks: CHILD,
    lives: "parent 1, child gone, sibling gone, grandchild gone, stranger 0",
    ended: ["grandchild", "child", "sibling"]
  },
  {
    what: "a child that escalates to a parent that stops ends the family",
    policies: { child: ESCALATE, parent: STOP },
    breaks: CHILD,
    lives: "parent gone, child gone, sibling gone, grandchild gone, stranger 0",
    ended: ["grandchild", "child", "sibling", "parent"]
  },
  {
    what: "a parent that escalates to nobody has failed",
    policies: { parent: ESCALATE },
    breaks: PARENT,
    lives: "parent gone, child gone, sibling gone, grandchild gone, stranger 0",
    ended: ["grandchild", "child", "sibling", "parent"]
  },
  {
    what: "a stranger's crash is a stranger's crash",
    policies: {},
    breaks: STRANGER,
    lives: "parent 0, child 0, sibling 0, grandchild 0, stranger 1",
    ended: []
  }
]

describe("a crash in a family", () => {
  for (const { what, policies, breaks, lives, ended } of CASES) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const members = yield* family(policies)
        yield* members.breaks(breaks)
        assert.strictEqual(members.lives(), lives)
        assert.deepStrictEqual(members.ended, ended)
      }).pipe(told)
    )
  }

  it.effect("past its limit is a failure, which is written down with all that led to it", () =>
    Effect.gen(function* () {
      const { system, breaks, ended } = yield* family({ child: { ...RESTART, restartsMax: 2 } })
      for (let times = 0; times < 2; times++) yield* breaks(CHILD)
      const log = system.entry(CHILD.text)?.details().supervision
      assert.deepStrictEqual(
        log?.map(({ decision, why, pauseMs }) => [decision, why, pauseMs]),
        [
          ["restart", "Error: scripted", 10],
          ["restart", "Error: scripted", 10]
        ]
      )
      yield* breaks(CHILD)
      assert.include(ended, "child")
    }).pipe(told)
  )

  it.effect("of a child while its parent waits for its next life is one more crash of the parent", () =>
    Effect.gen(function* () {
      const slow = { ...RESTART, backoffMs: 1_000, backoffMaxMs: 8_000, children: "keep" } as const
      const { system, settle, lives } = yield* family({ parent: slow, child: ESCALATE })
      const breakNow = (address: typeof CHILD) =>
        Effect.ignore(
          system.find(address, till().protocol)?.ask("break", { how: "throw" }, WHO) ?? Effect.void
        )
      yield* breakNow(PARENT)
      assert.strictEqual(system.entry(PARENT.text)?.info.status, "restarting")
      yield* TestClock.adjust(900)
      yield* breakNow(CHILD)
      yield* TestClock.adjust(1_999)
      yield* quiet
      assert.strictEqual(lives(), "parent 0, child gone, sibling 0, grandchild gone, stranger 0")
      assert.deepStrictEqual(
        system
          .entry(PARENT.text)
          ?.details()
          .supervision.map(({ decision, pauseMs }) => [decision, pauseMs]),
        [
          ["restart", 1_000],
          ["restart", 2_000]
        ]
      )
      yield* settle
      assert.strictEqual(lives(), "parent 1, child gone, sibling 0, grandchild gone, stranger 0")
    }).pipe(told)
  )

  it.effect(
    "of a child while its parent waits fails a parent that has no life left, once, with its family",
    () =>
      Effect.gen(function* () {
        const last = { ...RESTART, backoffMs: 1_000, restartsMax: 1, children: "keep" } as const
        const { system, settle, ended } = yield* family({ parent: last, child: ESCALATE })
        for (const address of [PARENT, CHILD])
          yield* Effect.ignore(
            system.find(address, till().protocol)?.ask("break", { how: "throw" }, WHO) ?? Effect.void
          )
        yield* settle
        assert.deepStrictEqual(ended, ["grandchild", "child", "sibling", "parent"])
      }).pipe(told)
  )

  it.effect("is remembered 32 times, however often it happens", () =>
    Effect.gen(function* () {
      const { system, breaks } = yield* family({ child: { ...RESTART, restartsMax: 1_000 } })
      for (let times = 0; times < 40; times++) yield* breaks(CHILD)
      assert.strictEqual(system.entry(CHILD.text)?.details().supervision.length, 32)
      assert.strictEqual(system.entry(CHILD.text)?.info.restarts, 40)
    }).pipe(told)
  )
})

describe("a child of nobody", () => {
  it.effect("is refused, and says whom it lacks", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const exit = yield* Effect.exit(system.spawn({ address: CHILD, parent: PARENT, ...till() }))
      assert.include(String(exit), "till/child cannot be a child of till/parent, which is not there")
      assert.isUndefined(system.entry(CHILD.text))
    }).pipe(told)
  )
})

describe("stopping", () => {
  it.effect("ends children before their parent", () =>
    Effect.gen(function* () {
      const { system, ended } = yield* family({})
      assert.deepStrictEqual(system.entry(PARENT.text)?.details().children, [CHILD.text, SIBLING.text])
      yield* system.stop(PARENT)
      assert.deepStrictEqual(ended, ["grandchild", "child", "sibling", "parent"])
      assert.isDefined(system.entry(STRANGER.text))
    }).pipe(told)
  )

  it.effect("in the pause before a restart, and while children end, ends once", () =>
    Effect.gen(function* () {
      const { system, ended } = yield* family({})
      const ref = system.find(CHILD, till().protocol)
      yield* Effect.ignore(ref?.ask("break", { how: "throw" }, WHO) ?? Effect.void)
      yield* system.stop(CHILD)
      yield* TestClock.adjust("10 seconds")
      yield* quiet
      assert.deepStrictEqual(ended, ["grandchild", "child"])
      assert.isUndefined(system.entry(CHILD.text))
    }).pipe(told)
  )

  it.effect("an actor is begun again when somebody asks for it, and that is written down", () =>
    Effect.gen(function* () {
      const { system, lives, settle } = yield* family({ child: { ...RESTART, children: "keep" } })
      const ref = system.find(CHILD, till().protocol)
      yield* ref?.ask("pay", { coins: 3 }, WHO) ?? Effect.void
      assert.isTrue(system.restart(CHILD, "asked for by ann"))
      yield* settle
      assert.strictEqual(lives(), "parent 0, child 1, sibling 0, grandchild 0, stranger 0")
      assert.deepStrictEqual(yield* ref?.ask("total", {}, WHO) ?? Effect.void, { total: 0 })
      const [entry] = system.entry(CHILD.text)?.details().supervision ?? []
      assert.deepInclude(entry, { decision: "asked", why: "asked for by ann" })
      assert.isFalse(system.restart(sharedAddress("till", "nobody"), "x"))
    }).pipe(told)
  )
})

describe("watching", () => {
  const watched = Effect.gen(function* () {
    const members = yield* family({ child: STOP })
    const seen: Array<Ended> = []
    return { ...members, seen, note: (ended: Ended) => seen.push(ended) }
  })

  it.effect("tells once, with the reason", () =>
    Effect.gen(function* () {
      const { system, breaks, seen, note } = yield* watched
      system.watch(CHILD, note)
      system.watch(SIBLING, note)
      yield* breaks(CHILD)
      yield* system.stop(SIBLING)
      yield* system.spawn({ address: CHILD, ...till() })
      yield* system.stop(CHILD)
      assert.deepStrictEqual(seen, [
        { address: "till/child", reason: "failed", detail: "Error: scripted" },
        { address: "till/sibling", reason: "stopped", detail: null }
      ])
    }).pipe(told)
  )

  it.effect("tells at once of one that is gone", () =>
    Effect.gen(function* () {
      const { system, seen, note } = yield* watched
      system.watch(sharedAddress("till", "nobody"), note)
      assert.deepStrictEqual(seen, [{ address: "till/nobody", reason: "gone", detail: null }])
    }).pipe(told)
  )

  it.effect("tells nobody who has left, nor one whose life has ended", () =>
    Effect.gen(function* () {
      const { system, breaks, seen, note } = yield* watched
      system.watch(CHILD, note)()
      const before = system.watchers
      yield* system.spawn({
        address: sharedAddress("till", "watcher"),
        behaviour: ({ watch, unwatch }) =>
          Effect.suspend(() => {
            watch(SIBLING, note)
            unwatch(SIBLING)
            watch(CHILD, note)
            return Effect.never
          })
      })
      yield* quiet
      assert.strictEqual(system.watchers, before + 1)
      yield* system.stop(sharedAddress("till", "watcher"))
      assert.strictEqual(system.watchers, before)
      yield* breaks(CHILD)
      assert.deepStrictEqual(seen, [])
    }).pipe(told)
  )
})

describe("who asks a child that was stopped", () => {
  const BACKOFF_MS = 500
  const again: SupervisionPolicy = {
    ...{ strategy: "restart", restartsMax: 3, withinMs: 60_000 },
    ...{ backoffMs: BACKOFF_MS, backoffMaxMs: BACKOFF_MS }
  }

  it.effect(
    "by its parent's restart is told to ask again; one that ended by itself comes back with its parent alone",
    () =>
      Effect.gen(function* () {
        const system = yield* ActorSystem
        const born: Array<ActorRef<Till>> = []
        const bears = yield* Deferred.make<void>()
        let lives = 0
        const parent = yield* system.spawn({
          address: PARENT,
          supervision: again,
          ...till((context) =>
            Effect.gen(function* () {
              lives += 1
              if (lives > 1) yield* Deferred.await(bears)
              born.push(yield* context.spawn(tillAt({ address: CHILD })))
              born.push(yield* system.spawn(tillAt({ address: GRANDCHILD, parent: CHILD })))
              born.push(yield* context.spawn(tillAt({ address: SIBLING })))
              return 0
            })
          )
        })
        yield* quiet
        const [child, grandchild, sibling] = born as [ActorRef<Till>, ActorRef<Till>, ActorRef<Till>]
        const hears = (ref: ActorRef<Till>) =>
          Effect.map(Effect.flip(ref.ask("total", {}, WHO)), ({ _tag }) => _tag)
        const all = Effect.forEach([child, grandchild, sibling], hears)
        yield* sibling.ask("shut", {}, WHO)
        yield* quiet
        assert.strictEqual(yield* hears(sibling), "NotFound", "its parent lives on without it")
        const asked = yield* Effect.forkChild(child.ask("pay", { coins: 1, slowly: 60_000 }, WHO))
        const waits = yield* Effect.forkChild(hears(child))
        yield* quiet
        yield* Effect.exit(parent.ask("break", { how: "throw" }, WHO))
        yield* quiet
        assert.strictEqual(yield* Fiber.join(waits), "Unavailable", "what waited in its mailbox")
        assert.isDefined(asked.pollUnsafe())
        assert.deepStrictEqual(yield* all, ["Unavailable", "Unavailable", "Unavailable"])
        yield* TestClock.adjust(BACKOFF_MS)
        yield* quiet
        assert.strictEqual(lives, 2)
        assert.deepStrictEqual(
          yield* all,
          ["Unavailable", "Unavailable", "Unavailable"],
          "it has not come to them yet"
        )
        yield* Deferred.succeed(bears, undefined)
        yield* quiet
        assert.deepStrictEqual(yield* born[3]?.ask("total", {}, WHO) ?? Effect.void, { total: 0 })
        yield* system.stop(PARENT)
        assert.deepStrictEqual(yield* all, ["NotFound", "NotFound", "NotFound"])
      }).pipe(told)
  )
})
