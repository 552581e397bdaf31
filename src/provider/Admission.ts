/**
 * The permission to call a provider.
 *
 * Owns: that it can only be made from an approval. An adapter takes nothing else, so a call that nobody approved
 * does not type-check.
 * Does not decide: whether there is room (the TokenManager).
 */

import { type Approval, admitsCall } from "../signal/Budgeting.ts"
import type { Amount } from "../signal/Money.ts"
import type { Millis } from "../signal/Text.ts"

export type Approved = Extract<Approval, { readonly allowed: true }>
export type Refused = Extract<Approval, { readonly allowed: false }>

export class Admission {
  readonly #approval: Approved

  private constructor(approval: Approved) {
    this.#approval = approval
  }

  /** Where an approval has neither a hold nor says that it was admitted without one, there is no admission. */
  static of(approval: Approved): Admission {
    if (!admitsCall(approval)) throw new Error("an approval without a hold admits no call")
    return new Admission(approval)
  }

  /** `undefined` only where `on_store_down` is "allow": then the call is admitted without a hold, by policy. */
  get holdId(): string | undefined {
    return this.#approval.hold_id
  }

  get expiresAt(): Millis | undefined {
    return this.#approval.expires_at
  }

  get estimatedTokens(): number {
    return this.#approval.estimated_tokens
  }

  get estimatedCost(): Amount {
    return this.#approval.estimated_cost
  }

  get currency(): string {
    return this.#approval.currency
  }
}
