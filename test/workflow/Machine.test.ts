/** The machine by itself: in which order things happen, whatever the calls take. Its Effects are promises that the test keeps. */
import { assert, describe, it } from "@effect/vitest"
import { Context } from "effect"
import { type AnyActorRef, createActor, fromPromise } from "xstate"
import type { AgentOrder } from "../../src/workflow/AgentOrder.ts"
import type { StepEnd } from "../../src/workflow/StepEnd.ts"
import { makeWorkflowMachine } from "../../src/workflow/WorkflowMachine.ts"
import { progressOf, stateOf } from "../../src/workflow/WorkflowView.ts"
import { graph, inputOf, START } from "./support/Graphs.ts"

class Started<Input> {
  readonly running: Array<{ readonly input: Input; readonly end: (output: never) => void; isOver: boolean }> =
    []

  readonly logic = fromPromise<never, Input>(
    ({ input, signal }) =>
      new Promise((resolve) => {
        const one = { input, end: resolve, isOver: false }
        this.running.push(one)
        signal.addEventListener("abort", () => {
          one.isOver = true
        })
      })
  )

  get open() {
    return this.running.filter(({ isOver }) => !isOver)
  }
}

const settled = () => new Promise<void>((done) => setImmediate(done))

class Play {
  readonly calls = new Started<AgentOrder>()
  readonly looks = new Started<{ readonly round: number }>()
  readonly rooms = new Started<object>()
  readonly settlings = new Started<ReadonlyArray<AgentOrder>>()
  readonly actor: AnyActorRef

  constructor(definition: Parameters<typeof inputOf>[0], more: Parameters<typeof inputOf>[1] = {}) {
    const machine = makeWorkflowMachine(
      Context.empty() as never,
      undefined as never,
      undefined as never
    ).provide({
      actors: {
        makeBudget: fromPromise(async () => ({ at: START, ownBudget: null })) as never,
        callAgent: this.calls.logic as never,
        lookAtRefusals: this.looks.logic as never,
        awaitRoom: this.rooms.logic as never,
        settle: this.settlings.logic as never
      }
    })
    this.actor = createActor(machine, { input: inputOf(definition, more) }) as AnyActorRef
    this.actor.start()
  }

  get at() {
    const { value, context } = this.actor.getSnapshot()
    return {
      state: typeof value === "string" ? value : Object.keys(value)[0],
      context,
      stopped: null
    } as never
  }
  get state() {
    return stateOf(this.at)
  }
  get progress() {
    return progressOf(this.at)
  }
  /** Agents whose calls are on their way. */
  get agents() {
    return this.calls.open.map(({ input }) => `${input.agent.name}/${input.tryNumber}`).join(" ")
  }

  async end(name: string, end: Partial<StepEnd> = {}) {
    const call = this.calls.open.find(({ input }) => input.agent.name === name)
    if (call === undefined) throw new Error(`${name} does not run`)
    call.isOver = true
    const whole = { kind: "done", at: START + 1, output: `of ${name}`, provider: "p", model: "m", ...end }
    call.end(whole as never)
    await settled()
  }
}

const REFUSED = {
  kind: "refused",
  refusal: { reason: "Refused: no room", violations: [], retryAt: null }
} as const

const begin = async (...args: ConstructorParameters<typeof Play>) => {
  const play = new Play(...args)
  await settled()
  return play
}

