/**
 * The design that Bursar is not: one transaction per call, which inserts the usage row and adds to four counters.
 *
 * Owns: its SQL. It locks the four rows in order, in one statement, so that it does not deadlock; it has no holds,
 * no check, and no request row. Rows are encoded by the store's own functions.
 */
import { Effect } from "effect"
import { formatAmount } from "../../../src/signal/Money.ts"
import { PERIOD_COLUMNS, periodValues } from "../../../src/store/BudgetRows.ts"
import type { Parameter } from "../../../src/store/Columns.ts"
import { USAGE_COLUMNS, usageValues } from "../../../src/store/UsageRows.ts"
import type { UsageRow } from "../../../src/tokens/LedgerStore.ts"
import { period } from "../../contract/LedgerRows.ts"
import type { Client } from "../Database.ts"
import { insert } from "../Insert.ts"
import type { Contender } from "../Rounds.ts"

export const NAIVE_TENANT = "naive"
const CONCURRENCY = 8
const COUNTERS = ["global", "project", "team", "user"]

const ADD = `WITH mine AS (
  SELECT budget_id, period_start FROM budget_period
  WHERE tenant = $1 AND budget_id = ANY($2::text[]) ORDER BY budget_id FOR UPDATE
) UPDATE budget_period p SET spent = p.spent + $3::numeric FROM mine
WHERE p.tenant = $1 AND p.budget_id = mine.budget_id AND p.period_start = mine.period_start`

const addCounters = (client: Client) => {
  const counters = COUNTERS.map((id) => period(id, { start: 0, end: null, spent: 0n, held: 0n }))
  const parameters: Array<Parameter> = [NAIVE_TENANT]
  const statement = insert("budget_period", PERIOD_COLUMNS, periodValues(counters), parameters)
  return client.run((sql) => sql.unsafe(statement, parameters))
}

const renumbered = ({ usage, ...row }: UsageRow, seq: number): UsageRow => ({
  ...row,
  usage: { ...usage, usage_seq: seq, id: `use_${seq}`, request_id: `naive-${seq}` }
})

/** Makes the counters, and answers the contender. `template` is a row that the actor wrote. */
export const naiveDesign = async (client: Client, template: () => UsageRow): Promise<Contender> => {
  await addCounters(client)
  const counters = `{${COUNTERS.join(",")}}`
  let seq = 0
  return {
    name: `naive, concurrency ${CONCURRENCY}`,
    run: (deadline) =>
      client.run((sql) =>
        Effect.gen(function* () {
          const row = template()
          const cost = formatAmount(row.usage.cost)
          let done = 0
          const one = Effect.suspend(() => {
            const parameters: Array<Parameter> = [NAIVE_TENANT]
            const usage = usageValues([renumbered(row, ++seq)])
            return Effect.andThen(
              sql.unsafe(insert("usage", USAGE_COLUMNS, usage, parameters), parameters),
              sql.unsafe(ADD, [NAIVE_TENANT, counters, cost])
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
