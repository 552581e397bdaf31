/**
 * Writes what is inspected into a file.
 *
 * Owns: the bounds (of the file, and of what waits to be written), and that a recording never holds up or harms what
 * it records: where it cannot write, it says so and stops.
 * Does not decide: what an event is (signal/Inspection), or how a recording is read (RecordingReader).
 */
import { type FileHandle, open } from "node:fs/promises"
import { Clock, Effect, Latch, Layer, Schema, type Scope } from "effect"
import { ActorSystem } from "../actor/ActorSystem.ts"
import { arrivalOf, deadLetterOf, type Inspection, recordOf } from "../actor/Inspection.ts"
import { encoderOf } from "../signal/Encode.ts"
import { INSPECTION_VERSION, type InspectionEvent } from "../signal/Inspection.ts"
import { COUNT, type Known, SWITCH, WORD } from "../signal/KnownOptions.ts"
import { RecordingLine } from "../signal/Recording.ts"

export interface RecordOptions {
  /** Made where it is not there; what is in it already stays, and this goes behind it. */
  readonly file: string
  /** Bytes of the whole file. Default: 64 MiB. */
  readonly maxBytes?: number
  /** Whether prompt text and answers are recorded; secrets never are. Default: no. */
  readonly content?: boolean
}

/** Its options. */
export const RECORDING: Known<RecordOptions> = { file: WORD, maxBytes: COUNT, content: SWITCH }

/** The file cannot be written to. */
export class RecordingFailed extends Schema.TaggedError<RecordingFailed>()("RecordingFailed", {
  message: Schema.String
}) {}

const MAX_BYTES = 64 * 1024 * 1024
/** Kept for the line that says that the file is full. */
const END_BYTES = 256
const BYTES_MIN = 4_096
const WAITING_MAX = 4_000
const AT_ONCE = 200
const BEGINNING = '{"recording":'

type Line = typeof RecordingLine.Type
const encode = encoderOf(RecordingLine)
const textOf = (line: Line): string => `${JSON.stringify(encode(line))}\n`

/** What waits: an event that is made when it is written, or how many were lost here. */
type Waiting = { readonly make: () => InspectionEvent } | { gap: number }

/** What waits between the actors, who never wait, and the file. */
class Backlog {
  #waiting: Array<Waiting> = []
  readonly #latch = Latch.makeUnsafe(false)

  put(make: () => InspectionEvent): void {
    const last = this.#waiting.at(-1)
    if (this.#waiting.length < WAITING_MAX) this.#waiting.push({ make })
    else if (last !== undefined && "gap" in last) last.gap += 1
    else this.#waiting.push({ gap: 1 })
    this.#latch.openUnsafe()
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  take(): ReadonlyArray<Waiting> {
    const taken = this.#waiting.splice(0, AT_ONCE)
    if (this.#waiting.length === 0) this.#latch.closeUnsafe()
    return taken
  }

  readonly untilSomething: Effect.Effect<void> = this.#latch.await
}

class RecordingFile {
  readonly #handle: FileHandle
  readonly #maxBytes: number
  #bytes: number
  #seq = 1
  #events = 0
  isOpen = true

  constructor(handle: FileHandle, bytes: number, maxBytes: number) {
    this.#handle = handle
    this.#bytes = bytes
    this.#maxBytes = maxBytes
  }

  async begin(line: Line): Promise<void> {
    await this.#append(textOf(line))
  }

  /** Writes what fits; false where that was not all, and the file says so. */
  async write(waiting: ReadonlyArray<Waiting>, now: () => number): Promise<boolean> {
    let text = ""
    let bytes = 0
    let isFull = false
    for (const one of waiting) {
      const line = textOf(
        "gap" in one ? { seq: this.#seq, gap: one.gap } : { seq: this.#seq, event: one.make() }
      )
      const lineBytes = Buffer.byteLength(line)
      isFull = this.#bytes + bytes + lineBytes + END_BYTES > this.#maxBytes
      if (isFull) break
      text += line
      bytes += lineBytes
      this.#seq += "gap" in one ? one.gap : 1
      this.#events += "gap" in one ? 0 : 1
    }
    if (text !== "") await this.#append(text)
    if (isFull) await this.end("full", now())
    return !isFull
  }

  async end(why: "closed" | "full", at: number): Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    await this.#append(textOf({ seq: this.#seq, end: { at, why, events: this.#events } }))
    await this.#handle.close()
  }

  async #append(text: string): Promise<void> {
    await this.#handle.appendFile(text)
    this.#bytes += Buffer.byteLength(text)
  }
}

const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))
const failed = (message: string) => new RecordingFailed({ message })

