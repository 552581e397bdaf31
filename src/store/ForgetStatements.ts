/**
 * The steps in which a user is forgotten, on Postgres.
 *
 * Owns: what is read for a step, and its one statement: the head row is locked where it is still this claim's, and all
 * that is written is written FROM it; where it is somebody else's, nothing is. Done again, a step finds less to do.
 * Does not decide: what names a user (tokens/Forgetting), or the order of the steps (tokens/Forget).
 */

import type { Schema } from "effect"
import { Effect } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import type { Alert } from "../signal/Budget.ts"
import type { ForgetDone, ForgetStep, HistoryTable } from "../tokens/ForgetSteps.ts"
import {
  type Names,
  renamedAlert,
  renamedCell,
  renamedJson,
  renamedKey,
  renamedWords
} from "../tokens/Forgetting.ts"
import { type Claim, Fenced } from "../tokens/LedgerStore.ts"
import { EVERYBODY, standingKey } from "../tokens/StandingKey.ts"
import { CLEANED_COLUMNS, CLEANED_GROW, cleanedOf, cleanedValues } from "./CleanedRows.ts"
import {
  int8Array,
  int8Column,
  type Parameter,
  rowsOf,
  textArray,
  textColumn,
  timeColumn
} from "./Columns.ts"
import { renamedHoldText, renamedPageText } from "./RequestRows.ts"

type Step<Kind extends ForgetStep["kind"]> = Extract<ForgetStep, { readonly kind: Kind }>
type Doing = Effect.Effect<ForgetDone, SqlError.SqlError | Fenced>

/** Numbers of usage that one step looks through. */
const USAGE_AT_ONCE = 5_000
/** Rows of JSON that one step reads. */
const ROWS_AT_ONCE = 500
/** Requests that one step reads: their texts are short. */
const REQUESTS_AT_ONCE = 2_000

/** A statement whose parts all write from the head row, if it is this claim's. */
class Fence {
  readonly parameters: Array<Parameter>
  readonly #parts: Array<string> = []
  readonly #counts: Array<string> = []

  constructor({ tenant, owner, epoch }: Claim) {
    this.parameters = [tenant, owner, BigInt(epoch)]
  }

  /** The place of a parameter that comes next. */
  parameter(value: Parameter): string {
    this.parameters.push(value)
    return `$${this.parameters.length}`
  }

  /** A part that returns a row for each that it changed. */
  part(name: string, text: string): this {
    this.#parts.push(`${name} AS (${text})`)
    return this
  }

  /** What is answered beside whether the head was ours. */
  answer(name: string, expression: string): this {
    this.#counts.push(`${expression} AS ${name}`)
    return this
  }

  run<Row extends object>(sql: SqlClient.SqlClient): Effect.Effect<Row, SqlError.SqlError | Fenced> {
    const head = `h AS (SELECT tenant, usage_seq FROM tenant_head
WHERE tenant = $1 AND owner = $2 AND epoch = $3 FOR UPDATE)`
    const answers = ["(SELECT count(*) FROM h) AS heads", ...this.#counts].join(", ")
    const text = `WITH ${[head, ...this.#parts].join(",\n")}\nSELECT ${answers}`
    return Effect.flatMap(
      sql.unsafe<Row & { readonly heads: bigint }>(text, this.parameters),
      ([row]): Effect.Effect<Row, Fenced> =>
        row?.heads === 1n
          ? Effect.succeed(row)
          : Effect.fail(new Fenced({ tenant: String(this.parameters[0]) }))
    )
  }
}

const numberOf = (value: bigint | undefined): number => Number(value ?? 0n)

/** How a text stands inside a JSON text. */
const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)

const userBudgets = (sql: SqlClient.SqlClient, tenant: string) =>
  Effect.map(
    sql.unsafe<{ readonly budget_id: string; readonly name: string; readonly entity_id: string }>(
      "SELECT budget_id, name, entity_id FROM budget WHERE tenant = $1 AND type = 'user'",
      [tenant]
    ),
    (rows) => ({
      rows,
      defaults: new Set(rows.filter((row) => row.entity_id === EVERYBODY).map((row) => row.budget_id)),
      of: (user: string) => rows.filter((row) => row.entity_id === user)
    })
  )

// --- what is live

interface LiveRow {
  readonly hadPseudonym: bigint
  readonly budgets: bigint
  readonly periods: bigint
  readonly overrides: bigint
  readonly keys: ReadonlyArray<string> | null
}

