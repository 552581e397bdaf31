/**
 * Brings dead letters into the store.
 *
 * Owns: what of a payload may be kept; a bounded queue between whoever loses a signal and the store; and counting what the
 * queue could not take.
 * Does not decide: how many are kept (DeadLetterStore), or when one is sent again.
 *
 * Text of prompts and secrets is never kept: such a letter is listed, and cannot be sent again.
 */
import { Effect, Latch, Schema, Semaphore } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import { traitsOf } from "../signal/Signal.ts"
import type { DeadLetterStore, NewLetter } from "./DeadLetterStore.ts"
import type { WholeLetter } from "./DeadLetters.ts"

/** Letters that wait for the store at once; more are counted as lost. */
const WAITING_MAX = 1_000
const AT_ONCE = 100
const PAUSE_MS = 1_000
const FLUSH_MS = 5_000
/** Of a payload as JSON. A larger one is not kept. */
const PARAMS_MAX = 65_536

/** Prompt text and secrets. What else is not shown, such as `metadata`, stands in usage rows as well. */
const NOT_KEPT: ReadonlySet<string> = new Set([
  "messages",
  "system",
  "tools",
  "content",
  "tool_calls",
  "secret",
  "alert_channels"
])

const holds = (value: unknown, names: ReadonlySet<string>): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (Array.isArray(value)) return value.some((item) => holds(item, names))
  return Object.entries(value).some(([name, inner]) => names.has(name) || holds(inner, names))
}

const textOf = (definition: AnySignal, wire: unknown): string | null => {
  const { sensitive } = traitsOf(definition)
  if (holds(wire, sensitive.length === 0 ? NOT_KEPT : new Set([...NOT_KEPT, ...sensitive]))) return null
  const text = JSON.stringify(wire)
  return text.length > PARAMS_MAX ? null : text
}

/** A payload as it is on the wire, as far as it may be kept. */
export const paramsOf = (definition: AnySignal | undefined, payload: unknown): string | null => {
  if (definition === undefined) return null
  try {
    const schema = definition.payloadSchema as Schema.Codec<unknown, unknown>
    return textOf(definition, Schema.encodeUnknownSync(schema)(payload))
  } catch {
    return null
  }
}

/** The same of what came over a wire. */
export const paramsOnWire = (definition: AnySignal | undefined, params: unknown): string | null =>
  definition === undefined ? null : textOf(definition, params ?? {})

interface Waiting {
  letters: Array<NewLetter>
  lost: number
}

const kept = ({ address, signal, principal, at, why, payload, whole }: WholeLetter): NewLetter => ({
  address,
  signal,
  principal,
  at,
  why,
  preview: payload,
  params: whole?.() ?? null
})

export class LetterKeeper {
  readonly #store: DeadLetterStore
  readonly #waiting = new Map<string, Waiting>()
  readonly #arrived = Latch.makeUnsafe(false)
  /** A letter that is being written still waits: two who write at once would write it twice. */
  readonly #writing = Semaphore.makeUnsafe(1)
  #count = 0

  constructor(store: DeadLetterStore) {
    this.#store = store
  }

  /** The payload is written down now: nobody may change it until then. */
  readonly keep = (letter: WholeLetter): void => {
    const { tenant } = letter.principal
    let waiting = this.#waiting.get(tenant)
    if (waiting === undefined) {
      waiting = { letters: [], lost: 0 }
      this.#waiting.set(tenant, waiting)
    }
    if (this.#count >= WAITING_MAX) waiting.lost += 1
    else {
      this.#count += 1
      waiting.letters.push(kept(letter))
    }
    this.#arrived.openUnsafe()
  }

  /** Writes what waits, for ever; while the store is away it waits. */
  get running(): Effect.Effect<never> {
    const turn = Effect.andThen(this.#arrived.await, this.#writeAll())
    return Effect.forever(Effect.catch(turn, () => Effect.sleep(PAUSE_MS)))
  }

  /** Writes all that waits before everything ends; what the store does not take in time is lost, and said to be. */
  get flushed(): Effect.Effect<void> {
    const all: Effect.Effect<void, Unavailable> = Effect.suspend(() =>
      this.#waiting.size === 0 ? Effect.void : Effect.andThen(this.#writeAll(), all)
    )
    const lost = Effect.suspend(() => Effect.logWarning(`${this.#count} dead letter(s) could not be kept`))
    return Effect.timeoutOption(all, FLUSH_MS).pipe(
      Effect.ignore,
      Effect.andThen(Effect.suspend(() => (this.#waiting.size === 0 ? Effect.void : lost)))
    )
  }

  #writeAll(): Effect.Effect<void, Unavailable> {
    const self = this
    const written = Effect.gen(function* () {
      for (const [tenant, waiting] of self.#waiting) {
        const letters = waiting.letters.slice(0, AT_ONCE)
        const { lost } = waiting
        yield* self.#store.add(tenant, letters, lost)
        waiting.letters.splice(0, letters.length)
        waiting.lost -= lost
        self.#count -= letters.length
        if (waiting.letters.length === 0 && waiting.lost === 0) self.#waiting.delete(tenant)
      }
      if (self.#waiting.size === 0) self.#arrived.closeUnsafe()
    })
    return this.#writing.withPermit(written)
  }
}