/** Opens the file behind what is in it. A last line that a crash has cut gets its end, so that it stays a line. */
const openFile = async (file: string, maxBytes: number): Promise<RecordingFile> => {
  if (maxBytes < BYTES_MIN) throw failed(`A recording takes at least ${BYTES_MIN} bytes, and not ${maxBytes}`)
  const handle = await open(file, "a+", 0o600)
  try {
    const { size } = await handle.stat()
    if (size === 0) return new RecordingFile(handle, 0, maxBytes)
    const first = await handle.read({ buffer: Buffer.alloc(BEGINNING.length), position: 0 })
    if (first.buffer.toString("utf8") !== BEGINNING)
      throw failed(`${file} is there already and is no recording: name another file`)
    if (size + BYTES_MIN > maxBytes)
      throw failed(`${file} has ${size} of ${maxBytes} bytes: move it away, or allow more`)
    const last = await handle.read({ buffer: Buffer.alloc(1), position: size - 1 })
    const isCut = last.buffer.toString("utf8") !== "\n"
    if (isCut) await handle.appendFile("\n")
    return new RecordingFile(handle, size + (isCut ? 1 : 0), maxBytes)
  } catch (cause) {
    await handle.close()
    throw cause
  }
}

const listenTo = (inspection: Inspection, backlog: Backlog, content: boolean): (() => void) =>
  inspection.listen({
    wantsContent: content,
    onArrival: (arrived) => backlog.put(() => ({ received: arrivalOf(arrived) })),
    onSignal: (signal) => backlog.put(() => ({ signal: recordOf(signal, content) })),
    onFact: (fact) => backlog.put(() => ({ actor: fact })),
    onDeadLetter: (letter) => backlog.put(() => ({ dead_letter: deadLetterOf(letter) }))
  })

/** Records until the scope closes, or the file is full. */
export const record = (
  options: RecordOptions,
  version: string
): Effect.Effect<void, RecordingFailed, ActorSystem | Scope.Scope> =>
  Effect.gen(function* () {
    const { inspection } = yield* ActorSystem
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const { file, maxBytes = MAX_BYTES, content = false } = options
    const written = yield* Effect.tryPromise({
      try: async () => {
        const opened = await openFile(file, maxBytes)
        await opened.begin({
          recording: {
            version: INSPECTION_VERSION,
            started_at: now(),
            bursar: version,
            content,
            max_bytes: maxBytes
          }
        })
        return opened
      },
      catch: (cause) =>
        cause instanceof RecordingFailed ? cause : failed(`${file} cannot be written: ${reasonOf(cause)}`)
    })
    const backlog = new Backlog()
    const stop = listenTo(inspection, backlog, content)
    /** Writes what waits; false where there is nothing more to be done. */
    const flush = Effect.tryPromise({
      try: () => written.write(backlog.take(), now),
      catch: (cause) => failed(`${file} cannot be written any more, and is not: ${reasonOf(cause)}`)
    }).pipe(
      Effect.tap((hasRoom) =>
        hasRoom
          ? Effect.void
          : Effect.logWarning(
              `${file} has its ${maxBytes} bytes: nothing more is recorded. Move it away and start again`
            )
      ),
      Effect.catch((error) => Effect.as(Effect.logError(error.message), false)),
      Effect.tap((goesOn) => (goesOn ? Effect.void : Effect.sync(stop))),
      Effect.uninterruptible
    )
    const rest: Effect.Effect<void> = Effect.suspend(() =>
      backlog.isEmpty ? Effect.void : Effect.flatMap(flush, (goesOn) => (goesOn ? rest : Effect.void))
    )
    yield* Effect.addFinalizer(() =>
      Effect.sync(stop).pipe(
        Effect.andThen(Effect.suspend(() => (written.isOpen ? rest : Effect.void))),
        Effect.andThen(Effect.ignore(Effect.tryPromise(() => written.end("closed", now()))))
      )
    )
    const loop: Effect.Effect<void> = Effect.andThen(backlog.untilSomething, flush).pipe(
      Effect.flatMap((goesOn) => (goesOn ? Effect.andThen(Effect.yieldNow, loop) : Effect.void))
    )
    yield* Effect.forkScoped(loop)
  })

export const recordingLayer = (
  options: RecordOptions | undefined,
  version: string
): Layer.Layer<never, RecordingFailed, ActorSystem> =>
  options === undefined ? Layer.empty : Layer.effectDiscard(record(options, version))
