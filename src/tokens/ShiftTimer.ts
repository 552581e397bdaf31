/**
 * The one timer of a shift.
 *
 * Owns: that one sleep at most is armed, for the earliest moment; that it ends at least once a minute, so that a clock
 * that jumped is noticed.
 * Does not decide: what is due then (Shift looks at the clock).
 */
import { Effect, Fiber } from "effect"
import type { Millis } from "../signal/Text.ts"
import type { ShiftEnvironment } from "./ShiftEnvironment.ts"

const SLEEP_MS_MAX = 60_000

export class ShiftTimer {
  readonly #fork: ShiftEnvironment["fork"]
  readonly #ring: () => void
  #armed: { readonly at: Millis; readonly fiber: Fiber.Fiber<void> } | undefined

  constructor(fork: ShiftEnvironment["fork"], ring: () => void) {
    this.#fork = fork
    this.#ring = ring
  }

  arm(next: Millis, now: Millis): void {
    const armed = this.#armed
    if (armed !== undefined && armed.at > now && armed.at <= Math.max(next, now + 1)) return
    if (armed !== undefined) this.#fork(Fiber.interrupt(armed.fiber))
    const at = Math.min(Math.max(next, now + 1), now + SLEEP_MS_MAX)
    const fiber = this.#fork(Effect.andThen(Effect.sleep(at - now), Effect.sync(this.#ring)))
    this.#armed = { at, fiber }
  }

  readonly disarm: Effect.Effect<void> = Effect.suspend(() =>
    this.#armed === undefined ? Effect.void : Fiber.interrupt(this.#armed.fiber)
  )
}
