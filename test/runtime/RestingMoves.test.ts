/**
 * A tenant whose machines are at rest goes to another node, and comes back: what it waited for happens once, whoever has it, and
 * nothing of it is left where it was.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { afterEach, vi } from "vitest"
import { scopedAddress } from "../../src/actor/Address.ts"
import { MachineStoreUnreachable } from "../../src/actor/MachineStore.ts"
import { pass } from "../../src/testing.ts"
import { RoomLine } from "../../src/workflow/RoomLine.ts"
import { parcel, parcelMachine } from "../actor/support/Parcel.ts"
import { type TestNode, twoNodes } from "./support/TwoNodes.ts"

const MINUTE = 60_000
const START = Date.UTC(2026, 0, 5, 1, 15)
const TENANT = "t"

const WORKFLOW = {
  name: "one",
  agents: [
    { name: "a", provider: "simulator", model: "sim-fast", prompt: "{{input}}", max_completion_tokens: 20 }
  ]
}
const NOTHING = { name: "All", type: "global", period: "lifetime", measure: "requests", limit: "0" }

const now = Effect.clockWith(({ currentTimeMillis }) => currentTimeMillis)

afterEach(() => {
  vi.restoreAllMocks()
})

/** The lines of both nodes, as they were made. */
const linesOf = () => vi.spyOn(RoomLine.prototype, "gone")

const start = ({ ask }: TestNode, workflow_id: string) =>
  ask("start_workflow", { workflow: WORKFLOW, input: "x", workflow_id }, TENANT)

const statesOf = ({ ask }: TestNode, ...ids: ReadonlyArray<string>) =>
  Effect.forEach(ids, (workflow_id) =>
    Effect.map(ask("get_workflow", { workflow_id }, TENANT), ({ workflow }) => workflow.state)
  )

const raise = ({ ask }: TestNode, budget_id: string, limit: string) =>
  ask("update_budget", { budget_id, updates: { limit } }, TENANT)

/** What a node has of the tenant in memory. */
const hereAt = ({ system }: TestNode) =>
  system
    .entries()
    .filter(({ address }) => address.tenant === TENANT)
    .map(({ address }) => address.kind)

/** The places that are in line anywhere, of lines that were made since `linesOf`. */
const placesIn = (gone: ReturnType<typeof linesOf>) =>
  [...new Set(gone.mock.contexts as ReadonlyArray<RoomLine>)].map((line) => [...line.placesOf(TENANT)].length)

const away = Effect.fail(new MachineStoreUnreachable({ message: "away" }))

const STAYS = [
  ["within a second", 1_000],
  ["after some minutes", 12 * MINUTE]
] as const

