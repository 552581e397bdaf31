/**
 * What the database can take when nobody decides anything: the same usage and request rows into the same tables
 * and indexes, in batches.
 *
 * Owns: its SQL. A batch is one statement, which is its own transaction. Rows are encoded by the store's own
 * functions, and each request row is written once, in its last state.
 */
import { Effect } from "effect"
import type { Parameter } from "../../../src/store/Columns.ts"
import { REQUEST_COLUMNS, requestValues } from "../../../src/store/RequestRows.ts"
import { USAGE_COLUMNS, usageValues } from "../../../src/store/UsageRows.ts"
import type { RequestRow, UsageRow } from "../../../src/tokens/LedgerStore.ts"
import type { Client } from "../Database.ts"
import { insert } from "../Insert.ts"
import type { Contender } from "../Rounds.ts"

export const RAW_TENANT = "raw"

/** Rows that the actor wrote: as many usage rows as request rows. */
export interface Template {
  readonly usage: ReadonlyArray<UsageRow>
  readonly requests: ReadonlyArray<RequestRow>
}

type Writable<T> = { -readonly [Field in keyof T]: T[Field] }

/** Rows of one batch, made once and given new keys each time: making rows is not what is measured. */
class Rows {
  readonly usage: ReadonlyArray<UsageRow>
  readonly requests: ReadonlyArray<RequestRow>

  constructor({ usage, requests }: Template) {
    this.usage = usage.map((row) => ({ ...row, usage: { ...row.usage } }))
    this.requests = requests.map((row) => ({ ...row }))
  }

  renumber(first: number): void {
    for (const [index, { usage }] of this.usage.entries()) {
      const row = usage as Writable<typeof usage>
      row.usage_seq = first + index
      row.id = `use_${first + index}`
      row.request_id = `raw-${first + index}`
      const request = this.requests[index] as Writable<RequestRow>
      request.requestId = row.request_id
    }
  }
}

/** `writers` insert side by side, each on a connection of its own. */
export const rawInsert = (client: Client, writers: number, template: () => Template): Contender => {
  let seq = 0
  return {
    name: `raw, ${writers} writer(s)`,
    run: (deadline) =>
      client.run((sql) =>
        Effect.gen(function* () {
          let done = 0
          const writer = Effect.suspend(() => {
            const rows = new Rows(template())
            const size = rows.usage.length
            return Effect.gen(function* () {
              while (performance.now() < deadline) {
                rows.renumber(seq + 1)
                seq += size
                const parameters: Array<Parameter> = [RAW_TENANT]
                const usage = insert("usage", USAGE_COLUMNS, usageValues(rows.usage), parameters)
                const requests = insert(
                  "request",
                  REQUEST_COLUMNS,
                  requestValues(rows.requests, seq),
                  parameters
                )
                yield* sql.unsafe(`WITH u AS (${usage}) ${requests}`, parameters)
                if (performance.now() <= deadline) done += size
              }
            })
          })
          yield* Effect.all(
            Array.from({ length: writers }, () => writer),
            { concurrency: "unbounded", discard: true }
          )
          return done
        })
      )
  }
}
