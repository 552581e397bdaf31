/**
 * Dead letters on Postgres.
 *
 * Owns: that a tenant's are bounded, that those which are gone are counted, and that two processes never send one again
 * at the same time.
 * Does not decide: when one is sent again (runtime/DeadLetterBox).
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { DeadLetterStore, type KeptLetter, LETTERS_KEPT, type NewLetter } from "../actor/DeadLetterStore.ts"
import type { Principal } from "../signal/Principal.ts"
import { int8Column, textColumn, timeColumn } from "./Columns.ts"
import { orUnavailable } from "./Unavailable.ts"

/** Parts of a statement: so many letters of a tenant get its next numbers (`head`), and its oldest go. */
export const letterNumbers = (tenants: string, count: string, lost: string): string => `head AS (
  INSERT INTO dead_letter_head AS h (tenant, last_seq, lost) SELECT tenant, ${count}, ${lost} FROM ${tenants}
  ON CONFLICT (tenant) DO UPDATE SET last_seq = h.last_seq + ${count}, lost = h.lost + ${lost}
  RETURNING tenant, last_seq
), gone AS (
  DELETE FROM dead_letter d USING head WHERE d.tenant = head.tenant AND d.seq <= head.last_seq - ${LETTERS_KEPT}
)`

export const LETTER_COLUMNS = "tenant, seq, at, address, signal, principal, why, preview, params"

const ADD = `WITH tenants AS (SELECT $1::text AS tenant), ${letterNumbers("tenants", "$2::int8", "$3::int8")}
INSERT INTO dead_letter (${LETTER_COLUMNS})
SELECT $1, head.last_seq - $2::int8 + l.place, l.at, l.address, l.signal, l.principal, l.why, l.preview, l.params
FROM head, unnest($4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])
  WITH ORDINALITY AS l(at, address, signal, principal, why, preview, params, place)`

const COLUMNS = `seq, (extract(epoch FROM at) * 1000)::int8 AS at_ms, address, signal, principal, why, preview, params`

const PAGE = `SELECT ${COLUMNS} FROM dead_letter
WHERE tenant = $1 AND ($2::int8 IS NULL OR seq < $2) AND ($3::text IS NULL OR address = $3)
AND ($4::text IS NULL OR signal = $4) ORDER BY seq DESC LIMIT $5::int8`

const DROPPED = `SELECT h.last_seq - h.sent + h.lost - (SELECT count(*) FROM dead_letter WHERE tenant = $1) AS dropped
FROM dead_letter_head h WHERE h.tenant = $1`

const FIND = `SELECT ${COLUMNS} FROM dead_letter WHERE tenant = $1 AND seq = $2::int8`

const CLAIM = `UPDATE dead_letter SET claimed_until = to_timestamp($4::float8 / 1000)
WHERE tenant = $1 AND seq = $2::int8 AND (claimed_until IS NULL OR claimed_until <= to_timestamp($3::float8 / 1000))
RETURNING seq`

const SENT = `WITH sent AS (DELETE FROM dead_letter WHERE tenant = $1 AND seq = $2::int8 RETURNING 1)
UPDATE dead_letter_head SET sent = sent + (SELECT count(*) FROM sent) WHERE tenant = $1`

const NOT_SENT = "UPDATE dead_letter SET claimed_until = NULL WHERE tenant = $1 AND seq = $2::int8"

const REWRITE = `UPDATE dead_letter d SET principal = l.principal, why = l.why, preview = l.preview, params = l.params
FROM unnest($2::int8[], $3::text[], $4::text[], $5::text[], $6::text[]) AS l(seq, principal, why, preview, params)
WHERE d.tenant = $1 AND d.seq = l.seq`

interface Stored {
  readonly seq: bigint
  readonly at_ms: bigint
  readonly address: string
  readonly signal: string
  readonly principal: string
  readonly why: string
  readonly preview: string
  readonly params: string | null
}

const letterFrom = ({ seq, at_ms, principal, ...row }: Stored): KeptLetter => ({
  ...row,
  seq: Number(seq),
  at: Number(at_ms),
  principal: JSON.parse(principal) as Principal
})

/** What somebody else has written may hold what Postgres does not take. */
const readable = (text: string): string => text.toWellFormed().replaceAll("\u0000", "\uFFFD")

const wordsOf = (letters: ReadonlyArray<NewLetter>) => [
  textColumn(letters.map(({ principal }) => JSON.stringify(principal))).all,
  textColumn(letters.map(({ why }) => readable(why))).all,
  textColumn(letters.map(({ preview }) => readable(preview))).all,
  textColumn(letters.map(({ params }) => params)).all
]

/** One letter's columns, but for its tenant and its number. */
export const letterValues = (letter: NewLetter): ReadonlyArray<unknown> => [
  PgTypes.timestamptz(letter.at),
  readable(letter.address),
  readable(letter.signal),
  JSON.stringify(letter.principal),
  readable(letter.why),
  readable(letter.preview),
  letter.params
]

const valuesOf = (letters: ReadonlyArray<NewLetter>) => [
  timeColumn(letters.map(({ at }) => at)).all,
  textColumn(letters.map(({ address }) => readable(address))).all,
  textColumn(letters.map(({ signal }) => readable(signal))).all,
  ...wordsOf(letters)
]

const make = Effect.map(PgClient.PgClient, (sql) =>
  DeadLetterStore.of({
    add: (tenant, letters, lost) =>
      orUnavailable(
        Effect.asVoid(sql.unsafe(ADD, [tenant, BigInt(letters.length), BigInt(lost), ...valuesOf(letters)]))
      ),
    page: (tenant, { before, address, signal, limit }) =>
      orUnavailable(
        Effect.gen(function* () {
          const from = before === undefined ? null : BigInt(before)
          const rows = yield* sql.unsafe<Stored>(PAGE, [
            tenant,
            from,
            address ?? null,
            signal ?? null,
            BigInt(limit)
          ])
          const [head] = yield* sql.unsafe<{ readonly dropped: bigint }>(DROPPED, [tenant])
          return { letters: rows.map(letterFrom), dropped: Number(head?.dropped ?? 0n) }
        })
      ),
    find: (tenant, seq) =>
      orUnavailable(
        Effect.map(sql.unsafe<Stored>(FIND, [tenant, BigInt(seq)]), ([row]) => row && letterFrom(row))
      ),
    claim: (tenant, seq, now, until) =>
      orUnavailable(
        Effect.map(sql.unsafe(CLAIM, [tenant, BigInt(seq), now, until]), (rows) => rows.length === 1)
      ),
    settle: (tenant, seq, isSent) =>
      orUnavailable(Effect.asVoid(sql.unsafe(isSent ? SENT : NOT_SENT, [tenant, BigInt(seq)]))),
    rewrite: (tenant, letters) => {
      const seqs = int8Column(letters.map(({ seq }) => seq)).all
      return orUnavailable(Effect.asVoid(sql.unsafe(REWRITE, [tenant, seqs, ...wordsOf(letters)])))
    }
  })
)

export const deadLetterStoreLayer = Layer.effect(DeadLetterStore, make)