/** So long the tenant is at the other node. */
describe.each(STAYS)("a tenant that goes to another node, and comes back %s", (_, stayMs) => {
  it.effect("has its workflows at rest in line again, those of the other node, too; each goes on once", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const gone = linesOf()
      const { a, b, move } = yield* twoNodes
      const { budget_id } = yield* a.ask("create_budget", NOTHING, TENANT)
      yield* start(a, "w1")
      yield* start(a, "w2")
      yield* pass(12 * MINUTE, MINUTE)
      assert.deepStrictEqual(hereAt(a), ["token_manager"])
      yield* move(TENANT, "b")
      assert.deepStrictEqual(hereAt(a), [])
      yield* start(b, "w3")
      yield* pass(stayMs, MINUTE)
      yield* move(TENANT, "a")
      assert.deepStrictEqual(hereAt(b), [])
      yield* pass(12 * MINUTE, MINUTE)
      assert.deepStrictEqual([placesIn(gone).toSorted(), hereAt(b)], [[0, 3], []])
      assert.deepStrictEqual(yield* statesOf(a, "w1", "w2", "w3"), ["parked", "parked", "parked"])
      yield* raise(a, budget_id, "1")
      yield* pass(2_000)
      assert.deepStrictEqual(yield* statesOf(a, "w1", "w2", "w3"), ["completed", "parked", "parked"])
      yield* raise(a, budget_id, "3")
      yield* pass(2_000)
      assert.deepStrictEqual(yield* statesOf(b, "w1", "w2", "w3"), ["completed", "completed", "completed"])
      const { totals } = yield* a.ask("get_usage", {}, TENANT)
      assert.deepStrictEqual([totals?.requests, hereAt(b)], [3, []])
    }).pipe(Effect.scoped)
  )

  it.effect("forgets nothing of what was given it there: whom there is room for goes on", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const { a, b, move, rows } = yield* twoNodes
      const { budget_id } = yield* a.ask("create_budget", NOTHING, TENANT)
      yield* start(a, "w1")
      yield* pass(12 * MINUTE, MINUTE)
      yield* move(TENANT, "b")
      yield* pass(MINUTE)
      // Its line there wants to bring it back, and cannot.
      const { read } = rows
      rows.read = () => away
      yield* raise(b, budget_id, "1")
      yield* pass(stayMs, MINUTE)
      rows.read = read
      yield* move(TENANT, "a")
      yield* pass(10_000, 1_000)
      assert.deepStrictEqual(yield* statesOf(a, "w1"), ["completed"])
      const { totals } = yield* a.ask("get_usage", {}, TENANT)
      assert.deepStrictEqual([totals?.requests, hereAt(b)], [1, []])
    }).pipe(Effect.scoped)
  )

  it.effect("leaves no place in line where it was, also of workflows that were on their way into it", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const gone = linesOf()
      const { a, b, move } = yield* twoNodes
      const { budget_id } = yield* a.ask("create_budget", NOTHING, TENANT)
      for (const id of ["w1", "w2", "w3"]) yield* Effect.forkChild(Effect.exit(start(a, id)))
      yield* pass(20, 5)
      yield* move(TENANT, "b")
      yield* pass(stayMs, MINUTE)
      assert.deepStrictEqual(hereAt(a), [])
      yield* move(TENANT, "a")
      yield* pass(30_000, 1_000)
      assert.deepStrictEqual(placesIn(gone).toSorted(), [0, 3])
      yield* raise(a, budget_id, "3")
      yield* pass(5_000, 1_000)
      assert.deepStrictEqual(yield* statesOf(b, "w1", "w2", "w3"), ["completed", "completed", "completed"])
    }).pipe(Effect.scoped)
  )

  it.effect("has each delay of its machines come due once, at its moment", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const shipped: Array<string> = []
      const { a, b, move, rows } = yield* twoNodes
      const kindAt = ({ name, machines }: TestNode) =>
        machines.register(
          parcel(
            parcelMachine(
              () => Effect.succeed(1),
              () => void shipped.push(name)
            )
          )
        )
      const kind = yield* kindAt(a)
      yield* kindAt(b)
      const address = scopedAddress("parcel", TENANT, "1")
      yield* a.ask("get_status", {}, TENANT)
      yield* kind.start(address, { name: "book" })
      yield* pass(12 * MINUTE, MINUTE)
      yield* move(TENANT, "b")
      yield* pass(stayMs, MINUTE)
      yield* b.ask("get_status", {}, TENANT)
      yield* move(TENANT, "a")
      yield* pass(START + 60 * MINUTE - 1_000 - (yield* now), MINUTE)
      assert.deepStrictEqual(shipped, [])
      yield* pass(1_000)
      assert.deepStrictEqual(shipped, ["a"])
      const row = yield* rows.read(address.text)
      assert.strictEqual(row?.updatedAt, START + 60 * MINUTE)
      yield* pass(60 * MINUTE, 5 * MINUTE)
      assert.lengthOf(shipped, 1)
    }).pipe(Effect.scoped)
  )
})

describe("a workflow that is parked while its tenant goes", () => {
  /** Each commit takes so long, so that there are moments within a step. */
  const COMMIT_MS = 40

  it.effect.each(Array.from({ length: 12 }, (_, index) => index * 15))(
    "%i ms after its start, is in line once where it comes back to, and goes on once",
    (afterMs) =>
      Effect.gen(function* () {
        yield* TestClock.setTime(START)
        const gone = linesOf()
        const { a, b, move, rows } = yield* twoNodes
        const { budget_id } = yield* a.ask("create_budget", NOTHING, TENANT)
        const { commit } = rows
        rows.commit = (...of) => Effect.andThen(Effect.sleep(COMMIT_MS), commit(...of))
        yield* Effect.forkChild(Effect.exit(start(a, "w")))
        yield* pass(afterMs, 5)
        const moved = yield* Effect.forkChild(move(TENANT, "b"))
        yield* pass(1_000, 10)
        assert.isDefined(moved.pollUnsafe())
        assert.deepStrictEqual(hereAt(a), [])
        assert.isAtMost(
          placesIn(gone).reduce((sum, places) => sum + places, 0),
          1
        )
        yield* Effect.forkChild(move(TENANT, "a"))
        yield* pass(1_000, 10)
        assert.deepStrictEqual(hereAt(b), [])
        yield* Effect.forkChild(Effect.exit(start(a, "w")))
        yield* pass(20_000, 500)
        assert.deepStrictEqual(placesIn(gone).toSorted(), [0, 1])
        yield* raise(a, budget_id, "1")
        yield* pass(1_000, 50)
        assert.deepStrictEqual(yield* statesOf(a, "w"), ["completed"])
      }).pipe(Effect.scoped)
  )
})
