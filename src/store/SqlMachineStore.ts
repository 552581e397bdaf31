/**
 * Durable machines on Postgres, a server or embedded.
 *
 * Owns: claiming a machine, writing its steps, finding out after a lost connection; how long each may take.
 * Does not decide: the text of a commit (MachineStatement), what a failure means (SqlFailures).
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { type Duration, Effect, Layer } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import {
  type ClaimedMachine,
  type MachineClaim,
  type MachineCommit,
  type MachineCommitError,
  MachineFenced,
  type MachineListQuery,
  MachineNotWritten,
  MachineOutcomeUnknown,
  MachineRefused,
  type MachineRow,
  MachineStore,
  MachineStoreUnreachable,
  type OutgoingSignal,
  type StoredFact
} from "../actor/MachineStore.ts"
import { int8Array, isStorable, textArray } from "./Columns.ts"
import { ENTRY_COLUMNS, entryFrom, type StoredMachine } from "./MachineColumns.ts"
import { machineLooking } from "./MachineLooking.ts"
import { machineRemoval } from "./MachineRemoval.ts"
import { machineRewriting } from "./MachineRewriting.ts"
import { machineStatement } from "./MachineStatement.ts"
import { patiently } from "./Patience.ts"
import { commitFailure, unreachable } from "./SqlFailures.ts"

type Kind = "server" | "embedded"

/** Longer than the session's own `statement_timeout`: this one is for a peer that vanished without a word. */
const ANSWER_TIMEOUT: { readonly [K in Kind]: Duration.Input } = {
  server: "6 seconds",
  embedded: "70 seconds"
}

const COLUMNS = `${ENTRY_COLUMNS}, snapshot`

const rowFrom = (row: StoredMachine): MachineRow => ({ ...entryFrom(row), snapshot: row.snapshot })

/** The feed of the tenant is made here, so that a commit finds it. */
const CLAIM = `WITH feed AS (INSERT INTO machine_feed (tenant) VALUES ($1) ON CONFLICT DO NOTHING)
INSERT INTO machine AS m (tenant, address, kind, owner, epoch) VALUES ($1, $2, $3, $4, 1)
ON CONFLICT (address) DO UPDATE SET owner = excluded.owner, epoch = m.epoch + 1 RETURNING ${COLUMNS}, commit_id`

const claim = Effect.fnUntraced(function* (
  sql: SqlClient.SqlClient,
  machine: { readonly tenant: string; readonly address: string; readonly kind: string },
  owner: string
): Effect.fn.Return<ClaimedMachine, SqlError.SqlError> {
  const { tenant, address, kind } = machine
  const [head] = yield* sql.unsafe<StoredMachine & { readonly commit_id: string | null }>(CLAIM, [
    tenant,
    address,
    kind,
    owner
  ])
  if (head === undefined) return yield* Effect.die(new Error("an upsert returned no row"))
  const held = { tenant, address, owner, epoch: Number(head.epoch) }
  if (head.revision === 0n) {
    // What was removed a moment ago is seen by now: its row was waited for.
    const removed = yield* sql.unsafe("SELECT 1 FROM machine_removed WHERE address = $1", [address])
    const wasRemoved = removed.length > 0
    // Nobody goes on with it: a repeat leaves nothing behind.
    if (wasRemoved)
      yield* sql.unsafe("DELETE FROM machine WHERE address = $1 AND owner = $2 AND revision = 0", [
        address,
        owner
      ])
    return { claim: held, row: undefined, commitId: null, wasRemoved, outgoing: [], seen: [] }
  }
  // Whoever had it before writes no more: what is read from here on stays as it is.
  const outgoing = yield* sql.unsafe<{
    readonly seq: bigint
    readonly receiver: string
    readonly signal: string
    readonly params: string
    readonly traceparent: string | null
  }>(
    "SELECT seq, receiver, signal, params, traceparent FROM machine_outbox WHERE address = $1 ORDER BY seq",
    [address]
  )
  const seen = yield* sql.unsafe<{
    readonly id: string
    readonly mark: bigint
    readonly digest: string | null
  }>("SELECT id, mark, digest FROM machine_seen WHERE address = $1 ORDER BY revision, place", [address])
  return {
    claim: held,
    row: rowFrom(head),
    commitId: head.commit_id,
    wasRemoved: false,
    outgoing: outgoing.map(
      ({ seq, receiver, signal, params, traceparent }): OutgoingSignal => ({
        seq: Number(seq),
        to: receiver,
        signal,
        params: JSON.parse(params),
        ...(traceparent === null ? {} : { traceparent })
      })
    ),
    seen: seen.map(({ id, mark, digest }) => ({ id, mark: Number(mark), digest }))
  }
})

