/**
 * What is read of a durable machine that has ended.
 *
 * Owns: that an end stays what it was, whatever the machine's code has become since: nobody migrates it, begins anything in it
 * or writes it again.
 * Does not decide: what is answered of it (the definition's rules).
 */
import type { AnyMachineSnapshot, AnyStateMachine } from "xstate"
import type { Standing } from "./DurableDraft.ts"
import type { DurableMachine, OldSnapshot } from "./DurableMachine.ts"
import { childrenOf } from "./DurableMigration.ts"
import { type PersistedSnapshot, stateFrom } from "./DurableState.ts"
import type { MachineRow } from "./MachineStore.ts"

type Migrate = DurableMachine<AnyStateMachine, never>["migrate"]

export const hasEnded = ({ status }: Pick<MachineRow, "status">): boolean =>
  status === "done" || status === "failed"

/** Its rules know the context of this version; where nobody can say what that is, they see what there was. */
const contextOf = (
  migrate: Migrate,
  version: string,
  { value, context, ...old }: PersistedSnapshot
): unknown => {
  const left: OldSnapshot = { version, value, context, children: childrenOf({ value, context, ...old }) }
  try {
    return migrate?.(left)?.context ?? context
  } catch {
    return context
  }
}

/** The snapshot of a state that the machine may not have any more: then it is in no state that it knows. */
const resolvedAt = (machine: AnyStateMachine, value: unknown, context: unknown): AnyMachineSnapshot => {
  const at = (where: unknown) =>
    machine.resolveState({ value: where, context } as never) as AnyMachineSnapshot
  try {
    return at(value)
  } catch {
    return { ...at({}), value, _nodes: [], tags: new Set() } as unknown as AnyMachineSnapshot
  }
}

/** The end of a machine as another version has left it: its state, output and error, and none of its children. */
export const endedStanding = (machine: AnyStateMachine, migrate: Migrate, row: MachineRow): Standing => {
  const left = stateFrom(row.snapshot, row.revision)
  const { status, value, output, error } = left.snapshot
  const context = contextOf(migrate, row.version, left.snapshot)
  const end = { status, value, output, error, children: {} }
  return {
    state: {
      ...left,
      snapshot: { ...left.snapshot, children: {} },
      invocations: {},
      machines: {},
      timers: []
    },
    snapshot: { ...resolvedAt(machine, value, context), ...end } as unknown as AnyMachineSnapshot,
    status: row.status,
    reason: row.reason,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt
  }
}
