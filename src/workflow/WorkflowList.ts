/**
 * Answers list_workflows from the store.
 *
 * Owns: filters, which page comes next, and how far one answer looks.
 * Does not decide: whose a workflow is (Ownership).
 */
import { Effect, Result } from "effect"
import type { MachineEntry, MachineStore, MachineStoreUnreachable } from "../actor/MachineStore.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { type InvalidParams, invalidParam, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { WorkflowProgress } from "../signal/Workflows.ts"
import { isOwn } from "./Ownership.ts"
import { WORKFLOW } from "./WorkflowAddress.ts"
import { decodeProgress } from "./WorkflowView.ts"

type Payload = SignalPayload<"list_workflows">

const PAGE = 200
/** A filter that hardly anything matches ends its page here; the cursor goes on. */
const LOOKED_AT_MAX = 5_000

type Place = { readonly createdAt: number; readonly address: string }

/** Whom a workflow is for, as lists and the topic are filtered by. */
export const WORKFLOW_FILTER = ["user_id", "team_id", "project_id", "feature"] as const

const writeCursor = ({ createdAt, address }: Place): string =>
  Buffer.from(JSON.stringify([createdAt, address])).toString("base64url")

const readCursor = (cursor: string | undefined): Result.Result<Place | null, InvalidParams> => {
  if (cursor === undefined) return Result.succeed(null)
  const wrong = Result.fail(invalidParam(["cursor"], "This is not a cursor of list_workflows"))
  try {
    const place: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString())
    if (!Array.isArray(place)) return wrong
    const [createdAt, address] = place
    return typeof createdAt === "number" && typeof address === "string"
      ? Result.succeed({ createdAt, address })
      : wrong
  } catch {
    return wrong
  }
}

const unreachable = (_: MachineStoreUnreachable): SignalError =>
  new Unavailable({ message: "The store cannot be reached; send it again", retry_after_ms: 1_000 })

/** A machine that was stopped from outside is shown as what it is, not as what its context says. */
const shownOf = ({ about, status }: MachineEntry): WorkflowProgress => {
  const progress = decodeProgress(about)
  if (status === "parked") return { ...progress, state: "parked" }
  return status === "failed" ? { ...progress, state: "failed" } : progress
}

const matches = (payload: Payload, workflow: WorkflowProgress): boolean =>
  (payload.state === undefined || payload.state === workflow.state) &&
  (payload.name === undefined || payload.name === workflow.name) &&
  WORKFLOW_FILTER.every(
    (field) => payload[field] === undefined || payload[field] === workflow.attribution[field]
  )

export const listWorkflows = (
  store: MachineStore,
  payload: Payload,
  principal: Principal
): Effect.Effect<SignalSuccess<"list_workflows">, SignalError> =>
  Effect.gen(function* () {
    let after = yield* Effect.fromResult(readCursor(payload.cursor))
    const items: Array<WorkflowProgress> = []
    let lookedAt = 0
    while (true) {
      const query = { tenant: principal.tenant, kind: WORKFLOW, statuses: null, after, limit: PAGE }
      const rows = yield* Effect.mapError(store.list(query), unreachable)
      for (const row of rows) {
        if (items.length === payload.limit || lookedAt >= LOOKED_AT_MAX)
          return { items, next_cursor: after === null ? null : writeCursor(after) }
        lookedAt += 1
        after = { createdAt: row.createdAt, address: row.address }
        const workflow = shownOf(row)
        if (isOwn(workflow, workflow.workflow_id, principal) && matches(payload, workflow))
          items.push(workflow)
      }
      if (rows.length < PAGE) return { items, next_cursor: null }
    }
  })
