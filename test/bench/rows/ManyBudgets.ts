/**
 * Whether a check costs the same however many budgets a tenant has: the same four of them apply to every ask.
 *
 * Owns: tenants of 10 to a million budgets, all with a running period, that take turns (TenantOfMany); what a budget
 * keeps in memory, and how long an activation with a hundred thousand of them takes.
 */
import { type ChildProcess, fork } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { fillWithBudgets } from "../Budgets.ts"
import { openDatabase, storeOn } from "../Database.ts"
import type { ByExtent, Extent } from "../Extent.ts"
import { type Comparison, median, micros, number, percentile, type RowReport, sorted } from "../Figures.ts"
import { startManager } from "../Manager.ts"
import { holdOf, PRINCIPAL } from "../Workload.ts"
import type { TenantAnswer, TenantOrder } from "./TenantOfMany.ts"

interface Sizes {
  /** Budgets of each tenant, the smallest first. */
  readonly budgets: ReadonlyArray<number>
  readonly activated: number
  readonly warmUp: number
  readonly rounds: number
  readonly checks: number
}

const SIZES: ByExtent<Sizes> = {
  whole: {
    budgets: [10, 1_000, 100_000, 1_000_000],
    activated: 100_000,
    warmUp: 4_000,
    rounds: 40,
    checks: 250
  },
  smallest: { budgets: [5, 20], activated: 10, warmUp: 1, rounds: 2, checks: 2 }
}

const carryOut = (tenant: ChildProcess, order: TenantOrder): Promise<TenantAnswer> =>
  new Promise((resolve, reject) => {
    const died = (code: number | null) => reject(new Error(`the tenant's process ended with ${code}`))
    tenant.once("exit", died)
    tenant.once("message", (answer) => {
      tenant.off("exit", died)
      resolve(answer as TenantAnswer)
    })
    tenant.send(order)
  })

/** One tenant's process, and what it took in each round. */
class Tenant {
  readonly #process = fork(fileURLToPath(new URL("TenantOfMany.ts", import.meta.url)))
  readonly #rounds: Array<ReadonlyArray<number>> = []
  readonly budgets: number
  bytesEach = Number.NaN

  constructor(budgets: number) {
    this.budgets = budgets
  }

  async open(): Promise<void> {
    const answer = await carryOut(this.#process, { budgets: this.budgets })
    if ("bytesEach" in answer) this.bytesEach = answer.bytesEach
  }

  async check(checks: number): Promise<ReadonlyArray<number>> {
    const answer = await carryOut(this.#process, { checks })
    return "times" in answer ? answer.times : []
  }

  async checkInRound(checks: number): Promise<void> {
    this.#rounds.push(sorted(await this.check(checks)))
  }

  /** The median over the rounds of each round's percentile, in milliseconds. */
  at(share: number): number {
    return median(this.#rounds.map((round) => percentile(round, share)))
  }

  end(): void {
    this.#process.disconnect()
  }
}

/** From the claim to the first answer, on a Postgres server. */
const activation = async (count: number): Promise<string> => {
  const database = await openDatabase()
  const store = storeOn(database)
  await Effect.runPromise(
    Effect.flatMap(LedgerStore, (it) => fillWithBudgets(it, count, Date.now())).pipe(Effect.provide(store))
  )
  const startedAt = performance.now()
  const manager = await startManager(storeOn(database))
  await manager.run(
    // A machine with much else to do may need longer than a signal waits.
    Effect.retry(manager.ref.ask("check_budget", holdOf("first"), PRINCIPAL), {
      while: (error) => error._tag === "Unavailable"
    })
  )
  const took = performance.now() - startedAt
  await manager.stop()
  await database.drop()
  return `an activation with ${count.toLocaleString("en-US")} budgets and their periods, on a server: ${number(took / 1000)} s until it has answered`
}

export const manyBudgets = async (extent: Extent): Promise<RowReport> => {
  const sizes = SIZES[extent]
  const tenants = sizes.budgets.map((budgets) => new Tenant(budgets))
  for (const tenant of tenants) await tenant.open()
  for (const tenant of tenants) await tenant.check(sizes.warmUp)
  for (let round = 0; round < sizes.rounds; round++) {
    for (const tenant of tenants) await tenant.checkInRound(sizes.checks)
  }
  for (const tenant of tenants) tenant.end()
  const [first, last] = [tenants[0], tenants.at(-1)] as [Tenant, Tenant]
  const comparisons = tenants.slice(1).map(
    (tenant): Comparison => ({
      what: `check_budget of four among ${tenant.budgets.toLocaleString("en-US")} budgets, p50`,
      measured: micros(tenant.at(0.5)),
      baseline: `among ${first.budgets}: ${micros(first.at(0.5))}`,
      ratio: tenant.at(0.5) / first.at(0.5),
      target: { atMost: 1.5 }
    })
  )
  return {
    facts: [
      `one ask at a time, turns of ${sizes.checks}, ${sizes.rounds} rounds; a process for each tenant; the store keeps rows in memory; every budget has a running period`,
      "latency: the median over the rounds of each round's percentile",
      `memory: ${number(last.bytesEach)} bytes for each budget of the largest tenant, beside its rows in the store`,
      `p99: ${tenants.map((it) => `${micros(it.at(0.99))} among ${it.budgets}`).join(", ")}`,
      await activation(sizes.activated)
    ],
    comparisons
  }
}
