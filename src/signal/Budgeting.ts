/** The signals that make budgets and ask them for room (signals.md, section 4). */
import { Schema } from "effect"
import { attributionFields } from "./Attribution.ts"
import {
  Alert,
  AlertThresholds,
  Budget,
  BudgetStanding,
  BudgetStatus,
  BudgetType,
  DEFAULT_OVERRIDE_POLICY,
  Enforcement,
  Measure,
  OverridePolicyTerms,
  Period,
  Rollover,
  Weekday
} from "./Budget.ts"
import { Currency, CurrencyInForce } from "./Currency.ts"
import { Violation } from "./Errors.ts"
import { Decimal, NonNegativeDecimal } from "./Money.ts"
import { command, query } from "./Signal.ts"
import { Count, HoldId, Id, Name, optional, PositiveCount, Sentence, Timestamp, withDefault } from "./Text.ts"
import { TimeZoneOrUtc } from "./TimeZone.ts"

export const CreateBudget = command("create_budget", {
  family: "budgets",
  roles: ["budget_admin"],
  description: "Sets a limit on what something may spend in a period.",
  fails: ["RateUnknown"],
  payload: {
    /** For people. */
    name: Name,
    /**
     * Which field of attribution it matches: `user` matches `user_id`, `team` matches `team_id`. `global` matches
     * everything.
     */
    type: BudgetType,
    /**
     * The value that it matches; required unless the type is `global`. `*`: a default, with a standing of its own
     * for everyone who has no budget of that type and period.
     */
    entity_id: optional(Id),
    /**
     * How long a limit holds before it begins anew. What was spent and is held in the current period before counts
     * from the start.
     */
    period: Period,
    /**
     * Of one period: money in `currency`, or a whole number of tokens or requests. Exactly the limit may be spent.
     */
    limit: NonNegativeDecimal,
    /** What is counted: money, tokens, or calls. */
    measure: withDefault(Measure, "cost"),
    /** Of the limit; default: the tenant's. Another one needs an exchange rate. */
    currency: optional(CurrencyInForce),
    /** Whose midnights, weeks and months bound the periods: a name of the IANA database. */
    time_zone: TimeZoneOrUtc,
    /** The first day of a `weekly` period. */
    week_starts_on: withDefault(Weekday, "monday"),
    /** Percentages at which an alert is sent, each once per period. */
    alert_thresholds: withDefault(AlertThresholds, [50, 80, 90]),
    /** `hard` refuses what has no room; `soft` only warns. */
    enforcement: withDefault(Enforcement, "hard"),
    /** What is left at the end of a period and is carried into the next; default: nothing. */
    rollover: optional(Rollover),
    /** Who may approve more in a period, and how much. What is not named is as in the default. */
    override_policy: withDefault(OverridePolicyTerms, DEFAULT_OVERRIDE_POLICY),
    /** An inactive budget refuses nothing and goes on counting. */
    active: withDefault(Schema.Boolean, true)
  },
  success: Schema.Struct({
    /** For `update_budget`, `get_budget_status` and `request_override`. */
    budget_id: Id,
    /** As it stands, with what was spent before. */
    budget: Budget
  })
})

export const UpdateBudget = command("update_budget", {
  family: "budgets",
  roles: ["budget_admin"],
  description: "Changes a budget. Lowering a limit revokes no hold; an inactive budget goes on counting.",
  fails: ["NotFound"],
  payload: {
    /** The budget, or the default whose standings all change with it. */
    budget_id: Id,
    /** What changes; what is not named stays. */
    updates: Schema.Struct({
      /** For people. */
      name: optional(Name),
      /** Of this period too. Lowering it revokes no hold; `remaining` may become negative. */
      limit: optional(NonNegativeDecimal),
      /** An inactive budget refuses nothing and goes on counting. */
      active: optional(Schema.Boolean),
      /** All of them. One that was sent in this period is not sent again. */
      alert_thresholds: optional(AlertThresholds),
      /** `hard` refuses what has no room; `soft` only warns. */
      enforcement: optional(Enforcement),
      /** `null`: what is left is not carried over any more. */
      rollover: optional(Schema.NullOr(Rollover)),
      /** What is not named stays as it is. */
      override_policy: optional(OverridePolicyTerms)
    }),
    /** Where the budget is at another version by now, nothing changes: a `Conflict` with `version_changed`. */
    expected_version: optional(PositiveCount)
  },
  success: Schema.Struct({
    /** As it stands now. */
    budget: Budget
  })
})

export const GetBudgetStatus = query("get_budget_status", {
  family: "budgets",
  roles: ["app", "analyst", "budget_admin"],
  description: "Says where budgets stand: spent, held, remaining, and when they run out at this rate.",
  fails: ["NotFound"],
  payload: {
    /** Only this one. */
    budget_id: optional(Id),
    /** Only of this type. */
    type: optional(BudgetType),
    /** Only of this entity: also where it stands in a default. */
    entity_id: optional(Id),
    /** Whether inactive budgets are listed too. */
    include_inactive: withDefault(Schema.Boolean, false)
  },
  success: Schema.Struct({
    /** Those that the key may see; of a default, its definition and, where `entity_id` says whose, the standing. */
    budgets: Schema.Array(BudgetStatus)
  })
})

export const HOLD_TTL_MS_MAX = 86_400_000
const holdTtl = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: HOLD_TTL_MS_MAX }))

/** What a call is expected to use. */
export const estimateFields = {
  /** Input that is expected. Absent: what `estimated_tokens` leaves, or 0. */
  estimated_prompt_tokens: optional(Count),
  /** The most output. Absent: what `estimated_tokens` leaves, or the tenant's `default_completion_tokens`. */
  max_completion_tokens: optional(Count),
  /** Input and output together, where they are not known apart: the dearer way to split them is held. */
  estimated_tokens: optional(Count),
  /** What it may cost, in `currency`; used in place of the model's price, and needed where it has none. */
  estimated_cost: optional(NonNegativeDecimal),
  /** Of `estimated_cost`; default: the tenant's. */
  currency: optional(CurrencyInForce)
}

