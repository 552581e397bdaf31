/**
 * Workflows on the program, kept running by a client that starts them again and again; and what must be true of all of
 * them in the end.
 *
 * Owns: what was started, and comparing what the program says of each with the rows of its calls and with the others.
 */
import { assert } from "@effect/vitest"
import { formatAmount, parseAmount } from "../../../src/signal/Money.ts"
import type { Program } from "../../support/Program.ts"
import { Disconnected, type Json, type Wire } from "../../support/Wire.ts"
import { factsOf, pages, verifyFacts, verifyRows } from "./WorkflowRecords.ts"

const SUBJECTS = ["tides", "bridges", "maps"]
const AGENTS = ["research", "facts", "draft", "review"]

const agent = (name: string, depends_on: ReadonlyArray<string> = []) => ({
  name,
  provider: "simulator",
  model: "sim-fast",
  prompt: [name, "{{input}}", ...depends_on.map((other) => `{{${other}}}`)].join(": "),
  max_completion_tokens: 60,
  retries: { max: 0 },
  depends_on
})

/** Two beside each other, one that waits for both, one that waits for it; with a budget of its own. */
const WORKFLOW = {
  name: "report",
  agents: [
    agent("research"),
    agent("facts"),
    agent("draft", ["research", "facts"]),
    agent("review", ["draft"])
  ],
  budget: { limit: "1000000", measure: "tokens" }
}

const hasEnded = (workflow: Json): boolean => workflow.ended_at !== null

export class WorkflowLoad {
  readonly #atOnce: number
  readonly #started = new Set<string>()
  readonly #open = new Set<string>()
  #next = 1
  #facts = 0
  /** Workflows that were on their way when the program was killed, summed up over all kills. */
  hits = 0

  constructor(atOnce: number) {
    this.#atOnce = atOnce
  }

  get started(): number {
    return this.#started.size
  }

  /** What has been told since the program was started. */
  get facts(): number {
    return this.#facts
  }

  async prepare(program: Program): Promise<void> {
    const budget = { name: "all", type: "global", period: "lifetime", limit: "1000000" }
    await program.call("create_budget", budget)
  }

  /** Keeps so many running until the program is gone; `onFact` is called at the start, and hears of all that is told of them. */
  async run(program: Program, onFact: () => void): Promise<void> {
    this.#facts = 0
    const wire = await program.connect()
    try {
      const events = await wire.subscribe("workflows")
      onFact()
      // Those that were on their way are sent again: whether they had arrived, nobody knows.
      for (const id of this.#open) await this.#start(wire, id)
      while (this.#open.size < this.#atOnce) await this.#start(wire, `w${this.#next++}`)
      while (true) {
        const { event } = await events.next()
        this.#facts += 1
        onFact()
        if (!hasEnded(event.workflow) || !this.#open.delete(event.workflow.workflow_id)) continue
        await this.#start(wire, `w${this.#next++}`)
      }
    } catch (error) {
      if (!(error instanceof Disconnected)) throw error
    }
  }

  async #start(wire: Wire, id: string): Promise<void> {
    this.#started.add(id)
    this.#open.add(id)
    const input = SUBJECTS[Number(id.slice(1)) % SUBJECTS.length]
    const { workflow } = await wire.call("start_workflow", { workflow: WORKFLOW, input, workflow_id: id })
    if (hasEnded(workflow)) this.#open.delete(id)
  }

  /** The program was killed: what was on its way then was hit. */
  hit(): void {
    this.hits += this.#open.size
  }

  /** Waits until all have ended, however they were hit. */
  async finish(program: Program): Promise<void> {
    const wire = await program.connect()
    const events = await wire.subscribe("workflows")
    for (const id of [...this.#open]) await this.#start(wire, id)
    while (this.#open.size > 0) {
      const { event } = await events.next()
      if (hasEnded(event.workflow)) this.#open.delete(event.workflow.workflow_id)
    }
    wire.close()
  }

  /** Every output is there once, every token is accounted, nothing is held. Says how many answers were lost. */
  async verify(program: Program): Promise<{ readonly lost: number }> {
    const rows = await pages(program, "get_usage", { limit: 1000 })
    const facts = await factsOf(program)
    const outputs = new Map<string, Json>()
    let [tokens, cost, lost] = [0, 0n, 0]
    for (const id of this.#started) {
      const { workflow } = await program.call("get_workflow", { workflow_id: id })
      const own = rows.filter((row) => row.workflow_id === id)
      verifyRows(workflow, own)
      const left = 1_000_000 - own.reduce((sum, row) => sum + row.total_tokens, 0)
      assert.strictEqual(workflow.remaining, String(left), `${id}: its own budget`)
      verifyFacts(facts.get(id) ?? [], AGENTS)
      const said = Object.fromEntries(workflow.steps.map((step: Json) => [step.agent, step.output]))
      assert.deepStrictEqual(said, outputs.get(workflow.input) ?? said, `${id} says what the others say`)
      outputs.set(workflow.input, said)
      tokens += workflow.total_tokens
      for (const step of workflow.steps) lost += step.tries - 1
      cost += parseAmount(workflow.cost)
    }
    const status = await program.call("get_status")
    assert.deepInclude(status, {
      open_holds: 0,
      total_tokens: tokens,
      total_cost: formatAmount(cost),
      total_tracked: rows.length
    })
    const { budgets } = await program.call("get_budget_status", { type: "global" })
    assert.deepInclude(budgets[0], { held: "0", open_holds: 0, spent: formatAmount(cost) })
    return { lost }
  }
}