const endKeysAndPseudonym = (fence: Fence, { from, userKey, pseudonym }: Step<"live">, to: string): void => {
  const [name, other, anon, key] = [from ?? pseudonym, pseudonym ?? from, pseudonym, userKey].map((value) =>
    fence.parameter(value ?? null)
  )
  const renamed =
    from === null
      ? "t.attribution"
      : `CASE WHEN t.attribution->>'user_id' = ${name}::text
THEN jsonb_set(t.attribution, '{user_id}', to_jsonb(${fence.parameter(to)}::text)) ELSE t.attribution END`
  const named = from === null ? "t.name" : `replace(t.name, ${name}::text, '…')`
  fence
    .part(
      "k",
      `UPDATE access_key t SET revoked_at = coalesce(t.revoked_at, now()), attribution = ${renamed}, name = ${named}
FROM h WHERE t.tenant = h.tenant AND t.attribution->>'user_id' IN (${name}::text, ${other}::text)
RETURNING t.key_id`
    )
    .part(
      "m",
      `DELETE FROM user_pseudonym t USING h WHERE t.tenant = h.tenant
AND (t.user_key = ${key}::text OR t.pseudonym = ${anon}::text) RETURNING 1`
    )
    .answer("keys", "(SELECT array_agg(key_id) FROM k)")
    .answer('"hadPseudonym"', "(SELECT count(*) FROM m)")
}

const renameLive = (
  sql: SqlClient.SqlClient,
  fence: Fence,
  tenant: string,
  from: string,
  to: string
): Effect.Effect<void, SqlError.SqlError> =>
  Effect.gen(function* () {
    const budgets = yield* userBudgets(sql, tenant)
    const names: Names = { from, to, budgets: budgets.defaults }
    const overrides = yield* sql.unsafe<{
      readonly override_id: string
      readonly budget_id: string
      readonly reason: string
      readonly note: string | null
    }>(
      "SELECT override_id, budget_id, reason, note FROM budget_override WHERE tenant = $1 AND type = 'user' AND entity_id = $2",
      [tenant, from]
    )
    const pages = yield* sql.unsafe<{ readonly journal_seq: bigint; readonly holds: string }>(
      "SELECT journal_seq, holds FROM hold_page WHERE tenant = $1 AND position($2 in holds) > 0",
      [tenant, inJson(from)]
    )
    const [fromAt, toAt] = [fence.parameter(from), fence.parameter(to)]
    const own = budgets.of(from)
    const ids = fence.parameter(textArray(own.map((row) => row.budget_id)))
    const titles = fence.parameter(textArray(own.map(({ name }) => renamedWords(name, names))))
    const keys = [...budgets.defaults].map((id) => standingKey(id, from))
    const oldKeys = fence.parameter(textArray(keys))
    const newKeys = fence.parameter(textArray(keys.map((key) => renamedKey(key, names))))
    const overrideIds = fence.parameter(textArray(overrides.map((row) => row.override_id)))
    const places = fence.parameter(textArray(overrides.map((row) => renamedKey(row.budget_id, names))))
    const reasons = fence.parameter(textArray(overrides.map((row) => renamedWords(row.reason, names))))
    const notes = fence.parameter(
      textArray(overrides.map(({ note }) => (note === null ? null : renamedWords(note, names))))
    )
    const pageSeqs = fence.parameter(int8Array(pages.map((page) => Number(page.journal_seq))))
    const holds = fence.parameter(textArray(pages.map((page) => renamedPageText(page.holds, names))))
    fence
      .part(
        "r",
        `INSERT INTO user_renaming (tenant, user_id, pseudonym, up_to_seq)
SELECT h.tenant, ${fromAt}::text, ${toAt}::text, h.usage_seq FROM h ON CONFLICT (tenant, user_id) DO NOTHING`
      )
      .part(
        "b",
        `UPDATE budget t SET entity_id = ${toAt}::text, name = x.name
FROM h, (SELECT unnest(${ids}::text[]) AS id, unnest(${titles}::text[]) AS name) x
WHERE t.tenant = h.tenant AND t.budget_id = x.id RETURNING 1`
      )
      .part(
        "p",
        `UPDATE budget_period t SET budget_id = x.new
FROM h, (SELECT unnest(${oldKeys}::text[]) AS old, unnest(${newKeys}::text[]) AS new) x
WHERE t.tenant = h.tenant AND t.budget_id = x.old RETURNING 1`
      )
      .part(
        "o",
        `UPDATE budget_override t SET entity_id = ${toAt}::text, budget_id = x.place, reason = x.reason, note = x.note
FROM h, (SELECT unnest(${overrideIds}::text[]) AS id, unnest(${places}::text[]) AS place,
unnest(${reasons}::text[]) AS reason, unnest(${notes}::text[]) AS note) x
WHERE t.tenant = h.tenant AND t.override_id = x.id RETURNING 1`
      )
      .part(
        "g",
        `UPDATE hold_page t SET holds = x.holds
FROM h, (SELECT unnest(${pageSeqs}::int8[]) AS seq, unnest(${holds}::text[]) AS holds) x
WHERE t.tenant = h.tenant AND t.journal_seq = x.seq`
      )
      .answer("budgets", "(SELECT count(*) FROM b)")
      .answer("periods", "(SELECT count(*) FROM p)")
      .answer("overrides", "(SELECT count(*) FROM o)")
  })

