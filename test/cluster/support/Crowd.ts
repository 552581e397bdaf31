/**
 * Clients of several tenants that do not care which node they ask, and send again until they are answered.
 *
 * Owns: which nodes are asked, what was sent and acknowledged, when each tenant was answered, and what must be true of
 * all of it in the end.
 *
 * Each tenant has two budgets. One has plenty: calls are admitted and reported on it. Of the other there is room for
 * five, everybody wants some of it all the time, and gives it back: never may more than five have been told yes at once.
 */
import { assert } from "@effect/vitest"
import { type Amount, formatAmount, parseAmount } from "../../../src/signal/Money.ts"
import { randomFrom } from "../../durability/support/Random.ts"
import { costOfRows } from "../../durability/support/WorkflowRecords.ts"
import type { Program } from "../../support/Program.ts"
import { callOverHttp, type Json, Refused } from "../../support/Wire.ts"
import { WorkflowCrowd, type WorkflowTenant } from "./WorkflowCrowd.ts"

const MODEL = { provider: "load", model: "load-model" }
const ROOM = 5
const WORKERS = 4
/** Of each tenant. */
const WORKFLOWS_AT_ONCE = 1
/** Nobody waits longer than this for one answer, from all nodes together. */
const GIVEN_UP_MS = 60_000
/** An answer of a node that hangs is not waited for. */
const ONE_NODE_MS = 10_000
const PAUSE_MS = 20
/** Between two rounds of a worker: the nodes need time for each other, too. */
const BREATH_MS = 60

/** Each report costs something else. */
const countsOf = (n: number) => ({ prompt_tokens: 1_000 + n, completion_tokens: 500 + (n % 7) })
/** Prompt at 1, completion at 2 dollars a million. */
const costOf = (n: number): Amount => {
  const { prompt_tokens, completion_tokens } = countsOf(n)
  return BigInt(prompt_tokens + 2 * completion_tokens) * 1_000_000n
}

const later = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** What another node, or the same one a moment later, may answer. */
const mayBeSentAgain = (error: unknown): boolean =>
  !(error instanceof Refused) || ["Unavailable", "Overloaded"].includes(error.tag)

class Tenant implements WorkflowTenant {
  readonly key: string
  readonly name: string
  readonly approver: string
  next = 1
  /** What everybody has been told yes to on the tight budget, and has not given back. */
  live = 0
  liveMax = 0
  readonly tracked = new Map<number, Json>()
  edges = 0
  /** Asks that were sent more than once: the first may have arrived last, when its hold had been given back. */
  readonly sentTwice = new Map<string, Json>()
  lastAnsweredAt = 0
  /** The longest that nobody of this tenant was answered since it was asked last. */
  longestGapMs = 0

  constructor(name: string, key: string, approver: string) {
    this.name = name
    this.key = key
    this.approver = approver
  }

  answered(): void {
    const now = performance.now()
    if (this.lastAnsweredAt > 0) this.longestGapMs = Math.max(this.longestGapMs, now - this.lastAnsweredAt)
    this.lastAnsweredAt = now
  }
}

export class Crowd {
  readonly #nodes = new Set<Program>()
  readonly #random = randomFrom(42)
  #tenants: ReadonlyArray<Tenant> = []
  #workflows: WorkflowCrowd | undefined
  #isEnough = false
  #running: ReadonlyArray<Promise<void>> = []
  sentAgain = 0

  add(node: Program): void {
    this.#nodes.add(node)
  }

  /** From now on nobody asks this node. */
  remove(node: Program): void {
    this.#nodes.delete(node)
  }

  get acknowledged(): number {
    return this.#tenants.reduce((sum, { tracked, edges }) => sum + tracked.size + edges, 0)
  }

