/**
 * What a verification finds: exactly what differs.
 *
 * Owns: the shape of a difference, and counting them. Does not decide: how many are shown (runtime/).
 */

/** One field of one row that is not what it should be. */
export interface Finding {
  readonly tenant: string
  readonly table: string
  /** Which row, by its key. */
  readonly key: string
  readonly field: string
  readonly stored: string
  readonly expected: string
}

/** Stands for a row, or a field, that is not there. */
export const MISSING = "nothing"

type Comparable = string | number | bigint | boolean | null | undefined

const written = (value: Comparable): string =>
  value === null || value === undefined ? MISSING : String(value)

export class Findings {
  readonly tenant: string
  readonly #tell: (finding: Finding) => void
  #count = 0

  constructor(tenant: string, tell: (finding: Finding) => void) {
    this.tenant = tenant
    this.#tell = tell
  }

  get count(): number {
    return this.#count
  }

  differs(table: string, key: string, field: string, stored: Comparable, expected: Comparable): void {
    this.#count += 1
    this.#tell({
      tenant: this.tenant,
      table,
      key,
      field,
      stored: written(stored),
      expected: written(expected)
    })
  }

  /** Notes a difference, if there is one. */
  same<A extends Comparable>(table: string, key: string, field: string, stored: A, expected: A): void {
    if (stored !== expected) this.differs(table, key, field, stored, expected)
  }
}
