/**
 * Works out a tenant's books anew from its rows, and compares everything with what is stored.
 *
 * Owns: the order of the checks, and reading page by page, so that memory does not grow with the number of rows: it
 * grows with the open holds, the budgets, and a bounded number of periods at a time.
 * Does not decide: what is right (the checks beside this file, which use the ledger's own rules), or where rows are.
 */
import { Effect } from "effect"
import { type Amount, formatAmount } from "../../signal/Money.ts"
import type { TokenUsage } from "../../signal/Usage.ts"
import type { BudgetDefinition, StoreUnreachable, UsageRow } from "../LedgerStore.ts"
import { type Renaming, renamedUsage } from "../Renaming.ts"
import { definitionIdOf } from "../StandingKey.ts"
import type { BooksReader, Stored, StoredHead, StoredRequest } from "./BooksReader.ts"
import { AlertCheck, ChainCheck } from "./ChainCheck.ts"
import { type Checkpoint, eachCell, periodKey, readCheckpoint, rowOfCell } from "./Checkpoint.ts"
import { type Finding, Findings, MISSING } from "./Findings.ts"
import { addHeld, checkEnded, checkOpen, type LastVersion } from "./HoldCheck.ts"
import { addOverride } from "./OverrideCheck.ts"
import { PeriodReplay, periodName } from "./PeriodReplay.ts"
import { checkAttempts, checkNamed } from "./RequestCheck.ts"
import { UnpricedCheck } from "./UnpricedCheck.ts"
import { UsageCheck } from "./UsageCheck.ts"

type Reading<A> = Effect.Effect<A, StoreUnreachable>

const ROWS_AT_ONCE = 2_000
const PAGES_AT_ONCE = 100
/** Periods that are worked out in one pass over the usage; where there are more, there are more passes. */
export const PERIODS_AT_ONCE = 200_000

/** What was looked at. */
export interface Checked {
  readonly tenant: string
  readonly usageRows: number
  readonly requests: number
  readonly openHolds: number
  readonly holdPages: number
  readonly budgets: number
  readonly periods: number
  readonly alerts: number
  readonly auditEntries: number
  readonly differences: number
}

const numberInId = (id: string): number => Number.parseInt(id.slice(id.indexOf("_") + 1), 36)

/** Reads all pages of a table, and tells each row in order. */
const eachPage = <Key, A>(
  read: (after: Key | undefined) => Reading<ReadonlyArray<Stored<Key, A>>>,
  limit: number,
  visit: (page: ReadonlyArray<Stored<Key, A>>) => Reading<void> | undefined
): Reading<void> =>
  Effect.gen(function* () {
    let after: Key | undefined
    for (;;) {
      const page = yield* read(after)
      const looked = visit(page)
      if (looked !== undefined) yield* looked
      if (page.length < limit) return
      after = page.at(-1)?.key
    }
  })

class TenantCheck {
  readonly #reader: BooksReader
  readonly #findings: Findings
  readonly #from: Checkpoint
  readonly #periodsAtOnce: number
  readonly #versions = new Map<string, LastVersion>()
  readonly #pages = new Map<number, number>()
  readonly #held = new Map<string, Amount>()
  readonly #overrides = new Map<string, Amount>()
  #renamings: ReadonlyArray<Renaming> = []
  #openHolds = 0
  #requests = 0
  #periods = 0

  constructor(reader: BooksReader, findings: Findings, from: Checkpoint, periodsAtOnce: number) {
    this.#reader = reader
    this.#findings = findings
    this.#from = from
    this.#periodsAtOnce = periodsAtOnce
  }

