import { describe, expect, it } from "vitest"
import {
  type Change,
  EMPTY_MODEL,
  type WireEvent,
  type WireWorkflow,
  WORKFLOW_BUDGETS_MAX,
  WORKFLOW_FACTS_MAX,
  WORKFLOWS_MAX
} from "../../src/console/model/Model.ts"
import { reduce } from "../../src/console/model/Reduce.ts"
import { sortedBudgets } from "../../src/console/model/WorkflowBudgets.ts"
import { chosenFrom, countsOf, whyShort } from "../../src/console/model/Workflows.ts"
import { at, budget, parked, violation, workflow, workflowFact } from "./Fixtures.ts"

const NOW = Date.parse(at(30))
const told = (event: WireEvent): Change => ({ kind: "event", topic: "workflows", event, now: NOW })
const listed = (...workflows: ReadonlyArray<WireWorkflow>): Change => ({ kind: "workflows", workflows })

describe("a workflow", () => {
  it("is where its last fact says it is, and keeps what happened", () => {
    const model = reduce(EMPTY_MODEL, [
      told(workflowFact("started", { updated_at: at(1), steps_done: 0 })),
      told(workflowFact("step_done", { agent: "research", updated_at: at(2), steps_done: 1 })),
      told(
        workflowFact("parked", { state: "parked", updated_at: at(3), parked: parked(), detail: "no room" })
      )
    ])
    const row = model.workflows.get("w1")
    expect(row?.progress).toEqual(workflow({ state: "parked", updated_at: at(3), parked: parked() }))
    expect(row?.facts.map(({ what, agent, detail }) => [what, agent, detail])).toEqual([
      ["started", null, null],
      ["step_done", "research", null],
      ["parked", null, "no room"]
    ])
  })

  it.each([
    ["a list that was read before the fact", at(2), "completed"],
    ["a list of the same moment", at(3), "running"],
    ["a list that was read after the fact", at(4), "running"]
  ])("is not taken back by %s", (_, readAt, state) => {
    const model = reduce(EMPTY_MODEL, [
      told(workflowFact("completed", { state: "completed", updated_at: at(3), ended_at: at(3) })),
      listed(workflow({ state: "running", updated_at: readAt }))
    ])
    expect(model.workflows.get("w1")?.progress.state).toBe(state)
    expect(model.workflows.get("w1")?.facts).toHaveLength(1)
  })

  it("keeps a bounded number of facts, the newest", () => {
    const facts = Array.from({ length: WORKFLOW_FACTS_MAX + 5 }, (_, index) =>
      told(workflowFact("step_retried", { detail: `try ${index}` }))
    )
    const kept = reduce(EMPTY_MODEL, facts).workflows.get("w1")?.facts
    expect(kept).toHaveLength(WORKFLOW_FACTS_MAX)
    expect(kept?.at(-1)?.detail).toBe(`try ${WORKFLOW_FACTS_MAX + 4}`)
  })

  it("says in one line why it does not go on", () => {
    expect(whyShort(workflow())).toBeNull()
    const names = ["Grace", "Grace", "Team"].map((name) => violation({ name }))
    expect(whyShort(workflow({ parked: parked({ violations: names }) }))).toBe("no room in Grace, Team")
    const stopped = parked({ violations: [], reason: "Its code has changed" })
    expect(whyShort(workflow({ parked: stopped }))).toBe("Its code has changed")
    const failure = { agent: "label", error: "output_does_not_match", message: "it is not JSON" }
    expect(whyShort(workflow({ failure }))).toBe("label: it is not JSON")
  })
})

