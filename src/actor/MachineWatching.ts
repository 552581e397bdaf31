/**
 * Watching a durable machine that lives on another node.
 *
 * Owns: that its end is told once, wherever it has moved meanwhile, and that a machine that only moves has not ended.
 * Does not decide: when a machine has ended (Lives), or where it lives (MachinePlaces).
 *
 * Who watches asks again and again, and is answered when the machine ends, or after some seconds: so nothing has to be
 * remembered of anybody, and a node that leaves has nobody to tell.
 */
import { Deferred, Effect, type Schema } from "effect"
import type { SignalError, Unavailable } from "../signal/Errors.ts"
import { installationPrincipal } from "../signal/Principal.ts"
import type { Address } from "./Address.ts"
import { elsewhere, type MachinePlaces } from "./MachinePlaces.ts"
import type { Ended, Watcher } from "./Watching.ts"

/** Less than an ask to another node may take. */
const ANSWERED_WITHIN = "10 seconds"
const AGAIN_AFTER = "1 second"

type Ask = NonNullable<MachinePlaces["ask"]>
type WatchHere = (address: Address, watcher: Watcher) => () => void

/** On the node that asks: until its end is known, or until it lives here (`undefined`). */
export const watchElsewhere = (
  address: Address,
  askFor: () => Ask | undefined
): Effect.Effect<Ended | undefined> =>
  Effect.gen(function* () {
    for (;;) {
      const ask = askFor()
      if (ask === undefined) return undefined
      const asked = { address: address.text, what: "watch", signal: "", params: {} } as const
      const answer = yield* Effect.result(ask(asked, installationPrincipal(address.tenant)))
      if (answer._tag === "Failure") yield* Effect.sleep(AGAIN_AFTER)
      else if (answer.success !== null)
        return { address: address.text, ...(answer.success as unknown as Omit<Ended, "address">) }
    }
  })

/** On the node where it lives. */
export class WatchedMachines {
  readonly #watchHere: WatchHere
  readonly #asked = new Set<{
    readonly address: Address
    readonly moved: Deferred.Deferred<never, Unavailable>
  }>()

  constructor(watchHere: WatchHere) {
    this.#watchHere = watchHere
  }

  /** How it has ended; `null`: not yet. */
  ended(address: Address): Effect.Effect<Schema.Json, SignalError> {
    return Effect.suspend(() => {
      const one = { address, moved: Deferred.makeUnsafe<never, Unavailable>() }
      this.#asked.add(one)
      const ended = Effect.callback<Schema.Json>((resume) => {
        const leave = this.#watchHere(address, ({ reason, detail }) =>
          resume(Effect.succeed({ reason, detail }))
        )
        return Effect.sync(leave)
      })
      const inTime = Effect.timeoutOrElse(ended, {
        duration: ANSWERED_WITHIN,
        orElse: () => Effect.succeed(null)
      })
      return Effect.ensuring(
        Effect.raceFirst(inTime, Deferred.await(one.moved)),
        Effect.sync(() => this.#asked.delete(one))
      )
    })
  }

  /** These move: whoever asks looks for them where they go. */
  release(isGone: (address: Address) => boolean): void {
    for (const { address, moved } of this.#asked)
      if (isGone(address)) Deferred.doneUnsafe(moved, Effect.fail(elsewhere(address.text)))
  }
}
