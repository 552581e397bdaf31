/**
 * Whether the audit chain is what it says it is, and alerts have no gap.
 *
 * Owns: going along numbered rows one by one. Does not decide: how an entry is hashed (AuditChain).
 */
import { formatTimestamp } from "../../signal/Text.ts"
import { type AuditBody, digestOf, EMPTY_CHAIN, linkOf } from "../AuditChain.ts"
import type { AlertRow, AuditHead, AuditRow } from "../LedgerStore.ts"
import type { Stored } from "./BooksReader.ts"
import { type Findings, MISSING } from "./Findings.ts"

/** Numbered rows must come one after the other. */
export class Sequence {
  readonly #findings: Findings
  readonly #table: string
  readonly #field: string
  #last: number
  #count = 0

  constructor(findings: Findings, table: string, field: string, last: number) {
    this.#findings = findings
    this.#table = table
    this.#field = field
    this.#last = last
  }

  get last(): number {
    return this.#last
  }

  get count(): number {
    return this.#count
  }

  next(seq: number): void {
    this.#count += 1
    if (seq === this.#last)
      this.#findings.differs(this.#table, `${this.#field} ${seq}`, this.#field, "twice", "once")
    else if (seq > this.#last + 1) this.#missing(this.#last + 1, seq - 1)
    this.#last = seq
  }

  /** The head says that this is the last number. */
  end(head: number): void {
    if (head > this.#last) this.#missing(this.#last + 1, head)
    else if (head < this.#last)
      this.#findings.differs("tenant_head", this.#findings.tenant, this.#field, head, this.#last)
  }

  #missing(from: number, to: number): void {
    const key = from === to ? `${this.#field} ${from}` : `${this.#field} ${from} to ${to}`
    this.#findings.differs(this.#table, key, "row", MISSING, to === from ? "a row" : `${to - from + 1} rows`)
  }
}

const bodyFrom = (text: string): AuditBody | undefined => {
  try {
    return JSON.parse(text) as AuditBody
  } catch {
    return undefined
  }
}

export class ChainCheck {
  readonly #findings: Findings
  readonly #sequence: Sequence
  /** The hash before, as it is stored and as it should be: where they differ, it has been said already. */
  #before: ReadonlyArray<string> = [EMPTY_CHAIN.hash]

  constructor(findings: Findings) {
    this.#findings = findings
    this.#sequence = new Sequence(findings, "audit", "audit_seq", EMPTY_CHAIN.seq)
  }

  get count(): number {
    return this.#sequence.count
  }

  get last(): number {
    return this.#sequence.last
  }

  next(stored: Stored<number, AuditRow>): void {
    const isAfterGap = stored.key !== this.#sequence.last + 1
    this.#sequence.next(stored.key)
    const key = `audit_seq ${stored.key}`
    if (stored.row === undefined) {
      this.#findings.differs("audit", key, "row", stored.problem, "an entry")
      return
    }
    const { row } = stored
    this.#checkBody(key, row)
    const links = this.#before.map((hash) => linkOf(this.#findings.tenant, row.seq, hash, row.digest))
    // What came before a gap is not known: the gap has been said.
    const isLinked = isAfterGap || links.includes(row.hash)
    if (!isLinked) this.#findings.differs("audit", key, "hash", row.hash, links[0])
    this.#before = isLinked ? [row.hash] : [row.hash, ...links]
  }

  end(head: AuditHead): void {
    this.#sequence.end(head.seq)
    const [last] = this.#before
    if (head.seq === this.#sequence.last)
      this.#findings.same("tenant_head", this.#findings.tenant, "audit_hash", head.hash, last ?? "")
  }

  #checkBody(key: string, row: AuditRow): void {
    const differs = (field: string, stored: string | null, expected: string | null) =>
      this.#findings.same("audit", key, field, stored, expected)
    if (row.body === null || row.salt === null) {
      if (row.body !== null) this.#findings.differs("audit", key, "salt", null, "the salt of its body")
      if (row.salt !== null)
        this.#findings.differs("audit", key, "body", null, "what its salt was hashed with")
      return
    }
    const digest = digestOf(row.salt, row.body)
    if (digest !== row.digest) {
      this.#findings.differs("audit", key, "body", `hashed to ${digest}`, `hashed to ${row.digest}`)
      return
    }
    const body = bodyFrom(row.body)
    differs("at", formatTimestamp(row.at), body?.at ?? null)
    differs("key_id", row.keyId, body?.principal.key_id ?? null)
    differs("owner", row.owner, body?.principal.owner ?? null)
    differs("action", row.action, body?.action ?? null)
    differs("subject", row.subject, body?.subject ?? null)
  }
}

export class AlertCheck {
  readonly #findings: Findings
  readonly sequence: Sequence

  constructor(findings: Findings) {
    this.#findings = findings
    this.sequence = new Sequence(findings, "alert", "alert_seq", 0)
  }

  next(stored: Stored<number, AlertRow>): void {
    this.sequence.next(stored.key)
    const key = `alert_seq ${stored.key}`
    if (stored.row === undefined) this.#findings.differs("alert", key, "row", stored.problem, "an alert")
    else this.#findings.same("alert", key, "alert.id", stored.row.alert.id, `alert_${stored.key}`)
  }
}