const failureOf = (address: string, error: SqlError.SqlError): MachineCommitError => {
  const failure = commitFailure(address, error)
  const fields = { address, message: failure.message }
  switch (failure._tag) {
    case "BatchRefused":
      return new MachineRefused(fields)
    case "NotWritten":
      return new MachineNotWritten(fields)
    case "OutcomeUnknown":
      return new MachineOutcomeUnknown(fields)
  }
}

const commit = (
  sql: SqlClient.SqlClient,
  held: MachineClaim,
  written: MachineCommit
): Effect.Effect<void, MachineCommitError> =>
  Effect.gen(function* () {
    const { address } = held
    const { text, parameters } = yield* Effect.try({
      try: () => machineStatement(held, written),
      // Whatever stops a step from being written down stops it again.
      catch: (cause) => new MachineRefused({ address, message: String(cause) })
    })
    const [row] = yield* Effect.mapError(sql.unsafe<{ readonly heads: bigint }>(text, parameters), (error) =>
      failureOf(address, error)
    )
    if (row?.heads !== 1n) return yield* new MachineFenced({ address })
  })

const resolve = (sql: SqlClient.SqlClient, held: MachineClaim, commitId: string) =>
  Effect.flatMap(
    sql.unsafe<{ readonly epoch: bigint; readonly commit_id: string | null }>(
      "UPDATE machine SET epoch = epoch + 1 WHERE address = $1 AND owner = $2 RETURNING epoch, commit_id",
      [held.address, held.owner]
    ),
    ([row]): Effect.Effect<{ readonly claim: MachineClaim; readonly isWritten: boolean }, MachineFenced> =>
      row === undefined
        ? Effect.fail(new MachineFenced({ address: held.address }))
        : Effect.succeed({
            claim: { ...held, epoch: Number(row.epoch) },
            isWritten: row.commit_id === commitId
          })
  )

const list = (sql: SqlClient.SqlClient, { tenant, kind, statuses, after, limit }: MachineListQuery) =>
  Effect.map(
    sql.unsafe<Omit<StoredMachine, "snapshot">>(
      `SELECT ${ENTRY_COLUMNS} FROM machine WHERE tenant = $1 AND kind = $2 AND revision > 0
AND ($3::text[] IS NULL OR status = ANY($3::text[]))
AND ($4::timestamptz IS NULL OR created_at < $4 OR (created_at = $4 AND address > $5::text))
ORDER BY created_at DESC, address LIMIT $6::int8`,
      [
        tenant,
        kind,
        statuses === null ? null : textArray(statuses),
        PgTypes.timestamptz(after?.createdAt ?? null),
        after?.address ?? null,
        BigInt(limit)
      ]
    ),
    (rows) => rows.map(entryFrom)
  )

interface StoredFactRow {
  readonly removed_to: bigint
  readonly seq: bigint | null
  readonly address: string
  readonly kind: string
  readonly body: string
  readonly at: Date
}

const FACTS = `SELECT f.removed_to, x.seq, x.address, x.kind, x.body, x.at FROM machine_feed f LEFT JOIN LATERAL (
  SELECT * FROM machine_fact WHERE tenant = f.tenant AND seq > $2 ORDER BY seq LIMIT $3::int8
) x ON true WHERE f.tenant = $1 ORDER BY x.seq`

