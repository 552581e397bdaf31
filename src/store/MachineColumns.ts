/**
 * A durable machine as it is read from Postgres.
 *
 * Owns: its columns, and what they are in memory. Does not decide: which rows are read.
 */
import type { MachineEntry, MachineStatus } from "../actor/MachineStore.ts"

export interface StoredMachine {
  readonly address: string
  readonly tenant: string
  readonly kind: string
  readonly epoch: bigint
  readonly revision: bigint
  readonly status: MachineStatus
  readonly state: string
  readonly reason: string | null
  readonly about: string
  readonly version: string
  readonly snapshot: string
  readonly wakes_at: Date | null
  readonly created_at: Date
  readonly updated_at: Date
}

export const ENTRY_COLUMNS = `address, tenant, kind, epoch, revision, status, state, reason, about, version, wakes_at,
created_at, updated_at`
export const entryFrom = (row: Omit<StoredMachine, "snapshot">): MachineEntry => ({
  address: row.address,
  tenant: row.tenant,
  kind: row.kind,
  revision: Number(row.revision),
  status: row.status,
  state: row.state,
  reason: row.reason,
  about: JSON.parse(row.about),
  version: row.version,
  wakesAt: row.wakes_at?.getTime() ?? null,
  createdAt: row.created_at.getTime(),
  updatedAt: row.updated_at.getTime()
})