describe("the machine", () => {
  it("runs a diamond: both branches beside each other, the join when both are done, and all of it once", async () => {
    const play = await begin(graph("a, b < a, c < a, d < b c"))
    assert.strictEqual(play.agents, "a/1")
    await play.end("a")
    assert.strictEqual(play.agents, "b/1 c/1")
    await play.end("c")
    assert.strictEqual(play.agents, "b/1")
    await play.end("b")
    assert.strictEqual(play.agents, "d/1")
    assert.deepStrictEqual(play.calls.open[0]?.input.values, { input: "tides", b: "of b", c: "of c" })
    assert.deepInclude(play.progress, { steps_done: 3, completion_percent: 75, current_agents: ["d"] })
    await play.end("d")
    assert.strictEqual(play.state, "completed")
    assert.strictEqual(play.calls.running.length, 4)
  })

  it("keeps to its limit, and fills a slot that gets free at once", async () => {
    const play = await begin(graph("a, b, c, d, e", { concurrency: 2 }))
    assert.strictEqual(play.agents, "a/1 b/1")
    await play.end("a")
    assert.strictEqual(play.agents, "b/1 c/1")
    await play.end("c")
    await play.end("b")
    assert.strictEqual(play.agents, "d/1 e/1")
  })

  it("tries again under the next number", async () => {
    const play = await begin(graph("a"))
    await play.end("a", {
      kind: "failed",
      isRetryable: true,
      error: "ProviderFailed",
      message: "503"
    } as never)
    assert.strictEqual(play.agents, "a/2")
    assert.strictEqual(play.calls.open[0]?.input.notBefore, START + 1_001)
  })

  it("parks on a refusal, looks who may approve, waits for room, and goes on with the same try", async () => {
    const play = await begin(graph("a, b"))
    await play.end("a", REFUSED as never)
    assert.strictEqual(play.state, "parked")
    assert.strictEqual(play.looks.open.length, 1)
    assert.strictEqual(play.agents, "b/1", "what runs goes on")
    await play.end("b", REFUSED as never)
    play.looks.running[0]?.end({
      round: 1,
      approvers: ["x"],
      overrides: [],
      notes: [],
      keyEndsAt: null
    } as never)
    await settled()
    assert.strictEqual(play.looks.running[1]?.input.round, 2, "what was refused meanwhile is looked at, too")
    play.looks.running[1]?.end({
      round: 2,
      approvers: ["budget_admin"],
      overrides: [],
      notes: [],
      keyEndsAt: null
    } as never)
    await settled()
    assert.deepStrictEqual(play.progress.parked?.approvers, ["x", "budget_admin"])
    assert.deepStrictEqual(play.progress.parked?.agents, ["a", "b"])
    assert.strictEqual(play.agents, "")
    play.rooms.open[0]?.end({ at: START + 10, hasRoom: true } as never)
    await settled()
    assert.strictEqual(play.state, "running")
    assert.strictEqual(play.agents, "a/1 b/1")
  })

  it.each(["looking", "waiting"])("goes on when it is resumed while %s", async (when) => {
    const play = await begin(graph("a"))
    await play.end("a", REFUSED as never)
    if (when === "waiting") {
      play.looks.open[0]?.end({ round: 1, approvers: [], overrides: [], notes: [], keyEndsAt: null } as never)
      await settled()
      assert.strictEqual(play.rooms.open.length, 1)
    }
    play.actor.send({ type: "RESUME", at: START + 5 })
    await settled()
    assert.strictEqual(play.agents, "a/1")
    assert.strictEqual(when === "waiting" ? play.rooms.open.length : play.looks.open.length, 0)
  })

  it("cancelled: what is on its way is interrupted and settled, nothing more starts", async () => {
    const play = await begin(graph("a, b, c < a"))
    play.actor.send({ type: "CANCEL", at: START + 3, reason: "not needed" })
    await settled()
    assert.strictEqual(play.state, "cancelling")
    assert.strictEqual(play.agents, "")
    assert.deepStrictEqual(
      play.settlings.open[0]?.input.map(({ agent }) => agent.name),
      ["a", "b"]
    )
    play.settlings.open[0]?.end({ at: START + 4, spent: {} } as never)
    await settled()
    assert.strictEqual(play.state, "cancelled")
    assert.strictEqual(play.progress.failure?.message, "not needed")
  })

  it("failed: the others are settled first", async () => {
    const play = await begin(graph("a, b"))
    await play.end("a", {
      kind: "failed",
      isRetryable: false,
      error: "PriceUnknown",
      message: "no price"
    } as never)
    assert.strictEqual(play.agents, "")
    play.settlings.open[0]?.end({
      at: START + 4,
      spent: { b: { promptTokens: 1, completionTokens: 0, cost: "0.1" } }
    } as never)
    await settled()
    assert.strictEqual(play.state, "failed")
    assert.deepInclude(play.progress, { cost: "0.1", steps_done: 0 })
    assert.deepStrictEqual(play.progress.failure, { agent: "a", error: "PriceUnknown", message: "no price" })
  })

  it("refused where it is to fail: it ends", async () => {
    const play = await begin(graph("a, b < a"), { onDenied: "fail" })
    await play.end("a", REFUSED as never)
    play.settlings.open[0]?.end({ at: START + 4, spent: {} } as never)
    await settled()
    assert.strictEqual(play.progress.failure?.error, "BudgetExceeded")
    assert.strictEqual(play.looks.running.length, 0)
  })
})