  readonly run: Reading<Checked> = Effect.gen({ self: this }, function* () {
    const { tenant } = this.#findings
    const head = yield* this.#reader.head(tenant)
    const definitions = yield* this.#reader.budgets(tenant)
    this.#renamings = yield* this.#reader.renamings(tenant)
    const budgets = new Map(definitions.map((definition) => [definition.id, definition]))
    this.#checkIds(head, definitions)
    yield* this.#readPages(head)
    yield* this.#openOnes(budgets)
    yield* this.#readOverrides()
    const usage = new UsageCheck(this.#findings, head, this.#from)
    yield* this.#usageAndPeriods(usage, budgets)
    yield* this.#checkRequests(head)
    const chain = new ChainCheck(this.#findings)
    const alerts = new AlertCheck(this.#findings)
    yield* this.#chains(head, chain, alerts)
    return {
      tenant,
      usageRows: usage.sequence.count,
      requests: this.#requests,
      openHolds: this.#openHolds,
      holdPages: this.#pages.size,
      budgets: budgets.size,
      periods: this.#periods,
      alerts: alerts.sequence.count,
      auditEntries: chain.count,
      differences: this.#findings.count
    }
  })

  /** No id is ever given again: the highest one that is there was counted. */
  #checkIds(head: StoredHead, budgets: ReadonlyArray<BudgetDefinition>): void {
    const highest = budgets.reduce((seq, { id }) => Math.max(seq, numberInId(id)), 0)
    if (highest <= head.counters.idSeq) return
    const { tenant } = this.#findings
    this.#findings.differs("tenant_head", tenant, "id_seq", head.counters.idSeq, `${highest} or more`)
  }

  // --- holds

  #readPages(head: StoredHead): Reading<void> {
    const { tenant } = this.#findings
    return eachPage(
      (after: number | undefined) => this.#reader.pages(tenant, after ?? -1, PAGES_AT_ONCE),
      PAGES_AT_ONCE,
      (pages) => {
        for (const page of pages) {
          const key = `journal_seq ${page.key}`
          if (page.key >= head.journalSeq)
            this.#findings.differs("hold_page", key, "journal_seq", page.key, `before ${head.journalSeq}`)
          // What cannot be read has been said: it is not empty as well.
          this.#pages.set(page.key, page.row === undefined ? 1 : 0)
          if (page.row === undefined) this.#findings.differs("hold_page", key, "holds", page.problem, "holds")
          for (const open of page.row ?? []) this.#versions.set(open.requestId, { ...open, page: page.key })
        }
        return undefined
      }
    )
  }

  /** A version is open unless a hold of its request has ended in a later batch: the rule of OpenHolds. */
  #openOnes(budgets: ReadonlyMap<string, BudgetDefinition>): Reading<void> {
    return Effect.gen({ self: this }, function* () {
      const ids = [...this.#versions.keys()]
      for (let from = 0; from < ids.length; from += ROWS_AT_ONCE) {
        const some = ids.slice(from, from + ROWS_AT_ONCE)
        const ended = new Map<string, StoredRequest>()
        for (const { key, row } of yield* this.#reader.requestsById(this.#findings.tenant, some))
          if (row !== undefined) ended.set(key, row)
        for (const id of some) {
          const version = this.#versions.get(id)
          if (version === undefined || (ended.get(id)?.endedIn ?? -1) > version.page) continue
          checkOpen(this.#findings, version, budgets)
          addHeld(this.#held, version.hold)
          this.#openHolds += 1
          this.#pages.set(version.page, (this.#pages.get(version.page) ?? 0) + 1)
        }
      }
      for (const [page, open] of this.#pages) {
        if (open === 0)
          this.#findings.differs(
            "hold_page",
            `journal_seq ${page}`,
            "row",
            "nothing open is in it",
            "no such row"
          )
      }
      this.#versions.clear()
    })
  }

  #readOverrides(): Reading<void> {
    const { tenant } = this.#findings
    return eachPage(
      (after: number | undefined) => this.#reader.overrides(tenant, after ?? 0, ROWS_AT_ONCE),
      ROWS_AT_ONCE,
      (page) => {
        for (const override of page) addOverride(this.#findings, this.#overrides, override)
        return undefined
      }
    )
  }

  // --- usage and budgets

  /** As many budgets at a time as have few periods enough together; the first time, the rows themselves are checked. */
  #usageAndPeriods(usage: UsageCheck, budgets: ReadonlyMap<string, BudgetDefinition>): Reading<void> {
    return Effect.gen({ self: this }, function* () {
      const { tenant } = this.#findings
      const keysOf = new Map<string, Array<string>>()
      const counts = yield* this.#reader.periodCounts(tenant)
      for (const key of counts.keys()) {
        const id = definitionIdOf(key)
        if (!budgets.has(id))
          this.#findings.differs("budget_period", key, "budget_id", id, "a budget that is there")
        const known = keysOf.get(id)
        if (known === undefined) keysOf.set(id, [key])
        else known.push(key)
      }
      const ids = [...budgets.keys()]
      let first: UsageCheck | undefined = usage
      do {
        const group = new Set<string>()
        const keys: Array<string> = []
        let size = 0
        while (ids.length > 0 && (size < this.#periodsAtOnce || group.size === 0)) {
          const id = ids.pop() as string
          const own = keysOf.get(id) ?? []
          group.add(id)
          for (const key of own) keys.push(key)
          size += own.reduce((sum, key) => sum + (counts.get(key) ?? 0), 1)
        }
        yield* this.#replay(budgets, group, keys, first)
        first = undefined
      } while (ids.length > 0)
      this.#checkHeldSomewhere()
    })
  }

  #replay(
    budgets: ReadonlyMap<string, BudgetDefinition>,
    group: ReadonlySet<string>,
    keys: ReadonlyArray<string>,
    check: UsageCheck | undefined
  ): Reading<void> {
    return Effect.gen({ self: this }, function* () {
      const { tenant } = this.#findings
      const rows = keys.length === 0 ? [] : yield* this.#reader.periods(tenant, keys)
      this.#periods += rows.length
      const definitions = [...budgets.values()]
      const outside = { held: this.#held, overrides: this.#overrides }
      const replay = new PeriodReplay(this.#findings, definitions, group, rows, outside)
      yield* eachCell(this.#reader, tenant, (cell) => replay.next(this.#renamed(rowOfCell(cell))))
      yield* eachPage(
        (after: number | undefined) => this.#reader.usage(tenant, after ?? 0, ROWS_AT_ONCE),
        ROWS_AT_ONCE,
        (page) => {
          for (const { row } of page) if (row !== undefined) replay.next(this.#renamed(row))
          return check === undefined ? undefined : this.#checkUsage(check, page)
        }
      )
      replay.end()
      for (const { budgetId, start } of rows) {
        this.#held.delete(periodKey(budgetId, start))
        this.#overrides.delete(periodKey(budgetId, start))
      }
      check?.end()
    })
  }

  /** What is charged is charged to the name that its budgets have. */
  #renamed<Row extends { readonly usage: TokenUsage }>(row: Row): Row {
    return this.#renamings.length === 0 ? row : { ...row, usage: renamedUsage(row.usage, this.#renamings) }
  }

  #checkUsage(check: UsageCheck, page: ReadonlyArray<Stored<number, UsageRow>>): Reading<void> {
    for (const stored of page) {
      check.sequence.next(stored.key)
      if (stored.row === undefined)
        this.#findings.differs("usage", `usage_seq ${stored.key}`, "row", stored.problem, "a usage")
      else check.next(stored.row)
    }
    return checkNamed(
      this.#reader,
      this.#findings,
      page.flatMap(({ row }) => row ?? [])
    )
  }

  /** What is left of what holds keep and overrides add is in no period. */
  #checkHeldSomewhere(): void {
    for (const [field, amounts] of [
      ["held", this.#held],
      ["override_total", this.#overrides]
    ] as const) {
      for (const [key, amount] of amounts) {
        const [start = "", ...id] = key.split(" ")
        const name = periodName(id.join(" "), Number(start))
        this.#findings.differs("budget_period", name, field, MISSING, formatAmount(amount))
      }
    }
  }

  // --- requests, alerts, the chain

  #checkRequests(head: StoredHead): Reading<void> {
    const { tenant } = this.#findings
    const unpriced = new UnpricedCheck(this.#reader, this.#findings)
    const checked = eachPage(
      (after: string | undefined) => this.#reader.requests(tenant, after, ROWS_AT_ONCE),
      ROWS_AT_ONCE,
      (page) => {
        this.#requests += page.length
        for (const stored of page) {
          if (stored.row !== undefined) checkEnded(this.#findings, stored.row, head)
          else
            this.#findings.differs("request", `request_id ${stored.key}`, "row", stored.problem, "a request")
        }
        const readable = page.flatMap(({ row }) => row ?? [])
        const attempts = checkAttempts(this.#reader, this.#findings, readable, this.#from)
        return Effect.flatMap(attempts, (rows) => unpriced.next(rows))
      }
    )
    return Effect.andThen(
      checked,
      Effect.suspend(() => unpriced.end(this.#from.usageSeq))
    )
  }

  #chains(head: StoredHead, chain: ChainCheck, alerts: AlertCheck): Reading<void> {
    return Effect.gen({ self: this }, function* () {
      const { tenant } = this.#findings
      yield* eachPage(
        (after: number | undefined) => this.#reader.audit(tenant, after ?? 0, ROWS_AT_ONCE),
        ROWS_AT_ONCE,
        (page) => {
          for (const entry of page) chain.next(entry)
          return undefined
        }
      )
      chain.end(head.audit)
      yield* eachPage(
        (after: number | undefined) => this.#reader.alerts(tenant, after ?? 0, ROWS_AT_ONCE),
        ROWS_AT_ONCE,
        (page) => {
          for (const alert of page) alerts.next(alert)
          return undefined
        }
      )
      alerts.sequence.end(head.counters.alertSeq)
    })
  }
}

/** Checks one tenant, and tells everything that differs. */
export const verifyTenant = (
  reader: BooksReader,
  tenant: string,
  tell: (finding: Finding) => void,
  periodsAtOnce: number = PERIODS_AT_ONCE
): Reading<Checked> =>
  Effect.flatMap(
    readCheckpoint(reader, tenant),
    (from) => new TenantCheck(reader, new Findings(tenant, tell), from, periodsAtOnce).run
  )
