/**
 * Keys on Postgres.
 *
 * Owns: their rows. Does not decide: who may make or end one (bridge/Keys).
 */
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { type KeyPosition, type KeyRow, KeyStore } from "../bridge/KeyStore.ts"
import type { Millis } from "../signal/Text.ts"
import { isStorable } from "./Columns.ts"
import { orUnavailable } from "./Unavailable.ts"

interface StoredKey {
  readonly key_id: string
  readonly tenant: string
  readonly name: string
  readonly roles: KeyRow["roles"]
  readonly owner: string
  readonly attribution: KeyRow["attribution"]
  readonly hash: string
  readonly created_at: Date
  readonly expires_at: Date | null
  readonly last_used_at: Date | null
  readonly revoked_at: Date | null
  readonly request_tenant: string | null
  readonly request_id: string | null
  readonly request_digest: string | null
}

const COLUMNS = [
  "key_id",
  "tenant",
  "name",
  "roles",
  "owner",
  "attribution",
  "hash",
  "created_at",
  "expires_at",
  "last_used_at",
  "revoked_at",
  "request_tenant",
  "request_id",
  "request_digest"
] as const satisfies ReadonlyArray<keyof StoredKey>

const SELECT = `SELECT ${COLUMNS.join(", ")} FROM access_key`

const INSERT = `INSERT INTO access_key (${COLUMNS.join(", ")})
VALUES (${COLUMNS.map((_, index) => `$${index + 1}`).join(", ")})
ON CONFLICT (request_tenant, request_id) DO NOTHING RETURNING key_id`

const parametersOf = (row: KeyRow): ReadonlyArray<unknown> => [
  row.id,
  row.tenant,
  row.name,
  row.roles,
  row.owner,
  PgTypes.jsonb(row.attribution),
  row.hash,
  PgTypes.timestamptz(row.createdAt),
  PgTypes.timestamptz(row.expiresAt),
  PgTypes.timestamptz(row.lastUsedAt),
  PgTypes.timestamptz(row.revokedAt),
  row.request?.tenant ?? null,
  row.request?.id ?? null,
  row.request?.digest ?? null
]

const millis = (at: Date | null): Millis | null => at?.getTime() ?? null

const requestOf = ({ request_tenant, request_id, request_digest }: StoredKey): KeyRow["request"] =>
  request_tenant === null || request_id === null || request_digest === null
    ? null
    : { tenant: request_tenant, id: request_id, digest: request_digest }

const keyFrom = (row: StoredKey): KeyRow => ({
  id: row.key_id,
  name: row.name,
  roles: row.roles,
  owner: row.owner,
  attribution: row.attribution,
  tenant: row.tenant,
  hash: row.hash,
  createdAt: row.created_at.getTime(),
  expiresAt: millis(row.expires_at),
  lastUsedAt: millis(row.last_used_at),
  revokedAt: millis(row.revoked_at),
  request: requestOf(row)
})

const make = Effect.map(PgClient.PgClient, (sql) => {
  const read = (where: string, parameters: ReadonlyArray<unknown>) =>
    orUnavailable(
      Effect.map(sql.unsafe<StoredKey>(`${SELECT} ${where}`, parameters), (rows) => rows.map(keyFrom))
    )

  const list = (tenant: string | null, after: KeyPosition | null, limit: number) =>
    read(
      `WHERE ($1::text IS NULL OR tenant = $1)
AND ($2::timestamptz IS NULL OR (created_at, key_id COLLATE "C") < ($2, $3::text))
ORDER BY created_at DESC, key_id COLLATE "C" DESC LIMIT $4::int8`,
      [tenant, PgTypes.timestamptz(after?.createdAt ?? null), after?.id ?? null, BigInt(limit)]
    )

  const insert = Effect.fnUntraced(function* (row: KeyRow) {
    const inserted = yield* orUnavailable(sql.unsafe(INSERT, parametersOf(row)))
    if (inserted.length > 0 || row.request === null) return row
    const [earlier] = yield* read("WHERE request_tenant = $1 AND request_id = $2", [
      row.request.tenant,
      row.request.id
    ])
    return earlier ?? (yield* Effect.die(new Error("a key is in the way that is not there")))
  })

  return KeyStore.of({
    insert,
    find: (id) =>
      isStorable(id)
        ? Effect.map(read("WHERE key_id = $1", [id]), ([row]) => row)
        : Effect.succeed<KeyRow | undefined>(undefined),
    list,
    revoke: (id, tenant, at) =>
      isStorable(id)
        ? Effect.map(
            orUnavailable(
              sql.unsafe(
                `UPDATE access_key SET revoked_at = coalesce(revoked_at, $3::timestamptz)
WHERE key_id = $1 AND ($2::text IS NULL OR tenant = $2) RETURNING key_id`,
                [id, tenant, PgTypes.timestamptz(at)]
              )
            ),
            (rows) => rows.length > 0
          )
        : Effect.succeed(false),
    touch: (id, at) =>
      orUnavailable(
        Effect.asVoid(
          sql.unsafe(
            "UPDATE access_key SET last_used_at = greatest(last_used_at, $2::timestamptz) WHERE key_id = $1",
            [id, PgTypes.timestamptz(at)]
          )
        )
      )
  })
})

export const keyStoreLayer = Layer.effect(KeyStore, make)