const live = (sql: SqlClient.SqlClient, claim: Claim, step: Step<"live">): Doing =>
  Effect.gen(function* () {
    const { tenant } = claim
    const fence = new Fence(claim)
    const [begun] = yield* sql.unsafe<{ readonly pseudonym: string }>(
      "SELECT pseudonym FROM user_renaming WHERE tenant = $1 AND user_id = $2",
      [tenant, step.from ?? ""]
    )
    const to = begun?.pseudonym ?? step.to
    const isResumed = begun !== undefined
    if (step.from !== null && !isResumed) yield* renameLive(sql, fence, tenant, step.from, to)
    endKeysAndPseudonym(fence, step, to)
    const row = yield* fence.run<LiveRow>(sql)
    return {
      changed: 0,
      next: null,
      live: {
        to,
        isResumed,
        hadPseudonym: numberOf(row.hadPseudonym) > 0,
        budgets: numberOf(row.budgets),
        periods: numberOf(row.periods),
        overrides: numberOf(row.overrides),
        keys: row.keys ?? []
      }
    }
  })

// --- the history

type History = (sql: SqlClient.SqlClient, claim: Claim, names: Names, after: string | null) => Doing

/** Who asks for a finished call again would be shown what was said to the user: it is gone. */
const usage: History = (sql, claim, { from, to }, after) =>
  Effect.gen(function* () {
    const { tenant } = claim
    const [renaming] = yield* sql.unsafe<{ readonly up_to_seq: bigint }>(
      "SELECT up_to_seq FROM user_renaming WHERE tenant = $1 AND user_id = $2",
      [tenant, from]
    )
    const last = renaming?.up_to_seq ?? 0n
    const begin = BigInt(after ?? 0)
    const end = begin + BigInt(USAGE_AT_ONCE) < last ? begin + BigInt(USAGE_AT_ONCE) : last
    const fence = new Fence(claim)
    const [fromAt, toAt, beginAt, endAt] = [from, to, begin, end].map((value) => fence.parameter(value))
    const row = yield* fence
      .part(
        "u",
        `UPDATE usage t SET user_id = ${toAt}::text FROM h WHERE t.tenant = h.tenant AND t.tenant = $1
AND t.usage_seq > ${beginAt}::int8 AND t.usage_seq <= ${endAt}::int8 AND t.user_id = ${fromAt}::text
RETURNING t.request_id`
      )
      .part(
        "c",
        "DELETE FROM completion t USING u WHERE t.tenant = $1 AND t.request_id = u.request_id RETURNING 1"
      )
      .answer("changed", "(SELECT count(*) FROM u)")
      .run<{ readonly changed: bigint }>(sql)
    return { changed: numberOf(row.changed), next: end < last ? String(end) : null }
  })

