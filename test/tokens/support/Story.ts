/**
 * A small language for tables of money: one step a line, and what must come of it after the arrow.
 *
 *   budget A limit=100 type=team id=red     a daily cost budget, unless it says otherwise
 *   hold r1 10 team=red        -> held      asks for 10 tokens, which cost a dollar each
 *   post r1 4                  -> posted 4  reports 4 tokens
 *   see A                      -> spent 4, held 0, left 96           and what was carried over or overridden, if anything
 *   see D ann                  -> spent 4, held 0, left 96           where ann stands in the default D
 *   period A                   -> 2026-03-10 to 2026-03-11
 *   retry r2 90                -> 2026-03-11                         when a refused hold may be tried again
 *   ask o1 A 20 by=ann until=1h -> pending            an override, until the period ends unless it says otherwise
 *   approve o1 15 by=bob       -> approved 15         or: deny o1 by=bob -> denied
 *   overrides pending          -> o1 20               what is listed, newest first
 *   advice r2 90               -> available           what an override could do for a refused hold
 *   price nameless 2 reprice=yes -> repriced 3       what had no price gets it
 *   wait 10m | at 2026-03-31T23:59:59.999Z | release r1 | extend r1 tokens=5 | change A limit=50
 *   alerts                     -> threshold A 50     what was raised since this was last asked
 *   total                      -> requests 1, tokens 4, cost 4
 *   forget                                  memory lets go of what cannot change any more
 *   crash                                   memory is lost, rows are read again
 *   sleep 10d                               so they are, after a time in which nothing ran
 *
 * Every story is told twice: once straight through, and once with a crash after every step.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { Approval } from "../../../src/signal/Budgeting.ts"
import type { SignalParams, SignalSuccess } from "../../../src/signal/Catalogue.ts"
import type { SignalError } from "../../../src/signal/Errors.ts"
import { formatAmount } from "../../../src/signal/Money.ts"
import type { Principal } from "../../../src/signal/Principal.ts"
import type { LedgerSignal } from "../../../src/tokens/Decide.ts"
import { expireHolds } from "../../../src/tokens/HoldLife.ts"
import { KEPT_PERIODS_MS } from "../../../src/tokens/Ledger.ts"
import { listOverrides } from "../../../src/tokens/OverrideQuery.ts"
import { expireOverrides } from "../../../src/tokens/Overrides.ts"
import { ADMIN, type Answer, Books, keyNamed, TENANT } from "./Books.ts"
import { checkInvariants } from "./Invariants.ts"

type Options = { [name: string]: string }

interface Step {
  readonly verb: string
  readonly words: ReadonlyArray<string>
  readonly options: Options
}

const readStep = (text: string): Step => {
  const [verb = "", ...rest] = text.trim().split(/\s+/u)
  const options: Options = {}
  const words: Array<string> = []
  for (const word of rest) {
    const at = word.indexOf("=")
    if (at === -1) words.push(word)
    else options[word.slice(0, at)] = word.slice(at + 1)
  }
  return { verb, words, options }
}

const UNITS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

const readDuration = (text: string): number => {
  const [, count, unit = "ms"] = /^([0-9]+)(ms|s|m|h|d)$/u.exec(text) ?? []
  if (count === undefined) throw new Error(`${text} is not a duration`)
  return Number(count) * (UNITS[unit] ?? 1)
}

const SHORT: { readonly [name: string]: string } = {
  user: "user_id",
  team: "team_id",
  project: "project_id",
  workflow: "workflow_id",
  conversation: "conversation_id",
  feature: "feature",
  agent: "agent",
  operation: "operation",
  model: "model",
  provider: "provider"
}

/** Provider, model and attribution as they are named in a story. */
const subjectIn = (options: Options): { [field: string]: string } => {
  const subject: { [field: string]: string } = { provider: "test", model: "dollar" }
  for (const [name, value] of Object.entries(options)) {
    const field = SHORT[name]
    if (field === undefined) continue
    if (value === "") delete subject[field]
    else subject[field] = value
  }
  return subject
}

