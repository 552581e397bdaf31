/**
 * Answers that were given before they were committed, which `budget_check_mode: "async"` allows.
 *
 * Owns: which answers are ahead of the store, when each was decided, that queries wait for them, and counting those
 * that were lost: answered, and in the end not recorded as it was answered.
 * Does not decide: when an answer may go ahead (Shift), or what a signal is answered (Decide).
 *
 * A signal whose answer is ahead and whose batch could not be written is decided again, as of the moment when it was
 * decided first; so only what dies with the process, or what another owner has made impossible meanwhile, is lost.
 */
import { Effect, Metric, type Result } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import type { SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Millis } from "../signal/Text.ts"
import type { LedgerSignal } from "./Decide.ts"
import type { Ledger } from "./Ledger.ts"

type Answer = Result.Result<SignalSuccess<LedgerSignal>, SignalError>

/** What `async` answers from memory: calls ask and report by them. All other commands wait for their commit. */
const MONEY_SIGNALS: ReadonlySet<string> = new Set([
  "check_budget",
  "track_usage",
  "extend_hold",
  "release_hold"
])

export const mayGoAhead = (name: string): boolean => MONEY_SIGNALS.has(name)

const lostAnswers = Metric.counter("bursar_async_answers_lost_total", {
  description: "Answers that async mode gave and that were in the end not recorded as they were given",
  incremental: true
})

/** Whether the answer stands for something that the store must have. A refusal and an error do not. */
const isKept = (answer: Answer): boolean =>
  answer._tag === "Success" && !("allowed" in answer.success && !answer.success.allowed)

interface Waiting {
  readonly upTo: number
  readonly resume: () => void
}

export class AheadAnswers {
  /** Answered and not committed yet, the oldest first. */
  readonly #open = new Map<Envelope, { readonly order: number; readonly decidedAt: Millis }>()
  #answered = 0
  #untold = 0
  #waiting: Array<Waiting> = []
  /** Since this TokenManager was started. */
  lost = 0

  get size(): number {
    return this.#open.size
  }

  has(envelope: Envelope): boolean {
    return this.#open.has(envelope)
  }

  /** When a signal was decided whose answer is ahead: it is decided again as of then. */
  decidedAt(envelope: Envelope): Millis | undefined {
    return this.#open.size === 0 ? undefined : this.#open.get(envelope)?.decidedAt
  }

  /** Answers now. Whether the store must still hear of it: what changed nothing is done with. */
  answer(envelope: Envelope<LedgerSignal>, answer: Answer, now: Millis): boolean {
    if (this.#open.has(envelope)) return true
    const isOpen = isKept(answer)
    if (isOpen) {
      this.#answered += 1
      this.#open.set(envelope, { order: this.#answered, decidedAt: now })
    }
    if (answer._tag === "Success") envelope.succeed(answer.success as never)
    else envelope.fail(answer.failure)
    return isOpen
  }

  /** What was answered is committed, as `answer`: usually the same. */
  settle(envelope: Envelope, answer: Answer): void {
    if (!this.#open.has(envelope)) return
    if (isKept(answer)) this.#close(envelope)
    else this.lose(envelope)
  }

  /** What was answered will never be recorded. */
  lose(envelope: Envelope): void {
    if (!this.#open.has(envelope)) return
    this.lost += 1
    this.#untold += 1
    this.#close(envelope)
  }

  loseAll(): void {
    for (const envelope of [...this.#open.keys()]) this.lose(envelope)
  }

  #close(envelope: Envelope): void {
    this.#open.delete(envelope)
    if (this.#waiting.length === 0) return
    const [oldest] = this.#open.values()
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) {
      if (oldest === undefined || oldest.order > one.upTo) one.resume()
      else this.#waiting.push(one)
    }
  }

  /** Waits until everything that has been answered by now is committed or lost; `undefined` where it is already. */
  get caughtUp(): Effect.Effect<void> | undefined {
    if (this.#open.size === 0) return undefined
    const upTo = this.#answered
    return Effect.callback<void>((resume) => {
      const [oldest] = this.#open.values()
      if (oldest === undefined || oldest.order > upTo) {
        resume(Effect.void)
        return
      }
      const waiting = { upTo, resume: () => resume(Effect.void) }
      this.#waiting.push(waiting)
      return Effect.sync(() => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting)
      })
    })
  }

  /** Whether something was lost that was not told yet. */
  get hasLosses(): boolean {
    return this.#untold > 0
  }

  /** Says what was lost since it was asked last, loudly; as an alert too, where a ledger can raise one. */
  tellLosses(tenant: string, raise?: Ledger["raiseAlert"], now: Millis = 0): Effect.Effect<void> | undefined {
    const count = this.#untold
    if (count === 0) return undefined
    this.#untold = 0
    const message = `${count} answer(s) given in async mode were lost: holds or usage that clients were told of are not recorded`
    raise?.({ kind: "anomaly", severity: "critical", message, at: now, data: { lost_answers: count } })
    return Effect.andThen(
      Effect.logError(message).pipe(Effect.annotateLogs({ tenant })),
      Metric.update(lostAnswers, count)
    )
  }
}
