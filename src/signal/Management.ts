/** The signals that configure a tenant and say how it is (signals.md, section 7). */
import { Schema } from "effect"
import { AlertChannels, channelsProblem, ShownChannel } from "./AlertChannels.ts"
import { ATTRIBUTION_FIELDS, AttributionField } from "./Attribution.ts"
import { Currency, CurrencyInForce } from "./Currency.ts"
import { Decimal } from "./Money.ts"
import { RetentionDays } from "./Retention.ts"
import { command, query } from "./Signal.ts"
import { Count, optional, PositiveCount, Timestamp } from "./Text.ts"

/** Whether an answer waits for its commit. `async`: holds and usage are answered from memory and written behind. */
const BudgetCheckMode = Schema.Literals(["strict", "async"])
/** What check_budget answers while the store is away. `allow`: admitted without a hold, and with a warning. */
const StoreDownPolicy = Schema.Literals(["deny", "allow"])
const UnknownPricePolicy = Schema.Literals(["refuse_hold", "record_unpriced"])

/** How one tenant is run. */
export const ManagerConfig = Schema.Struct({
  /** In which everything is added up. */
  currency: Currency,
  /**
   * `strict`: an answer waits for its commit. `async`: holds and usage are answered from memory and written behind;
   * a crash can lose the last moment.
   */
  budget_check_mode: BudgetCheckMode,
  /**
   * What a hard cost budget says to a model without a price: `refuse_hold` refuses, `record_unpriced` lets it pass
   * as zero until it is priced.
   */
  unknown_price_policy: UnknownPricePolicy,
  /** Output that `check_budget` and `complete` expect where they are not told. */
  default_completion_tokens: Count,
  /** Fields without which no call is approved. */
  required_attribution: Schema.Array(AttributionField),
  /**
   * What `check_budget` answers while the store is away. `deny`: `Unavailable`. `allow`: admitted without a hold,
   * with a warning.
   */
  on_store_down: StoreDownPolicy,
  /** Where alerts go beside subscriptions. */
  alert_channels: Schema.Array(ShownChannel),
  /** How long a commit waits for more to write with it; 0: not at all. */
  commit_interval_ms: Count,
  /** Signals that may wait for this tenant; one more is `Overloaded`. */
  max_pending: PositiveCount,
  /** After how many days cleanup_old_data takes usage, where it is not told; it never runs by itself. */
  retention_days: RetentionDays,
  /** Whether users stand under random pseudonyms in all that is kept and told. */
  anonymize_users: Schema.Boolean
}).annotate({ identifier: "ManagerConfig" })
export type ManagerConfig = typeof ManagerConfig.Type

export const DEFAULT_MANAGER_CONFIG: ManagerConfig = {
  currency: "USD",
  budget_check_mode: "strict",
  unknown_price_policy: "refuse_hold",
  default_completion_tokens: 4096,
  required_attribution: [],
  on_store_down: "deny",
  alert_channels: [],
  commit_interval_ms: 0,
  max_pending: 10_000,
  retention_days: 90,
  anonymize_users: false
}

