/**
 * Answers cleanup_old_data.
 *
 * Owns: which rows are old, and taking them away in steps, each a batch of the tenant's one writer between the batches of
 * everybody else; then the durable machines that had ended by then, and refusals; counting only, in a dry run; one cleanup of a tenant at a
 * time.
 * Does not decide: what is kept of the rows (Cleaning), or of machines (EndedMachines).
 *
 * It can be stopped anywhere: what is done is done, and the next one goes on from there.
 */
import { Effect } from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { decodeSuccess, encodeSuccess } from "../signal/Decode.ts"
import { Conflict, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"
import { CELL_MS } from "./Cleaning.ts"
import { contentDigest } from "./Digest.ts"
import type { EndedMachines } from "./EndedMachines.ts"
import type { CommandRow, LedgerStore, StoreUnreachable } from "./LedgerStore.ts"
import type { RefusalKeeper } from "./RefusalKeeper.ts"

/** Rows that one step takes: a statement of some tens of milliseconds. */
export const CLEANED_AT_ONCE = 1_000
/** Rows that one cleanup takes; where there are more, it says so, and can be sent again. */
const CLEANED_MAX = 1_000_000
/** The same of machines. */
const MACHINES_MAX = 100_000

const DAY_MS = 86_400_000

type Answer = SignalSuccess<"cleanup_old_data">

export interface CleanupEnvironment {
  readonly store: LedgerStore
  readonly tenant: string
  readonly ref: ActorRef
  readonly machines: EndedMachines
  readonly refusals: Pick<RefusalKeeper, "countOld" | "removeOld">
  readonly now: Millis
  readonly retentionDays: number
}

/** Whole cells are old, or none of them. */
const cutOf = (days: number, now: Millis): Millis => Math.floor((now - days * DAY_MS) / CELL_MS) * CELL_MS

const KEPT =
  "Budgets, totals, the audit trail and the uniqueness of request ids are kept; get_usage lists and sums the rows that are left"

interface Others {
  readonly machines: number
  readonly refusals: number
}

const othersIn = ({ machines, refusals }: Others): string =>
  [
    machines === 0 ? "" : ` and ${machines} workflow(s) and other durable machine(s) that had ended`,
    refusals === 0 ? "" : ` and ${refusals} refusal(s)`
  ].join("")

/** Where there were none, the answer says nothing of them. */
const shownOthers = ({ machines, refusals }: Others) => ({
  ...(machines === 0 ? {} : { ended_machines: machines }),
  ...(refusals === 0 ? {} : { refusals })
})

const dryRun = (
  env: CleanupEnvironment,
  before: Millis
): Effect.Effect<Answer, SignalError | StoreUnreachable> =>
  Effect.gen(function* () {
    const usage_rows = yield* env.store.countOldUsage(env.tenant, before)
    const machines = yield* env.machines.count(env.tenant, before)
    const others = { machines, refusals: yield* env.refusals.countOld(env.tenant, before) }
    return {
      dry_run: true,
      usage_rows,
      ...shownOthers(others),
      before,
      message: `Nothing was deleted: send it with dry_run false to delete ${usage_rows} row(s)${othersIn(others)}. ${KEPT}`
    }
  })

const takeUsage = (env: CleanupEnvironment, before: Millis, principal: Principal) =>
  Effect.gen(function* () {
    let count = 0
    let isMore = true
    while (isMore && count < CLEANED_MAX) {
      const step = yield* env.ref.ask("clean_usage", { before }, principal)
      count += step.cleaned
      isMore = step.cleaned > 0
    }
    return { count, isMore }
  })

const takeMachines = ({ machines, tenant }: CleanupEnvironment, before: Millis) =>
  Effect.gen(function* () {
    let count = 0
    let isMore = true
    while (isMore && count < MACHINES_MAX) {
      const step = yield* machines.remove(tenant, before)
      count += step.removed
      isMore = step.isMore
    }
    return { count, isMore }
  })

const takeAway = (
  env: CleanupEnvironment,
  before: Millis,
  principal: Principal
): Effect.Effect<Answer, SignalError> =>
  Effect.gen(function* () {
    const usage = yield* takeUsage(env, before, principal)
    const machines = yield* takeMachines(env, before)
    const others = {
      machines: machines.count,
      refusals: yield* env.refusals.removeOld(env.tenant, before)
    }
    const isMore = usage.isMore || machines.isMore
    const more = isMore ? "There may be more: send it again, without the request_id or with a new one. " : ""
    return {
      dry_run: false,
      usage_rows: usage.count,
      ...shownOthers(others),
      before,
      message: `${usage.count} row(s)${othersIn(others)} were deleted. ${more}${KEPT}`
    }
  })

const reused = (requestId: string): Conflict =>
  new Conflict({
    reason: "request_reused_with_different_content",
    message: `The request_id ${requestId} was used for another cleanup_old_data; take a new one`
  })

const repeated = (row: CommandRow, digest: string): Effect.Effect<Answer, Conflict> =>
  row.digest === digest
    ? Effect.succeed(decodeSuccess("cleanup_old_data", row.result))
    : Effect.fail(reused(row.requestId))

export const cleanup = (
  env: CleanupEnvironment,
  payload: SignalPayload<"cleanup_old_data">,
  principal: Principal
): Effect.Effect<Answer, SignalError | StoreUnreachable> =>
  Effect.gen(function* () {
    const { request_id, dry_run, older_than_days = env.retentionDays } = payload
    const before = cutOf(older_than_days, env.now)
    if (dry_run) return yield* dryRun(env, before)
    const digest = contentDigest(payload)
    if (request_id !== undefined) {
      const key = { signal: "cleanup_old_data", requestId: request_id }
      const [known] = yield* env.store.findCommands(env.tenant, [key])
      if (known !== undefined) return yield* repeated(known, digest)
    }
    const answer = yield* takeAway(env, before, principal)
    const result = encodeSuccess("cleanup_old_data", answer) as CommandRow["result"]
    yield* env.ref.ask(
      "record_cleanup",
      {
        before,
        usage_rows: answer.usage_rows,
        ...shownOthers({ machines: answer.ended_machines ?? 0, refusals: answer.refusals ?? 0 }),
        answers: request_id === undefined ? null : { request_id, digest, result }
      },
      principal
    )
    return answer
  })
