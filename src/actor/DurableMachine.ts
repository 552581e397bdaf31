/**
 * What makes an XState machine a durable actor: its definition.
 *
 * Owns: which signals it takes and what it answers, its version, what is shown and told of it.
 * Does not decide: what the machine does (the machine), or how a step is committed (DurableKeeping).
 *
 * Each step of a durable machine is committed before anything of it is done: its snapshot, the signals that it sends,
 * what watchers are told. So a crash at any moment neither loses nor repeats a step. Exactly:
 *
 * - *once*: a transition; a signal of a durable machine, taken by another one; a signal with a `request_id`; the end of
 *   an invoked Effect; a delayed transition, which is a moment in the store.
 * - *at least once*: an invoked Effect is run again after a crash, under the same key; an outgoing signal is sent again
 *   under the same id until its receiver has answered, a host's actor in memory until it has a place in its mailbox.
 * - *at most once*: actions of one's own (functions), which run after the commit: nobody repeats them. What must happen
 *   is invoked or told.
 */
import type { Effect, Schema } from "effect"
import type { AnyStateMachine, EventFromLogic, SnapshotFrom } from "xstate"
import type { SignalError, Unavailable } from "../signal/Errors.ts"
import {
  ABOVE_ZERO,
  COUNT,
  FUNCTION,
  Kind,
  type Known,
  OBJECT,
  optionsRefused,
  WORD
} from "../signal/KnownOptions.ts"
import type { Principal } from "../signal/Principal.ts"
import type { NameIn, PayloadIn, Protocol, SuccessIn } from "../signal/Protocol.ts"
import type { Millis } from "../signal/Text.ts"
import type { Address } from "./Address.ts"
import { declared } from "./DurableDeclaration.ts"
import type { MachineEntry, MachineFact, MachineStatus } from "./MachineStore.ts"
import { machineRulesProblem } from "./RulesProblem.ts"
import { isMachine } from "./XStateInternals.ts"

/** A machine as its own rules see it, after some step. */
export interface MachineView<Machine extends AnyStateMachine> {
  readonly address: Address
  readonly snapshot: SnapshotFrom<Machine>
  readonly status: MachineStatus
  /** Why it is parked or has failed. */
  readonly reason: string | null
  readonly revision: number
  readonly createdAt: Millis
  readonly updatedAt: Millis
}

export interface SignalSource {
  readonly principal: Principal
  readonly now: Millis
}

/** What a signal is to a machine. Both are pure. */
export interface SignalRule<Machine extends AnyStateMachine, Payload, Success> {
  /**
   * The machine's event. An error refuses the signal, and nothing is committed. `undefined`, or no such rule: the signal
   * changes nothing, and is only answered.
   */
  readonly event?: (
    payload: Payload,
    view: MachineView<Machine>,
    source: SignalSource
  ) => EventFromLogic<Machine> | SignalError | undefined
  /** What who asked is told, from the state that the signal led to, once that is committed. */
  readonly answer: (view: MachineView<Machine>, payload: Payload) => Success | SignalError
}

/** A rule, whatever it is for. */
export type AnyRule = SignalRule<AnyStateMachine, unknown, unknown>

/** A rule for each signal of the protocol. */
export type SignalRules<Machine extends AnyStateMachine, P extends Protocol> = {
  readonly [Name in NameIn<P>]: SignalRule<Machine, PayloadIn<P, Name>, SuccessIn<P, Name>>
}

/** A child machine of an earlier version, as plain JSON. */
export interface OldChild {
  readonly src: string
  readonly value: Schema.Json
  readonly context: Schema.Json
  readonly children: { readonly [id: string]: OldChild }
}

/** What an earlier version of the machine left, as plain JSON. In a context a child is `{ xstate$$type: 1, id }`. */
export interface OldSnapshot {
  readonly version: string
  readonly value: Schema.Json
  readonly context: Schema.Json
  /** Its child machines. */
  readonly children: { readonly [id: string]: OldChild }
}

/** A child machine in a state of the machine that `src` names now. Without `children` it has those that its state invokes. */
export interface MigratedChild {
  readonly src: string
  readonly value: unknown
  readonly context: unknown
  readonly children?: { readonly [id: string]: MigratedChild }
}

/**
 * A state of the machine as it is now. What its states invoke and wait for goes on where the old snapshot had it (the
 * same id), and begins anew where it did not. A child machine is in the version too: one that goes on must fit, or is
 * named in `children` with its new state. Of what was spawned only what `children` names goes on. What history states remember
 * goes on where the machine still has all of those states.
 */
export interface MigratedSnapshot<Machine extends AnyStateMachine> {
  readonly value: SnapshotFrom<Machine>["value"]
  readonly context: SnapshotFrom<Machine>["context"]
  readonly children?: { readonly [id: string]: MigratedChild }
}

