/** Whose turn it is when a budget gets room: who has an approved override of its own, then who has waited longest. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Unavailable } from "../../src/signal/Errors.ts"
import { awaitRoom, type RefusedOrder } from "../../src/workflow/Refused.ts"
import { restingWorkflows, wakeBy } from "../../src/workflow/RestingWorkflows.ts"
import { RoomLine, type Wake } from "../../src/workflow/RoomLine.ts"
import { workflowAddress } from "../../src/workflow/WorkflowAddress.ts"
import { FakePorts, violationOf } from "./support/FakePorts.ts"
import { definitionOf, graph, START } from "./support/Graphs.ts"

const wire = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(Number(one) / 1e12) : one)))

const [definition] = definitionOf(graph("a")).agents
const refused = { allowed: false, violations: [], retry_at: null } as never
const allowed = { allowed: true } as never

/** It waits for 0.3 of a budget; the older its number, the shorter it has waited. */
const orderOf = (number: number, overrides: ReadonlyArray<string> = []): RefusedOrder => ({
  workflowId: `wf${number}`,
  workflowName: "graph",
  principal: {
    keyId: "k",
    owner: "ann",
    tenant: "acme",
    roles: ["app"],
    attribution: {},
    isInstallation: false
  },
  attribution: {},
  round: 1,
  since: START + number,
  lookAt: START + 900_000,
  overrides,
  refusals: [
    {
      agent: "a",
      reason: "r",
      retryAt: null,
      violations: [wire(violationOf())],
      definition: definition as never
    }
  ],
  requestOverride: null
})

/** As its row says. */
const inLine = (order: RefusedOrder) => ({ tenant: "acme", keyId: order.principal.keyId, ...order })

/** A line that a test looks into: who waits, and who has looked or gone on, in order. */
class Waiting {
  readonly ports = new FakePorts().script("check_budget", refused).script("list_overrides", { items: [] })
  readonly gone: Array<string> = []
  readonly fibers = new Map<string, Fiber.Fiber<unknown>>()
  readonly line: RoomLine

  constructor(wake?: (line: () => RoomLine) => Wake) {
    this.line = new RoomLine(
      this.ports,
      wake?.(() => this.line)
    )
  }

  enter(order: RefusedOrder) {
    return Effect.map(Effect.forkChild(this.waits(order)), (fiber) =>
      this.fibers.set(order.workflowId, fiber)
    )
  }

  waits(order: RefusedOrder) {
    return Effect.map(awaitRoom(this.ports, this.line, order), () => this.gone.push(order.workflowId))
  }

  get looks(): string {
    return this.ports
      .named("check_budget")
      .map((payload) => (payload as { readonly workflow_id: string }).workflow_id)
      .join(" ")
  }

  /** From here on, only new looks count. */
  forget(): void {
    this.ports.asked.length = 0
  }
}

const parked = (...orders: ReadonlyArray<RefusedOrder>) =>
  Effect.gen(function* () {
    const waiting = new Waiting()
    for (const order of orders) yield* waiting.enter(order)
    yield* TestClock.adjust(2_000)
    return waiting
  })

