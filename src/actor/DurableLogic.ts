/**
 * What the author of a durable machine writes into it beside XState's own: Effects that a state invokes, and signals
 * that go out.
 *
 * Owns: the key of an invocation, and how both are recognised among a machine's logic and actions.
 * Does not decide: when an Effect is run or interrupted, and when a signal is delivered (DurableLife, MachineOutbox).
 */
import { Cause, Context, Effect, type Schema } from "effect"
import { fromPromise, type PromiseActorLogic } from "xstate"
import { encoderOf } from "../signal/Encode.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import { traitsOf } from "../signal/Signal.ts"
import type { Millis } from "../signal/Text.ts"
import type { Address } from "./Address.ts"
import { hostOf } from "./HostedSystems.ts"
import { listOf, type Outgoing, type Told } from "./Outgoing.ts"

/** One stay in a state that invokes an Effect. */
export interface Invocation<Input> {
  readonly input: Input
  /**
   * `ADDRESS:ID:REVISION`, the revision being the step that entered the state; for what a child machine invokes
   * `ADDRESS:CHILD/ID:REVISION`. It is the same each time that the Effect is run for this stay, also in another process:
   * what it asks for carries `request_id`s made of it, so that it is applied once.
   */
  readonly key: string
  /** Of the machine that takes signals. */
  readonly address: Address
  /** The id of the invocation in its machine. */
  readonly id: string
  readonly revision: number
  /**
   * Whether this stay is over: asked while it is interrupted. If not, its machine leaves memory, moves or ends with its process,
   * and the Effect is run again.
   */
  readonly isOver: () => boolean
}

type DurableRun = (invocation: Invocation<unknown>, signal: AbortSignal) => Promise<unknown>

const RUNS = new WeakMap<object, DurableRun>()

/** Until when it only waits, by its input. */
const WAITS = new WeakMap<object, (input: never) => Millis>()

/** Until when an invoked logic does nothing but wait; 0 where nobody has said so. */
export const waitsUntil = (logic: object, input: unknown): Millis => {
  const until = WAITS.get(logic)?.(input as never) ?? 0
  return Number.isNaN(until) ? 0 : until
}

export interface DurablyOptions<Input> {
  /**
   * Until when the Effect does nothing but wait, by its input; `Infinity`: until the machine gets a signal. Until then it may be
   * interrupted, for nothing is lost by it, and its machine may leave memory; it is run again at that moment, or as soon as
   * its machine is back. Pure: it is part of the step that enters the state. Default: it works at once, and keeps its machine in memory.
   */
  readonly waitsUntil?: (input: Input) => Millis
}

/** How an invoked logic is run in a durable machine; `undefined` where it was not made by `durably`. */
export const durableRunOf = (logic: object): DurableRun | undefined => RUNS.get(logic)

/**
 * An Effect as a durable machine's invoked logic: `setup({ actors: { write: durably(context, run) } })`.
 *
 * It is run once the step that entered the state is committed, and interrupted when the state is left. A process that
 * died runs it again, under the same key. Its end is an event of the machine (`onDone`, `onError`) and is committed like
 * any other; so it is applied once, however often it ran. Its output must be plain JSON; its failure comes to `onError`
 * as plain JSON (`_tag`, `name`, `message` and its other fields). `context` has the services it needs.
 */
export const durably = <Input, Output, E, R>(
  context: Context.Context<R>,
  run: (invocation: Invocation<Input>) => Effect.Effect<Output, E, R>,
  options: DurablyOptions<Input> = {}
): PromiseActorLogic<Output, Input> => {
  const runOnce = async (
    services: Context.Context<R>,
    invocation: Invocation<Input>,
    signal: AbortSignal
  ): Promise<Output> => {
    const exit = await Effect.runPromiseExitWith(services)(run(invocation), { signal })
    if (exit._tag === "Success") return exit.value
    throw Cause.squash(exit.cause)
  }
  const logic = fromPromise<Output, Input>(({ input, self, system, signal }) => {
    const host = hostOf(system)
    if (host === undefined)
      return Promise.reject(
        new Error("this logic was made by `durably`, and runs in machines that are actors only")
      )
    const services = Context.merge(host.services, context)
    const running = runOnce(services, { input, ...host.invocation(self.id) }, signal)
    host.runs(self.id, running)
    return running
  })
  if (options.waitsUntil !== undefined) WAITS.set(logic, options.waitsUntil)
  RUNS.set(logic, (invocation, signal) => runOnce(context, invocation as Invocation<Input>, signal))
  return logic
}

/** A signal to an actor: `signalTo(tokenManager, SIGNALS.reset_budget, { budget_id })`. */
export const signalTo = <Definition extends AnySignal>(
  to: Address,
  definition: Definition,
  payload: Definition["payloadSchema"]["Type"]
): Outgoing => ({
  to,
  signal: definition._tag,
  params: encoderOf(definition.payloadSchema)(payload) as Schema.JsonObject,
  isCommand: traitsOf(definition).kind === "command"
})

type Tell = (args: never, params: never) => Told

const TELLS = new WeakMap<object, Tell>()

/** What an action of `tell` sends; `undefined` for any other action. */
export const tellOf = (action: object): ((args: unknown, params: unknown) => Told) | undefined =>
  TELLS.get(action) as ((args: unknown, params: unknown) => Told) | undefined

/**
 * An action that sends signals to other actors, and waits for nothing: `tell(({ context }) => signalTo(…))`. A receiver is a
 * durable machine (of any node), an actor of the product, or a host's own actor in memory on the same node.
 *
 * In a durable machine the signal is committed with the step. It leaves afterwards, is delivered at least once, and carries a
 * `request_id` made of the machine's address and its number (`ADDRESS#NUMBER`; from a child machine `ADDRESS#NUMBER/CHILD`)
 * where its payload has none: so whoever receives it takes it once. An actor in memory has taken it when it has a place in its
 * mailbox, and loses it with its process: where that ends before the store knows, the next one may get it again, under the
 * same id. What the receiver refuses for good is a dead letter, and so is what an actor in memory was not there for within ten
 * seconds; what cannot be taken right now is sent again.
 *
 * In a machine in memory it leaves at once, at most once, to each receiver in order: until a durable machine has committed it,
 * or an actor has a place for it in its mailbox, it is lost with the process. What is not taken, for whatever reason, is a
 * dead letter.
 */
export const tell = <Args, Params>(
  outgoing: (args: Args, params: Params) => Told
): ((args: Args, params: Params) => void) => {
  // A durable machine never runs it.
  const action = (args: Args, params: Params): void => {
    const { system } = args as { readonly system?: object }
    const host = system === undefined ? undefined : hostOf(system)
    if (host === undefined)
      throw new Error(
        "`tell` sends from machines that are actors: make this one an actor (durableMachine, machineActor), or send from an Effect"
      )
    host.tells(listOf(outgoing(args, params)))
  }
  TELLS.set(action, outgoing)
  return action
}