export const ConfigureManager = command("configure_manager", {
  family: "management",
  roles: [],
  description: "Changes how this tenant is run; only what is named changes.",
  fails: ["RateUnknown"],
  payload: {
    /**
     * What a hard cost budget says to a model without a price: `refuse_hold` refuses, `record_unpriced` lets it
     * pass as zero until it is priced.
     */
    unknown_price_policy: optional(UnknownPricePolicy),
    /** Output that `check_budget` and `complete` expect where they are not told. */
    default_completion_tokens: optional(PositiveCount.check(Schema.isLessThanOrEqualTo(10_000_000))),
    /**
     * `strict`: an answer waits for its commit. `async`: holds and usage are answered from memory and written
     * behind; a crash can lose the last moment.
     */
    budget_check_mode: optional(BudgetCheckMode),
    /**
     * What `check_budget` answers while the store is away. `deny`: `Unavailable`. `allow`: admitted without a hold,
     * with a warning.
     */
    on_store_down: optional(StoreDownPolicy),
    /**
     * Days after which `cleanup_old_data` takes usage, where it is not told. Weekly budgets and late reports still
     * need what is younger than 9.
     */
    retention_days: optional(RetentionDays),
    /** How long a commit waits for more to write with it; 0: not at all. */
    commit_interval_ms: optional(Count.check(Schema.isLessThanOrEqualTo(1000))),
    /** Signals that may wait for this tenant; one more is `Overloaded`. */
    max_pending: optional(PositiveCount.check(Schema.isLessThanOrEqualTo(1_000_000))),
    /** In which everything is added up. It can be set before the first record only. */
    currency: optional(CurrencyInForce),
    /** What a call must be attributed to. Usage that is reported without it is recorded all the same, and told of. */
    required_attribution: optional(
      Schema.Array(AttributionField).check(Schema.isMaxLength(ATTRIBUTION_FIELDS.length), Schema.isUnique())
    ),
    /**
     * All channels: one that is not named goes, with what waits for it. At most 8, with 16 URLs and addresses
     * together.
     */
    alert_channels: optional(AlertChannels),
    /** From then on users stand under random pseudonyms; this cannot be taken back. */
    anonymize_users: optional(Schema.Boolean)
  },
  rule: ({ alert_channels }: { readonly alert_channels?: typeof AlertChannels.Type }) =>
    channelsProblem(alert_channels ?? []),
  success: Schema.Struct({
    /** As it is now. */
    config: ManagerConfig
  })
})

export const GetStatus = query("get_status", {
  family: "management",
  roles: ["analyst", "operator"],
  description: "Says whether this tenant's TokenManager is healthy, and what it has counted so far.",
  payload: {},
  success: Schema.Struct({
    /** Whether signals are taken and committed. */
    healthy: Schema.Boolean,
    /** Whose figures these are. */
    tenant: Schema.String,
    /** Budgets that are active; a default counts once. */
    budgets_active: Count,
    /** Calls that hold money. */
    open_holds: Count,
    /** Signals that wait for this tenant. */
    mailbox_depth: Count,
    /** Batches on their way to the store. */
    pending_commits: Count,
    /** Reports that were recorded since the tenant began. */
    total_tracked: Count,
    /** Of all of them, adjustments included. */
    total_tokens: Count,
    /** Of all of them, in `currency`. */
    total_cost: Decimal,
    /** The tenant's. */
    currency: Currency,
    /** Since this process serves the tenant; null before the first. */
    last_commit_at: Schema.NullOr(Timestamp),
    /** Where everything is kept. */
    store: Schema.Struct({
      /** `embedded`: in the data directory. `server`: the Postgres of `DATABASE_URL`. */
      kind: Schema.Literals(["embedded", "server"]),
      /** Whether the store answered last time. */
      reachable: Schema.Boolean,
      /** What an acknowledged write survives, in words. */
      durability: Schema.String
    }),
    /** Since this process began to serve the tenant. */
    uptime_ms: Count,
    /** Of the program. */
    version: Schema.String,
    /** Alerts on their way to channels, and those that were given up; absent while the store is away. */
    alert_deliveries: optional(
      Schema.Struct({
        /** To be tried, or tried again. */
        pending: Count,
        /** Given up after eight tries. */
        dead_letters: Count
      })
    ),
    /**
     * What was answered by looser rules since the process began to serve this tenant; absent where `strict` and
     * `deny` were all there was.
     */
    relaxed: optional(
      Schema.Struct({
        /** Async answers that are not in the store yet. */
        unwritten: Count,
        /** Async answers that were lost. */
        lost: Count,
        /** Calls admitted while the store was away. */
        admitted_without_hold: Count
      })
    ),
    /** Where there are several nodes; absent without a cluster. */
    cluster: optional(
      Schema.Struct({
        /** The node that was asked. */
        node: Schema.String,
        /** The node that has this tenant. */
        owner: Schema.String,
        /** How many shards the node that was asked has. */
        shards: Count,
        /** How many shards there are. */
        shards_of_all: Count
      })
    ),
    /** How this tenant is run. */
    config: ManagerConfig
  })
})
