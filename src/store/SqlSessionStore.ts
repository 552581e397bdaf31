/**
 * Browser sessions, and the installation's secret, on Postgres.
 *
 * Owns: their rows; that the secret is made once, whoever comes first.
 * Does not decide: how long a session lives (bridge/Sessions).
 */
import { randomBytes } from "node:crypto"
import { PgClient, PgTypes } from "@effect/sql-pg"
import { Effect, Layer, Redacted } from "effect"
import { InstallationSecret } from "../bridge/InstallationSecret.ts"
import { type SessionRow, SessionStore } from "../bridge/SessionStore.ts"
import { isStorable } from "./Columns.ts"
import { orUnavailable } from "./Unavailable.ts"

interface StoredSession {
  readonly hash: string
  readonly key_id: string
  readonly key_hash: string
  readonly created_at: Date
  readonly expires_at: Date
}

const sessionFrom = (row: StoredSession): SessionRow => ({
  hash: row.hash,
  keyId: row.key_id,
  keyHash: row.key_hash,
  createdAt: row.created_at.getTime(),
  expiresAt: row.expires_at.getTime()
})

const makeSessions = Effect.map(PgClient.PgClient, (sql) => {
  const run = (statement: string, parameters: ReadonlyArray<unknown>) =>
    orUnavailable(Effect.asVoid(sql.unsafe(statement, parameters)))
  return SessionStore.of({
    insert: (row) =>
      run(
        "INSERT INTO browser_session (hash, key_id, key_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        [
          row.hash,
          row.keyId,
          row.keyHash,
          PgTypes.timestamptz(row.createdAt),
          PgTypes.timestamptz(row.expiresAt)
        ]
      ),
    find: (hash) =>
      isStorable(hash)
        ? Effect.map(
            orUnavailable(
              sql.unsafe<StoredSession>(
                "SELECT hash, key_id, key_hash, created_at, expires_at FROM browser_session WHERE hash = $1",
                [hash]
              )
            ),
            ([row]) => row && sessionFrom(row)
          )
        : Effect.succeed<SessionRow | undefined>(undefined),
    remove: (hash) => run("DELETE FROM browser_session WHERE hash = $1", [hash]),
    removeOfKey: (keyId) => run("DELETE FROM browser_session WHERE key_id = $1", [keyId]),
    removeExpired: (now) =>
      run("DELETE FROM browser_session WHERE expires_at <= $1", [PgTypes.timestamptz(now)])
  })
})

export const sessionStoreLayer = Layer.effect(SessionStore, makeSessions)

/** Makes the secret where there is none yet. Of several that start at once, all take the one that was first. */
const makeSecret = Effect.gen(function* () {
  const sql = yield* PgClient.PgClient
  yield* sql`INSERT INTO installation (secret) VALUES (${randomBytes(32).toString("base64url")})
ON CONFLICT DO NOTHING`
  const [row] = yield* sql<{ readonly secret: string }>`SELECT secret FROM installation`
  if (row === undefined) return yield* Effect.die(new Error("the installation's secret is not there"))
  return { secret: Redacted.make(row.secret) }
})

export const installationSecretLayer = Layer.effect(InstallationSecret, makeSecret)