const requests: History = (sql, claim, names, after) =>
  Effect.gen(function* () {
    const read = yield* sql.unsafe<{ readonly request_id: string; readonly hold: string | null }>(
      "SELECT request_id, hold FROM request WHERE tenant = $1 AND request_id > $2 ORDER BY request_id LIMIT $3::int8",
      [claim.tenant, after ?? "", BigInt(REQUESTS_AT_ONCE)]
    )
    const next = read.length === REQUESTS_AT_ONCE ? (read.at(-1)?.request_id ?? null) : null
    const marked = inJson(names.from)
    const changes = read.flatMap(({ request_id, hold }) => {
      if (hold === null || !hold.includes(marked)) return []
      const renamed = renamedHoldText(hold, names)
      return renamed === hold ? [] : [{ request_id, hold, renamed }]
    })
    if (changes.length === 0) return { changed: 0, next }
    const fence = new Fence(claim)
    const [ids, before, now] = [
      changes.map((row) => row.request_id),
      changes.map((row) => row.hold),
      changes.map((row) => row.renamed)
    ].map((texts) => fence.parameter(textArray(texts)))
    const row = yield* fence
      .part(
        "q",
        `UPDATE request t SET hold = x.now
FROM h, (SELECT unnest(${ids}::text[]) AS id, unnest(${before}::text[]) AS before, unnest(${now}::text[]) AS now) x
WHERE t.tenant = h.tenant AND t.tenant = $1 AND t.request_id = x.id AND t.hold = x.before RETURNING 1`
      )
      .answer("changed", "(SELECT count(*) FROM q)")
      .run<{ readonly changed: bigint }>(sql)
    return { changed: numberOf(row.changed), next }
  })

/** What is done has another name: the next step begins anew. */
const cells: History = (sql, claim, names) =>
  Effect.gen(function* () {
    const found = yield* cleanedOf(sql, claim.tenant, names.from, ROWS_AT_ONCE)
    if (found.length === 0) return { changed: 0, next: null }
    const fence = new Fence(claim)
    const places = rowsOf(
      [
        ["cell", "text"],
        ["after_seq", "int8"],
        ["booked_from", "timestamptz"],
        ["currency", "text"]
      ],
      [
        textColumn(found.map((cell) => cell.key)),
        int8Column(found.map((cell) => cell.afterSeq)),
        timeColumn(found.map((cell) => cell.bookedFrom)),
        textColumn(found.map((cell) => cell.currency))
      ],
      fence.parameters
    )
    fence.part(
      "d",
      `DELETE FROM usage_cleaned t USING h, ${places} WHERE t.tenant = h.tenant AND t.cell = x.cell
AND t.after_seq = x.after_seq AND t.booked_from = x.booked_from AND t.currency = x.currency RETURNING 1`
    )
    const columns = CLEANED_COLUMNS.map(([name]) => name)
    const renamed = cleanedValues(found.map((cell) => renamedCell(cell, names)))
    const rows = rowsOf(CLEANED_COLUMNS, renamed, fence.parameters)
    yield* fence
      .part(
        "i",
        `INSERT INTO usage_cleaned (tenant, ${columns.join(", ")})
SELECT h.tenant, ${columns.map((name) => `x.${name}`).join(", ")} FROM h, ${rows}${CLEANED_GROW}`
      )
      .run(sql)
    return { changed: found.length, next: found.length === ROWS_AT_ONCE ? "" : null }
  })

/** An entry about the user keeps its hash, and loses what it says. */
const audit: History = (sql, claim, names, after) =>
  Effect.gen(function* () {
    const read = yield* sql.unsafe<{ readonly audit_seq: bigint; readonly body: string | null }>(
      "SELECT audit_seq, body FROM audit WHERE tenant = $1 AND audit_seq > $2 ORDER BY audit_seq LIMIT $3::int8",
      [claim.tenant, BigInt(after ?? 0), BigInt(ROWS_AT_ONCE)]
    )
    const next = read.length === ROWS_AT_ONCE ? String(read.at(-1)?.audit_seq) : null
    const about = read.filter(({ body }) => body !== null && isAboutUser(body, names))
    if (about.length === 0) return { changed: 0, next }
    const fence = new Fence(claim)
    const seqs = fence.parameter(int8Array(about.map((row) => Number(row.audit_seq))))
    yield* fence
      .part(
        "a",
        `UPDATE audit t SET salt = NULL, body = NULL FROM h
WHERE t.tenant = h.tenant AND t.tenant = $1 AND t.audit_seq = ANY(${seqs}::int8[]) RETURNING 1`
      )
      .run(sql)
    return { changed: about.length, next }
  })

const isAboutUser = (body: string, names: Names): boolean => {
  if (!body.includes(inJson(names.from))) return false
  const json = JSON.parse(body) as Schema.Json
  return renamedJson(json, names) !== json
}