/** Fields whose values are numbers, by their names in a story. */
const numbersIn = (
  options: Options,
  names: { readonly [name: string]: string }
): { [field: string]: number } => {
  const numbers: { [field: string]: number } = {}
  for (const [name, field] of Object.entries(names)) {
    const value = options[name]
    if (value !== undefined) numbers[field] = Number(value)
  }
  return numbers
}

/** Of the key that is named; without a word, an app. */
const rolesIn = ({ roles = "app" }: Options) => roles.split("/") as unknown as Principal["roles"]

/** `50`, `50/at-once` or `50/ann/bob`: the cap, and who decides. */
const policyIn = (text: string) => {
  const [percent, ...approvers] = text.split("/")
  const isFree = approvers[0] === "at-once"
  return {
    requires_approval: !isFree,
    approvers: isFree ? [] : approvers,
    max_override_percentage: Number(percent),
    notification_required: true
  }
}

/** `5`, `5/2` (at most 5, at least 2) or `none`. */
const rolloverIn = (text: string) => {
  if (text === "none") return null
  const [max = "", min] = text.split("/")
  return { max, ...(min === undefined ? {} : { min }) }
}

const timeOf = (at: number | null): string =>
  at === null
    ? "never"
    : new Date(at)
        .toISOString()
        .replace(/:00\.000Z$/u, "")
        .replace("T00:00", "")

const flags = (...parts: ReadonlyArray<string | false>): string =>
  parts.filter((part) => part !== false).join(", ")

class Teller {
  readonly books = new Books()
  readonly #budgets = new Map<string, string>()
  readonly #names = new Map<string, string>()
  readonly #holds = new Map<string, string>()
  readonly #overrides = new Map<string, string>()
  #alertsSeen = 0

