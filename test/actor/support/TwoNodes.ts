/**
 * Two processes over the same rows, of which one has all tenants: what goes from one to the other is text.
 *
 * Owns: who has them, and asking again while they move, as the cluster does it (cluster/Asking).
 */
import { Effect, Schedule, type Schema } from "effect"
import type { ActorSystem } from "../../../src/actor/ActorSystem.ts"
import { DurableMachines } from "../../../src/actor/DurableMachines.ts"
import type { MachineAsk } from "../../../src/actor/MachinePlaces.ts"
import type { MachineStore } from "../../../src/actor/MachineStore.ts"
import { type SignalError, Unavailable } from "../../../src/signal/Errors.ts"
import type { Principal } from "../../../src/signal/Principal.ts"
import { MemoryMachines } from "../../../src/store/MemoryMachineStore.ts"
import { process } from "./Node.ts"

export type NodeName = "here" | "there"

export interface Crossing extends MachineAsk {
  readonly principal: Principal
}

export class TwoNodes {
  readonly rows = new MemoryMachines()
  /** Who has the tenants; `undefined`: they are on their way. */
  owner: NodeName | undefined = "there"
  /** Whose answers are lost on the way. */
  loses = 0
  /** What each has been asked by the other one and has not answered yet. */
  readonly pending = { here: 0, there: 0 }
  /** What carries asks between them is broken. */
  breaks = false
  readonly crossed: Array<Crossing> = []
  /** What a step waits for before it is committed. */
  commits: Effect.Effect<void> = Effect.void
  readonly #nodes = new Map<NodeName, DurableMachines>()

  /** Runs `body` on the node that has nobody, while `owner` has been run on the other one. */
  run<A, E, B, F>(
    owner: Effect.Effect<B, F, DurableMachines | ActorSystem>,
    body: (there: B) => Effect.Effect<A, E, DurableMachines | ActorSystem>
  ) {
    const { rows } = this
    const store = (memory: MachineStore): Partial<MachineStore> => ({
      commit: (claim, commit) =>
        Effect.andThen(
          Effect.suspend(() => this.commits),
          memory.commit(claim, commit)
        )
    })
    return process(
      { rows, store },
      Effect.gen({ self: this }, function* () {
        yield* this.#join("there")
        const there = yield* owner
        return yield* process({ rows, store }, Effect.andThen(this.#join("here"), body(there)))
      })
    )
  }

  #join(node: NodeName): Effect.Effect<void, never, DurableMachines> {
    return Effect.map(DurableMachines, (machines) => {
      this.#nodes.set(node, machines)
      machines.place({
        isMine: () => this.owner === node,
        ask: (asked, principal) => this.#ask(asked, principal),
        node: () => node
      })
    })
  }

  /** Its machines are stopped before anybody else has them. */
  move(to: NodeName): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const from = this.owner
      this.owner = undefined
      if (from !== undefined) yield* this.#nodes.get(from)?.release(() => true) ?? Effect.void
      this.owner = to
    })
  }

  #ask(asked: MachineAsk, principal: Principal): Effect.Effect<Schema.Json, SignalError> {
    const once: Effect.Effect<Schema.Json, SignalError> = Effect.suspend(() => {
      if (this.breaks) return Effect.die(new Error("a bug of the cluster"))
      const { owner } = this
      const node = owner && this.#nodes.get(owner)
      const moved = new Unavailable({ message: "nobody has it", retry_after_ms: 1 })
      if (owner === undefined || node === undefined) return Effect.fail(moved)
      this.crossed.push({ ...asked, principal })
      this.pending[owner] += 1
      const answering = Effect.map(
        node.answer(JSON.parse(JSON.stringify(asked)), JSON.parse(JSON.stringify(principal))),
        (answer): Schema.Json => JSON.parse(JSON.stringify(answer))
      )
      const answered = Effect.ensuring(
        answering,
        Effect.sync(() => {
          this.pending[owner] -= 1
        })
      )
      if (this.loses > 0) {
        this.loses -= 1
        return Effect.andThen(Effect.ignore(answered), Effect.fail(moved))
      }
      return answered
    })
    return Effect.retry(once, {
      schedule: Schedule.spaced("10 millis"),
      times: 100,
      while: ({ _tag }) => _tag === "Unavailable"
    })
  }
}
