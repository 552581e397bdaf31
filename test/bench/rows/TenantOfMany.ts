/**
 * One tenant with many budgets, in a process of its own, for the row about them: so each has a heap of its own, and they
 * can take turns.
 *
 * Owns: making it, and timing checks. The same four budgets apply to every check; the others are about somebody else.
 */
import { Effect, Layer } from "effect"
import { makeMemoryLedgerStore } from "../../../src/store/MemoryLedgerStore.ts"
import { LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { fillWithBudgets } from "../Budgets.ts"
import { type BenchManager, startManager } from "../Manager.ts"
import { createBudgets, holdOf, PRINCIPAL } from "../Workload.ts"

/** What the row asks for: a tenant first, then checks. */
export type TenantOrder = { readonly budgets: number } | { readonly checks: number }

/** Bytes that the ledger keeps for each budget, or the milliseconds that each check took. */
export type TenantAnswer = { readonly bytesEach: number } | { readonly times: ReadonlyArray<number> }

const APPLYING = 4

const heapAfterGc = (): number => {
  for (let times = 0; times < 3; times++) globalThis.gc?.()
  return process.memoryUsage().heapUsed
}

const open = async (budgets: number) => {
  const store = makeMemoryLedgerStore({ checksText: false })
  await Effect.runPromise(fillWithBudgets(store, budgets - APPLYING, Date.now()))
  const before = heapAfterGc()
  const manager = await startManager(Layer.succeed(LedgerStore, store))
  await manager.run(createBudgets(manager.ref))
  return { manager, bytesEach: (heapAfterGc() - before) / budgets }
}

let ids = 0

/** Asks one at a time; each hold is released outside of what is timed. */
const timeChecks = ({ ref, run }: BenchManager, count: number) =>
  run(
    Effect.gen(function* () {
      const times: Array<number> = []
      for (let turn = 0; turn < count; turn++) {
        const startedAt = performance.now()
        const approval = yield* ref.ask("check_budget", holdOf(`many-${++ids}`), PRINCIPAL)
        times.push(performance.now() - startedAt)
        if (!approval.allowed || approval.hold_id === undefined)
          return yield* Effect.die(new Error("refused"))
        yield* ref.ask("release_hold", { hold_id: approval.hold_id }, PRINCIPAL)
      }
      return times
    }).pipe(Effect.orDie)
  )

let tenant: BenchManager | undefined

const carryOut = async (order: TenantOrder): Promise<TenantAnswer> => {
  if ("budgets" in order) {
    const { manager, bytesEach } = await open(order.budgets)
    tenant = manager
    return { bytesEach }
  }
  if (tenant === undefined) throw new Error("checks were asked for before there was a tenant")
  return { times: await timeChecks(tenant, order.checks) }
}

process.on("message", (order) => {
  carryOut(order as TenantOrder).then(
    (answer) => process.send?.(answer),
    (error) => {
      console.error(error)
      process.exit(1)
    }
  )
})

// The manager's timers would keep the process.
process.on("disconnect", () => process.exit())
