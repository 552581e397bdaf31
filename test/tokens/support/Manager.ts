/** One TokenManager on an ActorSystem, over a scripted store, under virtual time. */
import { assert } from "@effect/vitest"
import { Effect, type Exit, Fiber, type Layer, Result } from "effect"
import { TestClock } from "effect/testing"
import type { ActorRef } from "../../../src/actor/ActorRef.ts"
import { ActorSystem, layer } from "../../../src/actor/ActorSystem.ts"
import type { BudgetStanding } from "../../../src/signal/Budget.ts"
import type { ActorSignalName, SignalParams, SignalSuccess } from "../../../src/signal/Catalogue.ts"
import { decodePayload } from "../../../src/signal/Decode.ts"
import type { SignalError } from "../../../src/signal/Errors.ts"
import { formatAmount } from "../../../src/signal/Money.ts"
import type { Price } from "../../../src/signal/Price.ts"
import type { Principal } from "../../../src/signal/Principal.ts"
import { settle } from "../../../src/testing.ts"
import type { Batch } from "../../../src/tokens/LedgerStore.ts"
import { tokenManager } from "../../../src/tokens/TokenManager.ts"
import { ADMIN, MORNING, TENANT, TEST_PRICES } from "./Books.ts"
import { openAllGates, ScriptedStore } from "./ScriptedStore.ts"

/** A signal on its way. */
export class Asked<Name extends ActorSignalName> {
  readonly #fiber: Fiber.Fiber<SignalSuccess<Name>, SignalError>

  constructor(fiber: Fiber.Fiber<SignalSuccess<Name>, SignalError>) {
    this.#fiber = fiber
  }

  get exit(): Exit.Exit<SignalSuccess<Name>, SignalError> | undefined {
    return this.#fiber.pollUnsafe()
  }

  get isAnswered(): boolean {
    return this.exit !== undefined
  }

  readonly success = Effect.suspend(() => Fiber.join(this.#fiber))
  readonly failure = Effect.suspend(() => Effect.flip(Fiber.join(this.#fiber)))
  /** `ok`, `refused`, or the error's name. */
  readonly outcome = Effect.suspend(() =>
    Effect.match(Fiber.join(this.#fiber), {
      onFailure: (error) => error._tag as string,
      onSuccess: (success) =>
        (success as { readonly allowed?: boolean }).allowed === false ? "refused" : "ok"
    })
  )
}

/** A price that breaks the rule that reads it. */
export const BOMB: Price = {
  ...(TEST_PRICES[0] as Price),
  id: "test:bomb",
  model: "bomb",
  get tiers(): never {
    throw new Error("a rule threw")
  }
}

export class Manager {
  readonly script: ScriptedStore
  readonly ref: ActorRef
  readonly told: Array<{ readonly batch: Batch; readonly standings: ReadonlyArray<BudgetStanding> }>
  /** Where budgets stand that were reset, as it was told. */
  readonly resets: Array<BudgetStanding>
  readonly stop: Effect.Effect<void>
  readonly #insight: () => { readonly context?: unknown }

  constructor(
    script: ScriptedStore,
    ref: ActorRef,
    told: Manager["told"],
    resets: Manager["resets"],
    stop: Effect.Effect<void>,
    insight: () => { readonly context?: unknown }
  ) {
    this.#insight = insight
    this.script = script
    this.ref = ref
    this.told = told
    this.resets = resets
    this.stop = stop
  }

  /** Answers of async mode that were lost; also after it has stopped. */
  get lostAnswers(): number {
    return (this.#insight().context as { readonly lost_answers?: number }).lost_answers ?? 0
  }

  /** Sends a signal, and does not wait. */
  ask<Name extends ActorSignalName>(
    name: Name,
    params: SignalParams<Name>,
    principal: Principal = ADMIN
  ): Effect.Effect<Asked<Name>> {
    return Effect.gen({ self: this }, function* () {
      const payload = Result.getOrThrow(decodePayload(name, params))
      const fiber = yield* Effect.forkDetach(this.ref.ask(name, payload, principal), {
        startImmediately: true
      })
      return new Asked<Name>(fiber)
    })
  }

  /** Sends a signal, and waits for its success. */
  done<Name extends ActorSignalName>(
    name: Name,
    params: SignalParams<Name>,
    principal?: Principal
  ): Effect.Effect<SignalSuccess<Name>, SignalError> {
    return Effect.flatMap(this.ask(name, params, principal), (asked) => asked.success)
  }

  budget(limit: string, more: Partial<SignalParams<"create_budget">> = {}) {
    return this.done("create_budget", { name: "all", type: "global", period: "daily", limit, ...more })
  }

  hold(request_id: string, tokens: number, more: Partial<SignalParams<"check_budget">> = {}) {
    return this.ask("check_budget", {
      request_id,
      provider: "test",
      model: "dollar",
      estimated_prompt_tokens: tokens,
      max_completion_tokens: 0,
      ...more
    })
  }

  post(request_id: string, tokens: number, more: Partial<SignalParams<"track_usage">> = {}) {
    return this.ask("track_usage", {
      request_id,
      provider: "test",
      model: "dollar",
      prompt_tokens: tokens,
      completion_tokens: 0,
      ...more
    })
  }

  /** Where the first budget stands, as the manager answers it. */
  readonly standing = Effect.suspend(() =>
    Effect.map(this.done("get_budget_status", {}), ({ budgets: [budget] }) =>
      budget === undefined ? "none" : `spent ${formatAmount(budget.spent)}, held ${formatAmount(budget.held)}`
    )
  )

  /** What the rows say was recorded: each request with its tokens. */
  get recorded(): string {
    return this.script.rows.usage.map(({ usage }) => `${usage.request_id}:${usage.total_tokens}`).join(" ")
  }
}

/** A manager that has loaded its tenant. */
export const makeManager = (
  script = new ScriptedStore(),
  builtInPrices: ReadonlyArray<Price> = TEST_PRICES
) =>
  Effect.gen(function* () {
    const system = yield* ActorSystem
    const told: Manager["told"] = []
    const resets: Manager["resets"] = []
    const options = tokenManager({
      tenant: TENANT,
      store: script.store,
      builtInPrices,
      version: "test",
      observer: {
        isObserved: () => true,
        committed: (_, batch, standings) => told.push({ batch, standings }),
        reset: (_, standings) => resets.push(...standings)
      }
    })
    const ref = yield* system.spawn(options)
    yield* settle
    return new Manager(
      script,
      ref,
      told,
      resets,
      system.stop(options.address),
      options.insight ?? (() => ({}))
    )
  })

/** Runs a test among actors. */
export const told = <A, E>(test: Effect.Effect<A, E, Layer.Success<typeof layer>>): Effect.Effect<A, E> =>
  Effect.andThen(TestClock.setTime(MORNING), Effect.provide(Effect.ensuring(test, openAllGates), layer))

/** Every recorded request is there once, and the totals are those of the rows. */
export const assertRecordedOnce = (manager: Manager, requests: ReadonlyArray<string>): void => {
  const ids = manager.script.rows.usage.map(({ usage }) => usage.request_id)
  assert.deepStrictEqual([...ids].sort(), [...requests].sort())
  assert.strictEqual(manager.script.rows.head.tracked, requests.length)
}