describe("who waits for room", () => {
  it.effect("goes on first where it was approved for it; the others look when that call has its hold", () =>
    Effect.gen(function* () {
      const waiting = yield* parked(orderOf(1), orderOf(2), orderOf(3, ["override_3"]))
      assert.strictEqual(waiting.looks, "wf1 wf2 wf3")
      waiting.forget()
      waiting.ports.script("check_budget", allowed)
      waiting.ports.leaves("0.3", ["override_3"])
      yield* TestClock.adjust(9_000)
      assert.deepStrictEqual(waiting.gone, ["wf3"])
      assert.strictEqual(waiting.looks, "wf3", "nobody else has even looked")
      waiting.ports.leaves("0")
      waiting.ports.admit("wf3")
      yield* TestClock.adjust(9_000)
      assert.strictEqual(waiting.looks, "wf3", "its hold has taken the room")
      waiting.ports.leaves("0.3")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(waiting.gone, ["wf3", "wf1"], "then who has waited longest")
    })
  )

  it.effect("goes on first after a restart, too, however late it is back", () =>
    Effect.gen(function* () {
      const waiting = new Waiting()
      waiting.ports.script("check_budget", allowed)
      waiting.ports.script("list_overrides", { items: [{ id: "override_3" } as never] })
      yield* waiting.enter(orderOf(1))
      yield* TestClock.adjust(1_900)
      yield* waiting.enter(orderOf(3, ["override_3"]))
      yield* TestClock.adjust(3_000)
      assert.deepStrictEqual(waiting.gone, ["wf3"])
    })
  )

  it.effect("is not overtaken after a restart by who was back first", () =>
    Effect.gen(function* () {
      const waiting = new Waiting()
      waiting.ports.script("check_budget", allowed)
      yield* waiting.enter(orderOf(2))
      yield* TestClock.adjust(1_900)
      yield* waiting.enter(orderOf(1))
      yield* TestClock.adjust(1_999)
      assert.deepStrictEqual(waiting.gone, [])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(waiting.gone, ["wf1"])
    })
  )

  it.effect("gets what the one who asked does not need any more", () =>
    Effect.gen(function* () {
      const waiting = yield* parked(orderOf(1), orderOf(2), orderOf(3, ["override_3"]))
      const asker = waiting.fibers.get("wf3")
      if (asker !== undefined) yield* Fiber.interrupt(asker)
      waiting.ports.script("check_budget", allowed)
      waiting.ports.leaves("0.3", ["override_3"])
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(waiting.gone, ["wf1"])
    })
  )

  it.effect("is not kept waiting by one who went on and never called", () =>
    Effect.gen(function* () {
      const waiting = yield* parked(orderOf(1), orderOf(2))
      waiting.ports.script("check_budget", allowed)
      waiting.ports.leaves("0.3")
      yield* TestClock.adjust(9_999)
      assert.deepStrictEqual(waiting.gone, ["wf1"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(waiting.gone, ["wf1", "wf2"])
    })
  )

  it.effect("goes on beside others where there is room for all of them", () =>
    Effect.gen(function* () {
      const waiting = yield* parked(orderOf(1), orderOf(2), orderOf(3))
      waiting.ports.script("check_budget", allowed)
      waiting.ports.leaves("0.6")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(waiting.gone.sort(), ["wf1", "wf2"])
    })
  )

  it.effect("is not kept waiting by one whose approval is not enough", () =>
    Effect.gen(function* () {
      const waiting = yield* parked(orderOf(1), orderOf(3, ["override_3"]))
      waiting.forget()
      waiting.ports.script("check_budget", refused, allowed)
      waiting.ports.leaves("0.3", ["override_3"])
      yield* TestClock.adjust(0)
      assert.strictEqual(waiting.looks, "wf3 wf1")
      assert.deepStrictEqual(waiting.gone, ["wf1"])
    })
  )

  it.effect("leaves nothing behind", () =>
    Effect.gen(function* () {
      const waiting = yield* parked(orderOf(1), orderOf(2))
      for (const fiber of waiting.fibers.values()) yield* Fiber.interrupt(fiber)
      assert.strictEqual(waiting.ports.listeners.size, 0)
    })
  )
})

describe("who is at rest", () => {
  /** A line whose workflows leave memory, and come back when it is their turn. */
  class Sleeping extends Waiting {
    readonly woken: Array<string> = []
    readonly orders = new Map<string, RefusedOrder>()
    readonly ended = new Set<string>()
    readonly #run: (effect: Effect.Effect<unknown, never, Scope.Scope>) => unknown

    constructor(run: (effect: Effect.Effect<unknown, never, Scope.Scope>) => unknown) {
      super((line) => (_, workflowId, onEnd) => {
        this.woken.push(workflowId)
        const order = this.orders.get(workflowId)
        const isParked = order !== undefined && !this.ended.has(workflowId)
        if (isParked) this.#run(this.stays(line(), order))
        this.#run(Effect.sync(() => onEnd(isParked ? "back" : "over")))
      })
      this.#run = run
    }

    /** It leaves memory when it is interrupted. */
    stays(line: RoomLine, order: RefusedOrder) {
      this.orders.set(order.workflowId, order)
      const waits = Effect.map(
        awaitRoom(this.ports, line, order, () => false),
        ({ hasRoom }) => {
          if (hasRoom) this.gone.push(order.workflowId)
        }
      )
      return Effect.map(Effect.forkDetach(waits, { startImmediately: true }), (fiber) =>
        this.fibers.set(order.workflowId, fiber)
      )
    }

    rest = Effect.suspend(() =>
      Effect.forEach([...this.fibers.values()], (fiber) => Fiber.interrupt(fiber), { discard: true })
    )
  }

  const resting = (...orders: ReadonlyArray<RefusedOrder>) =>
    Effect.gen(function* () {
      const services = yield* Effect.context<Scope.Scope>()
      const waiting = new Sleeping(Effect.runForkWith(services))
      for (const order of orders) yield* waiting.stays(waiting.line, order)
      yield* TestClock.adjust(2_000)
      yield* waiting.rest
      waiting.forget()
      return waiting
    })

  it.effect("is brought back for room, one at a time, in the order of the line", () =>
    Effect.gen(function* () {
      const waiting = yield* resting(orderOf(2), orderOf(1), orderOf(3, ["override_3"]))
      waiting.ports.leaves("0.2")
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(waiting.woken, [], "nobody comes for less than anybody needs")
      waiting.ports.script("check_budget", allowed)
      waiting.ports.leaves("0.3", ["override_3"])
      yield* TestClock.adjust(0)
      assert.deepStrictEqual([waiting.woken, waiting.gone], [["wf3"], ["wf3"]])
      waiting.ports.leaves("0")
      waiting.ports.admit("wf3")
      waiting.ports.leaves("0.6")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(waiting.woken, ["wf3", "wf1", "wf2"])
      assert.deepStrictEqual(waiting.gone.toSorted(), ["wf1", "wf2", "wf3"])
    })
  )

  it.effect("is not overtaken by one that is in memory and has waited for less long", () =>
    Effect.gen(function* () {
      const waiting = yield* resting(orderOf(1))
      yield* waiting.stays(waiting.line, orderOf(2))
      yield* TestClock.adjust(2_000)
      waiting.ports.script("check_budget", allowed)
      waiting.ports.leaves("0.3")
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(waiting.gone, ["wf1"])
    })
  )

  it.effect(
    "is brought back by its moment, in its turn; where it finds no room it says so, and keeps its place",
    () =>
      Effect.gen(function* () {
        const waiting = yield* resting(...[1, 2].map((number) => ({ ...orderOf(number), lookAt: 10_000 })))
        yield* TestClock.adjust(10_000)
        assert.isTrue(waiting.line.isDue("acme", "wf2"))
        assert.isTrue(waiting.line.isDue("acme", "wf1"))
        assert.isFalse(waiting.line.isDue("acme", "wf3"))
        yield* TestClock.adjust(0)
        assert.strictEqual(waiting.looks, "wf2 wf1")
        assert.deepStrictEqual(waiting.gone, [])
        waiting.ports.script("check_budget", allowed)
        waiting.ports.leaves("0.3")
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(waiting.gone, ["wf1"])
      })
  )

  it.effect(
    "holds nobody up where it has ended meanwhile; and nobody is brought back who lives elsewhere",
    () =>
      Effect.gen(function* () {
        const waiting = yield* resting(orderOf(1), orderOf(2))
        waiting.ended.add("wf1")
        waiting.ports.script("check_budget", allowed)
        waiting.ports.leaves("0.3")
        yield* TestClock.adjust(0)
        assert.deepStrictEqual([waiting.woken, waiting.gone], [["wf1", "wf2"], ["wf2"]])
        const moved = yield* resting(orderOf(1))
        moved.line.gone((tenant) => tenant === "acme")
        assert.strictEqual(moved.ports.listeners.size, 0)
        moved.ports.leaves("0.3")
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(moved.woken, [])
      })
  )

  it.effect("is in line after a start without having been in memory", () =>
    Effect.gen(function* () {
      const waiting = yield* resting()
      for (const number of [2, 1, 3]) {
        const order = orderOf(number, number === 3 ? ["override_3"] : [])
        waiting.orders.set(order.workflowId, order)
        waiting.line.found(inLine(order), false)
      }
      waiting.ports.script("check_budget", allowed)
      waiting.line.tell("acme", {
        standings: [{ budgetId: "budget_1", entityId: "red", remaining: 600_000_000_000n }],
        approved: ["override_3"],
        redefined: [],
        strict: [],
        hasNewPrices: false,
        endedKeys: []
      })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(waiting.woken, ["wf3", "wf1"], "there is room for two")
      assert.deepStrictEqual(waiting.gone.toSorted(), ["wf1", "wf3"])
    })
  )
})

describe("a workflow at rest whose row is read again", () => {
  const found = (...orders: ReadonlyArray<RefusedOrder>) =>
    Effect.gen(function* () {
      const woken: Array<string> = []
      const waiting = new Waiting(() => (_, workflowId) => void woken.push(workflowId))
      for (const order of orders) waiting.line.found(inLine(order), false)
      yield* TestClock.adjust(0)
      return woken
    })
  const other = { ...orderOf(1), since: START + 900 }

  it.effect("keeps its place where that says the same, and looks where it was elsewhere meanwhile", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* found(orderOf(1), orderOf(1)), [])
      assert.deepStrictEqual(yield* found(orderOf(1), other), ["wf1"])
    })
  )
})

