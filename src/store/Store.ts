/**
 * The whole store, on a Postgres server or embedded.
 *
 * Owns: which layers make one, and that its tables are there before anything reads them.
 * Does not decide: what is kept (the ports of tokens/, bridge/ and provider/).
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Effect, Layer, Redacted, Schema } from "effect"
import { embeddedLayer } from "./embedded/EmbeddedPostgres.ts"
import { migrationsLayer } from "./Migrations.ts"
import { serverLayer } from "./Postgres.ts"
import { booksLayer } from "./SqlBooksReader.ts"
import { completionLogLayer } from "./SqlCompletionLog.ts"
import { deadLetterStoreLayer } from "./SqlDeadLetters.ts"
import { deliveryStoreLayer } from "./SqlDeliveryStore.ts"
import { keyStoreLayer } from "./SqlKeyStore.ts"
import { ledgerStoreLayer } from "./SqlLedgerStore.ts"
import { machineStoreLayer } from "./SqlMachineStore.ts"
import { pseudonymStoreLayer } from "./SqlPseudonymStore.ts"
import { refusalStoreLayer } from "./SqlRefusals.ts"
import { installationSecretLayer, sessionStoreLayer } from "./SqlSessionStore.ts"
import { monthsAheadLayer } from "./UsagePartitions.ts"

/** The store could not be opened, or not brought to this version's tables. */
export class StoreFailed extends Schema.TaggedError<StoreFailed>()("StoreFailed", {
  message: Schema.String
}) {}

const COMMITS_AND_READS = 10
const POSTGRES_PORT = 5432
const CAUSES_MAX = 5

const storeOn = (kind: "embedded" | "server") =>
  Layer.mergeAll(
    ledgerStoreLayer(kind),
    keyStoreLayer,
    sessionStoreLayer,
    installationSecretLayer,
    completionLogLayer,
    deliveryStoreLayer,
    deadLetterStoreLayer,
    refusalStoreLayer,
    machineStoreLayer(kind),
    pseudonymStoreLayer,
    monthsAheadLayer
  ).pipe(Layer.provide(migrationsLayer))

const failed = (error: { readonly message: string }): StoreFailed =>
  new StoreFailed({ message: `The store could not be opened: ${error.message}` })

const EXPECTED =
  "DATABASE_URL (`databaseUrl` where the runtime is embedded) has to be postgres://USER:PASSWORD@HOST:PORT/DATABASE"

/** What Node or the server has said, at the bottom of a failure. */
const rootOf = (error: unknown): string => {
  let at: unknown = error
  for (let depth = 0; depth < CAUSES_MAX; depth++) {
    const { reason, cause } = Object(at)
    const below = reason ?? cause
    if (typeof below !== "object" || below === null) break
    at = below
  }
  const { code, message } = Object(at)
  return typeof code === "string" ? code : typeof message === "string" ? message : ""
}

/** Says which server it was. Of its address only the host and the port: the rest may be secret. */
const serverFailed =
  (secret: Redacted.Redacted<string>) =>
  (error: { readonly message: string }): StoreFailed => {
    const text = Redacted.value(secret)
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url === undefined || !/^postgres(?:ql)?:$/u.test(url.protocol))
      return new StoreFailed({ message: `The store could not be opened: ${EXPECTED}` })
    const host = url.hostname === "" ? (url.searchParams.get("host") ?? "localhost") : url.hostname
    const root = rootOf(error)
    const why = root === "" || error.message.includes(root) ? "" : ` (${root})`
    const where = `${host}:${url.port === "" ? POSTGRES_PORT : url.port}`
    return failed({
      message: `${error.message}${why}: the server is ${where}, of DATABASE_URL (or \`databaseUrl\`)`
    })
  }

/** The store in a directory of this machine. It survives the process being killed, not the machine losing power. */
export const embeddedStore = (options: { readonly directory: string }) =>
  storeOn("embedded").pipe(
    Layer.provide(embeddedLayer(options)),
    Layer.catch((error) => Layer.effectContext(Effect.fail(failed(error))))
  )

/** The store on a Postgres server. */
export const serverStore = (options: { readonly url: Redacted.Redacted<string> }) =>
  storeOn("server").pipe(
    Layer.provide(serverLayer({ ...options, maxConnections: COMMITS_AND_READS })),
    Layer.catch((error) => Layer.effectContext(Effect.fail(serverFailed(options.url)(error))))
  )

// --- for a verification: nothing is made, migrated or written

/** A verification waits for one page at a time, and compares it before it reads the next. */
const PATIENT = { statementTimeout: "10 minutes", idleInTransactionTimeout: "10 minutes" } as const

const notThere = (directory: string): StoreFailed =>
  new StoreFailed({
    message: `There is no store in ${directory}: set BURSAR_DATA to the directory that has one`
  })

/** The books of the store in a directory. It must be free: a running server keeps it to itself. */
export const embeddedBooks = (options: { readonly directory: string }) =>
  existsSync(join(options.directory, "postgres"))
    ? booksLayer("the embedded store").pipe(
        Layer.provide(embeddedLayer({ ...options, ...PATIENT })),
        Layer.catch((error) => Layer.effectContext(Effect.fail(failed(error))))
      )
    : Layer.effectContext(Effect.fail(notThere(options.directory)))

/** The books of the store on a Postgres server, beside whoever works on it. */
export const serverBooks = (options: { readonly url: Redacted.Redacted<string> }) =>
  booksLayer("the store on a Postgres server").pipe(
    Layer.provide(serverLayer({ ...options, ...PATIENT, maxConnections: 1 })),
    Layer.catch((error) => Layer.effectContext(Effect.fail(serverFailed(options.url)(error))))
  )