  #ask<Name extends LedgerSignal>(
    name: Name,
    params: object,
    options: Options = {}
  ): Effect.Effect<Answer<Name>> {
    const principal = options.key === undefined ? ADMIN : keyNamed(options.key, rolesIn(options))
    const request = options.command === undefined ? {} : { request_id: options.command }
    return this.books.ask(name, { ...request, ...params } as SignalParams<Name>, principal)
  }

  #nameOf(budgetId: string | undefined): string {
    return this.#names.get(budgetId ?? "") ?? "?"
  }

  #failure(error: SignalError): string {
    switch (error._tag) {
      case "Conflict":
        return `Conflict ${error.reason}`
      case "InvalidParams":
        return `InvalidParams ${error.issues.map(({ path }) => path.join(".")).join(" ")}`
      default:
        return error._tag
    }
  }

  #show<Name extends LedgerSignal>(
    answer: Answer<Name>,
    show: (success: SignalSuccess<Name>) => string
  ): string {
    return Result.isSuccess(answer) ? show(answer.success) : this.#failure(answer.failure)
  }

  #approval(requestId: string, approval: Approval, as = ""): string {
    if (!approval.allowed) {
      const violations = approval.violations.map(
        ({ budget_id, shortfall }) => ` ${this.#nameOf(budget_id)} by ${formatAmount(shortfall)}`
      )
      return violations.length === 0 ? "refused, no price" : `refused${violations.join(",")}`
    }
    if (approval.hold_id !== undefined) this.#holds.set(as === "" ? requestId : as, approval.hold_id)
    const warned = approval.warnings.map(({ budget_id }) => `warns ${this.#nameOf(budget_id)}`)
    return flags(approval.hold_id === undefined ? "may" : "held", ...warned)
  }

  /** Alerts of a pace are left out: most stories spend all of a day's budget in its first hours. */
  #tracked({ usage, duplicate, alerts: all }: SignalSuccess<"track_usage">): string {
    const alerts = all.filter(({ kind }) => kind !== "projected")
    return flags(
      `${duplicate ? "again" : usage.adjusts === undefined ? "posted" : "adjusted"} ${formatAmount(usage.cost)}`,
      usage.cost_status !== "priced" && usage.cost_status,
      usage.overage !== 0n && `overage ${formatAmount(usage.overage)}`,
      usage.late && "late",
      alerts.length > 0 && `alerts ${alerts.map((alert) => this.#alert(alert)).join(" ")}`
    )
  }

  #alert({ kind, budget_id, data }: SignalSuccess<"track_usage">["alerts"][number]): string {
    if (budget_id === undefined) return kind
    return `${this.#nameOf(budget_id)}:${data.threshold}`
  }

  // --- verbs

  readonly #verbs: { readonly [verb: string]: (step: Step) => Effect.Effect<string> } = {
    at: ({ words }) => this.#turnTo(Date.parse(words[0] ?? "")),
    wait: ({ words }) => this.#turnTo(this.books.now + readDuration(words[0] ?? "")),
    forget: () => Effect.sync(() => this.#forget()).pipe(Effect.as("")),
    crash: () => Effect.sync(() => this.books.crash()).pipe(Effect.as("")),
    sleep: ({ words: [time = ""] }) =>
      Effect.sync(() => {
        this.books.now += readDuration(time)
        this.books.crash()
        return ""
      }),
    budget: (step) => this.#budget(step),
    change: (step) => this.#change(step),
    hold: (step) => this.#hold(step),
    post: (step) => this.#post(step),
    correct: (step) => this.#correct(step),
    past: ({ words: [name = "", at = ""] }) => Effect.sync(() => this.#past(name, Date.parse(at))),
    release: ({ words: [id = ""], options }) =>
      Effect.map(this.#ask("release_hold", { hold_id: this.#holds.get(id) ?? id }, options), (answer) =>
        this.#show(answer, () => "released")
      ),
    extend: (step) => this.#extend(step),
    price: (step) => this.#price(step),
    configure: ({ options: { unknown, output } }) =>
      Effect.map(
        this.#ask("configure_manager", {
          ...(unknown === undefined ? {} : { unknown_price_policy: unknown }),
          ...(output === undefined ? {} : { default_completion_tokens: Number(output) })
        }),
        (answer) => this.#show(answer, () => "")
      ),
    see: ({ words: [name = "", entity], options }) => this.#see(name, entity, options),
    period: ({ words: [name = ""] }) => this.#period(name),
    retry: (step) => this.#retry(step),
    ask: (step) => this.#askForMore(step),
    approve: (step) => this.#decide(step, "approve"),
    deny: (step) => this.#decide(step, "deny"),
    overrides: (step) => this.#list(step),
    advice: (step) => this.#advice(step),
    alerts: () => Effect.sync(() => this.#newAlerts()),
    total: () =>
      Effect.sync(() => {
        const { tracked, tokens, cost } = this.books.rows.head
        return `requests ${tracked}, tokens ${formatAmount(tokens)}, cost ${formatAmount(cost)}`
      })
  }

  /** Time passes, and the timers that came due have run. */
  #turnTo(now: number): Effect.Effect<string> {
    return Effect.sync(() => {
      this.books.now = now
      expireHolds(this.books.ledger, now)
      expireOverrides(this.books.ledger, now)
      this.books.commit()
      return ""
    })
  }

  #forget(): void {
    const { ledger, now } = this.books
    ledger.forgetPeriods(now - KEPT_PERIODS_MS)
  }

  #budget({ words: [name = ""], options }: Step): Effect.Effect<string> {
    const {
      type = "global",
      id,
      limit = "100",
      period = "daily",
      measure = "cost",
      week,
      zone,
      roll,
      alerts,
      mode,
      policy
    } = options
    const params = {
      name,
      type,
      period,
      limit,
      measure,
      ...(id === undefined ? {} : { entity_id: id }),
      ...(week === undefined ? {} : { week_starts_on: week }),
      ...(zone === undefined ? {} : { time_zone: zone }),
      ...(roll === undefined ? {} : { rollover: rolloverIn(roll) }),
      ...(policy === undefined ? {} : { override_policy: policyIn(policy) }),
      ...(alerts === undefined
        ? {}
        : { alert_thresholds: alerts === "" ? [] : alerts.split("/").map(Number) }),
      enforcement: mode === "soft" ? "soft" : "hard",
      active: mode !== "inactive"
    }
    return Effect.map(this.#ask("create_budget", params, options), (answer) =>
      this.#show(answer, ({ budget_id, budget }) => {
        this.#budgets.set(name, budget_id)
        this.#names.set(budget_id, name)
        const sent = budget.alerts_sent.length > 0 && `told ${budget.alerts_sent.join("/")}`
        return flags(`spent ${formatAmount(budget.spent)}`, `held ${formatAmount(budget.held)}`, sent)
      })
    )
  }

  #change({ words: [name = ""], options }: Step): Effect.Effect<string> {
    const { limit, active, alerts, mode, version, rename, roll, policy } = options
    const updates = {
      ...(limit === undefined ? {} : { limit }),
      ...(active === undefined ? {} : { active: active === "yes" }),
      ...(alerts === undefined ? {} : { alert_thresholds: alerts.split("/").map(Number) }),
      ...(mode === undefined ? {} : { enforcement: mode }),
      ...(roll === undefined ? {} : { rollover: rolloverIn(roll) }),
      ...(policy === undefined ? {} : { override_policy: policyIn(policy) }),
      ...(rename === undefined ? {} : { name: rename })
    }
    const params = {
      budget_id: this.#budgets.get(name) ?? name,
      updates,
      ...(version === undefined ? {} : { expected_version: Number(version) })
    }
    return Effect.map(this.#ask("update_budget", params, options), (answer) =>
      this.#show(answer, ({ budget }) => `version ${budget.version}`)
    )
  }

  #hold({ words: [id = "", tokens], options }: Step): Effect.Effect<string> {
    const params = {
      request_id: id,
      ...subjectIn(options),
      ...(tokens === undefined ? {} : { estimated_prompt_tokens: Number(tokens), max_completion_tokens: 0 }),
      ...numbersIn(options, {
        in: "estimated_prompt_tokens",
        out: "max_completion_tokens",
        tokens: "estimated_tokens"
      }),
      ...(options.cost === undefined ? {} : { estimated_cost: options.cost }),
      ...(options.ttl === undefined ? {} : { hold_ttl_ms: readDuration(options.ttl) }),
      ...(options.look === undefined ? {} : { hold: false })
    }
    return Effect.map(this.#ask("check_budget", params, options), (answer) =>
      this.#show(answer, (approval) => this.#approval(id, approval, options.as))
    )
  }

  #retry({ words: [id = "", tokens], options }: Step): Effect.Effect<string> {
    const params = {
      request_id: id,
      ...subjectIn(options),
      estimated_prompt_tokens: Number(tokens),
      max_completion_tokens: 0
    }
    return Effect.map(this.#ask("check_budget", params, options), (answer) =>
      this.#show(answer, (approval) => (approval.allowed ? "held" : timeOf(approval.retry_at)))
    )
  }

  // --- overrides

  #askForMore({ words: [name = "", budget = "", amount = ""], options }: Step): Effect.Effect<string> {
    const { until, by = "ann" } = options
    const inTime = until !== undefined && /^[0-9]+[a-z]+$/u.test(until)
    const end = inTime ? new Date(this.books.now + readDuration(until)).toISOString() : until
    const params = {
      budget_id: this.#budgets.get(budget) ?? budget,
      amount,
      reason: `for ${name}`,
      ...(options.for === undefined ? {} : { entity_id: options.for }),
      ...(end === undefined ? {} : { expires_at: end })
    }
    return Effect.map(this.#ask("request_override", params, { ...options, key: by }), (answer) =>
      this.#show(answer, ({ override_id, status, override }) => {
        this.#overrides.set(name, override_id)
        const approved = override.approved_amount
        return approved === null ? status : `${status} ${formatAmount(approved)}`
      })
    )
  }

  #decide({ words: [name = "", amount], options }: Step, decision: "approve" | "deny") {
    const { by = "bob", roles = "budget_admin", note } = options
    const params = {
      override_id: this.#overrides.get(name) ?? name,
      decision,
      ...(amount === undefined ? {} : { amount }),
      ...(note === undefined ? {} : { note })
    }
    return Effect.map(this.#ask("decide_override", params, { ...options, key: by, roles }), (answer) =>
      this.#show(answer, ({ override: { status, approved_amount } }) =>
        approved_amount === null ? status : `${status} ${formatAmount(approved_amount)}`
      )
    )
  }

  /** As it is answered after every commit. */
  #list({ words: [status], options }: Step): Effect.Effect<string> {
    const payload = {
      limit: 100,
      ...(status === undefined ? {} : { status: status as "pending" }),
      ...(options.of === undefined ? {} : { budget_id: this.#budgets.get(options.of) ?? options.of })
    }
    const names = new Map([...this.#overrides].map(([name, id]) => [id, name]))
    return Effect.map(
      Effect.orDie(listOverrides(this.books.store, TENANT, payload, ADMIN, this.books.now)),
      ({ items }) =>
        items
          .map(({ id, amount, ...item }) =>
            [names.get(id), status ?? item.status, formatAmount(item.approved_amount ?? amount)].join(" ")
          )
          .join(", ")
    )
  }

  #advice({ words: [id = "", tokens], options }: Step): Effect.Effect<string> {
    const params = {
      request_id: id,
      ...subjectIn(options),
      estimated_prompt_tokens: Number(tokens),
      max_completion_tokens: 0
    }
    return Effect.map(this.#ask("check_budget", params, options), (answer) =>
      this.#show(answer, (approval) =>
        approval.allowed ? "held" : approval.violations.map(({ override }) => override).join(", ")
      )
    )
  }

  #post({ words: [id = "", tokens = "0"], options }: Step): Effect.Effect<string> {
    const params = {
      request_id: id,
      ...subjectIn(options),
      prompt_tokens: Number(tokens),
      completion_tokens: Number(options.out ?? 0),
      ...numbersIn(options, { attempt: "attempt" }),
      ...(options.settle === undefined ? {} : { settle: options.settle === "yes" }),
      ...(options.status === undefined ? {} : { status: options.status }),
      ...(options.when === undefined ? {} : { timestamp: options.when }),
      ...(options.hold === undefined ? {} : { hold_id: this.#holds.get(options.hold) ?? options.hold }),
      ...(options.reported === undefined ? {} : { reported_cost: options.reported }),
      ...(options.tier === undefined ? {} : { service_tier: options.tier })
    }
    return Effect.map(this.#ask("track_usage", params, options), (answer) =>
      this.#show(answer, (tracked) => this.#tracked(tracked))
    )
  }

  #correct({ words: [id = "", tokens = "0"], options }: Step): Effect.Effect<string> {
    const params = {
      request_id: id,
      ...numbersIn(options, { attempt: "attempt" }),
      usage: {
        prompt_tokens: Number(tokens),
        completion_tokens: Number(options.out ?? 0),
        ...(options.cached === undefined
          ? {}
          : { prompt_tokens_details: { cached_tokens: Number(options.cached) } })
      },
      reason: options.why ?? "a mistake"
    }
    return Effect.map(this.#ask("correct_usage", params), (answer) =>
      this.#show(answer, ({ usage, duplicate, alerts: all }) => {
        const alerts = all.filter(({ kind }) => kind !== "projected")
        return flags(
          `${duplicate ? "again" : "corrected"} ${formatAmount(usage.cost)}`,
          usage.cost_status !== "priced" && usage.cost_status,
          alerts.length > 0 && `alerts ${alerts.map((alert) => this.#alert(alert)).join(" ")}`
        )
      })
    )
  }

  /** What the rows say of a budget's period of some time ago. */
  #past(name: string, at: number): string {
    const id = this.#budgets.get(name)
    const period = [...this.books.rows.periods.values()].find(
      ({ budgetId, start, end }) => budgetId === id && start <= at && (end === null || at < end)
    )
    return period === undefined ? "nothing" : `spent ${formatAmount(period.spent)}`
  }

  #extend({ words: [id = ""], options }: Step): Effect.Effect<string> {
    const by = {
      ...numbersIn(options, { tokens: "tokens" }),
      ...(options.cost === undefined ? {} : { cost: options.cost })
    }
    const params = {
      hold_id: this.#holds.get(id) ?? id,
      ...(Object.keys(by).length === 0 ? {} : { by }),
      ...(options.ttl === undefined ? {} : { ttl_ms: readDuration(options.ttl) })
    }
    return Effect.map(this.#ask("extend_hold", params, options), (answer) =>
      this.#show(answer, (approval) => this.#approval(id, approval))
    )
  }

  /** Dollars for each token, in and out; `tiers=batch:0.5/fast:2`: times these. */
  #price({ words: [model = "", dollars = "1"], options }: Step): Effect.Effect<string> {
    const perMillion = `${BigInt(dollars) * 1_000_000n}`
    const tiers = options.tiers?.split("/").map((tier) => tier.split(":"))
    const params = {
      provider: options.provider ?? "test",
      model,
      pricing: {
        prompt_per_million: perMillion,
        completion_per_million: perMillion,
        ...(tiers === undefined ? {} : { service_tiers: Object.fromEntries(tiers) })
      },
      ...(options.from === undefined ? {} : { effective_from: options.from }),
      ...(options.sure === undefined ? {} : { confirm_outlier: true }),
      ...(options.reprice === undefined ? {} : { reprice_unpriced: true })
    }
    return Effect.map(this.#ask("update_pricing", params, options), (answer) =>
      this.#show(answer, ({ repriced, unpriced_left: isMore }) =>
        isMore === undefined ? "" : flags(`repriced ${repriced}`, isMore && "more are left")
      )
    )
  }

  #see(name: string, entity: string | undefined, options: Options): Effect.Effect<string> {
    const params = {
      budget_id: this.#budgets.get(name) ?? name,
      ...(entity === undefined ? {} : { entity_id: entity })
    }
    return Effect.map(this.#ask("get_budget_status", params, options), (answer) =>
      this.#show(answer, ({ budgets: [budget] }) =>
        budget === undefined
          ? "nothing"
          : flags(
              `spent ${formatAmount(budget.spent)}`,
              `held ${formatAmount(budget.held)}`,
              `left ${formatAmount(budget.remaining)}`,
              budget.carried_over !== 0n && `carried ${formatAmount(budget.carried_over)}`,
              budget.override_total !== 0n && `override ${formatAmount(budget.override_total)}`,
              budget.pending_overrides > 0 && `pending ${budget.pending_overrides}`
            )
      )
    )
  }

  #period(name: string): Effect.Effect<string> {
    return Effect.map(
      this.#ask("get_budget_status", { budget_id: this.#budgets.get(name) ?? name }),
      (answer) =>
        this.#show(answer, ({ budgets: [budget] }) =>
          budget === undefined ? "nothing" : `${timeOf(budget.period_start)} to ${timeOf(budget.period_end)}`
        )
    )
  }

  #newAlerts(): string {
    const fresh = this.books.rows.alerts
      .slice(this.#alertsSeen)
      .filter(({ alert }) => alert.kind !== "projected")
    this.#alertsSeen = this.books.rows.alerts.length
    return fresh
      .map(({ alert: { kind, budget_id, data } }) =>
        budget_id === undefined ? kind : `${kind} ${this.#nameOf(budget_id)} ${data.threshold}`
      )
      .join(", ")
  }

  tell(line: string): Effect.Effect<void> {
    const [text = "", expected] = line.split("->").map((part) => part.trim())
    const step = readStep(text)
    const verb = this.#verbs[step.verb]
    if (verb === undefined) throw new Error(`there is no verb ${step.verb}`)
    return Effect.map(verb(step), (happened) => {
      if (expected !== undefined) assert.strictEqual(happened, expected, line)
      checkInvariants(this.books, line)
    })
  }
}

const linesOf = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    .map((line) => line.replace(/\/\/.*$/u, "").trim())
    .filter((line) => line !== "")

const tell = (text: string, isCrashing: boolean) =>
  Effect.gen(function* () {
    const teller = new Teller()
    for (const line of linesOf(text)) {
      yield* teller.tell(line)
      if (isCrashing) teller.books.crash()
    }
  })

/** Tells each story twice, the second time with a crash after every step. */
export const stories = (subject: string, table: { readonly [title: string]: string }): void => {
  describe(subject, () => {
    for (const [title, text] of Object.entries(table)) {
      it.effect(title, () => tell(text, false))
      it.effect(`${title} (a crash after every step)`, () => tell(text, true))
    }
  })
}
