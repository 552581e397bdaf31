/**
 * Dead letters in memory: for tests.
 *
 * Owns: the same promises as the store on Postgres.
 */
import { Effect } from "effect"
import { type DeadLetterStore, type KeptLetter, LETTERS_KEPT } from "../actor/DeadLetterStore.ts"

interface Shelf {
  letters: ReadonlyArray<KeptLetter>
  lastSeq: number
  sent: number
  lost: number
  readonly claims: Map<number, number>
}

export const makeMemoryDeadLetters = (): DeadLetterStore => {
  const shelves = new Map<string, Shelf>()
  const shelfOf = (tenant: string): Shelf => {
    const known = shelves.get(tenant)
    if (known !== undefined) return known
    const shelf: Shelf = { letters: [], lastSeq: 0, sent: 0, lost: 0, claims: new Map() }
    shelves.set(tenant, shelf)
    return shelf
  }
  const find = (tenant: string, seq: number) => shelfOf(tenant).letters.find((letter) => letter.seq === seq)
  return {
    add: (tenant, letters, lost) =>
      Effect.sync(() => {
        const shelf = shelfOf(tenant)
        const numbered = letters.map((letter, index) => ({ ...letter, seq: shelf.lastSeq + index + 1 }))
        shelf.lastSeq += letters.length
        shelf.lost += lost
        shelf.letters = [...shelf.letters, ...numbered].filter(
          ({ seq }) => seq > shelf.lastSeq - LETTERS_KEPT
        )
      }),
    page: (tenant, { address, signal, before = Number.POSITIVE_INFINITY, limit }) =>
      Effect.sync(() => {
        const { letters, lastSeq, sent, lost } = shelfOf(tenant)
        const matching = letters.filter(
          (letter) =>
            letter.seq < before &&
            (address === undefined || letter.address === address) &&
            (signal === undefined || letter.signal === signal)
        )
        return {
          letters: matching.reverse().slice(0, limit),
          dropped: lastSeq - sent - letters.length + lost
        }
      }),
    find: (tenant, seq) => Effect.sync(() => find(tenant, seq)),
    claim: (tenant, seq, now, until) =>
      Effect.sync(() => {
        const { claims } = shelfOf(tenant)
        if (find(tenant, seq) === undefined || (claims.get(seq) ?? 0) > now) return false
        claims.set(seq, until)
        return true
      }),
    settle: (tenant, seq, isSent) =>
      Effect.sync(() => {
        const shelf = shelfOf(tenant)
        shelf.claims.delete(seq)
        if (!isSent || find(tenant, seq) === undefined) return
        shelf.letters = shelf.letters.filter((letter) => letter.seq !== seq)
        shelf.sent += 1
      }),
    rewrite: (tenant, letters) =>
      Effect.sync(() => {
        const written = new Map(letters.map((letter) => [letter.seq, letter]))
        const shelf = shelfOf(tenant)
        shelf.letters = shelf.letters.map((letter) => written.get(letter.seq) ?? letter)
      })
  }
}
