/**
 * What a life makes of the row that it finds.
 *
 * Owns: whether the machine as it is now can go on from it: as it is, migrated, or not at all.
 * Does not decide: what is committed then (DurableLife).
 */
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate"
import type { Protocol } from "../signal/Protocol.ts"
import type { Millis } from "../signal/Text.ts"
import { type Standing, statusOf } from "./DurableDraft.ts"
import type { DurableMachine } from "./DurableMachine.ts"
import { migrated } from "./DurableMigration.ts"
import { type DurableState, stateFrom } from "./DurableState.ts"
import { snapshotOf } from "./DurableStep.ts"
import type { MachineRow } from "./MachineStore.ts"
import { messageOf } from "./PlainJson.ts"

export type Reading =
  | { readonly _tag: "as it was"; readonly standing: Standing }
  /** It is another version's: the state that the migration made. `standing` is the revision that it builds on. */
  | {
      readonly _tag: "migrated"
      readonly standing: Standing
      readonly state: DurableState
      readonly snapshot: AnyMachineSnapshot
    }
  | { readonly _tag: "unreadable"; readonly reason: string }

/** The machine with bounds, and its definition. */
export interface Registered<Machine extends AnyStateMachine, P extends Protocol> {
  readonly definition: DurableMachine<Machine, P>
  readonly machine: AnyStateMachine
}

const asItWas = (machine: AnyStateMachine, row: MachineRow): Reading => {
  const state = stateFrom(row.snapshot, row.revision)
  const { status, reason, createdAt, updatedAt } = row
  const snapshot = snapshotOf(machine, state)
  return { _tag: "as it was", standing: { state, snapshot, status, reason, createdAt, updatedAt } }
}

/** Reads a row. Never throws: what cannot be read says why. */
export const readingOf = <Machine extends AnyStateMachine, P extends Protocol>(
  { definition, machine }: Registered<Machine, P>,
  row: MachineRow,
  now: Millis
): Reading => {
  const { version, migrate } = definition
  if (row.version === version) {
    try {
      return asItWas(machine, row)
    } catch (cause) {
      return { _tag: "unreadable", reason: `its snapshot does not fit: ${messageOf(cause)}` }
    }
  }
  const found = `it was left by version ${row.version}, and this is version ${version}`
  try {
    const old = stateFrom(row.snapshot, row.revision)
    const { value, context } = old.snapshot
    const made = migrate?.({ version: row.version, value, context })
    if (made === undefined) return { _tag: "unreadable", reason: `${found}, which has no migration from it` }
    const state = migrated(machine, old, made, now)
    const snapshot = snapshotOf(machine, state)
    const { createdAt, updatedAt } = row
    const before = { ...state, revision: row.revision }
    const standing = { state: before, snapshot, ...statusOf(snapshot), createdAt, updatedAt }
    return { _tag: "migrated", standing, state, snapshot }
  } catch (cause) {
    return { _tag: "unreadable", reason: `${found}; its migration failed: ${messageOf(cause)}` }
  }
}
