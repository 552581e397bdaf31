/**
 * Lets one live process use a data directory.
 *
 * Owns: the files `bursar.lock.N` in the directory. The highest N is the lock; it says who holds it, or
 * that it was released. Numbers only grow.
 * Does not decide: what is done in the directory.
 *
 * Taking it: read the highest file; if its holder is alive, refuse; else create the next number, which
 * only one of several starters can, and look once more that nobody has gone past. Files below one's own are
 * then removed. A starter that read an old state can re-create a removed number, but then it sees the
 * higher one and gives way. Nothing is ever removed to take the lock, so nobody's fresh lock is removed.
 *
 * Alive means: the same process, by its id and its start time, so a reused id is not taken for it. Where
 * that cannot be known (another host, another container on the same volume, no /proc) the holder's
 * heartbeat counts: the file's modification time.
 */
import { randomUUID } from "node:crypto"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { Duration, Effect, Schedule, Schema } from "effect"

/** Somebody else holds the directory, or it cannot be locked. */
export class DirectoryLockError extends Schema.TaggedError<DirectoryLockError>()("DirectoryLockError", {
  directory: Schema.String,
  reason: Schema.Literals(["held", "failed"]),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** Who holds the lock. `place` says where its process id means anything. */
const Holder = Schema.Struct({
  id: Schema.String,
  pid: Schema.Int,
  startedAt: Schema.NullOr(Schema.String),
  place: Schema.String,
  host: Schema.String,
  released: Schema.Boolean
})
type Holder = typeof Holder.Type
const HolderJson = Schema.fromJsonString(Holder)
const decodeHolder = Schema.decodeUnknownOption(HolderJson)

export interface DirectoryLock {
  readonly directory: string
  readonly id: string
  /** False when somebody has gone past us, which a process frozen for longer than the heartbeat can see. */
  readonly isHeld: () => boolean
}

const heartbeatMs = 5_000
const heartbeatMaxMs = 30_000
const attemptsMax = 20
const lockName = /^bursar\.lock\.(\d{1,12})$/

const readText = (file: string): string | undefined => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}

/** Start of a process in clock ticks since boot; `null` where there is no /proc; `undefined`: no such process. */
const startOf = (pid: number): string | null | undefined => {
  if (process.platform !== "linux") return null
  const stat = readText(`/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  // The name stands in brackets and may hold anything, so count from behind it.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return fields[0] === "Z" || fields[0] === "X" ? undefined : (fields[19] ?? null)
}

/** The boot and the process namespace: within one such place a process id and its start time are unique. */
const currentPlace = (): string => {
  const boot = readText("/proc/sys/kernel/random/boot_id")?.trim()
  if (boot === undefined) return os.hostname()
  try {
    return `${boot} ${fs.readlinkSync("/proc/self/ns/pid")}`
  } catch {
    return `${boot} ${os.hostname()}`
  }
}

/** Whether the holder lives, and how it is known. */
const isAlive = (holder: Holder, heartbeatAgeMs: number): boolean => {
  if (holder.released) return false
  const isFresh = heartbeatAgeMs < heartbeatMaxMs
  if (holder.place !== currentPlace()) return isFresh
  const started = startOf(holder.pid)
  if (started === undefined) return false
  if (started !== null && holder.startedAt !== null) return started === holder.startedAt
  try {
    process.kill(holder.pid, 0)
    return isFresh
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM" && isFresh
  }
}

const numbersIn = (directory: string): Array<number> =>
  fs
    .readdirSync(directory)
    .flatMap((name) => lockName.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => b - a)

const fileOf = (directory: string, number: number) => path.join(directory, `bursar.lock.${number}`)

/** Creates the file with its content in one step; false when it exists. */
const createExclusive = (file: string, content: string): boolean => {
  const draft = `${file}.${randomUUID()}`
  try {
    fs.writeFileSync(draft, content, { flag: "wx", mode: 0o600 })
    fs.linkSync(draft, file)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false
    throw cause
  } finally {
    fs.rmSync(draft, { force: true })
  }
}

const heldMessage = (directory: string, holder: Holder, ageMs: number): string => {
  const isHere = holder.place === currentPlace()
  if (isHere && holder.pid === process.pid)
    return `The data directory ${directory} is in use by process ${holder.pid}, which is this one: another runtime of it has it. End that one, or give this one a directory of its own (dataDirectory, or BURSAR_DATA).`
  const where = isHere ? "" : ` on ${holder.host} (another machine or container)`
  const advice = isHere
    ? "Stop that process, or give this one a directory of its own (BURSAR_DATA, or dataDirectory)."
    : `Stop it, or give this one a directory of its own (BURSAR_DATA, or dataDirectory). If it is gone, start again in ${Math.ceil((heartbeatMaxMs - ageMs) / 1000)} s.`
  return `The data directory ${directory} is in use by process ${holder.pid}${where}. ${advice}`
}

const acquireSync = (directory: string): { readonly number: number; readonly holder: Holder } => {
  fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
  restrict(directory)
  const holder: Holder = {
    id: randomUUID(),
    pid: process.pid,
    startedAt: startOf(process.pid) ?? null,
    place: currentPlace(),
    host: os.hostname(),
    released: false
  }
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const highest = numbersIn(directory)[0] ?? 0
    if (highest > 0) refuseIfAlive(directory, highest)
    const number = highest + 1
    if (!createExclusive(fileOf(directory, number), JSON.stringify(holder))) continue
    const numbers = numbersIn(directory)
    if ((numbers[0] ?? 0) > number) {
      fs.rmSync(fileOf(directory, number), { force: true })
      continue
    }
    for (const old of numbers) if (old < number) fs.rmSync(fileOf(directory, old), { force: true })
    return { number, holder }
  }
  throw new DirectoryLockError({
    directory,
    reason: "failed",
    detail: `The data directory ${directory} could not be locked: too many processes try at once.`
  })
}

const refuseIfAlive = (directory: string, number: number) => {
  const file = fileOf(directory, number)
  const text = readText(file)
  if (text === undefined) return
  const decoded = decodeHolder(text)
  // The content is written before the name exists, so an unreadable one is damage, not a race.
  if (decoded._tag === "None") return
  const ageMs = Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0)
  if (!isAlive(decoded.value, ageMs)) return
  throw new DirectoryLockError({
    directory,
    reason: "held",
    detail: heldMessage(directory, decoded.value, ageMs)
  })
}

/** PGlite creates its files readable by all, so the directory itself must not be. */
const restrict = (directory: string) => {
  try {
    fs.chmodSync(directory, 0o700)
  } catch (cause) {
    // Some mounted volumes know no modes; there the mount decides who reads.
    if (!["EPERM", "ENOTSUP", "EROFS"].includes((cause as NodeJS.ErrnoException).code ?? "")) throw cause
  }
}

/** Marks the lock as released, in one step. The file stays, so that its number is not used again. */
const releaseSync = (directory: string, number: number, holder: Holder) => {
  const file = fileOf(directory, number)
  if (!isOurs(file, holder)) return
  const draft = `${file}.${randomUUID()}`
  fs.writeFileSync(draft, JSON.stringify({ ...holder, released: true }), { flag: "wx", mode: 0o600 })
  fs.renameSync(draft, file)
}

const isOurs = (file: string, holder: Holder): boolean => {
  const text = readText(file)
  const decoded = text === undefined ? undefined : decodeHolder(text)
  return decoded?._tag === "Some" && decoded.value.id === holder.id && !decoded.value.released
}

/** Holds the directory until the scope closes. Creates it, readable by its owner only. */
export const acquire = Effect.fn("DirectoryLock.acquire")(function* (directory: string) {
  const { number, holder } = yield* Effect.acquireRelease(
    Effect.try({
      try: () => acquireSync(directory),
      catch: (cause) =>
        cause instanceof DirectoryLockError
          ? cause
          : new DirectoryLockError({
              directory,
              reason: "failed",
              detail: `The data directory ${directory} could not be locked: ${(cause as Error).message}`
            })
    }),
    (lock) => Effect.ignore(Effect.try(() => releaseSync(directory, lock.number, lock.holder)))
  )
  const file = fileOf(directory, number)
  const beat = Effect.try(() => fs.utimesSync(file, new Date(), new Date())).pipe(Effect.ignore)
  yield* beat.pipe(Effect.repeat(Schedule.spaced(Duration.millis(heartbeatMs))), Effect.forkScoped)
  const lock: DirectoryLock = { directory, id: holder.id, isHeld: () => isOurs(file, holder) }
  return lock
})
