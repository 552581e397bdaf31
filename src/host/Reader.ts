/**
 * A stream as an async iterator.
 *
 * Owns: that whatever ends the reading (the loop is left, `close`, an AbortSignal, the end, a failure) closes what is
 * read, once; and that it is open, and hears of everything, before anybody reads.
 * Does not decide: what the stream tells.
 */
import { Cause, type Context, Effect, Exit, Fiber, Pull, Scope, Stream } from "effect"

type Pulled<A> = Exit.Exit<ReadonlyArray<A>, unknown>

/** What is read in a loop. Leaving the loop closes it; there is one reader, so there is one loop. */
export interface Reading<A> extends AsyncIterable<A>, AsyncDisposable {
  /** Ends the reading. Idempotent. */
  readonly close: () => Promise<void>
}

const failureOf = (cause: Cause.Cause<unknown>): unknown => {
  const failed = cause.reasons.find(Cause.isFailReason)
  return failed === undefined ? Cause.squash(cause) : failed.error
}

class Reader<A> implements AsyncIterableIterator<A> {
  readonly #pull: Pull.Pull<ReadonlyArray<A>, unknown>
  readonly #scope: Scope.Closeable
  readonly #runFork: <B, E>(effect: Effect.Effect<B, E>) => Fiber.Fiber<B, E>
  readonly #signal: AbortSignal | undefined
  readonly #onClosed: () => void
  #waiting: Array<A> = []
  /** One after the other: an iterator may be asked again before it has answered. */
  #turn: Promise<unknown> = Promise.resolve()
  #fiber: Fiber.Fiber<ReadonlyArray<A>, unknown> | undefined
  #closing: Promise<void> | undefined
  #hasToldAbort = false

  constructor(
    pull: Pull.Pull<ReadonlyArray<A>, unknown>,
    scope: Scope.Closeable,
    runFork: <B, E>(effect: Effect.Effect<B, E>) => Fiber.Fiber<B, E>,
    signal: AbortSignal | undefined,
    onClosed: () => void
  ) {
    this.#pull = pull
    this.#scope = scope
    this.#runFork = runFork
    this.#signal = signal
    this.#onClosed = onClosed
    signal?.addEventListener("abort", this.#onAbort, { once: true })
  }

  readonly #onAbort = (): void => void this.close()

  next(): Promise<IteratorResult<A>> {
    const answer = this.#turn.then(() => this.#next())
    this.#turn = answer.catch(() => undefined)
    return answer
  }

  async return(): Promise<IteratorResult<A>> {
    await this.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  readonly close = (): Promise<void> => {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#signal?.removeEventListener("abort", this.#onAbort)
    const ended = this.#fiber === undefined ? Effect.void : Fiber.interrupt(this.#fiber)
    const closed = this.#runFork(Effect.andThen(ended, Scope.close(this.#scope, Exit.void)))
    await Effect.runPromise(Fiber.join(closed))
    this.#onClosed()
  }

  async #next(): Promise<IteratorResult<A>> {
    while (this.#closing === undefined) {
      const [value, ...rest] = this.#waiting
      if (this.#waiting.length > 0) {
        this.#waiting = rest
        return { done: false, value: value as A }
      }
      const exit = await this.#pullMore()
      if (Exit.isSuccess(exit)) this.#waiting = [...exit.value]
      else await this.#endOf(exit.cause)
    }
    await this.#closing
    if (this.#signal?.aborted === true && !this.#hasToldAbort) {
      this.#hasToldAbort = true
      throw this.#signal.reason
    }
    return { done: true, value: undefined }
  }

  async #pullMore(): Promise<Pulled<A>> {
    const fiber = this.#runFork(this.#pull)
    this.#fiber = fiber
    const exit = await Effect.runPromise(Fiber.await(fiber))
    this.#fiber = undefined
    return exit
  }

  /** Closes; throws what it failed with, unless it came to its end or was closed meanwhile. */
  async #endOf(cause: Cause.Cause<unknown>): Promise<void> {
    const wasClosed = this.#closing !== undefined
    await this.close()
    if (!wasClosed && !Pull.isDoneCause(cause)) throw failureOf(cause)
  }
}

interface Opening<A, Extra, R> {
  readonly services: Context.Context<R>
  readonly signal: AbortSignal | undefined
  /** Opens what is read. What it holds is closed by closing its events. */
  readonly open: Effect.Effect<{ readonly events: Stream.Stream<A, unknown, R> } & Extra, unknown, R>
  /** Called once, when nothing is read any more. */
  readonly onClosed: (reading: Reading<A>) => void
}

/** Opens a stream for reading. Rejects with what opening it failed with. */
export const openReading = async <A, Extra extends object, R>({
  services,
  signal,
  open,
  onClosed
}: Opening<A, Extra, R>): Promise<{ readonly reading: Reading<A>; readonly opened: Extra }> => {
  signal?.throwIfAborted()
  const scope = Scope.makeUnsafe()
  const pulling = Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(open), (opened) =>
      Effect.map(Scope.provide(Stream.toPull(opened.events), scope), (pull) => ({ pull, opened }))
    )
  ).pipe(Effect.onError(() => Scope.close(scope, Exit.void)))
  const exit = await Effect.runPromiseExitWith(services)(pulling, signal === undefined ? {} : { signal })
  if (Exit.isFailure(exit)) {
    signal?.throwIfAborted()
    throw failureOf(exit.cause)
  }
  const { pull, opened } = exit.value
  const reader = new Reader<A>(
    Effect.provideContext(pull, services),
    scope,
    Effect.runForkWith(services) as <B, E>(effect: Effect.Effect<B, E>) => Fiber.Fiber<B, E>,
    signal,
    () => onClosed(reading)
  )
  const reading: Reading<A> = {
    [Symbol.asyncIterator]: () => reader,
    [Symbol.asyncDispose]: reader.close,
    close: reader.close
  }
  if (signal?.aborted === true) {
    await reader.close()
    throw signal.reason
  }
  return { reading, opened }
}
