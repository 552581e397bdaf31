/**
 * The end of a runtime behind promises.
 *
 * Owns: that nothing new is taken once it was told to close, that what runs may end first, and that closing is done once.
 * Does not decide: in which order what is behind the doors ends (the layers).
 */
import { Unavailable } from "../signal/Errors.ts"
import { AT_LEAST_ZERO, type Known, refuseUnknown } from "../signal/KnownOptions.ts"

/** How long signals on their way may take; the runtime answers each sooner, whatever its store does. */
const SETTLE_MS = 10_000

export interface CloseOptions {
  /** How long calls to models may go on before they are cancelled; what they used is charged. Default: 0. */
  readonly graceMs?: number
}

const CLOSING: Known<CloseOptions> = { graceMs: AT_LEAST_ZERO }

interface Closing {
  /** Ends what has no end of its own. */
  readonly endReadings: () => Promise<unknown>
  /** Ends the doors, then what is behind them. */
  readonly end: () => Promise<void>
}

const atMost = async (promises: Iterable<Promise<unknown>>, timeoutMs: number): Promise<void> => {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  await Promise.race([Promise.allSettled(promises), timeout])
  clearTimeout(timer)
}

export class Life {
  readonly #signals = new Set<Promise<unknown>>()
  readonly #calls = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  get isClosing(): boolean {
    return this.#closing !== undefined
  }

  /** Throws when it was told to close. */
  check(): void {
    if (this.isClosing) {
      throw new Unavailable({ message: "This runtime was closed: start another", retry_after_ms: 0 })
    }
  }

  /** Something that closing waits for. Only calls to models take long, so only they are not waited for unasked. */
  track<A>(kind: "signal" | "call", work: Promise<A>): Promise<A> {
    const running = kind === "call" ? this.#calls : this.#signals
    running.add(work)
    const forget = (): void => void running.delete(work)
    work.then(forget, forget)
    return work
  }

  /** What it cannot make out refuses nothing but itself: then it is not closing. */
  async close(options: CloseOptions, closing: Closing): Promise<void> {
    refuseUnknown(options, CLOSING)
    return this.#close(options, closing)
  }

  #close({ graceMs = 0 }: CloseOptions, { endReadings, end }: Closing): Promise<void> {
    this.#closing ??= (async () => {
      // In a turn of its own: from here on `check` refuses.
      await Promise.resolve()
      if (graceMs > 0) await atMost(this.#calls, graceMs)
      await endReadings()
      await atMost(this.#signals, SETTLE_MS)
      await end()
    })()
    return this.#closing
  }
}
