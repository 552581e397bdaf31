/**
 * The ledger's store in memory: for tests, simulations and benchmarks.
 *
 * Owns: the same promises as the store on Postgres: fencing, a batch is written whole or not at all, unique ids,
 * order. Nothing outlives the process.
 * Does not decide: anything that the port leaves open. Rows are kept as they were given, without a copy: they are
 * never changed by anybody.
 */
import { Effect, Layer } from "effect"
import type { TokenUsage } from "../signal/Usage.ts"
import {
  type Batch,
  BatchRefused,
  type Claim,
  type CommitError,
  Fenced,
  LedgerStore,
  type UsageFilter,
  type UsageRow
} from "../tokens/LedgerStore.ts"
import { rowsOfAttempt } from "../tokens/RequestRecord.ts"
import { isStorable } from "./Columns.ts"
import { MemoryDeliveries } from "./MemoryDeliveries.ts"
import { forgetInMemory } from "./MemoryForgetting.ts"
import {
  chargesOf,
  isAbout,
  lastBefore,
  matches,
  spentByEntity,
  spentIn,
  totalsOf,
  waiting
} from "./MemoryQueries.ts"
import { commandKey, MemoryTenant } from "./MemoryTenant.ts"
export interface MemoryLedgerStoreOptions {
  /** Whether text that Postgres would refuse is refused here too. Off in a benchmark of the ledger alone. */
  readonly checksText?: boolean
  /** Where recipients, and the alerts that are owed to them, are written; shared with their own port. */
  readonly deliveries?: MemoryDeliveries
}

const hasOnlyStorableText = (value: unknown): boolean => {
  if (typeof value === "string") return isStorable(value)
  if (typeof value !== "object" || value === null) return true
  for (const [key, part] of Object.entries(value)) {
    if (!isStorable(key) || !hasOnlyStorableText(part)) return false
  }
  return true
}

