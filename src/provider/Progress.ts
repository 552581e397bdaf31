/**
 * Tells what a call on its way has used so far.
 *
 * Owns: when it is told: with every state from the first `calling` on, and while an attempt runs at most once per
 * interval and only when something changed.
 * Does not decide: who looks (CallObserver).
 */
import { Effect } from "effect"
import type { ModelRef } from "../signal/Providers.ts"
import type { Counts } from "../signal/Usage.ts"
import type { CallObserver, Priced } from "./BudgetKeeper.ts"
import type { CallIdentity, CallMoney } from "./CallMoney.ts"

export interface ProgressFacts {
  readonly attempt: number
  readonly target: ModelRef
  readonly counts: Counts
}

export class Progress {
  readonly #observer: CallObserver
  readonly #call: CallIdentity
  readonly #now: () => number
  #priced: Priced | undefined
  /** The counts that `#priced` is the cost of. */
  #pricedCounts = ""

  constructor(observer: CallObserver, call: CallIdentity, now: () => number) {
    this.#observer = observer
    this.#call = call
    this.#now = now
  }

  /** From here on it is known in which currency costs are; before that, nothing is told. */
  begin(currency: string): void {
    this.#priced ??= { cost: 0n, currency }
  }

  /** What the attempts cost that are over. */
  settled(priced: Priced): void {
    this.#priced = priced
  }

  tell(state: string, { attempt, target, counts }: ProgressFacts): void {
    if (this.#priced === undefined) return
    const { prompt_tokens, completion_tokens } = counts
    this.#observer.progress(
      {
        request_id: this.#call.requestId,
        attempt,
        ...target,
        state,
        prompt_tokens,
        completion_tokens,
        ...this.#priced,
        ...this.#call.attribution,
        at: this.#now()
      },
      this.#call.principal.tenant
    )
  }

  /** Goes on until it is interrupted. */
  watch(
    intervalMs: number,
    money: CallMoney,
    state: string,
    facts: () => ProgressFacts
  ): Effect.Effect<never> {
    const look = Effect.gen({ self: this }, function* () {
      yield* Effect.sleep(intervalMs)
      const { target, counts } = facts()
      const shown = `${counts.prompt_tokens} ${counts.completion_tokens}`
      if (this.#pricedCounts === shown) return
      this.#pricedCounts = shown
      const priced = yield* Effect.option(money.price(target, counts))
      if (priced._tag === "Some") this.#priced = priced.value
      this.tell(state, facts())
    })
    return Effect.forever(look)
  }
}