/**
 * What a kind does with its machines that are at rest, on the node where they live: where they wait in a line for something
 * that no signal and no moment tells them. Whoever comes back into memory is in the line by itself.
 */
export interface Resting {
  /** One that is open and not in memory: found when its tenant has come to this node, or written anew by somebody (`hasChanged`). */
  readonly found: (entry: MachineEntry, hasChanged: boolean) => void
  /**
   * All of a tenant have been found, or it was loaded anew (`tenantLoaded`). It runs beside everything else, and nobody waits for
   * it; where it fails, or takes longer than a minute, it is run again some seconds later.
   */
  readonly complete?: (tenant: string) => Effect.Effect<void, Unavailable>
  /** The moment of one has come; true: the line brings it back when it is its turn. */
  readonly due?: (address: Address) => boolean
  /** Of these tenants nothing lives here any more. */
  readonly gone: (isGone: (tenant: string) => boolean) => void
}

export interface DurableMachine<Machine extends AnyStateMachine, P extends Protocol> {
  /** The first part of its addresses: `KIND/TENANT/ID`. */
  readonly kind: string
  /**
   * Its context, its events' outputs and the inputs of what it invokes are plain JSON: no Map, Date, bigint, class. So are
   * those of its child machines, which are a part of it.
   */
  readonly machine: Machine
  /** Changes whenever a snapshot of before would not fit any more: also when a child machine has changed. */
  readonly version: string
  /** Makes a snapshot of an earlier version fit. Where there is none, or it answers `undefined`, the actor parks. */
  readonly migrate?: (old: OldSnapshot) => MigratedSnapshot<Machine> | undefined
  /** The signals that it takes. */
  readonly protocol: P
  readonly signals: SignalRules<Machine, P>
  /** What lists show of it, beside its status and state. Plain JSON, and small. */
  readonly about?: (snapshot: SnapshotFrom<Machine>) => Schema.Json
  /** What watchers are told of a step, beside what the machine emits (`emit`: its type is the fact's kind). */
  readonly facts?: (
    after: MachineView<Machine>,
    before: MachineView<Machine> | undefined
  ) => ReadonlyArray<MachineFact>
  readonly mailboxCapacity?: number
  /** How many of a tenant may be open (active or parked); the next start is `Overloaded`. Default: `OpenMachinesMax`. */
  readonly openMax?: number
  /**
   * How long a machine stays in memory while it does nothing but wait: for a signal, for a delay, in an Effect that says so
   * (`waitsUntil`). Then its row is all that is left of it, until a signal or its moment brings it back. One whose moment is nearer
   * than this stays, and so does one with child machines that live. Default: `IdleMs`, ten minutes; `Infinity`: for ever.
   */
  readonly idleMs?: number
  readonly resting?: Resting
}

/** It is the first part of addresses, whose parts are parted by `/`. */
const KIND = new Kind(
  'a word without "/", such as "order"',
  (value) => typeof value === "string" && /^[^\s/]+$/u.test(value)
)
const MACHINE = new Kind("a machine of XState's createMachine", isMachine)

const KNOWN: Known<DurableMachine<AnyStateMachine, Protocol>> = {
  kind: KIND,
  machine: MACHINE,
  version: WORD,
  migrate: FUNCTION,
  protocol: OBJECT,
  signals: OBJECT,
  about: FUNCTION,
  facts: FUNCTION,
  mailboxCapacity: COUNT,
  openMax: COUNT,
  idleMs: ABOVE_ZERO,
  resting: OBJECT
}

const NEEDED = ["kind", "machine", "version", "protocol", "signals"] as const

const problemOf = (definition: DurableMachine<AnyStateMachine, Protocol>): string | undefined => {
  const refused = optionsRefused(definition, KNOWN, "definition")
  if (refused !== undefined) return refused.message
  const missing = NEEDED.find((name) => definition[name] === undefined)
  if (missing !== undefined) return `${missing}: It is needed, and was left out`
  return machineRulesProblem(definition.protocol, definition.signals)
}

/** What cannot be declared; `undefined` where it can. */
export const definitionProblem = (definition: unknown): string | undefined => {
  const problem = problemOf(definition as DurableMachine<AnyStateMachine, Protocol>)
  const { kind } = Object(definition) as { readonly kind?: unknown }
  return problem === undefined ? undefined : `The durable machine ${kind ?? "without a kind"}: ${problem}`
}

/**
 * A definition: `const order = durableMachine({ … })`. Throws where the machine, or a child machine of it, is made of what
 * cannot be kept, and where the definition has a field that there is not, or lacks one.
 */
export const durableMachine = <Machine extends AnyStateMachine, P extends Protocol>(
  definition: DurableMachine<Machine, P>
): DurableMachine<Machine, P> => {
  const problem = definitionProblem(definition)
  if (problem !== undefined) throw new Error(problem)
  declared(definition.kind, definition.machine)
  return definition
}
