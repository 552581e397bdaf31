/** Random signals about few things, so that they meet: repeats, conflicts, late and reordered reports. */
import type { BudgetType, Period } from "../../src/signal/Budget.ts"
import type { SignalParams } from "../../src/signal/Catalogue.ts"
import type { Principal } from "../../src/signal/Principal.ts"
import { ADMIN, keyNamed } from "../tokens/support/Books.ts"
import type { Random } from "./Random.ts"

const HOUR_MS = 3_600_000

export type Command =
  | { readonly name: "create_budget"; readonly params: SignalParams<"create_budget"> }
  | { readonly name: "update_budget"; readonly params: SignalParams<"update_budget"> }
  | { readonly name: "check_budget"; readonly params: SignalParams<"check_budget"> }
  | { readonly name: "extend_hold"; readonly params: SignalParams<"extend_hold"> }
  | { readonly name: "release_hold"; readonly params: SignalParams<"release_hold"> }
  | { readonly name: "settle_hold"; readonly params: SignalParams<"settle_hold"> }
  | { readonly name: "track_usage"; readonly params: SignalParams<"track_usage"> }
  | { readonly name: "request_override"; readonly params: SignalParams<"request_override"> }
  | { readonly name: "decide_override"; readonly params: SignalParams<"decide_override"> }
  | { readonly name: "correct_usage"; readonly params: SignalParams<"correct_usage"> }
  | { readonly name: "update_pricing"; readonly params: SignalParams<"update_pricing"> }
  | { readonly name: "update_exchange_rates"; readonly params: SignalParams<"update_exchange_rates"> }

/** Also what no client sends. */
export type AnyCommand =
  | Command
  | { readonly name: "clean_usage"; readonly params: SignalParams<"clean_usage"> }

/** Mostly such that end while a history goes on. */
const PERIODS = [
  [4, "hourly"],
  [4, "daily"],
  [1, "weekly"],
  [1, "monthly"],
  [0.5, "quarterly"],
  [0.5, "yearly"],
  [1, "lifetime"]
] as const satisfies ReadonlyArray<readonly [number, Period]>

/** On both sides of UTC; hours that come twice or not at all, by a whole or a half; a day that was left out. */
const ZONES = [
  "Europe/Berlin",
  "America/New_York",
  "Asia/Kolkata",
  "Pacific/Apia",
  "Australia/Lord_Howe"
] as const

/** What budgets are about: mostly what most calls are about, so that several budgets meet in one call. */
const ENTITIES: ReadonlyArray<readonly [number, readonly [BudgetType, string | undefined]]> = [
  [4, ["global", undefined]],
  [2, ["user", "ann"]],
  [2, ["user", "bob"]],
  [2, ["user", "*"]],
  [1, ["team", "*"]],
  [0.5, ["model", "*"]],
  [0.3, ["project", "*"]],
  [2, ["team", "red"]],
  [2, ["model", "dollar"]],
  [1, ["provider", "test"]],
  [0.3, ["project", "x"]],
  [0.3, ["feature", "x"]],
  [0.3, ["agent", "x"]],
  [0.3, ["operation", "x"]],
  [0.3, ["workflow", "x"]],
  [0.3, ["conversation", "x"]]
]

const RARE_FIELDS = ["project_id", "feature", "agent", "operation", "workflow_id", "conversation_id"] as const

/** Asks for overrides; an admin of another owner decides. */
export const ASKER: Principal = keyNamed("asker", ["admin"])

/** The note of whoever asked, and tries to decide it as well. */
const OWN = "my own"

/** Who sends a signal. */
export const senderOf = ({ name, params }: AnyCommand): Principal =>
  name === "request_override" || (name === "decide_override" && params.note === OWN) ? ASKER : ADMIN

