/**
 * Forgets a user.
 *
 * Owns: the order of the steps. First what runs for the user stands still; then all that is live changes its name in one
 * statement, and memory is read again; what runs goes on under the new name (UserTraces); from then on what the ledger reads of the history is renamed on the way (Ledger.renamings), while the history itself is
 * renamed table by table. Each step is one turn of the tenant's one writer, between everybody else's. It can end anywhere:
 * sent again, it goes on under the name that was taken.
 * Does not decide: what names a user (Forgetting), or who is forgotten (runtime/).
 */
import { Effect } from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { decodeSuccess, encodeSuccess } from "../signal/Decode.ts"
import { Conflict, type SignalError } from "../signal/Errors.ts"
import type { Forgotten } from "../signal/Forgetting.ts"
import type { Principal } from "../signal/Principal.ts"
import { contentDigest } from "./Digest.ts"
import { type ForgetDone, type ForgetStep, HISTORY, type HistoryTable } from "./ForgetSteps.ts"
import type { CommandRow, LedgerStore, StoreUnreachable } from "./LedgerStore.ts"
import type { TraceCounts, UserTraces } from "./UserTraces.ts"

type Answer = SignalSuccess<"forget_named">

export interface ForgetEnvironment {
  readonly store: LedgerStore
  readonly tenant: string
  readonly ref: ActorRef
  readonly traces: UserTraces
}

const NO_TRACES: TraceCounts = { machines: 0, dead_letters: 0, refusals: 0 }

/** For a ledger beside which nothing is kept. */
export const nothingElse: UserTraces = {
  whileStill: (_tenant, _user, effect) => effect(() => Effect.succeed(NO_TRACES))
}

const COUNTED: { readonly [Table in HistoryTable]: keyof Forgotten } = {
  usage: "usage_rows",
  requests: "requests",
  cells: "cleaned_sums",
  audit: "audit_entries",
  alerts: "alerts",
  commands: "commands"
}

const reused = (requestId: string): Conflict =>
  new Conflict({
    reason: "request_reused_with_different_content",
    message: `The request_id ${requestId} was used for another forget_user; take a new one`
  })

const repeated = (row: CommandRow, digest: string): Effect.Effect<Answer, Conflict> =>
  row.digest === digest
    ? Effect.succeed(decodeSuccess("forget_named", row.result))
    : Effect.fail(reused(row.requestId))

const stepsOf = (env: ForgetEnvironment, payload: SignalPayload<"forget_named">, principal: Principal) => {
  const { user_id: from = null, pseudonym = null, user_key: userKey, fresh } = payload
  const step = (next: ForgetStep) =>
    Effect.map(env.ref.ask("forget_step", { step: next }, principal), ({ done }) => done as ForgetDone)

  /** All of a table, some rows at a time. */
  const whole = (kind: HistoryTable, name: string, to: string) =>
    Effect.gen(function* () {
      let changed = 0
      let after: string | null = null
      do {
        const done: ForgetDone = yield* step({ kind, from: name, to, after })
        changed += done.changed
        after = done.next
      } while (after !== null)
      return changed
    })

  const begin = Effect.gen(function* () {
    const { live } = yield* step({ kind: "live", from, to: fresh, userKey, pseudonym })
    return live ?? (yield* Effect.die(new Error("what is live was not renamed")))
  })
  /** Whatever runs for the user stands still, and goes on under the new name. */
  const begun =
    from === null
      ? Effect.map(begin, (live) => ({ live, traces: NO_TRACES }))
      : env.traces.whileStill(env.tenant, from, (rename) =>
          Effect.gen(function* () {
            const live = yield* begin
            return { live, traces: yield* rename(live.to) }
          })
        )

  const pass = Effect.gen(function* () {
    const { live, traces } = yield* begun
    const counts = { usage_rows: 0, requests: 0, cleaned_sums: 0, audit_entries: 0, alerts: 0, commands: 0 }
    const forgotten: { -readonly [Field in keyof Forgotten]: Forgotten[Field] } = {
      ...counts,
      ...traces,
      pseudonym_deleted: live.hadPseudonym,
      budgets: live.budgets,
      periods: live.periods,
      overrides: live.overrides,
      keys_ended: live.keys.length
    }
    if (from !== null) {
      for (const table of HISTORY) {
        const field = COUNTED[table] as keyof typeof counts
        forgotten[field] = yield* whole(table, from, live.to)
      }
      yield* step({ kind: "end", from })
    }
    return { forgotten, ended_keys: live.keys, isResumed: live.isResumed }
  })

  return Effect.gen(function* () {
    const first = yield* pass
    if (!first.isResumed) return { forgotten: first.forgotten, ended_keys: first.ended_keys }
    // Who came back after it had begun is forgotten under another name: so no two figures become one.
    const rest = yield* pass
    return {
      forgotten: sumOf(first.forgotten, rest.forgotten),
      ended_keys: [...first.ended_keys, ...rest.ended_keys]
    }
  })
}

const sumOf = (a: Forgotten, b: Forgotten): Forgotten => ({
  pseudonym_deleted: a.pseudonym_deleted || b.pseudonym_deleted,
  ...(Object.fromEntries(
    Object.entries(a).flatMap(([field, value]) =>
      typeof value === "number" ? [[field, value + (b[field as "budgets"] ?? 0)]] : []
    )
  ) as Omit<Forgotten, "pseudonym_deleted">)
})

export const forget = (
  env: ForgetEnvironment,
  payload: SignalPayload<"forget_named">,
  principal: Principal
): Effect.Effect<Answer, SignalError | StoreUnreachable> =>
  Effect.gen(function* () {
    const { request_id, user_key } = payload
    // Of who is forgotten nothing but a keyed hash is kept.
    const digest = contentDigest({ user_key })
    if (request_id !== undefined) {
      const key = { signal: "forget_user", requestId: request_id }
      const [known] = yield* env.store.findCommands(env.tenant, [key])
      if (known !== undefined) return yield* repeated(known, digest)
    }
    const answer = yield* stepsOf(env, payload, principal)
    const result = encodeSuccess("forget_named", answer) as CommandRow["result"]
    yield* env.ref.ask(
      "record_forgetting",
      {
        forgotten: answer.forgotten,
        answers: request_id === undefined ? null : { request_id, digest, result }
      },
      principal
    )
    return answer
  })