  /** Makes the tenants, and what the load needs to be there. */
  async prepare(count: number): Promise<void> {
    const names = Array.from({ length: count }, (_, n) => `crowd-${n}`)
    this.#tenants = await Promise.all(
      names.map(async (name) => {
        const { key } = await this.#call("create_key", {
          name,
          roles: ["admin"],
          tenant: name,
          request_id: name
        })
        const { key: approver } = await this.#call("create_key", {
          name: `${name} approves`,
          owner: "approver",
          roles: ["budget_admin"],
          tenant: name,
          request_id: `${name} approves`
        })
        const tenant = new Tenant(name, key, approver)
        const pricing = { prompt_per_million: "1", completion_per_million: "2" }
        await this.#call("update_pricing", { ...MODEL, pricing, request_id: "prices" }, key)
        for (const [user, limit] of [
          ["roomy", "1000000"],
          ["tight", `${ROOM}`]
        ]) {
          const budget = { name: user, type: "user", entity_id: user, period: "lifetime", limit }
          await this.#call("create_budget", { ...budget, request_id: `budget ${user}` }, key)
        }
        return tenant
      })
    )
    const call = (method: string, params: Json, key: string) => this.#call(method, params, key)
    this.#workflows = new WorkflowCrowd(call, this.#tenants)
  }

  get workflows(): WorkflowCrowd {
    if (this.#workflows === undefined) throw new Error("prepare it first")
    return this.#workflows
  }

  start(): void {
    this.#isEnough = false
    this.workflows.start(WORKFLOWS_AT_ONCE)
    this.#running = this.#tenants.flatMap((tenant) =>
      Array.from({ length: WORKERS }, (_, worker) =>
        worker % 2 === 0 ? this.#spend(tenant) : this.#wantTheLast(tenant)
      )
    )
  }

  async stop(): Promise<void> {
    this.#isEnough = true
    await Promise.all([...this.#running, this.workflows.stop()])
  }

  /** Waits until every tenant has been answered something that was sent after now; answers how long that took. */
  async allAnswered(): Promise<number> {
    const since = performance.now()
    const ask = ({ key }: Tenant) => this.#call("get_budget_status", {}, key)
    await Promise.all(this.#tenants.map(ask))
    return performance.now() - since
  }

  /** The longest that any tenant went without an answer since this was asked last. */
  takeLongestGap(): number {
    const longest = Math.max(...this.#tenants.map(({ longestGapMs }) => longestGapMs))
    for (const tenant of this.#tenants) tenant.longestGapMs = 0
    return longest
  }

  async #spend(tenant: Tenant): Promise<void> {
    while (!this.#isEnough) {
      const n = tenant.next++
      const request = { request_id: `r${n}`, ...MODEL, user_id: "roomy" }
      const hold = { ...request, estimated_cost: "0.01", estimated_tokens: 10 }
      const { allowed } = await this.#ask(tenant, "check_budget", hold)
      assert.isTrue(allowed)
      const { usage } = await this.#ask(tenant, "track_usage", { ...request, ...countsOf(n) })
      tenant.tracked.set(n, usage)
      await later(BREATH_MS)
    }
  }

  async #wantTheLast(tenant: Tenant): Promise<void> {
    while (!this.#isEnough) {
      const request_id = `e${tenant.next++}`
      const ids: Array<string> = []
      // Three at once, of two workers each: there is room for five.
      const wanted = [`${request_id}a`, `${request_id}b`, `${request_id}c`]
      await Promise.all(
        wanted.map(async (id) => {
          const hold = {
            request_id: id,
            estimated_cost: "1",
            estimated_tokens: 1,
            user_id: "tight",
            hold_ttl_ms: 86_400_000
          }
          const answer = await this.#ask(tenant, "check_budget", hold)
          if (!answer.allowed) return
          tenant.live += 1
          tenant.liveMax = Math.max(tenant.liveMax, tenant.live)
          ids.push(answer.hold_id)
        })
      )
      for (const hold_id of ids) {
        tenant.live -= 1
        await this.#ask(tenant, "release_hold", { hold_id, request_id: `give back ${hold_id}` })
        tenant.edges += 1
      }
      await later(BREATH_MS)
    }
  }

  async #ask(tenant: Tenant, method: string, params: Json): Promise<Json> {
    const onSentAgain = () => {
      if (method === "check_budget") tenant.sentTwice.set(params.request_id, params)
    }
    const answer = await this.#call(method, params, tenant.key, onSentAgain)
    tenant.answered()
    return answer
  }

  /** Asks any node, and another one where that has no answer. */
  async #call(method: string, params: Json, key?: string, onSentAgain = () => {}): Promise<Json> {
    const until = performance.now() + GIVEN_UP_MS
    for (;;) {
      const nodes = [...this.#nodes]
      const node = nodes[this.#random(nodes.length)]
      if (node === undefined) throw new Error("there is no node to ask")
      try {
        return await Promise.race([
          callOverHttp(node.url, method, params, key),
          later(ONE_NODE_MS).then(() => Promise.reject(new Error(`${node.url} hangs`)))
        ])
      } catch (error) {
        if (!mayBeSentAgain(error) || performance.now() > until) throw error
        this.sentAgain += 1
        onSentAgain()
        await later(PAUSE_MS)
      }
    }
  }

  /** Gives back what was held for an ask that arrived when nobody waited for it any more. */
  async #giveBackStrays(tenant: Tenant): Promise<void> {
    for (const params of tenant.sentTwice.values()) {
      if (params.user_id !== "tight") continue
      const { allowed, hold_id } = await this.#call("check_budget", params, tenant.key)
      if (allowed) await this.#call("release_hold", { hold_id }, tenant.key)
    }
  }

  /** Everything acknowledged is there once, and nothing else; counters are sums of rows; nobody got what was not there. */
  async verify(): Promise<void> {
    const mostAtOnce = Math.max(...this.#tenants.map(({ liveMax }) => liveMax))
    assert.strictEqual(mostAtOnce, ROOM, "somebody had all that there was")
    for (const tenant of this.#tenants) {
      await this.#giveBackStrays(tenant)
      assert.isAtMost(tenant.liveMax, ROOM, `${tenant.name}: never more than there is room for`)
      const all = await this.#allUsage(tenant)
      assert.deepStrictEqual(
        all.map((row) => row.usage_seq).sort((a, b) => a - b),
        all.map((_, index) => index + 1),
        `${tenant.name}: usage_seq has no gap`
      )
      const [node] = this.#nodes
      if (node === undefined) throw new Error("there is no node to ask")
      await this.workflows.verify(node, tenant, all)
      const rows = all.filter(({ workflow_id }) => workflow_id === undefined)
      const byRequest = new Map(rows.map((row) => [row.request_id, row]))
      assert.strictEqual(byRequest.size, rows.length, `${tenant.name}: no request is there twice`)
      assert.strictEqual(
        rows.length,
        tenant.tracked.size,
        `${tenant.name}: all that was reported, and nothing else`
      )
      for (const [n, usage] of tenant.tracked) assert.deepStrictEqual(byRequest.get(`r${n}`), usage)
      const spent = [...tenant.tracked.keys()].reduce((sum, n) => sum + costOf(n), 0n)
      const status = await this.#call("get_status", {}, tenant.key)
      assert.deepInclude(status, { open_holds: 0, total_cost: formatAmount(costOfRows(all)) }, tenant.name)
      const { budgets } = await this.#call("get_budget_status", { type: "user" }, tenant.key)
      const standings = budgets.map((budget: Json) => [
        budget.name,
        budget.spent,
        budget.held,
        budget.open_holds
      ])
      assert.sameDeepMembers(standings, [
        ["roomy", formatAmount(spent), "0", 0],
        ["tight", "0", "0", 0]
      ])
      assert.strictEqual(
        rows.reduce((sum, row) => sum + parseAmount(row.cost), 0n),
        spent
      )
    }
  }

  async #allUsage({ key }: Tenant): Promise<ReadonlyArray<Json>> {
    const rows: Array<Json> = []
    let cursor: string | undefined
    do {
      const after = cursor === undefined ? {} : { cursor }
      const page = await this.#call("get_usage", { limit: 1000, ...after }, key)
      rows.push(...page.items)
      cursor = page.next_cursor ?? undefined
    } while (cursor !== undefined)
    return rows
  }
}
