/**
 * The text of one call on its way to its readers.
 *
 * Owns: that every reader gets all of it from the beginning, without gaps, and that whoever writes waits for the
 * slowest reader: the reader sets the pace. A reader that takes nothing for too long counts as gone.
 * Does not decide: what happens to a call whose readers are gone.
 */
import { Cause, Effect, Option, type Pull } from "effect"

export interface TextReader {
  /** The next pieces; waits for them, and is done after the last. */
  readonly pull: Pull.Pull<readonly [string, ...Array<string>]>
  /** Characters that were taken. */
  readonly taken: number
  /** It took nothing for too long. */
  readonly isLost: boolean
  readonly close: () => void
}

interface ReaderState {
  offset: number
  taken: number
  isLost: boolean
  wake: (() => void) | undefined
  readonly onLost: () => void
}

export interface TextLogOptions {
  /** Pieces by which a reader may lag before the writer waits. */
  readonly windowPieces: number
  readonly stallMs: number
}

export class TextLog {
  readonly #options: TextLogOptions
  readonly #pieces: Array<string> = []
  readonly #readers = new Set<ReaderState>()
  #wakeWriter: (() => void) | undefined
  #isEnded = false
  #hasBeenRead = false

  constructor(options: TextLogOptions) {
    this.#options = options
  }

  /** Forgets the text, so that another attempt can begin anew. False when some of it is in a reader's hands. */
  takeBack(): boolean {
    if (this.#hasBeenRead) return false
    this.#pieces.length = 0
    return true
  }

  /** Adds a piece, and waits while the slowest reader lags too far behind. */
  push(piece: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (piece !== "") this.#pieces.push(piece)
      this.#wakeReaders()
      return this.#isLagging ? this.#waitForReaders : Effect.void
    })
  }

  /** No more text comes. */
  end(): void {
    this.#isEnded = true
    this.#wakeReaders()
  }

  /** A new reader, from the beginning. `onLost` is called when it took nothing for too long. */
  open(onLost: () => void): TextReader {
    const state: ReaderState = { offset: 0, taken: 0, isLost: false, wake: undefined, onLost }
    this.#readers.add(state)
    return {
      pull: this.#pull(state),
      get taken() {
        return state.taken
      },
      get isLost() {
        return state.isLost
      },
      close: () => this.#remove(state)
    }
  }

  get #isLagging(): boolean {
    return this.#laggards().length > 0
  }

  #laggards(): ReadonlyArray<ReaderState> {
    const bound = this.#pieces.length - this.#options.windowPieces
    return Array.from(this.#readers).filter(({ offset }) => offset < bound)
  }

  #pull(state: ReaderState): TextReader["pull"] {
    return Effect.suspend(
      () => this.#take(state) ?? Effect.flatMap(this.#wait(state), () => this.#pull(state))
    )
  }

  #take(state: ReaderState): TextReader["pull"] | undefined {
    const [first, ...rest] = this.#pieces.slice(state.offset)
    if (first === undefined || state.isLost) return this.#isEnded || state.isLost ? Cause.done() : undefined
    state.offset = this.#pieces.length
    this.#hasBeenRead = true
    for (const piece of [first, ...rest]) state.taken += piece.length
    this.#wakeWriterIfAllowed()
    return Effect.succeed([first, ...rest])
  }

  #wait(state: ReaderState): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (state.offset < this.#pieces.length || this.#isEnded || state.isLost) {
        resume(Effect.void)
        return
      }
      state.wake = () => resume(Effect.void)
      return Effect.sync(() => {
        state.wake = undefined
      })
    })
  }

  get #waitForReaders(): Effect.Effect<void> {
    const caughtUp = Effect.callback<void>((resume) => {
      if (!this.#isLagging) {
        resume(Effect.void)
        return
      }
      this.#wakeWriter = () => resume(Effect.void)
      return Effect.sync(() => {
        this.#wakeWriter = undefined
      })
    })
    return Effect.map(Effect.timeoutOption(caughtUp, this.#options.stallMs), (outcome) => {
      if (Option.isSome(outcome)) return
      for (const state of this.#laggards()) {
        state.isLost = true
        this.#remove(state)
        state.onLost()
      }
    })
  }

  #remove(state: ReaderState): void {
    this.#readers.delete(state)
    const { wake } = state
    state.wake = undefined
    wake?.()
    this.#wakeWriterIfAllowed()
  }

  #wakeReaders(): void {
    for (const state of this.#readers) {
      const { wake } = state
      state.wake = undefined
      wake?.()
    }
  }

  #wakeWriterIfAllowed(): void {
    if (this.#wakeWriter === undefined || this.#isLagging) return
    const wake = this.#wakeWriter
    this.#wakeWriter = undefined
    wake()
  }
}