describe("the list", () => {
  const all = [
    workflow({ workflow_id: "old", state: "completed", ended_at: at(5) }),
    workflow({ workflow_id: "new", state: "failed", ended_at: at(9), attribution: { user_id: "grace" } }),
    workflow({ workflow_id: "runs", started_at: at(1) }),
    workflow({ workflow_id: "ends", state: "cancelling", started_at: at(2) }),
    workflow({ workflow_id: "waits", state: "parked", parked: parked(), name: "digest" })
  ]
  const { workflows } = reduce(EMPTY_MODEL, [listed(...all)])
  const ids = (filter: Parameters<typeof chosenFrom>[1], text = "") =>
    chosenFrom(workflows.values(), filter, text).map(({ workflow_id }) => workflow_id)

  it("has what waits for a person first, then what runs, then what is over, the newest first", () => {
    expect(ids("all")).toEqual(["waits", "ends", "runs", "new", "old"])
  })

  it.each([
    ["parked", "", ["waits"]],
    ["running", "", ["ends", "runs"]],
    ["failed", "", ["new"]],
    ["cancelled", "", []],
    ["all", "GRACE", ["new"]],
    ["all", "digest research", ["waits"]],
    ["all", "report old", ["old"]],
    ["completed", "grace", []]
  ] as const)("of %s with %j is %j", (filter, text, expected) => {
    expect(ids(filter, text)).toEqual(expected)
  })

  it("counts every one once", () => {
    expect(countsOf(workflows.values())).toEqual({
      all: 5,
      parked: 1,
      running: 2,
      completed: 1,
      failed: 1,
      cancelled: 0
    })
  })

  it("is bounded, and drops what ended longest ago, never what waits", () => {
    const ended = Array.from({ length: WORKFLOWS_MAX }, (_, index) =>
      workflow({ workflow_id: `e${index}`, state: "completed", ended_at: at(10 + index) })
    )
    const waiting = workflow({ workflow_id: "waits", state: "parked", started_at: at(0), parked: parked() })
    const model = reduce(EMPTY_MODEL, [listed(waiting, ...ended)])
    expect(model.workflows.size).toBe(WORKFLOWS_MAX)
    expect(model.workflows.has("waits")).toBe(true)
    expect(model.workflows.has("e0")).toBe(false)
  })

  it("says what was not told, adds it up, and forgets it when it was read", () => {
    const gap = (count: number | null) => told({ gap: count })
    const once = reduce(EMPTY_MODEL, [gap(3), gap(4)])
    expect(once.workflowsGap).toEqual({ count: 7, at: NOW })
    expect(once.log).toEqual([])
    expect(reduce(once, [gap(null)]).workflowsGap).toEqual({ count: null, at: NOW })
    expect(reduce(once, [{ kind: "gap_read" }]).workflowsGap).toBeNull()
  })
})

describe("budgets that workflows brought with them", () => {
  const own = (id: string, second = 0) =>
    budget({ id: `b-${id}`, type: "workflow", entity_id: id, created_at: at(second) })

  it("stand apart from what limits everybody, and are shown while their workflow lives", () => {
    const everybody = budget({ id: "default", type: "workflow", entity_id: "*" })
    const model = reduce(EMPTY_MODEL, [
      {
        kind: "budgets",
        budgets: [budget(), everybody, own("lives"), own("ended"), own("stranger")],
        isAll: true
      },
      listed(
        workflow({ workflow_id: "lives" }),
        workflow({ workflow_id: "ended", state: "completed", ended_at: at(2) })
      )
    ])
    const { common, own: shown } = sortedBudgets(model.budgets.values(), model.workflows)
    expect(common.map(({ id }) => id)).toEqual(["b1", "default"])
    expect(shown.map(({ id }) => id)).toEqual(["b-lives"])
  })

  it("are bounded: those of workflows that ended go first, the oldest before the others", () => {
    const many = Array.from({ length: WORKFLOW_BUDGETS_MAX + 1 }, (_, index) => own(`w${index}`, index))
    const model = reduce(EMPTY_MODEL, [
      listed(workflow({ workflow_id: "w0" })),
      { kind: "budgets", budgets: [budget(), ...many], isAll: true }
    ])
    expect(model.budgets.size).toBe(WORKFLOW_BUDGETS_MAX + 1)
    expect(["b1", "b-w0", "b-w1", "b-w2"].map((id) => model.budgets.has(id))).toEqual([
      true,
      true,
      false,
      true
    ])
  })

  it("that were asked for by their id are asked for once, also where they are not found", () => {
    const event: Change = {
      kind: "event",
      topic: "budgets",
      event: { budget: { ...violation(), budget_id: "gone", resets_at: null } } as WireEvent,
      now: NOW
    }
    const unknown = reduce(EMPTY_MODEL, [event])
    expect([...unknown.unknownBudgets]).toEqual(["gone"])
    const read = reduce(unknown, [{ kind: "budgets", budgets: [], isAll: false, asked: ["gone"] }])
    expect(read.unknownBudgets.size).toBe(0)
  })
})

it("forgets everything when another key signs in, in the middle of a batch too", () => {
  const identity = { tenant: "default", version: "1", playground: false }
  const first = reduce(EMPTY_MODEL, [
    { kind: "identity", identity: { ...identity, key_id: "k1" } },
    listed(workflow())
  ])
  const same = reduce(first, [{ kind: "identity", identity: { ...identity, key_id: "k1" } }])
  expect(same.workflows.size).toBe(1)
  const other = reduce(first, [
    listed(workflow({ workflow_id: "w2" })),
    { kind: "identity", identity: { ...identity, key_id: "k2" } },
    listed(workflow({ workflow_id: "w3" }))
  ])
  expect([...other.workflows.keys()]).toEqual(["w3"])
  expect(other.identity?.key_id).toBe("k2")
})
