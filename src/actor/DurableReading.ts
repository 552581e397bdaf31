/**
 * What a life makes of the row that it finds.
 *
 * Owns: whether the machine as it is now can go on from it: as it is, migrated, or not at all.
 * Does not decide: what is committed then (DurableLife).
 */
import type { AnyStateMachine } from "xstate"
import type { Protocol } from "../signal/Protocol.ts"
import type { Millis } from "../signal/Text.ts"
import { type Standing, statusOf } from "./DurableDraft.ts"
import { endedStanding, hasEnded } from "./DurableEnded.ts"
import type { DurableMachine } from "./DurableMachine.ts"
import { childrenOf, migrated } from "./DurableMigration.ts"
import { stateFrom } from "./DurableState.ts"
import { type StepContext, type Stepped, snapshotOf } from "./DurableStep.ts"
import type { MachineRow } from "./MachineStore.ts"
import { messageOf } from "./PlainJson.ts"

export type Reading =
  | { readonly _tag: "as it was"; readonly standing: Standing }
  /** It is another version's: the state that the migration made. `standing` is the revision that it builds on. */
  | {
      readonly _tag: "migrated"
      readonly standing: Standing
      readonly stepped: Stepped
    }
  | { readonly _tag: "unreadable"; readonly reason: string }

/** A definition, and its machine whatever its types are. */
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

/** A machine that has ended is read as it ended: its version, and whether it still fits, make no difference. */
const ended = <Machine extends AnyStateMachine, P extends Protocol>(
  { definition, machine }: Registered<Machine, P>,
  row: MachineRow
): Reading => {
  if (row.version === definition.version) {
    try {
      return asItWas(machine, row)
    } catch {
      // Its code has changed, and not its version.
    }
  }
  try {
    const migrate = definition.migrate as Parameters<typeof endedStanding>[1]
    return { _tag: "as it was", standing: endedStanding(machine, migrate, row) }
  } catch (cause) {
    return { _tag: "unreadable", reason: `it has ended, and cannot be read: ${messageOf(cause)}` }
  }
}

const CHANGED =
  "If its machine was changed, give it a new `version`, and a `migrate` that takes the old one; or run it as it was"

/** Reads a row. Never throws: what cannot be read says why. */
export const readingOf = <Machine extends AnyStateMachine, P extends Protocol>(
  { definition, machine }: Registered<Machine, P>,
  row: MachineRow,
  now: Millis,
  sendLate: StepContext["sendLate"] = () => undefined
): Reading => {
  const { version, migrate } = definition
  if (hasEnded(row)) return ended({ definition, machine }, row)
  if (row.version === version) {
    try {
      return asItWas(machine, row)
    } catch (cause) {
      return { _tag: "unreadable", reason: `its snapshot does not fit: ${messageOf(cause)}. ${CHANGED}` }
    }
  }
  const found = `it was left by version ${row.version}, and this is version ${version}`
  try {
    const old = stateFrom(row.snapshot, row.revision)
    const { value, context } = old.snapshot
    const made = migrate?.({ version: row.version, value, context, children: childrenOf(old.snapshot) })
    if (made === undefined) {
      const how = `give durableMachine a \`migrate\` that takes version ${row.version}, or run version ${row.version} of it again`
      return { _tag: "unreadable", reason: `${found}, which has no migration from it: ${how}` }
    }
    const { kind, tenant, address: text, createdAt, updatedAt } = row
    const stepped = migrated({ machine, address: { kind, tenant, text }, now, sendLate }, old, made)
    const { snapshot } = stepped
    const before = { ...stepped.state, revision: row.revision, outgoingSeq: old.outgoingSeq }
    const standing = { state: before, snapshot, ...statusOf(snapshot), createdAt, updatedAt }
    return { _tag: "migrated", standing, stepped }
  } catch (cause) {
    return { _tag: "unreadable", reason: `${found}; its migration failed: ${messageOf(cause)}` }
  }
}
