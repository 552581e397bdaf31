/**
 * The calls that all rows make: one model, one user, and four budgets that every call shares.
 *
 * Owns: who asks, what for, and the payloads, decoded as the bridge or index.ts would.
 */
import { Effect } from "effect"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import type { BudgetType } from "../../src/signal/Budget.ts"
import { DEFAULT_OVERRIDE_POLICY } from "../../src/signal/Budget.ts"
import type { SignalPayload } from "../../src/signal/Catalogue.ts"
import { UNIT } from "../../src/signal/Money.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"

export const TENANT = "bench"

export const PRINCIPAL: Principal = {
  keyId: "bench-key",
  owner: "bench",
  tenant: TENANT,
  roles: ["app"],
  attribution: {},
  isInstallation: false
}

export const MODEL = { provider: "openai", model: "gpt-4o-mini" }

export const ATTRIBUTION = {
  user_id: "user-1",
  team_id: "team-1",
  project_id: "project-1",
  operation: "chat"
}

const BUDGETS: ReadonlyArray<readonly [BudgetType, string | undefined]> = [
  ["global", undefined],
  ["team", ATTRIBUTION.team_id],
  ["user", ATTRIBUTION.user_id],
  ["project", ATTRIBUTION.project_id]
]

/** More than any row spends, so that every call is admitted and no alert is due. */
const LIMIT = 1_000_000_000n * UNIT

/** Four budgets that apply to every call, one of each kind. */
export const createBudgetsBy = <A, E>(
  create: (payload: SignalPayload<"create_budget">) => Effect.Effect<A, E>
): Effect.Effect<void, E> =>
  Effect.forEach(
    BUDGETS,
    ([type, entity_id]) =>
      create({
        name: `bench ${type}`,
        type,
        ...(entity_id === undefined ? {} : { entity_id }),
        period: "monthly",
        limit: LIMIT,
        measure: "cost",
        time_zone: "UTC",
        week_starts_on: "monday",
        alert_thresholds: [50, 80, 90],
        enforcement: "hard",
        override_policy: DEFAULT_OVERRIDE_POLICY,
        active: true
      }),
    { discard: true }
  )

export const createBudgets = (manager: ActorRef) =>
  createBudgetsBy((payload) => manager.ask("create_budget", payload, installationPrincipal(TENANT)))

export const holdOf = (request_id: string): SignalPayload<"check_budget"> => ({
  request_id,
  ...MODEL,
  estimated_prompt_tokens: 1_200,
  max_completion_tokens: 600,
  ...ATTRIBUTION,
  hold: true,
  hold_ttl_ms: 600_000
})

export const reportOf = (request_id: string, hold_id: string): SignalPayload<"track_usage"> => ({
  request_id,
  attempt: 1,
  ...MODEL,
  prompt_tokens: 1_187,
  completion_tokens: 421,
  ...ATTRIBUTION,
  hold_id,
  settle: true,
  status: "success",
  latency_ms: 840
})

/** One call as a provider actor makes it: hold, then report. Dies unless both were taken. */
export const call = (manager: ActorRef, requestId: string): Effect.Effect<void> =>
  manager.ask("check_budget", holdOf(requestId), PRINCIPAL).pipe(
    Effect.flatMap((approval) => {
      if (!approval.allowed || approval.hold_id === undefined)
        return Effect.die(new Error("a call was refused"))
      return manager.ask("track_usage", reportOf(requestId, approval.hold_id), PRINCIPAL)
    }),
    Effect.asVoid,
    Effect.orDie
  )

/** `callers` make calls side by side until `deadline`; answers how many were answered by then. */
export const callUntil = (
  manager: ActorRef,
  callers: number,
  deadline: number,
  nextId: () => string
): Effect.Effect<number> =>
  Effect.suspend(() => {
    let done = 0
    const caller = Effect.gen(function* () {
      while (performance.now() < deadline) {
        yield* call(manager, nextId())
        if (performance.now() <= deadline) done += 1
      }
    })
    return Effect.as(
      Effect.all(
        Array.from({ length: callers }, () => caller),
        UNBOUNDED
      ),
      0
    ).pipe(Effect.map(() => done))
  })

const UNBOUNDED = { concurrency: "unbounded", discard: true } as const
