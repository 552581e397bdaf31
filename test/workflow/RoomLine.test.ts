/** Whose turn it is when a budget gets room: who has an approved override of its own, then who has waited longest. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { awaitRoom, type RefusedOrder } from "../../src/workflow/Refused.ts"
import { RoomLine } from "../../src/workflow/RoomLine.ts"
import { FakePorts, violationOf } from "./support/FakePorts.ts"
import { definitionOf, graph, START } from "./support/Graphs.ts"

const wire = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (_, one) => (typeof one === "bigint" ? String(Number(one) / 1e12) : one)))

const [definition] = definitionOf(graph("a")).agents
const refused = { allowed: false } as never
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

/** A line that a test looks into: who waits, and who has looked or gone on, in order. */
class Waiting {
  readonly ports = new FakePorts().script("check_budget", refused).script("list_overrides", { items: [] })
  readonly gone: Array<string> = []
  readonly fibers = new Map<string, Fiber.Fiber<unknown>>()
  readonly #line = new RoomLine(this.ports)

  enter(order: RefusedOrder) {
    const waits = Effect.map(awaitRoom(this.ports, this.#line, order), () => this.gone.push(order.workflowId))
    return Effect.map(Effect.forkChild(waits), (fiber) => this.fibers.set(order.workflowId, fiber))
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
