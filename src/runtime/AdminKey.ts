/**
 * The installation's own key, where the environment names none.
 *
 * Owns: making it once, and keeping it where only its owner can read it.
 */
import { randomBytes } from "node:crypto"
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Redacted, Schema } from "effect"

/** Where an installation keeps what is not in a database of its own, if it says nothing else. */
export const DATA_DIRECTORY = "./.bursar"

const FILE = "admin.key"
const OWNER_ONLY = 0o600

/** The key's file could neither be read nor made. */
export class AdminKeyFailed extends Schema.TaggedError<AdminKeyFailed>()("AdminKeyFailed", {
  message: Schema.String
}) {}

const newAdminKey = (): Redacted.Redacted<string> =>
  Redacted.make(`bk_admin_${randomBytes(32).toString("base64url")}`)

const readKey = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8").trim()
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
}

const readOrMake = (directory: string): Redacted.Redacted<string> => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const path = join(directory, FILE)
  const known = readKey(path)
  if (known !== undefined && known !== "") return Redacted.make(known)
  const fresh = newAdminKey()
  writeFileSync(path, `${Redacted.value(fresh)}\n`, { mode: OWNER_ONLY })
  chmodSync(path, OWNER_ONLY)
  return fresh
}

/** The key kept in `directory`; made there at the first start. */
export const adminKeyIn = (directory: string): Effect.Effect<Redacted.Redacted<string>, AdminKeyFailed> =>
  Effect.try({
    try: () => readOrMake(directory),
    catch: (cause) =>
      new AdminKeyFailed({
        message: `The admin key in ${directory} can be neither read nor made (${cause instanceof Error ? cause.message : cause}): set BURSAR_ADMIN_KEY, or make the directory writable`
      })
  })
