/**
 * A store that does what its script says: it can hold an operation back, fail it, or lose its answer.
 *
 * What nobody scripted goes to the rows in memory.
 */
import { Deferred, Effect } from "effect"
import type { Batch, LedgerStore } from "../../../src/tokens/LedgerStore.ts"
import { NotWritten, OutcomeUnknown, StoreUnreachable } from "../../../src/tokens/LedgerStore.ts"
import { TENANT } from "./Books.ts"
import { Rows, storeOver } from "./Rows.ts"

type Operation =
  | "claim"
  | "load"
  | "findRequests"
  | "findCommands"
  | "spent"
  | "findPeriods"
  | "commit"
  | "resolve"
  | "isOwner"
  | "usagePage"

/** What becomes of one operation; `real` is what it would do unscripted. */
export type Turn = (real: Effect.Effect<unknown, unknown>, batch?: Batch) => Effect.Effect<unknown, unknown>

export const unreachable: Turn = () => Effect.fail(new StoreUnreachable({ message: "scripted" }))
export const notWritten: Turn = () => Effect.fail(new NotWritten({ tenant: TENANT, message: "scripted" }))

const lost = new OutcomeUnknown({ tenant: TENANT, message: "scripted" })
/** The connection is lost before the batch has come through. */
export const lostBefore: Turn = () => Effect.fail(lost)
/** The batch is written, and its answer is lost. */
export const lostAfter: Turn = (real) => Effect.andThen(real, Effect.fail(lost))

/** A gate that holds operations back until it is opened. */
export interface Gate {
  readonly turn: Turn
  readonly open: Effect.Effect<void>
}

const gates = new Set<Gate>()

export const makeGate: Effect.Effect<Gate> = Effect.map(Deferred.make<void>(), (opened) => {
  const gate: Gate = {
    turn: (real) => Effect.andThen(Deferred.await(opened), real),
    open: Effect.asVoid(Deferred.succeed(opened, undefined))
  }
  gates.add(gate)
  return gate
})

/** So that a test that fails between two gates can end. */
export const openAllGates: Effect.Effect<void> = Effect.suspend(() => {
  const left = [...gates]
  gates.clear()
  return Effect.forEach(left, ({ open }) => open, { discard: true })
})

export class ScriptedStore {
  readonly rows = new Rows()
  isReachable = true
  /** How often each operation was asked for. */
  readonly asked = new Map<Operation, number>()
  readonly #once = new Map<Operation, Array<Turn>>()
  readonly #always = new Map<Operation, Turn>()

  /** The next operations of this kind go so, one turn each. */
  once(operation: Operation, ...turns: ReadonlyArray<Turn>): void {
    this.#once.set(operation, [...(this.#once.get(operation) ?? []), ...turns])
  }

  /** All operations of this kind go so from now on; without a turn, as they would. */
  always(operation: Operation, turn?: Turn): void {
    if (turn === undefined) this.#always.delete(operation)
    else this.#always.set(operation, turn)
  }

  /** Nothing can be reached any more, or everything again. */
  setReachable(isReachable: boolean): void {
    this.isReachable = isReachable
    const turn = isReachable ? undefined : unreachable
    for (const operation of [
      "claim",
      "load",
      "findRequests",
      "findCommands",
      "spent",
      "findPeriods",
      "resolve",
      "isOwner",
      "usagePage"
    ] as const) {
      this.always(operation, turn)
    }
    this.always("commit", isReachable ? undefined : notWritten)
  }

  #play<A, E>(operation: Operation, real: Effect.Effect<A, E>, batch?: Batch): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      this.asked.set(operation, (this.asked.get(operation) ?? 0) + 1)
      const turn = this.#once.get(operation)?.shift() ?? this.#always.get(operation)
      return (turn === undefined ? real : turn(real, batch)) as Effect.Effect<A, E>
    })
  }

  get store(): LedgerStore {
    const real = storeOver(this.rows)
    return {
      ...real,
      isReachable: Effect.sync(() => this.isReachable),
      claim: (tenant, owner) => this.#play("claim", real.claim(tenant, owner)),
      load: (claim, liveAfter) => this.#play("load", real.load(claim, liveAfter)),
      findRequests: (tenant, ids) => this.#play("findRequests", real.findRequests(tenant, ids)),
      findCommands: (tenant, keys) => this.#play("findCommands", real.findCommands(tenant, keys)),
      spent: (tenant, query) => this.#play("spent", real.spent(tenant, query)),
      spentByEntity: (tenant, query, limit) => this.#play("spent", real.spentByEntity(tenant, query, limit)),
      findPeriods: (tenant, queries) => this.#play("findPeriods", real.findPeriods(tenant, queries)),
      commit: (claim, batch) => this.#play("commit", real.commit(claim, batch), batch),
      resolve: (claim, batchId) => this.#play("resolve", real.resolve(claim, batchId)),
      isOwner: (claim) => this.#play("isOwner", real.isOwner(claim)),
      usagePage: (tenant, filter, page) => this.#play("usagePage", real.usagePage(tenant, filter, page))
    }
  }
}