const approved = Schema.Struct({
  /** The call may be made. */
  allowed: Schema.Literal(true),
  /**
   * For `track_usage`, `extend_hold` and `release_hold`. Absent with `hold: false`, and where the store is away and
   * `on_store_down` is `allow`.
   */
  hold_id: optional(HoldId),
  /** When the hold ends by itself, and its money goes back. */
  expires_at: optional(Timestamp),
  /** What is held, where tokens are counted. */
  estimated_tokens: Count,
  /** What is held, where money is counted, in `currency`; zero where no price is known and no budget needs one. */
  estimated_cost: Decimal,
  /** The tenant's. */
  currency: Currency,
  /** Every active budget that applies, as it stands with this hold. */
  budgets: Schema.Array(BudgetStanding),
  /** Soft budgets that would have refused, and calls that were admitted without a hold. */
  warnings: Schema.Array(Alert)
})

/**
 * Why a call is refused. `no_room`: budgets have none. `unknown_price`: its model has no price, and a hard budget limits
 * cost. `no_standing`: as many entities stand in default budgets as memory takes, and this one is new to a hard one.
 */
export const RefusalKind = Schema.Literals(["no_room", "unknown_price", "no_standing"])
export type RefusalKind = typeof RefusalKind.Type

/** A model that would have room. */
export const Alternative = Schema.Struct({
  /** To ask for in place of the refused one. */
  provider: Id,
  /** To ask for in place of the refused one. */
  model: Id,
  /** What the same estimate costs there. */
  estimated_cost: Decimal
})

const refused = Schema.Struct({
  /** The call must not be made; nothing is held. */
  allowed: Schema.Literal(false),
  /** What kind of reason it is. */
  kind: RefusalKind,
  /** A sentence for people, with the first budget that has no room. */
  reason: Sentence,
  /** What was asked for. */
  estimated_tokens: Count,
  /** What was asked for, in `currency`. */
  estimated_cost: Decimal,
  /** The tenant's. */
  currency: Currency,
  /** Every hard budget that has no room. */
  violations: Schema.Array(Violation),
  /** When all of them can have room: in some seconds where it is only held by calls on their way, else when they have begun anew; null where waiting does not help. */
  retry_at: Schema.NullOr(Timestamp),
  /** Up to three cheaper models for which there is room, of the same provider first; amounts in `currency`. */
  alternatives: Schema.Array(Alternative)
})

/** Approval of a call, with its hold; or the refusal, with every budget that has no room. */
export const Approval = Schema.Union([approved, refused]).annotate({ identifier: "Approval" })
export type Approval = typeof Approval.Type
export type Refused = Extract<Approval, { readonly allowed: false }>

/** The data of the warning of an approval that `on_store_down: "allow"` gave without a hold. */
export const ADMITTED_WITHOUT_HOLD = { admitted_without_hold: true } as const

/** Whether a call may be made by this approval: it has a hold, or says that it was admitted without one by policy. */
export const admitsCall = (approval: Extract<Approval, { readonly allowed: true }>): boolean =>
  approval.hold_id !== undefined || approval.warnings.some(({ data }) => data.admitted_without_hold === true)

export const CheckBudget = command("check_budget", {
  family: "budgets",
  roles: ["app"],
  description:
    "Asks for approval before a call, and holds the money it may cost in every budget that applies.",
  fails: ["RateUnknown"],
  payload: {
    /**
     * The call. While its hold is open, the same question again answers the same hold; after `track_usage` it is a
     * `Conflict`; refused, released or expired, it is decided anew.
     */
    request_id: Id,
    /** As the price book names it; matches budgets of the type `provider`. */
    provider: optional(Id),
    /** As the price book names it; matches budgets of the type `model`. With `provider` it prices the estimate. */
    model: optional(Id),
    /** The provider's tier, where its price has a factor for it. */
    service_tier: optional(Id),
    ...estimateFields,
    ...attributionFields,
    /** `false` only looks: nothing is held, and somebody else may take the room. */
    hold: withDefault(Schema.Boolean, true),
    /** How long the money is held. After that it goes back by itself; a report still counts. At most 24 hours. */
    hold_ttl_ms: withDefault(holdTtl, 600_000)
  },
  success: Approval
})

export const ExtendHold = command("extend_hold", {
  family: "budgets",
  roles: ["app"],
  description: "Asks for more room, or more time, for an open hold.",
  fails: ["NotFound"],
  payload: {
    /** An open hold, of the same key. */
    hold_id: HoldId,
    /** How much more to hold, in the budgets and the period of the hold. Absent: only more time. */
    by: optional(
      Schema.Struct({
        /** More tokens; without `cost` they are priced as output of the hold's model. */
        tokens: optional(Count),
        /** More money, in the tenant's currency. */
        cost: optional(NonNegativeDecimal)
      })
    ),
    /** From now on; never ends the hold earlier than before. */
    ttl_ms: optional(holdTtl)
  },
  success: Approval
})

export const ReleaseHold = command("release_hold", {
  family: "budgets",
  roles: ["app"],
  description: "Gives back what was held for a call that will not be made.",
  fails: ["NotFound"],
  payload: {
    /** A hold of the same key. One that has ended is released all the same; one that was posted is a `Conflict`. */
    hold_id: HoldId,
    /** Why, for whoever reads the signals. */
    reason: optional(Sentence)
  },
  success: Schema.Struct({
    /** Nothing is held any more. */
    released: Schema.Literal(true)
  })
})
