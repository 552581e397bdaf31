/**
 * The world of a simulated history of durable machines: rows that outlive a process, and a process that dies between any two
 * steps of what it does.
 *
 * Owns: where it dies, and that a dead process neither writes nor sends anything any more.
 */
import { Context, Effect, Layer, Schema } from "effect"
import { assign, emit, sendParent, setup } from "xstate"
import { layer as actorLayer } from "../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { durably, type Invocation, signalTo, tell } from "../../src/actor/DurableLogic.ts"
import { durableMachine } from "../../src/actor/DurableMachine.ts"
import { DurableMachines, layer as machinesLayer } from "../../src/actor/DurableMachines.ts"
import {
  MachineNotWritten,
  MachineOutcomeUnknown,
  MachineStore,
  MachineStoreUnreachable
} from "../../src/actor/MachineStore.ts"
import { SignalDelivery } from "../../src/actor/SignalDelivery.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"
import { MemoryMachines, memoryMachineStore } from "../../src/store/MemoryMachineStore.ts"
import type { Random } from "./Random.ts"

const traits = { family: "actors", roles: ["app"], description: "of a simulation" } as const
const Taken = Schema.Struct({ taken: Schema.Finite })
export const Work = command("work", { ...traits, payload: { text: Schema.String }, success: Taken })
export const Arrived = command("arrived", { ...traits, payload: { text: Schema.String }, success: Taken })
const workerProtocol = protocol(Work)
const depotProtocol = protocol(Arrived)

export const worker = scopedAddress("worker", "t", "1")
export const depot = scopedAddress("depot", "t", "1")

export interface WorkerContext {
  readonly taken: ReadonlyArray<string>
  readonly results: ReadonlyArray<string>
  /** What child machines have sent before they ended. */
  readonly heard: ReadonlyArray<string>
  readonly ticks: number
}

type Job = (invocation: Invocation<{ readonly from: number }>) => Effect.Effect<string, Error>

const toDepot = (text: string) => signalTo(depot, Arrived, { text })

interface TaskContext {
  readonly from: number
  readonly result: string
}

/** A child machine: does a job, says so, lets it cool down for a while, and tells the depot before it ends. */
const taskMachine = (job: Job) =>
  setup({
    types: {
      context: {} as TaskContext,
      input: {} as { readonly from: number },
      output: {} as string
    },
    actors: { job: durably(Context.empty(), job) },
    actions: {
      doneToDepot: tell(({ context }: { readonly context: TaskContext }) => toDepot(`done ${context.result}`))
    }
  }).createMachine({
    id: "task",
    context: ({ input }) => ({ from: input.from, result: "" }),
    initial: "doing",
    output: ({ context }) => context.result,
    states: {
      doing: {
        invoke: {
          src: "job",
          id: "job",
          input: ({ context }) => ({ from: context.from }),
          onDone: {
            target: "cooling",
            actions: [
              assign({ result: ({ event }) => event.output }),
              sendParent(({ event }) => ({ type: "heard", text: event.output }))
            ]
          }
        }
      },
      cooling: { after: { 300: "done" } },
      done: { entry: "doneToDepot", type: "final" }
    }
  })

/** Takes work at any time, has a child machine do a job for it, and rests a second. Each of these tells the depot. */
const workerMachine = (job: Job) =>
  setup({
    types: {
      context: {} as WorkerContext,
      events: {} as { readonly type: "work" | "heard"; readonly text: string },
      input: {} as Record<string, never>
    },
    actors: { task: taskMachine(job) },
    actions: {
      takenToDepot: tell(({ event }: { readonly event: { readonly text?: string } }) =>
        toDepot(event.text ?? "")
      ),
      tickToDepot: tell(({ context }: { readonly context: WorkerContext }) =>
        toDepot(`tick ${context.ticks}`)
      )
    }
  }).createMachine({
    id: "worker",
    initial: "idle",
    context: { taken: [], results: [], heard: [], ticks: 0 },
    on: {
      heard: { actions: assign({ heard: ({ context, event }) => [...context.heard, event.text] }) },
      work: {
        target: ".working",
        actions: [
          assign({ taken: ({ context, event }) => [...context.taken, event.text] }),
          "takenToDepot",
          emit(({ event }) => ({ type: "taken", text: event.text }))
        ]
      }
    },
    states: {
      idle: {},
      working: {
        invoke: {
          src: "task",
          id: "task",
          input: ({ context }) => ({ from: context.taken.length }),
          onDone: {
            target: "resting",
            actions: assign({ results: ({ context, event }) => [...context.results, event.output] })
          },
          onError: "resting"
        }
      },
      resting: {
        after: {
          1000: {
            target: "idle",
            actions: [assign({ ticks: ({ context }) => context.ticks + 1 }), "tickToDepot"]
          }
        }
      }
    }
  })