const alerts: History = (sql, claim, names, after) =>
  Effect.gen(function* () {
    const read = yield* sql.unsafe<{ readonly alert_seq: bigint; readonly alert: Alert }>(
      "SELECT alert_seq, alert FROM alert WHERE tenant = $1 AND alert_seq > $2 ORDER BY alert_seq LIMIT $3::int8",
      [claim.tenant, BigInt(after ?? 0), BigInt(ROWS_AT_ONCE)]
    )
    const next = read.length === ROWS_AT_ONCE ? String(read.at(-1)?.alert_seq) : null
    // By now the user's own budgets have the new name.
    const own = new Set((yield* userBudgets(sql, claim.tenant)).of(names.to).map((row) => row.budget_id))
    const changes = read.flatMap(({ alert_seq, alert }) => {
      const renamed = renamedAlert(alert, names, own)
      return renamed === alert ? [] : [{ seq: Number(alert_seq), alert: JSON.stringify(renamed) }]
    })
    if (changes.length === 0) return { changed: 0, next }
    const fence = new Fence(claim)
    const seqs = fence.parameter(int8Array(changes.map(({ seq }) => seq)))
    const texts = fence.parameter(textArray(changes.map(({ alert }) => alert)))
    yield* fence
      .part(
        "a",
        `UPDATE alert t SET alert = x.alert::jsonb
FROM h, (SELECT unnest(${seqs}::int8[]) AS seq, unnest(${texts}::text[]) AS alert) x
WHERE t.tenant = h.tenant AND t.tenant = $1 AND t.alert_seq = x.seq RETURNING 1`
      )
      .run(sql)
    return { changed: changes.length, next }
  })

const commands: History = (sql, claim, names, after) =>
  Effect.gen(function* () {
    const [signal, requestId] = after === null ? ["", ""] : (JSON.parse(after) as [string, string])
    const read = yield* sql.unsafe<{
      readonly signal: string
      readonly request_id: string
      readonly result: Schema.Json
    }>(
      `SELECT signal, request_id, result FROM command WHERE tenant = $1 AND (signal, request_id) > ($2::text, $3::text)
ORDER BY signal, request_id LIMIT $4::int8`,
      [claim.tenant, signal as string, requestId as string, BigInt(ROWS_AT_ONCE)]
    )
    const last = read.at(-1)
    const isMore = read.length === ROWS_AT_ONCE && last !== undefined
    const next = isMore ? JSON.stringify([last.signal, last.request_id]) : null
    const changes = read.flatMap(({ signal: name, request_id, result }) => {
      const renamed = renamedJson(result, names)
      return renamed === result ? [] : [{ name, request_id, result: JSON.stringify(renamed) }]
    })
    if (changes.length === 0) return { changed: 0, next }
    const fence = new Fence(claim)
    const [signals, ids, results] = [
      changes.map(({ name }) => name),
      changes.map(({ request_id }) => request_id),
      changes.map(({ result }) => result)
    ].map((texts) => fence.parameter(textArray(texts)))
    yield* fence
      .part(
        "c",
        `UPDATE command t SET result = x.result::jsonb
FROM h, (SELECT unnest(${signals}::text[]) AS signal, unnest(${ids}::text[]) AS id, unnest(${results}::text[]) AS result) x
WHERE t.tenant = h.tenant AND t.tenant = $1 AND t.signal = x.signal AND t.request_id = x.id RETURNING 1`
      )
      .run(sql)
    return { changed: changes.length, next }
  })

const HISTORIES: { readonly [Table in HistoryTable]: History } = {
  usage,
  requests,
  cells,
  audit,
  alerts,
  commands
}

const end = (sql: SqlClient.SqlClient, claim: Claim, { from }: Step<"end">): Doing => {
  const fence = new Fence(claim)
  const user = fence.parameter(from)
  return Effect.as(
    fence
      .part(
        "r",
        `DELETE FROM user_renaming t USING h WHERE t.tenant = h.tenant AND t.user_id = ${user}::text RETURNING 1`
      )
      .run(sql),
    { changed: 0, next: null }
  )
}

export const forgetStep = (sql: SqlClient.SqlClient, claim: Claim, step: ForgetStep): Doing =>
  Effect.suspend(() => {
    if (step.kind === "live") return live(sql, claim, step)
    if (step.kind === "end") return end(sql, claim, step)
    const { kind, from, to, after } = step
    return Effect.flatMap(userBudgets(sql, claim.tenant), ({ defaults }) =>
      HISTORIES[kind](sql, claim, { from, to, budgets: defaults }, after)
    )
  })
