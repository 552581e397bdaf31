/**
 * What calls on their way cost so far, for showing.
 *
 * Owns: asking a tenant's price book once in a while, instead of at every glance.
 * Does not decide: what is charged; that is priced when it is recorded.
 */
import { Clock, Effect } from "effect"
import type { BudgetKeeper } from "../provider/BudgetKeeper.ts"
import { PriceUnknown } from "../signal/Errors.ts"
import { type Amount, convert, UNIT } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"
import type { Millis } from "../signal/Text.ts"
import { priceCounts } from "../tokens/Pricing.ts"
import type { TokenManagers } from "./TokenManagers.ts"

const FRESH_MS = 10_000
const KEPT_MAX = 1_000

interface Known {
  readonly price: Price | undefined
  /** From the price's currency into the tenant's. */
  readonly rate: Amount
  readonly currency: string
  readonly at: Millis
}

export const makeCostSoFar = (tokenManagers: TokenManagers): BudgetKeeper["price"] => {
  const known = new Map<string, Known>()
  return Effect.fnUntraced(function* (provider, model, counts, principal) {
    const key = `${principal.tenant}\n${provider}\n${model}`
    const now = yield* Clock.currentTimeMillis
    let found = known.get(key)
    if (found === undefined || found.at < now - FRESH_MS) {
      const { items } = yield* tokenManagers.ask("get_pricing", { provider, model }, principal)
      const [price] = items
      if (price === undefined) found = { price, rate: UNIT, currency: "", at: now }
      else {
        const nothing = { provider, model, prompt_tokens: 0, completion_tokens: 0 }
        const answer = yield* tokenManagers.ask("calculate_cost", nothing, principal)
        found = { price, rate: answer.exchange_rate, currency: answer.currency, at: now }
      }
      if (known.size >= KEPT_MAX) known.clear()
      known.set(key, found)
    }
    if (found.price === undefined) {
      return yield* new PriceUnknown({
        provider,
        model,
        nearest: [],
        message: `${provider}/${model} has no price`
      })
    }
    return { cost: convert(priceCounts(found.price, counts).cost, found.rate), currency: found.currency }
  })
}
