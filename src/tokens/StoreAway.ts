/**
 * What `on_store_down: "allow"` admits while the store cannot be reached.
 *
 * Owns: approval without a hold: what it says, how often it was given, and that it is told when the store is back.
 * Does not decide: that the store is away (Shift, TokenManager), or what usage that comes later costs (Posting): it is
 * charged like any usage without a hold.
 *
 * The policy is the one of the last configuration that was committed. A tenant that was never loaded in this process has
 * none that is known: it is denied.
 */
import { Effect, Metric, Result } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import type { Approval } from "../signal/Budgeting.ts"
import { ADMITTED_WITHOUT_HOLD } from "../signal/Budgeting.ts"
import type { SignalPayload } from "../signal/Catalogue.ts"
import type { ManagerConfig } from "../signal/Management.ts"
import { notAnonymised } from "../signal/Pseudonym.ts"
import type { Millis } from "../signal/Text.ts"
import { namesUser } from "./Anonymity.ts"
import { estimate, givenCost } from "./Estimate.ts"
import type { Ledger } from "./Ledger.ts"
import { attributionProblem } from "./RequiredAttribution.ts"

/** The store may be back in a moment: so long an ask waits for it before it is admitted. */
export const ADMITTED_AFTER_MS = 1_000

const admissions = Metric.counter("bursar_admitted_without_hold_total", {
  description: 'Calls that on_store_down: "allow" admitted without a hold while the store was away',
  incremental: true
})

/** `ledger` is the last one that was in memory: only its prices and defaults are looked at. */
const approvalWithoutHold = (
  ledger: Ledger,
  payload: SignalPayload<"check_budget">,
  now: Millis
): Approval => {
  // A cost in a currency that nobody said the rate of counts as none: nothing is held here for it anyway.
  const given = Result.getOrElse(givenCost(ledger, payload, now), () => undefined)
  const estimated = estimate(ledger, payload, given, now)
  return {
    allowed: true,
    estimated_tokens: estimated.tokens,
    estimated_cost: estimated.cost,
    currency: ledger.config.currency,
    budgets: [],
    warnings: [
      {
        id: "warning_store_away",
        kind: "anomaly",
        severity: "critical",
        message:
          'Admitted without a hold, because the store is away and on_store_down is "allow": no budget was asked',
        at: now,
        data: ADMITTED_WITHOUT_HOLD
      }
    ]
  }
}

export class StoreAway {
  #config: ManagerConfig | undefined
  #ledger: Ledger | undefined
  #untold = 0
  /** Since this TokenManager was started. */
  admitted = 0

  /** What the last commit or activation says. */
  learn(ledger: Ledger, config: ManagerConfig): void {
    this.#config = config
    this.#ledger = config.on_store_down === "allow" ? ledger : undefined
  }

  get lastKnownConfig(): ManagerConfig | undefined {
    return this.#config
  }

  /** Whether calls were admitted that were not told of yet. */
  get hasAdmitted(): boolean {
    return this.#untold > 0
  }

  /**
   * Admits a call without a hold, where the policy says so; whether it was answered. What can be refused without the
   * store is: who it must be for is known.
   */
  admit(envelope: Envelope, now: Millis): boolean {
    if (envelope.name !== "check_budget" || this.#ledger === undefined) return false
    if (this.#config?.anonymize_users === true && namesUser(envelope)) {
      envelope.fail(notAnonymised())
      return true
    }
    const problem = attributionProblem(this.#ledger, envelope.payload)
    if (problem !== undefined) {
      envelope.fail(problem)
      return true
    }
    this.admitted += 1
    this.#untold += 1
    envelope.succeed(approvalWithoutHold(this.#ledger, envelope.payload, now))
    return true
  }

  /** Says what was admitted since it was asked last, as an alert too: the store is back. */
  tellAdmissions(tenant: string, raise: Ledger["raiseAlert"], now: Millis): Effect.Effect<void> | undefined {
    const count = this.#untold
    if (count === 0) return undefined
    this.#untold = 0
    const message = `${count} call(s) were admitted without a hold while the store was away; what they report is charged`
    raise({ kind: "anomaly", severity: "critical", message, at: now, data: { admitted_without_hold: count } })
    return Effect.andThen(
      Effect.logError(message).pipe(Effect.annotateLogs({ tenant })),
      Metric.update(admissions, count)
    )
  }
}
