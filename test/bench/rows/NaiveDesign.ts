/**
 * The design that Bursar is not: one transaction per call, which inserts the usage row and adds to four counters.
 *
 * Owns: its SQL. It locks the four rows in order, in one statement, so that it does not deadlock; it has no holds,
 * no check, and no request row.
 */
import { Effect } from "effect"
import { formatAmount } from "../../../src/signal/Money.ts"
import type { Column } from "../../../src/store/Columns.ts"
import { USAGE_COLUMNS, usageValues } from "../../../src/store/UsageRows.ts"
import type { UsageRow } from "../../../src/tokens/LedgerStore.ts"
import type { Client } from "../Database.ts"
import type { Contender } from "../Rounds.ts"

export const NAIVE_TENANT = "naive"
const CONCURRENCY = 8
const COUNTERS = ["global", "project", "team", "user"]

const names = USAGE_COLUMNS.map(([name]) => name).join(", ")
const values = USAGE_COLUMNS.map(([, type, cast], index) => `$${index + 2}::${cast ?? type}`)
const INSERT = `INSERT INTO usage (tenant, ${names}) VALUES ($1, ${values.join(", ")})`

const ADD = `WITH mine AS (
  SELECT budget_id, period_start FROM budget_period
  WHERE tenant = $1 AND budget_id = ANY($2::text[]) ORDER BY budget_id FOR UPDATE
) UPDATE budget_period p SET spent = p.spent + $3::numeric FROM mine
WHERE p.tenant = $1 AND p.budget_id = mine.budget_id AND p.period_start = mine.period_start`

const ADD_COUNTERS = `INSERT INTO budget_period
(tenant, budget_id, period_start, period_end, spent, spent_afterwards, held, carried_over, override_total, alerts_sent)
SELECT $1, x.id, now(), 'infinity', 0, 0, 0, 0, 0, '{}' FROM unnest($2::text[]) AS x(id)`

const NOT_TEXT = new Set(["usage_seq", "recorded_at", "booked_at", "attempt", "requests", "cost"])

/** One row's values, all as text. */
const rowOf = ({ usage, requests }: UsageRow, seq: number): Array<string | null> => {
  const at = new Date(usage.recorded_at).toISOString()
  const plain: Record<string, string> = {
    usage_seq: String(seq),
    recorded_at: at,
    booked_at: at,
    attempt: String(usage.attempt),
    requests: String(requests),
    cost: formatAmount(usage.cost)
  }
  const fields = usage as unknown as Record<string, string | number | undefined>
  return USAGE_COLUMNS.map(([name]) => {
    if (NOT_TEXT.has(name)) return plain[name] ?? null
    const value = fields[name]
    return value === undefined ? null : String(value)
  })
}

/** `detail` is what the product writes: the text of the template's. */
const detailOf = (template: UsageRow): string => {
  const index = USAGE_COLUMNS.findIndex(([name]) => name === "detail")
  const column = usageValues([template])[index] as Column
  return (column.one as { readonly value: string }).value
}

/** Makes the counters, and answers the contender. `template` is a row that the actor wrote. */
export const naiveDesign = async (client: Client, template: () => UsageRow): Promise<Contender> => {
  const counters = `{${COUNTERS.join(",")}}`
  await client.run((sql) => sql.unsafe(ADD_COUNTERS, [NAIVE_TENANT, counters]))
  let seq = 0
  return {
    name: `naive, concurrency ${CONCURRENCY}`,
    run: (deadline) =>
      client.run((sql) =>
        Effect.gen(function* () {
          const row = template()
          const detail = detailOf(row)
          const detailAt = USAGE_COLUMNS.findIndex(([name]) => name === "detail")
          let done = 0
          const one = Effect.suspend(() => {
            const parameters = rowOf(row, ++seq)
            parameters[detailAt] = detail
            return Effect.andThen(
              sql.unsafe(INSERT, [NAIVE_TENANT, ...parameters]),
              sql.unsafe(ADD, [NAIVE_TENANT, counters, formatAmount(row.usage.cost)])
            ).pipe(sql.withTransaction)
          })
          const worker = Effect.gen(function* () {
            while (performance.now() < deadline) {
              yield* one
              if (performance.now() <= deadline) done += 1
            }
          })
          yield* Effect.all(
            Array.from({ length: CONCURRENCY }, () => worker),
            { concurrency: "unbounded", discard: true }
          )
          return done
        })
      )
  }
}
