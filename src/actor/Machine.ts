/**
 * Hosts an XState machine as an actor's behaviour.
 *
 * Owns: invoked Effects that are interrupted with the state, the machine's clock (Effect's, so that tests use
 * virtual time), and telling every state it reaches.
 * Does not decide: what the machine does.
 */
import { Cause, Context, Duration, Effect, Fiber, type Schema } from "effect"
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  fromPromise,
  type InputFrom,
  type OutputFrom,
  type PromiseActorLogic,
  type SnapshotFrom,
  type StateValue
} from "xstate"
import { toDirectedGraph } from "xstate/graph"
import type { MachineGraph } from "../signal/Actors.ts"
import type { ActorContext, ActorInsight } from "./ActorSystem.ts"
import { hostOf } from "./HostedSystems.ts"
import { jsonProblem } from "./PlainJson.ts"

/** A state value as a path of names: `calling`, or `calling.streaming`. Parallel regions are joined by `|`. */
export const stateText = (value: StateValue): string => {
  if (typeof value === "string") return value
  return Object.entries(value)
    .map(([name, inner]) => {
      const rest = inner === undefined ? "" : stateText(inner)
      return rest === "" ? name : `${name}.${rest}`
    })
    .join("|")
}

/**
 * An Effect as a machine's invoked logic. Leaving the state interrupts it, and its failure is the error of the
 * machine's `onError`. `context` carries the services it needs; in a machine that is an actor it has the actor's clock and log.
 */
export const invoked = <Input, Output, E, R>(
  context: Context.Context<R>,
  run: (input: Input) => Effect.Effect<Output, E, R>
): PromiseActorLogic<Output, Input> =>
  fromPromise(async ({ input, self, system, signal }) => {
    const host = hostOf(system)
    const services = host === undefined ? context : Context.merge(host.services, context)
    const running = Effect.runPromiseExitWith(services)(run(input), { signal })
    host?.runs(self.id, running)
    const exit = await running
    if (exit._tag === "Success") return exit.value
    throw Cause.squash(exit.cause)
  })

interface MachineClock {
  setTimeout(callback: (...args: Array<unknown>) => void, delayMs: number): Fiber.Fiber<void>
  clearTimeout(fiber: Fiber.Fiber<void>): void
}

/** Delayed transitions run on Effect's clock. */
export const effectClock = (context: Context.Context<never>): MachineClock => ({
  setTimeout: (callback, delayMs) =>
    Effect.runForkWith(context)(
      Effect.sleep(Duration.millis(delayMs)).pipe(Effect.andThen(Effect.sync(() => callback())))
    ),
  clearTimeout: (fiber) => {
    Effect.runForkWith(context)(Fiber.interrupt(fiber))
  }
})

/** Runs a machine to its final state and answers its output. Interruption stops the machine and what it invoked. */
export const runMachine = <Machine extends AnyStateMachine>(
  actor: Pick<ActorContext, "transition">,
  machine: Machine,
  input: InputFrom<Machine>,
  onSnapshot?: (snapshot: SnapshotFrom<Machine>) => void
): Effect.Effect<OutputFrom<Machine>, unknown> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    return yield* Effect.callback<OutputFrom<Machine>, unknown>((resume) => {
      let lastState: string | undefined
      const hosted = createActor(machine as AnyStateMachine, {
        input,
        clock: effectClock(context),
        inspect: (event) => {
          if (event.type !== "@xstate.snapshot" || event.actorRef !== hosted) return
          const snapshot = event.snapshot as SnapshotFrom<AnyStateMachine>
          onSnapshot?.(snapshot as SnapshotFrom<Machine>)
          const state = stateText(snapshot.value)
          if (state === lastState) return
          lastState = state
          actor.transition(state, event.event.type)
        }
      })
      // XState tells its observers before its inspectors: who waits goes on only when the last state has been told.
      const end = (result: Effect.Effect<OutputFrom<Machine>, unknown>) =>
        queueMicrotask(() => resume(result))
      hosted.subscribe({
        error: (error) => end(Effect.fail(error)),
        complete: () => end(Effect.succeed(hosted.getSnapshot().output as OutputFrom<Machine>))
      })
      hosted.start()
      return Effect.sync(() => hosted.stop())
    })
  })

const localIdIn = (machine: AnyStateMachine, id: string): string =>
  id === machine.id ? id : id.slice(machine.id.length + 1)

/** What its author has written onto the states that a machine is in. */
export const marksOf = (snapshot: AnyMachineSnapshot): Required<Pick<ActorInsight, "tags" | "meta">> => {
  // One that failed at its very start is in no state.
  if (snapshot.value === undefined) return { tags: [], meta: {} }
  const meta: Record<string, Schema.Json> = {}
  for (const [id, written] of Object.entries(snapshot.getMeta())) {
    if (written === undefined) continue
    const problem = jsonProblem(written, "meta")
    meta[localIdIn(snapshot.machine, id)] =
      problem === undefined ? (written as Schema.Json) : { problem: `${problem}: only plain JSON is shown` }
  }
  return { tags: [...snapshot.tags].sort(), meta }
}

const guardName = (guard: unknown): string | null =>
  guard === undefined ? null : typeof guard === "string" ? guard : "guard"

/** A machine's states and transitions, enough to draw it. */
export const graphOf = (machine: AnyStateMachine): MachineGraph => {
  const states: Array<MachineGraph["states"][number]> = []
  const transitions: Array<MachineGraph["transitions"][number]> = []
  const localId = (id: string) => localIdIn(machine, id)
  const visit = (node: ReturnType<typeof toDirectedGraph>, parent: string | null): void => {
    const { stateNode } = node
    if (parent !== null) {
      states.push({
        id: localId(stateNode.id),
        parent: parent === machine.id ? null : localId(parent),
        type: stateNode.type,
        is_initial: stateNode.parent?.config.initial === stateNode.key
      })
    }
    for (const edge of node.edges) {
      transitions.push({
        source: localId(edge.source.id),
        target: localId(edge.target.id),
        event: edge.label.text,
        guard: guardName(edge.transition.guard)
      })
    }
    // XState's own graph leaves out what happens without an event.
    for (const { target, guard } of stateNode.always ?? []) {
      for (const { id } of target ?? [])
        transitions.push({
          source: localId(stateNode.id),
          target: localId(id),
          event: "",
          guard: guardName(guard)
        })
    }
    for (const child of node.children) visit(child, stateNode.id)
  }
  visit(toDirectedGraph(machine), null)
  return { id: machine.id, states, transitions }
}
