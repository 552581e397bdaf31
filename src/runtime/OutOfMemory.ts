/**
 * What is said of an actor that is asked for by its address and is not in memory.
 *
 * Owns: telling a machine that lies in the store, at rest or ended, from an actor that there is not.
 * Does not decide: when a machine leaves memory or comes back (actor/).
 */
import { Effect } from "effect"
import type { MachineRow, MachineStore } from "../actor/MachineStore.ts"
import { NotFound, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { WORKFLOW } from "../workflow/WorkflowAddress.ts"

const timeOf = (at: number): string => new Date(at).toISOString()

const whereItIs = ({ status, updatedAt, wakesAt }: MachineRow): string => {
  if (status === "done" || status === "failed") return `it has ended (${status}) at ${timeOf(updatedAt)}`
  if (status === "parked")
    return `it was parked at ${timeOf(updatedAt)} and does nothing until that is mended`
  const until = wakesAt === null || wakesAt === 0 ? "" : `, by itself at ${timeOf(wakesAt)} at the latest`
  return `it has waited since ${timeOf(updatedAt)}, and comes back with its next signal${until}`
}

const inStore = (row: MachineRow): NotFound =>
  new NotFound({
    kind: "actor",
    id: row.address,
    message: `${row.address} is not in memory: ${whereItIs(row)}. ${
      row.kind === WORKFLOW
        ? "get_workflow shows it; resume_workflow lets it look at once"
        : "Its state lies in the store"
    }`
  })

/** The same error, unless a machine of the principal's tenant lies in the store at this address. */
export const explained = <A>(
  done: Effect.Effect<A, SignalError>,
  store: Pick<MachineStore, "read">,
  address: string,
  { tenant }: Principal
): Effect.Effect<A, SignalError> =>
  Effect.catchTag(done, "NotFound", (error) =>
    Effect.flatMap(
      Effect.orElseSucceed(store.read(address), () => undefined),
      (row) => Effect.fail(row?.tenant === tenant ? inStore(row) : error)
    )
  )