/** A fresh, empty store. Whoever shares the object shares the data. */
export const makeMemoryLedgerStore = ({
  checksText = true,
  deliveries = new MemoryDeliveries()
}: MemoryLedgerStoreOptions = {}): LedgerStore => {
  const tenants = new Map<string, MemoryTenant>()
  const tenantOf = (name: string): MemoryTenant => {
    const known = tenants.get(name)
    if (known !== undefined) return known
    const fresh = new MemoryTenant()
    tenants.set(name, fresh)
    return fresh
  }

  const commit = (claim: Claim, batch: Batch): Effect.Effect<void, CommitError> =>
    Effect.suspend((): Effect.Effect<void, CommitError> => {
      const tenant = tenantOf(claim.tenant)
      if (!tenant.isOf(claim) || tenant.journalSeq !== batch.journalSeq) {
        return Effect.fail(new Fenced({ tenant: claim.tenant }))
      }
      const problem =
        checksText && !hasOnlyStorableText(batch)
          ? "a text has U+0000 or a lone surrogate"
          : tenant.problemWith(batch)
      if (problem !== undefined)
        return Effect.fail(new BatchRefused({ tenant: claim.tenant, message: problem }))
      tenant.write(batch)
      deliveries.write(claim.tenant, batch)
      return Effect.void
    })

  const claimTenant = (name: string, owner: string): Claim => {
    const tenant = tenantOf(name)
    tenant.owner = owner
    tenant.epoch += 1
    return { tenant: name, owner, epoch: tenant.epoch }
  }

  const select = (name: string, filter: UsageFilter, from: number, to: number): Array<UsageRow> => {
    const tenant = tenantOf(name)
    const rows = tenant.usage.slice(tenant.indexAfter(from), tenant.indexAfter(to))
    return rows.filter(({ usage }) => matches(usage, filter))
  }
  const usageOf = (row: UsageRow): TokenUsage => row.usage

  return {
    kind: "embedded",
    durability: "Nothing outlives the process: this store is in memory, for tests",
    isReachable: Effect.succeed(true),
    claim: (tenant, owner) => Effect.sync(() => claimTenant(tenant, owner)),
    load: (claim, liveAfter) =>
      Effect.suspend(() => {
        const tenant = tenantOf(claim.tenant)
        return tenant.isOf(claim)
          ? Effect.succeed(tenant.snapshot(liveAfter, deliveries.recipients.get(claim.tenant) ?? []))
          : Effect.fail(new Fenced({ tenant: claim.tenant }))
      }),
    findRequests: (name, ids) =>
      Effect.sync(() => {
        const tenant = tenantOf(name)
        return ids
          .flatMap((id) => tenant.requests.get(id)?.row ?? [])
          .map((request) => ({
            request,
            usage: request.attempts.flatMap(rowsOfAttempt).flatMap((seq) => tenant.usageOf(seq) ?? [])
          }))
      }),
    findCommands: (name, keys) =>
      Effect.sync(() =>
        keys.flatMap((key) => tenantOf(name).commands.get(commandKey(key.signal, key.requestId)) ?? [])
      ),
    findOverrides: (name, ids) => Effect.sync(() => tenantOf(name).overrides.byId(ids)),
    overridePage: (name, filter, beforeSeq, limit) =>
      Effect.sync(() => tenantOf(name).overrides.page(filter, beforeSeq, limit)),
    oldUsage: (name, before, limit) => Effect.sync(() => tenantOf(name).oldUsage(before).slice(0, limit)),
    countOldUsage: (name, before) => Effect.sync(() => tenantOf(name).oldUsage(before).length),
    cleanedAfter: (name, after, limit) => Effect.sync(() => tenantOf(name).cells.after(after, limit)),
    forget: (claim, step) =>
      Effect.suspend(() => {
        const tenant = tenantOf(claim.tenant)
        return tenant.isOf(claim)
          ? Effect.succeed(forgetInMemory(tenant, step))
          : Effect.fail(new Fenced({ tenant: claim.tenant }))
      }),
    spent: (name, query) => Effect.sync(() => spentIn(chargesOf(tenantOf(name)), query)),
    spentByEntity: (name, query, limit) =>
      Effect.sync(() => spentByEntity(chargesOf(tenantOf(name)), query, limit)),
    findPeriods: (name, queries) =>
      Effect.sync(() => {
        const { periods } = tenantOf(name)
        return queries.flatMap(({ budgetId, at }) => lastBefore(periods.get(budgetId)?.values(), at) ?? [])
      }),
    findUnpriced: (name, query, limit) =>
      Effect.sync(() => waiting(tenantOf(name).unpriced.values(), query).slice(0, limit)),
    commit,
    isOwner: (claim) => Effect.sync(() => tenantOf(claim.tenant).isOf(claim)),
    resolve: (claim, batchId) =>
      Effect.suspend(() => {
        const tenant = tenantOf(claim.tenant)
        if (tenant.owner !== claim.owner) return Effect.fail(new Fenced({ tenant: claim.tenant }))
        tenant.epoch += 1
        return Effect.succeed({
          claim: { ...claim, epoch: tenant.epoch },
          isWritten: tenant.batchId === batchId
        })
      }),
    lastUsageSeq: (name) => Effect.sync(() => tenantOf(name).head.usageSeq),
    usagePage: (name, filter, { maxSeq, beforeSeq, limit }) =>
      Effect.sync(() =>
        select(name, filter, 0, Math.min(maxSeq, beforeSeq - 1))
          .reverse()
          .slice(0, limit)
          .map(usageOf)
      ),
    usageTotals: (name, filter, maxSeq) => Effect.sync(() => totalsOf(select(name, filter, 0, maxSeq))),
    usageAfter: (name, filter, afterSeq, limit) =>
      Effect.sync(() => select(name, filter, afterSeq, Number.MAX_SAFE_INTEGER).slice(0, limit).map(usageOf)),
    adjustmentsOf: (name, ids, afterSeq, limit) =>
      Effect.sync(() =>
        select(name, {}, afterSeq, Number.MAX_SAFE_INTEGER)
          .filter(({ adjustsSeq, usage }) => adjustsSeq !== undefined || usage.attempt > 1)
          .map(usageOf)
          .filter(({ workflow_id }) => workflow_id !== undefined && ids.includes(workflow_id))
          .slice(0, limit)
      ),
    auditHead: (name) => Effect.sync(() => tenantOf(name).auditHead),
    auditPage: (name, filter, { maxSeq, beforeSeq, limit }) =>
      Effect.sync(() =>
        tenantOf(name)
          .audit.filter((row) => row.seq <= maxSeq && row.seq < beforeSeq && isAbout(row, filter))
          .reverse()
          .slice(0, limit)
      ),
    lastAlertSeq: (name) => Effect.sync(() => tenantOf(name).head.alertSeq),
    alertsAfter: (name, afterSeq, limit) =>
      Effect.sync(() =>
        [...tenantOf(name).alerts.values()]
          .filter(({ seq }) => seq > afterSeq)
          .sort((a, b) => a.seq - b.seq)
          .slice(0, limit)
      )
  }
}

export const memoryLedgerStoreLayer = (options: MemoryLedgerStoreOptions = {}) =>
  Layer.sync(LedgerStore, () => makeMemoryLedgerStore(options))
