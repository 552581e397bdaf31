/**
 * `bursar audit verify`: whether everything that is stored is true.
 *
 * Owns: which tenants are looked at, what is said about each, and the exit code.
 * Does not decide: what must be true (tokens/verify).
 */
import { Effect } from "effect"
import type { StoreUnreachable } from "../tokens/LedgerStore.ts"
import { Books, type BooksReader } from "../tokens/verify/BooksReader.ts"
import type { Finding } from "../tokens/verify/Findings.ts"
import { type Checked, verifyTenant } from "../tokens/verify/Verify.ts"

/** Differences that are shown; the others are counted. */
export const SHOWN_MAX = 100

export const EXIT = { allTrue: 0, differences: 1, couldNotRun: 2 } as const

const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`

const lineOf = ({ tenant, table, key, field, stored, expected }: Finding): string =>
  `  ${tenant}: ${table}, ${key}: ${field} is ${stored}, should be ${expected}\n`

const summaryOf = (checked: Checked): string => {
  const what = [
    counted(checked.usageRows, "usage row"),
    counted(checked.requests, "request"),
    `${counted(checked.openHolds, "open hold")} in ${counted(checked.holdPages, "page")}`,
    `${counted(checked.budgets, "budget")} in ${counted(checked.periods, "period")}`,
    counted(checked.alerts, "alert"),
    counted(checked.auditEntries, "audit entry", "audit entries")
  ].join(", ")
  const result = checked.differences === 0 ? "all true" : counted(checked.differences, "difference")
  return `tenant ${checked.tenant}: ${what}: ${result}\n`
}

/** Says what it finds, as much as is worth reading. */
class Report {
  readonly #print: (text: string) => void
  count = 0

  constructor(print: (text: string) => void) {
    this.#print = print
  }

  readonly tell = (finding: Finding): void => {
    this.count += 1
    if (this.count <= SHOWN_MAX) this.#print(lineOf(finding))
  }
}

const tenantsOf = (
  reader: BooksReader,
  tenant: string | undefined
): Effect.Effect<ReadonlyArray<string> | undefined, StoreUnreachable> =>
  Effect.map(reader.tenants, (tenants) => {
    if (tenant === undefined) return tenants
    return tenants.includes(tenant) ? [tenant] : undefined
  })

const findStrays = (reader: BooksReader, report: Report): Effect.Effect<void, StoreUnreachable> =>
  Effect.map(reader.strays, (strays) => {
    for (const { table, tenant } of strays) {
      const whose = { tenant, table, key: "all rows", field: "tenant" }
      report.tell({ ...whose, stored: tenant, expected: "a tenant that has a head" })
    }
  })

/** Checks a tenant, or all; prints what was looked at and what differs; answers the exit code. */
export const auditVerify = (
  tenant: string | undefined,
  print: (text: string) => void
): Effect.Effect<number, StoreUnreachable, Books> =>
  Effect.gen(function* () {
    const books = yield* Books
    const report = new Report(print)
    return yield* books.use((reader) =>
      Effect.gen(function* () {
        const tenants = yield* tenantsOf(reader, tenant)
        if (tenants === undefined) {
          print(`There is no tenant ${tenant} in ${books.name}\n`)
          return EXIT.couldNotRun
        }
        if (tenant === undefined) yield* findStrays(reader, report)
        for (const name of tenants) print(summaryOf(yield* verifyTenant(reader, name, report.tell)))
        if (report.count > SHOWN_MAX) print(`and ${counted(report.count - SHOWN_MAX, "more difference")}\n`)
        const result = report.count === 0 ? "all true" : counted(report.count, "difference")
        print(`${books.name}, ${counted(tenants.length, "tenant")}: ${result}\n`)
        return report.count === 0 ? EXIT.allTrue : EXIT.differences
      })
    )
  })