export class Signals {
  readonly #random: Random
  /** Everything that was ever sent: a network may deliver it again at any time. */
  readonly #sent: Array<Command> = []
  readonly #holds: Array<string> = []
  readonly #overrides: Array<string> = []
  #requests = 0
  #budgets = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** The answer named a hold, which may be extended or released. */
  learnHold(holdId: string): void {
    if (!this.#holds.includes(holdId)) this.#holds.push(holdId)
  }

  /** The answer named an override, which may be decided. */
  learnOverride(overrideId: string): void {
    if (!this.#overrides.includes(overrideId)) this.#overrides.push(overrideId)
  }

  /** Something is sent: new, or again. */
  next(now: number): Command {
    const command = this.#random.weighted<(now: number) => Command>(this.#kinds)(now)
    this.#sent.push(command)
    return command
  }

  /** How often each kind of signal is sent. */
  readonly #kinds: ReadonlyArray<readonly [number, (now: number) => Command]> = [
    [1, () => this.createBudget()],
    [1, () => this.#updateBudget()],
    [6, () => this.#check()],
    [1, () => this.#extend()],
    [1, () => this.#release()],
    [0.5, () => this.#settle()],
    [6, (now) => this.#report(now)],
    [1, (now) => this.#requestOverride(now)],
    [1.5, () => this.#decideOverride()],
    [1.5, () => this.#correct()],
    [0.4, (now) => this.#price(now)],
    [0.3, (now) => this.rates(now)],
    [4, () => (this.#sent.length > 0 ? this.#random.pick(this.#sent) : this.#check())]
  ]

  createBudget(): Command {
    this.#budgets += 1
    const [type, entity_id] = this.#random.weighted(ENTITIES)
    const period = this.#random.weighted<Period>(PERIODS)
    const isRolling = period !== "lifetime" && this.#random.isLikely(0.5)
    const measure = this.#random.pick(["cost", "cost", "tokens", "requests"] as const)
    const currency = measure === "cost" && this.#random.isLikely(0.3) ? "EUR" : "USD"
    return {
      name: "create_budget",
      params: {
        request_id: `budget ${this.#budgets}`,
        name: `b${this.#budgets}`,
        type,
        ...(entity_id === undefined ? {} : { entity_id }),
        period,
        limit: `${this.#random.int(0, this.#random.pick([30, 120]))}`,
        measure,
        currency,
        enforcement: this.#random.isLikely(0.8) ? "hard" : "soft",
        override_policy: this.#overridePolicy(),
        active: this.#random.isLikely(0.9),
        ...(this.#random.isLikely(0.4) ? { time_zone: this.#random.pick(ZONES) } : {}),
        ...(period === "weekly" ? { week_starts_on: this.#random.pick(["monday", "sunday"] as const) } : {}),
        ...(isRolling ? { rollover: this.#rollover() } : {})
      }
    }
  }

  #overridePolicy() {
    return {
      requires_approval: this.#random.isLikely(0.7),
      approvers: ["budget_admin"],
      max_override_percentage: this.#random.pick([0, 10, 50, 200]),
      notification_required: true
    }
  }

  #rollover() {
    const min = this.#random.int(0, 20)
    return {
      max: `${min + this.#random.int(0, 100)}`,
      ...(this.#random.isLikely(0.5) ? { min: `${min}` } : {})
    }
  }

  #updateBudget(): Command {
    return {
      name: "update_budget",
      params: {
        budget_id: `budget_${this.#random.int(1, 4)}`,
        updates: this.#random.pick([
          { limit: `${this.#random.int(0, 120)}` },
          { active: this.#random.isLikely(0.7) },
          { enforcement: this.#random.pick(["hard", "soft"] as const) },
          { override_policy: this.#overridePolicy() },
          { rollover: this.#random.isLikely(0.3) ? null : this.#rollover() }
        ])
      }
    }
  }

  #requestId(): string {
    if (this.#requests === 0 || this.#random.isLikely(0.5)) this.#requests += 1
    return `r${this.#random.isLikely(0.5) ? this.#requests : this.#random.int(1, this.#requests)}`
  }

  #subject() {
    return {
      provider: "test",
      model: this.#random.weighted([
        [8, "dollar"],
        [1, "free"],
        [1, "nameless"]
      ]),
      ...(this.#random.isLikely(0.7) ? { user_id: this.#random.pick(["ann", "bob"]) } : {}),
      ...(this.#random.isLikely(0.4) ? { team_id: "red" } : {}),
      ...(this.#random.isLikely(0.3) ? { [this.#random.pick(RARE_FIELDS)]: "x" } : {})
    }
  }

  #check(): Command {
    return {
      name: "check_budget",
      params: {
        request_id: this.#requestId(),
        ...this.#subject(),
        estimated_prompt_tokens: this.#random.int(0, 15),
        max_completion_tokens: this.#random.int(0, 5),
        ...(this.#random.isLikely(0.1) ? { estimated_cost: `${this.#random.int(0, 15)}.5` } : {}),
        ...(this.#random.isLikely(0.1) ? { currency: this.#random.pick(["USD", "EUR"]) } : {}),
        hold_ttl_ms: this.#random.pick([60_000, HOUR_MS, 24 * HOUR_MS]),
        ...(this.#random.isLikely(0.1) ? { hold: false } : {})
      }
    }
  }

  #extend(): Command {
    if (this.#holds.length === 0) return this.#check()
    const by = this.#random.pick([
      {},
      { tokens: this.#random.int(0, 10) },
      { cost: `${this.#random.int(0, 10)}` }
    ])
    return {
      name: "extend_hold",
      params: {
        hold_id: this.#random.pick(this.#holds),
        by,
        ttl_ms: this.#random.pick([1, HOUR_MS, 24 * HOUR_MS])
      }
    }
  }

  #release(): Command {
    if (this.#holds.length === 0) return this.#check()
    return { name: "release_hold", params: { hold_id: this.#random.pick(this.#holds) } }
  }

  /** What another node does for a call that it takes for dead: its report may come all the same. */
  #settle(): Command {
    if (this.#holds.length === 0) return this.#check()
    const hold_id = this.#random.pick(this.#holds)
    const prompt_tokens = this.#random.int(0, 15)
    const model = this.#random.pick(["dollar", "free"])
    return {
      name: "settle_hold",
      params: { hold_id, provider: "test", model, prompt_tokens, why: "nobody hears of it" }
    }
  }

  #report(now: number): Command {
    const hold =
      this.#random.isLikely(0.2) && this.#holds.length > 0 ? this.#random.pick(this.#holds) : undefined
    return {
      name: "track_usage",
      params: {
        request_id:
          this.#random.isLikely(0.9) || hold === undefined
            ? this.#requestId()
            : hold.slice(hold.indexOf(".") + 1),
        attempt: this.#random.weighted([
          [8, 1],
          [2, 2],
          [1, 3]
        ]),
        ...this.#subject(),
        prompt_tokens: this.#random.int(0, 15),
        completion_tokens: this.#random.int(0, 10),
        settle: this.#random.isLikely(0.8),
        status: this.#random.weighted([
          [6, "success" as const],
          [1, "error" as const],
          [3, "estimated" as const]
        ]),
        ...(hold === undefined ? {} : { hold_id: hold }),
        ...(this.#random.isLikely(0.3)
          ? { timestamp: new Date(now - this.#random.int(-2, 60) * HOUR_MS).toISOString() }
          : {})
      }
    }
  }

  #requestOverride(now: number): Command {
    return {
      name: "request_override",
      params: {
        ...(this.#random.isLikely(0.5) ? { request_id: `ask ${this.#random.int(1, 40)}` } : {}),
        budget_id: `budget_${this.#random.int(1, 4)}`,
        amount: this.#random.pick([`${this.#random.int(0, 30)}`, "0.000000000001", "1.5"]),
        reason: "more",
        ...(this.#random.isLikely(0.5)
          ? {
              expires_at: new Date(now + this.#random.pick([1, 60_000, HOUR_MS, 20 * HOUR_MS])).toISOString()
            }
          : {})
      }
    }
  }

  #decideOverride(): Command {
    return {
      name: "decide_override",
      params: {
        ...(this.#random.isLikely(0.5) ? { request_id: `decide ${this.#random.int(1, 40)}` } : {}),
        override_id: this.#overrides.length > 0 ? this.#random.pick(this.#overrides) : "override_1",
        ...(this.#random.isLikely(0.1) ? { note: OWN } : {}),
        ...(this.#random.isLikely(0.7)
          ? {
              decision: "approve",
              ...(this.#random.isLikely(0.3) ? { amount: `${this.#random.int(0, 30)}` } : {})
            }
          : { decision: "deny" })
      }
    }
  }

  #correct(): Command {
    const prompt_tokens = this.#random.int(0, 15)
    return {
      name: "correct_usage",
      params: {
        request_id: `r${this.#random.int(1, Math.max(1, this.#requests))}`,
        ...(this.#random.isLikely(0.5) ? { attempt: this.#random.int(1, 3) } : {}),
        usage: {
          prompt_tokens,
          completion_tokens: this.#random.int(0, 10),
          ...(this.#random.isLikely(0.3)
            ? { prompt_tokens_details: { cached_tokens: this.#random.int(0, prompt_tokens) } }
            : {})
        },
        reason: this.#random.pick(["a mistake", "another", "the last word"])
      }
    }
  }

  /** Told of now, of the past, or of what is to come; in the one direction or the other. */
  rates(now: number): Command {
    const [base, currency] = this.#random.pick([
      ["USD", "EUR"],
      ["EUR", "USD"]
    ] as const)
    return {
      name: "update_exchange_rates",
      params: {
        base,
        rates: { [currency]: `${this.#random.pick(["0.9", "1.1", "0.333333333333", "1.000000000001"])}` },
        as_of: new Date(now - this.#random.int(-5, 60) * HOUR_MS).toISOString()
      }
    }
  }

  #price(now: number): Command {
    const perMillion = `${this.#random.int(1, 3)}000000`
    return {
      name: "update_pricing",
      params: {
        provider: "test",
        model: this.#random.pick(["dollar", "nameless"]),
        pricing: {
          prompt_per_million: perMillion,
          completion_per_million: perMillion,
          currency: this.#random.pick(["USD", "EUR"])
        },
        ...(this.#random.isLikely(0.5) ? { reprice_unpriced: true } : {}),
        ...(this.#random.isLikely(0.7)
          ? { effective_from: new Date(now - this.#random.int(-5, 60) * HOUR_MS).toISOString() }
          : {})
      }
    }
  }
}