const factFrom = (row: StoredFactRow): StoredFact => ({
  seq: Number(row.seq),
  address: row.address,
  kind: row.kind,
  body: JSON.parse(row.body),
  at: row.at.getTime()
})

const REMOVE_FACTS = `WITH feed AS (
  UPDATE machine_feed SET removed_to = last_seq - $2::int8 WHERE tenant = $1 AND last_seq - $2::int8 > removed_to
  RETURNING tenant, removed_to
) DELETE FROM machine_fact f USING feed WHERE f.tenant = feed.tenant AND f.seq <= feed.removed_to`

const make = (kind: Kind) =>
  Effect.map(PgClient.PgClient, (sql): MachineStore => {
    const duration = ANSWER_TIMEOUT[kind]
    const unanswered = "the database did not answer in time"
    const asked = <A, E>(effect: Effect.Effect<A, SqlError.SqlError | E>) =>
      effect.pipe(
        Effect.catchIf(
          (error): error is SqlError.SqlError => (error as { readonly _tag?: unknown })._tag === "SqlError",
          (error) => Effect.fail(new MachineStoreUnreachable({ message: unreachable(error).message }))
        ),
        (waiting) =>
          patiently(waiting, duration, () =>
            Effect.fail(new MachineStoreUnreachable({ message: unanswered }))
          )
      )
    const rows = <Row extends object>(text: string, parameters: ReadonlyArray<unknown>) =>
      asked(sql.unsafe<Row>(text, parameters))

    return {
      ...machineRewriting(rows),
      ...machineLooking(rows),
      ...machineRemoval(rows),
      claim: (machine, owner) => asked(claim(sql, machine, owner)),
      commit: (held, written) =>
        patiently(commit(sql, held, written), duration, () =>
          Effect.fail(new MachineOutcomeUnknown({ address: held.address, message: unanswered }))
        ),
      resolve: (held, commitId) => asked(resolve(sql, held, commitId)),
      isOwner: ({ address, owner, epoch }) =>
        Effect.map(
          rows("SELECT 1 FROM machine WHERE address = $1 AND owner = $2 AND epoch = $3", [
            address,
            owner,
            BigInt(epoch)
          ]),
          (found) => found.length === 1
        ),
      delivered: (address, seqs) =>
        Effect.asVoid(
          rows("DELETE FROM machine_outbox WHERE address = $1 AND seq = ANY($2::int8[])", [
            address,
            int8Array(seqs)
          ])
        ),
      read: (address) =>
        isStorable(address)
          ? Effect.map(
              rows<StoredMachine>(`SELECT ${COLUMNS} FROM machine WHERE address = $1 AND revision > 0`, [
                address
              ]),
              ([row]) => row && rowFrom(row)
            )
          : Effect.succeed<MachineRow | undefined>(undefined),
      list: (query) => asked(list(sql, query)),
      facts: (tenant, afterSeq, limit) =>
        Effect.map(rows<StoredFactRow>(FACTS, [tenant, BigInt(afterSeq), BigInt(limit)]), (found) => ({
          facts: found.filter(({ seq }) => seq !== null).map(factFrom),
          removedTo: Number(found[0]?.removed_to ?? 0)
        })),
      lastFactSeq: (tenant) =>
        Effect.map(
          rows<{ readonly last_seq: bigint }>("SELECT last_seq FROM machine_feed WHERE tenant = $1", [
            tenant
          ]),
          ([row]) => Number(row?.last_seq ?? 0)
        ),
      removeFacts: (tenant, keep) => Effect.asVoid(rows(REMOVE_FACTS, [tenant, BigInt(keep)]))
    }
  })

/** Durable machines on the client of the context, whose tables are there (Migrations). */
export const machineStoreLayer = (kind: Kind) => Layer.effect(MachineStore, make(kind))
