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
  currency: Currency,
  budget_check_mode: BudgetCheckMode,
  unknown_price_policy: UnknownPricePolicy,
  default_completion_tokens: Count,
  required_attribution: Schema.Array(AttributionField),
  on_store_down: StoreDownPolicy,
  alert_channels: Schema.Array(ShownChannel),
  commit_interval_ms: Count,
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
  payload: {
    unknown_price_policy: optional(UnknownPricePolicy),
    default_completion_tokens: optional(PositiveCount.check(Schema.isLessThanOrEqualTo(10_000_000))),
    budget_check_mode: optional(BudgetCheckMode),
    on_store_down: optional(StoreDownPolicy),
    retention_days: optional(RetentionDays),
    commit_interval_ms: optional(Count.check(Schema.isLessThanOrEqualTo(1000))),
    max_pending: optional(PositiveCount.check(Schema.isLessThanOrEqualTo(1_000_000))),
    currency: optional(CurrencyInForce),
    /** What a call must be attributed to. Usage that is reported without it is recorded all the same, and told of. */
    required_attribution: optional(
      Schema.Array(AttributionField).check(Schema.isMaxLength(ATTRIBUTION_FIELDS.length), Schema.isUnique())
    ),
    alert_channels: optional(AlertChannels),
    anonymize_users: optional(
      Schema.Boolean.annotate({
        description: "from then on users stand under random pseudonyms; this cannot be taken back"
      })
    )
  },
  rule: ({ alert_channels }: { readonly alert_channels?: typeof AlertChannels.Type }) =>
    channelsProblem(alert_channels ?? []),
  success: Schema.Struct({ config: ManagerConfig })
})

export const GetStatus = query("get_status", {
  family: "management",
  roles: ["analyst", "operator"],
  description: "Says whether this tenant's TokenManager is healthy, and what it has counted so far.",
  payload: {},
  success: Schema.Struct({
    healthy: Schema.Boolean,
    tenant: Schema.String,
    budgets_active: Count,
    open_holds: Count,
    mailbox_depth: Count,
    pending_commits: Count,
    total_tracked: Count,
    total_tokens: Count,
    total_cost: Decimal,
    currency: Currency,
    last_commit_at: Schema.NullOr(Timestamp),
    store: Schema.Struct({
      kind: Schema.Literals(["embedded", "server"]),
      reachable: Schema.Boolean,
      durability: Schema.String
    }),
    uptime_ms: Count,
    version: Schema.String,
    alert_deliveries: optional(
      Schema.Struct({ pending: Count, dead_letters: Count }).annotate({
        description:
          "alerts on their way to channels, and those that were given up; absent while the store is away"
      })
    ),
    relaxed: optional(
      Schema.Struct({ unwritten: Count, lost: Count, admitted_without_hold: Count }).annotate({
        description:
          "since the process began to serve this tenant: async answers that are not in the store yet, async answers that were lost, calls admitted while the store was away; absent where strict and deny were all there was"
      })
    ),
    cluster: optional(
      Schema.Struct({
        node: Schema.String,
        owner: Schema.String,
        shards: Count,
        shards_of_all: Count
      }).annotate({
        description:
          "where there are several nodes: the node that was asked, the node that has this tenant, and how many of all shards the one that was asked has; absent without a cluster"
      })
    ),
    config: ManagerConfig
  })
})
