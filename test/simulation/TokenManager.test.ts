/**
 * Random histories of a whole TokenManager over a store that fails in every way it can: batches that are not written,
 * written without an answer, refused, fenced; look-ups and activations that fail; stops and restarts in between.
 * Clients send again what was not answered for good, as they are told to.
 *
 * In strict mode what was acknowledged is in the store from then on, under its number. In async mode it is there in the
 * end, once, or it is counted as lost: nothing is lost in silence. In both, the rows add up after every step.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Cause, Effect, Exit } from "effect"
import type { ActorSystem } from "../../src/actor/ActorSystem.ts"
import type { SignalSuccess } from "../../src/signal/Catalogue.ts"
import { pass, settle } from "../../src/testing.ts"
import { BatchRefused } from "../../src/tokens/LedgerStore.ts"
import { ADMIN, keyNamed, MORNING, TENANT } from "../tokens/support/Books.ts"
import { checkRows } from "../tokens/support/Invariants.ts"
import { type Asked, type Manager, makeManager, told } from "../tokens/support/Manager.ts"
import {
  lostAfter,
  lostBefore,
  notWritten,
  type ScriptedStore,
  type Turn,
  unreachable
} from "../tokens/support/ScriptedStore.ts"
import { Random } from "./Random.ts"
import { type Command, Signals } from "./Signals.ts"

const STEPS = 50

interface Setting {
  readonly budget_check_mode: "strict" | "async"
  readonly on_store_down: "deny" | "allow"
  readonly histories: number
}

const SETTINGS: ReadonlyArray<Setting> = [
  { budget_check_mode: "strict", on_store_down: "deny", histories: 40 },
  { budget_check_mode: "strict", on_store_down: "allow", histories: 15 },
  { budget_check_mode: "async", on_store_down: "deny", histories: 30 },
  { budget_check_mode: "async", on_store_down: "allow", histories: 30 }
]

interface Sent {
  readonly command: Command
  readonly asked: Asked<Command["name"]>
}

const refused: Turn = () => Effect.fail(new BatchRefused({ tenant: TENANT, message: "scripted" }))

class History {
  readonly #random: Random
  readonly #signals: Signals
  readonly #seed: number
  readonly #setting: Setting
  #manager: Manager
  #open: Array<Sent> = []
  /** Reports that were answered as recorded: `request/attempt` with the row's number. */
  readonly #acknowledged = new Map<string, number>()

  /** What managers that were stopped had lost. */
  #lostBefore = 0

  constructor(seed: number, setting: Setting, manager: Manager) {
    this.#seed = seed
    this.#setting = setting
    this.#random = new Random(seed)
    this.#signals = new Signals(this.#random)
    this.#manager = manager
  }

  get #script(): ScriptedStore {
    return this.#manager.script
  }

  readonly run = Effect.gen({ self: this }, function* () {
    const { budget_check_mode, on_store_down } = this.#setting
    yield* this.#manager.done("configure_manager", { budget_check_mode, on_store_down })
    for (let step = 0; step < STEPS; step++) {
      yield* this.#step()
      if (this.#random.isLikely(0.4)) {
        yield* pass(this.#random.pick([0, 20, 500, 60_000]))
        yield* this.#hear()
      }
    }
    this.#script.setReachable(true)
    for (let turn = 0; this.#open.length > 0; turn++) {
      assert.isBelow(turn, 20, `seed ${this.#seed}: everybody is answered in the end`)
      yield* pass(10_000)
      yield* this.#hear()
    }
    yield* pass(25 * 3_600_000)
    this.#check()
    this.#checkLosses()
    const { open_holds } = yield* this.#manager.done("get_status", {})
    assert.strictEqual(open_holds, 0, `seed ${this.#seed}: every hold has ended`)
  })

  #step(): Effect.Effect<void, never, ActorSystem> {
    const script = (operation: Parameters<ScriptedStore["once"]>[0], turn: Turn) =>
      Effect.sync(() => this.#script.once(operation, turn))
    return this.#random.weighted<() => Effect.Effect<void, never, ActorSystem>>([
      [20, () => this.#send(this.#signals.next(MORNING))],
      [1, () => script("commit", lostAfter)],
      [1, () => script("commit", lostBefore)],
      [1, () => script("commit", notWritten)],
      [0.5, () => script("commit", refused)],
      [0.5, () => script("commit", () => Effect.die(new Error("scripted")))],
      [1, () => script("resolve", unreachable)],
      [1, () => script("findRequests", unreachable)],
      [0.5, () => script("load", unreachable)],
      [0.5, () => Effect.sync(() => this.#script.rows.claim(TENANT, "somebody else"))],
      [0.5, () => Effect.sync(() => this.#script.setReachable(this.#random.isLikely(0.5)))],
      [0.5, () => this.#restart()]
    ])()
  }

  #send(command: Command): Effect.Effect<void> {
    // Who asks for an override is somebody else than who decides.
    const principal = command.name === "request_override" ? keyNamed("asker") : ADMIN
    return Effect.map(this.#manager.ask(command.name, command.params, principal), (asked) => {
      this.#open.push({ command, asked: asked as Asked<Command["name"]> })
    })
  }

  #restart(): Effect.Effect<void, never, ActorSystem> {
    return Effect.gen({ self: this }, function* () {
      yield* Effect.forkDetach(this.#manager.stop)
      yield* pass(20_000)
      this.#lostBefore += this.#manager.lostAnswers
      this.#manager = yield* makeManager(this.#script)
    })
  }

  /** Takes what was answered; what is to be sent again is sent again. */
  #hear(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const heard = this.#open.filter(({ asked }) => asked.isAnswered)
      this.#open = this.#open.filter(({ asked }) => !asked.isAnswered)
      for (const { command, asked } of heard) {
        const { exit } = asked
        if (exit === undefined) continue
        if (Exit.isSuccess(exit)) this.#succeeded(exit.value)
        else yield* this.#failed(command, exit.cause)
      }
      this.#check()
    })
  }

  #succeeded(success: object): void {
    if ("hold_id" in success) this.#signals.learnHold(String(success.hold_id))
    if ("override_id" in success) this.#signals.learnOverride(String(success.override_id))
    if (!("tracked" in success)) return
    const { usage } = success as SignalSuccess<"track_usage">
    this.#acknowledged.set(`${usage.request_id}/${usage.attempt}`, usage.usage_seq)
  }

  #failed(command: Command, cause: Cause.Cause<{ readonly _tag: string }>): Effect.Effect<void> {
    const [reason] = cause.reasons
    const tag = reason?._tag === "Fail" ? reason.error._tag : "died"
    if (tag === "Unavailable") return this.#send(command)
    assert.include(
      ["Conflict", "NotFound", "InvalidParams", "RateUnknown"],
      tag,
      `seed ${this.#seed}: ${JSON.stringify(command)}`
    )
    return Effect.void
  }

  #check(): void {
    const { rows } = this.#script
    checkRows(rows, `seed ${this.#seed}`)
    const isStrict = this.#setting.budget_check_mode === "strict"
    for (const [key, seq] of isStrict ? this.#acknowledged : []) {
      const usage = rows.usage[seq - 1]?.usage
      assert.strictEqual(
        `${usage?.request_id}/${usage?.attempt}`,
        key,
        `seed ${this.#seed}: what was acknowledged is there`
      )
    }
    const first = rows.usage.filter(({ usage }) => usage.adjusts === undefined)
    const keys = new Set(first.map(({ usage }) => `${usage.request_id}/${usage.attempt}`))
    assert.strictEqual(keys.size, first.length, `seed ${this.#seed}: every attempt is counted once`)
  }

  /** Each acknowledged report is there, or is counted as lost. */
  #checkLosses(): void {
    const recorded = new Set(
      this.#script.rows.usage.map(({ usage }) => `${usage.request_id}/${usage.attempt}`)
    )
    const missing = [...this.#acknowledged.keys()].filter((key) => !recorded.has(key))
    const lost = this.#lostBefore + this.#manager.lostAnswers
    if (this.#setting.budget_check_mode === "strict") assert.strictEqual(lost, 0, `seed ${this.#seed}`)
    assert.isAtMost(missing.length, lost, `seed ${this.#seed}: ${missing.join(", ")} were lost in silence`)
  }
}

for (const setting of SETTINGS) {
  describe(`random histories over a failing store, ${setting.budget_check_mode} and ${setting.on_store_down}`, () => {
    for (let seed = 0; seed < setting.histories; seed++) {
      it.effect(`seed ${seed}`, () =>
        Effect.gen(function* () {
          yield* settle
          yield* new History(seed, setting, yield* makeManager()).run
        }).pipe(told)
      )
    }
  })
}
