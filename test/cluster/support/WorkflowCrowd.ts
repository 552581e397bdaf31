/**
 * Workflows of several tenants, started at any node, looked at through any other one, and let go on by somebody else.
 *
 * Owns: which workflows there are (one after the other, one beside the other, with a budget of their own, and with one that
 * is too small, so that they park), what was started, and what must be true of each in the end.
 */
import { assert } from "@effect/vitest"
import { factsOf, verifyFacts, verifyRows } from "../../durability/support/WorkflowRecords.ts"
import type { Program } from "../../support/Program.ts"
import type { Json } from "../../support/Wire.ts"

/** Sends a signal to any node, again and again until one answers. */
export type Call = (method: string, params: Json, key: string) => Promise<Json>

export interface WorkflowTenant {
  readonly name: string
  readonly key: string
  /** Who approves what the tenant's workflows ask for. */
  readonly approver: string
}

const LOOKED_EVERY_MS = 250
/** A workflow that has not ended by then never will. */
const ENDS_WITHIN_MS = 120_000

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const agent = (name: string, depends_on: ReadonlyArray<string> = []): Json => ({
  name,
  provider: "simulator",
  model: "sim-fast",
  prompt: [name, "{{input}}", ...depends_on.map((other) => `{{${other}}}`)].join(": "),
  max_completion_tokens: 24,
  retries: { max: 0 },
  depends_on
})

/** There is room for one request: whatever comes after it is refused, until somebody approves more. */
const TOO_SMALL = {
  limit: "1",
  measure: "requests",
  override_policy: {
    requires_approval: true,
    approvers: ["budget_admin"],
    max_override_percentage: 1_000,
    notification_required: true
  }
}

const KINDS: ReadonlyArray<Json> = [
  {
    name: "row",
    agents: [agent("research"), agent("draft", ["research"]), agent("review", ["draft"])],
    budget: { limit: "1000000", measure: "tokens" }
  },
  { name: "fork", agents: [agent("facts"), agent("figures"), agent("report", ["facts", "figures"])] },
  {
    name: "parks",
    agents: [agent("research"), agent("draft", ["research"])],
    budget: TOO_SMALL,
    request_override: {}
  }
]

interface Started {
  readonly tenant: WorkflowTenant
  readonly id: string
  readonly agents: ReadonlyArray<string>
}

export class WorkflowCrowd {
  readonly #call: Call
  readonly #tenants: ReadonlyArray<WorkflowTenant>
  readonly #started: Array<Started> = []
  #isEnough = false
  #running: ReadonlyArray<Promise<void>> = []
  ended = 0
  /** Times that somebody approved more for one that was parked. */
  approved = 0

  constructor(call: Call, tenants: ReadonlyArray<WorkflowTenant>) {
    this.#call = call
    this.#tenants = tenants
  }

  start(atOnce: number): void {
    this.#running = this.#tenants.flatMap((tenant) =>
      Array.from({ length: atOnce }, (_, worker) => this.#run(tenant, worker))
    )
  }

  /** Starts nothing more, and waits until everything that was started has ended. */
  async stop(): Promise<void> {
    this.#isEnough = true
    await Promise.all(this.#running)
  }

  async #run(tenant: WorkflowTenant, worker: number): Promise<void> {
    for (let turn = Number(tenant.name.at(-1)) + worker; !this.#isEnough; turn++) {
      const workflow = KINDS[turn % KINDS.length] as Json
      const id = `w${worker}-${turn}`
      const agents = workflow.agents.map(({ name }: Json) => name)
      this.#started.push({ tenant, id, agents })
      await this.#call("start_workflow", { workflow, input: "tides", workflow_id: id }, tenant.key)
      await this.#untilEnded(tenant, id)
      this.ended += 1
    }
  }

  async #untilEnded(tenant: WorkflowTenant, workflow_id: string): Promise<void> {
    const until = performance.now() + ENDS_WITHIN_MS
    for (;;) {
      const { workflow } = await this.#call("get_workflow", { workflow_id }, tenant.key)
      if (workflow.ended_at !== null) return
      if (performance.now() > until)
        throw new Error(`${tenant.name}: a workflow never ends: ${JSON.stringify(workflow)}`)
      for (const override_id of workflow.parked?.overrides ?? []) await this.#approve(tenant, override_id)
      await later(LOOKED_EVERY_MS)
    }
  }

  /** On whichever node: the workflow runs on another one. */
  async #approve({ approver }: WorkflowTenant, override_id: string): Promise<void> {
    const decision = { override_id, decision: "approve", request_id: `approve ${override_id}` }
    await this.#call("decide_override", decision, approver)
    this.approved += 1
  }

  /**
   * Each workflow has ended, each output was applied once, and what a workflow says that it has used is what its rows say.
   * `rows` are all of a tenant's.
   */
  async verify(node: Program, tenant: WorkflowTenant, rows: ReadonlyArray<Json>): Promise<void> {
    const facts = await factsOf(node, tenant.key)
    const own = this.#started.filter((one) => one.tenant === tenant)
    assert.isAbove(own.length, 0, `${tenant.name} had workflows`)
    for (const { id, agents } of own) {
      const { workflow } = await this.#call("get_workflow", { workflow_id: id }, tenant.key)
      verifyRows(
        workflow,
        rows.filter((row) => row.workflow_id === id),
        true
      )
      verifyFacts(facts.get(id) ?? [], agents)
    }
    const ids = new Set(own.map(({ id }) => id))
    const strangers = rows.filter(({ workflow_id }) => workflow_id !== undefined && !ids.has(workflow_id))
    assert.deepStrictEqual(strangers, [], `${tenant.name}: nothing was spent for what was never started`)
  }
}