const depotMachine = setup({
  types: {
    context: {} as { readonly arrived: ReadonlyArray<string> },
    events: {} as { readonly type: "arrived"; readonly text: string },
    input: {} as Record<string, never>
  }
}).createMachine({
  id: "depot",
  context: { arrived: [] },
  on: { arrived: { actions: assign({ arrived: ({ context, event }) => [...context.arrived, event.text] }) } }
})

/** What the machines did to the world outside, as seen through their keys. */
export interface Outside {
  readonly rows: MemoryMachines
  /** How often a job was run, by its key. */
  readonly jobs: Map<string, number>
}

export const outside = (): Outside => ({ rows: new MemoryMachines(), jobs: new Map() })

/** Of a hundred steps, how many a process does not survive. */
const DEATHS = 6
const TROUBLES = 6

/** A process that may die at any step; then it does nothing any more, not even fail. */
export class Mortal {
  readonly #random: Random
  readonly #isMortal: boolean
  isDead = false

  constructor(random: Random, isMortal: boolean) {
    this.#random = random
    this.#isMortal = isMortal
  }

  /** One step: nothing of it happens, or all of it; and its end may never be heard of. */
  step<A, E>(run: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => {
      if (this.#dies()) return Effect.never
      return Effect.flatMap(Effect.exit(run), (exit) =>
        Effect.suspend(() => (this.#dies() ? Effect.never : (exit as unknown as Effect.Effect<A, E>)))
      )
    })
  }

  /** Whether a step that the process survives goes wrong. */
  isTroubled(): boolean {
    return this.#isMortal && this.#random.isLikely(TROUBLES / 100)
  }

  #dies(): boolean {
    if (this.#isMortal && this.#random.isLikely(DEATHS / 100)) this.isDead = true
    return this.isDead
  }
}

const storeOf = (rows: MemoryMachines, mortal: Mortal): MachineStore => {
  const store = memoryMachineStore(rows)
  const of = { address: worker.text, message: "simulated" }
  return {
    ...store,
    claim: (machine, owner) =>
      Effect.suspend(() =>
        mortal.isTroubled()
          ? Effect.fail(new MachineStoreUnreachable({ message: "simulated" }))
          : mortal.step(store.claim(machine, owner))
      ),
    commit: (claim, commit) =>
      Effect.suspend(() => {
        if (mortal.isTroubled()) return Effect.fail(new MachineNotWritten(of))
        if (mortal.isTroubled()) return Effect.fail(new MachineOutcomeUnknown(of))
        const written = mortal.step(store.commit(claim, commit))
        return mortal.isTroubled()
          ? Effect.andThen(written, Effect.fail(new MachineOutcomeUnknown(of)))
          : written
      }),
    resolve: (claim, id) => mortal.step(store.resolve(claim, id)),
    delivered: (address, seqs) => mortal.step(store.delivered(address, seqs))
  }
}

/** One life of the process, with its version of the machines, until its scope closes. */
export const processOn = (world: Outside, mortal: Mortal, version: string) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      machinesLayer.pipe(
        Layer.provideMerge(actorLayer),
        Layer.provide(Layer.succeed(MachineStore, storeOf(world.rows, mortal))),
        Layer.provide(Layer.succeed(SignalDelivery, { deliver: () => Effect.die("everybody is a machine") }))
      )
    )
    const machines = Context.get(context, DurableMachines)
    const job: Job = ({ key, input }) =>
      mortal.step(
        Effect.suspend(() => {
          world.jobs.set(key, (world.jobs.get(key) ?? 0) + 1)
          return mortal.isTroubled()
            ? Effect.fail(new Error("the job failed"))
            : Effect.succeed(`${key} of ${input.from}`)
        })
      )
    const workers = yield* machines.register(
      durableMachine({
        kind: "worker",
        machine: workerMachine(job),
        version,
        migrate: ({ value, context }) => ({ value, context }) as never,
        protocol: workerProtocol,
        signals: {
          work: {
            event: ({ text }) => ({ type: "work", text }) as const,
            answer: ({ snapshot }) => ({ taken: snapshot.context.taken.length })
          }
        }
      })
    )
    const depots = yield* machines.register(
      durableMachine({
        kind: "depot",
        machine: depotMachine,
        version: "1",
        protocol: depotProtocol,
        signals: {
          arrived: {
            event: ({ text }) => ({ type: "arrived", text }) as const,
            answer: ({ snapshot }) => ({ taken: snapshot.context.arrived.length })
          }
        }
      })
    )
    return { machines, workers, depots }
  })

export type Living = Effect.Success<ReturnType<typeof processOn>>