describe("a workflow at rest whose key has ended", () => {
  it.effect("is brought back to its end, and nobody else is", () =>
    Effect.gen(function* () {
      const woken: Array<string> = []
      const waiting = new Waiting(() => (_, workflowId) => void woken.push(workflowId))
      waiting.line.found(inLine(orderOf(1)), false)
      waiting.line.found({ ...inLine(orderOf(2)), keyId: "ended" }, false)
      waiting.ports.change({ endedKeys: ["ended"] })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(woken, ["wf2"])
    })
  )
})

describe("who cannot be brought back", () => {
  const away = Effect.fail(new Unavailable({ message: "The store is away", retry_after_ms: 1_000 }))
  const parkedView = { status: "active", snapshot: { context: { parked: {} as never } } } as const

  /** Two that are at rest. What happens to the first when it is to be brought back is said in order; then it comes. */
  const atRest = (...happens: ReadonlyArray<"away" | "dies" | "leaves at once">) =>
    Effect.gen(function* () {
      const run = Effect.runForkWith(yield* Effect.context<Scope.Scope>())
      const left = [...happens]
      const tries: Array<string> = []
      const waiting: Waiting = new Waiting(() =>
        wakeBy(
          () => ({
            view: ({ text }) => {
              tries.push(text.slice(-3))
              if (text.endsWith("wf1") && left[0] !== "leaves at once")
                switch (left.shift()) {
                  case "away":
                    return away
                  case "dies":
                    return Effect.die(new Error("scripted"))
                }
              return Effect.succeed(parkedView)
            },
            wake: ({ text }) =>
              Effect.sync(() => {
                if (text.endsWith("wf1") && left.shift() !== undefined) return
                run(waiting.waits(orderOf(Number(text.at(-1)))))
              })
          }),
          run
        )
      )
      for (const number of [1, 2]) waiting.line.found(inLine(orderOf(number)), false)
      waiting.ports.script("check_budget", allowed)
      return { waiting, tries }
    })

  it.effect("keeps its wish, and others go on meanwhile; it is tried again less and less often", () =>
    Effect.gen(function* () {
      const { waiting, tries } = yield* atRest(...Array.from({ length: 9 }, () => "away" as const))
      waiting.ports.leaves("0.6")
      yield* TestClock.adjust(1_999)
      assert.deepStrictEqual([tries.join(" "), waiting.gone], ["wf1 wf1", []])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(waiting.gone, ["wf2"])
      yield* TestClock.adjust(5_000 + 2_000)
      assert.lengthOf(tries, 3 + 1 + 3)
      assert.isTrue(waiting.line.isDue("acme", "wf1"))
      yield* TestClock.adjust(9_999)
      assert.lengthOf(tries, 3 + 1 + 3, "its moment brings it no sooner")
      yield* TestClock.adjust(1 + 2_000)
      assert.lengthOf(tries, 3 + 1 + 3 + 3)
      yield* TestClock.adjust(20_000)
      assert.deepStrictEqual(waiting.gone, ["wf2", "wf1"])
    })
  )

  it.effect("by a defect holds up nobody else", () =>
    Effect.gen(function* () {
      const { waiting } = yield* atRest("dies")
      waiting.ports.leaves("0.6")
      yield* TestClock.adjust(4_999)
      assert.deepStrictEqual(waiting.gone, ["wf2"])
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(waiting.gone, ["wf2", "wf1"])
    })
  )

  it.effect("because its life has ended before it took its place, is brought back again", () =>
    Effect.gen(function* () {
      const { waiting, tries } = yield* atRest("leaves at once")
      waiting.ports.leaves("0.6")
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(waiting.gone, ["wf2"])
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual(waiting.gone, ["wf2", "wf1"])
      yield* TestClock.adjust(3_600_000)
      assert.deepStrictEqual(tries, ["wf1", "wf2", "wf1"], "who has come is not brought back")
    })
  )
})

describe("who waits while another of its agents works", () => {
  it("is not in line after a start: it has to be back at once", () => {
    const ports = new FakePorts()
    const resting = restingWorkflows(ports, new RoomLine(ports))
    const entry = (workflow_id: string, wakesAt: number) => ({
      ...{ tenant: "acme", kind: "workflow", address: workflowAddress("acme", workflow_id).text },
      ...({ status: "active", state: "parked", reason: null, version: "1", revision: 1 } as const),
      about: {
        ...{ workflow_id, state: "parked" },
        parked: { agents: ["a"], violations: [wire(violationOf())], overrides: [], since: "2026-11-25" }
      },
      ...{ wakesAt, createdAt: 0, updatedAt: 0 }
    })
    resting.found(entry("works", 0), false)
    resting.found(entry("waits", 1), false)
    const isInLine = (id: string) => resting.due?.(workflowAddress("acme", id))
    assert.deepStrictEqual(["works", "waits"].map(isInLine), [false, true])
  })
})
