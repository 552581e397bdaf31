/**
 * The port to where durable machines are kept.
 *
 * Owns: the shape of what one commit writes, what a claim proves, and every way in which a commit can fail.
 * Does not decide: what a machine does next (DurableStep), or where rows are kept (store/).
 *
 * A machine belongs to whoever claimed it last. A commit names the claim's epoch and the revision that it builds on;
 * where either has moved on, nothing of it is written. All of a commit is written, or nothing is.
 */

import { Context, type Effect, Schema } from "effect"
import type { Millis } from "../signal/Text.ts"
import type { MachineRewriting } from "./MachineRewriting.ts"

/** Who may write a machine: proved by a commit, never believed. */
export interface MachineClaim {
  readonly tenant: string
  /** The whole address as text: `workflow/TENANT/ID`. */
  readonly address: string
  readonly owner: string
  readonly epoch: number
}

/**
 * `active`: it runs, or waits for an event. `parked`: it waits for a person or other code (`reason` says for what); it
 * takes no events. `done`, `failed`: it has ended, and is kept until it is removed.
 */
export const MachineStatus = Schema.Literals(["active", "parked", "done", "failed"])
export type MachineStatus = typeof MachineStatus.Type

/** A signal that goes out. It is delivered at least once, under `ADDRESS#SEQ`; a durable receiver takes it once. */
export interface OutgoingSignal {
  /** Counts a machine's outgoing signals, from 1, without gaps. */
  readonly seq: number
  /** The receiver's address as text. */
  readonly to: string
  readonly signal: string
  /** The payload as it is written on the wire: plain JSON. */
  readonly params: Schema.JsonObject
  /** The trace of the signal that it answers to, as a `traceparent`; absent where there is none. */
  readonly traceparent?: string
}

/**
 * Of what was taken, enough to take it once. For a durable sender `id` is its address and `mark` the highest `seq` that
 * was taken of it; for everybody else `id` names the request and `digest` its content, and `mark` is 0.
 */
export interface SeenSignal {
  readonly id: string
  readonly mark: number
  readonly digest: string | null
}

/** What watchers are told about a step. */
export interface MachineFact {
  readonly kind: string
  readonly body: Schema.Json
}

/** A fact of a tenant, in the order in which the facts were committed. `seq` counts from 1, without gaps. */
export interface StoredFact extends MachineFact {
  readonly seq: number
  readonly address: string
  readonly at: Millis
}

/** What is shown of a machine in lists: whatever its definition says is worth showing. */
export interface MachineSummary {
  readonly status: MachineStatus
  /** The state that the machine is in, as text. */
  readonly state: string
  /** Why it is parked or has failed. */
  readonly reason: string | null
  readonly about: Schema.Json
}

/** What one or more steps change, written together. */
export interface MachineCommit extends MachineSummary {
  /** A text that no other commit has: what to ask for when nobody knows whether it was written. */
  readonly id: string
  /** The revision that it builds on. */
  readonly revision: number
  /** The revision after it: one more for each step. */
  readonly nextRevision: number
  readonly version: string
  /** The machine's whole state as JSON text. */
  readonly snapshot: string
  /** When it has to be in memory again by itself; 0 is now, `null` never: it waits for a signal. */
  readonly wakesAt: Millis | null
  readonly outgoing: ReadonlyArray<OutgoingSignal>
  readonly seen: ReadonlyArray<SeenSignal>
  /** Ids of `seen` that are not remembered any more. */
  readonly forgotten: ReadonlyArray<string>
  readonly facts: ReadonlyArray<MachineFact>
  readonly at: Millis
}

/** A machine as it is listed: without its snapshot, which may be megabytes. */
export interface MachineEntry extends MachineSummary {
  readonly tenant: string
  readonly address: string
  readonly kind: string
  readonly version: string
  readonly revision: number
  readonly wakesAt: Millis | null
  readonly createdAt: Millis
  readonly updatedAt: Millis
}

/** A machine as it is kept. */
export interface MachineRow extends MachineEntry {
  readonly snapshot: string
}

/** A claimed machine, and all that is needed to go on with it. */
export interface ClaimedMachine {
  readonly claim: MachineClaim
  /** `undefined`: nothing was ever committed at this address. */
  readonly row: MachineRow | undefined
  /** The last commit's id. */
  readonly commitId: string | null
  /** One had ended here, and was removed: nothing begins here any more. */
  readonly wasRemoved: boolean
  /** Signals that nobody has confirmed yet, the oldest first. */
  readonly outgoing: ReadonlyArray<OutgoingSignal>
  /** In the order in which it was committed. */
  readonly seen: ReadonlyArray<SeenSignal>
}

/** Where a machine is. */
export interface MachinePlace {
  readonly tenant: string
  readonly address: string
  readonly kind: string
}

export interface DueMachine extends MachinePlace {
  readonly wakesAt: Millis
}

export interface DueQuery {
  readonly kinds: ReadonlyArray<string>
  readonly now: Millis
  /** Goes on after this one. */
  readonly after: Pick<DueMachine, "wakesAt" | "address"> | null
  readonly limit: number
}

export interface OwingQuery {
  readonly kinds: ReadonlyArray<string>
  /** Goes on after this address. */
  readonly after: string | null
  /** How many are looked at: those of other kinds are left out. */
  readonly limit: number
}

export interface OpenQuery {
  readonly kind: string
  readonly tenant: string
  /** Goes on after this address, or this tenant. */
  readonly after: string
  readonly limit: number
}

/**
 * Which machines have to be in memory. Whoever asks knows which of them are so already, or are another node's. What it costs
 * does not grow with the machines that need not be there.
 */
export interface MachineLooking<Unreachable> {
  /** Those whose moment has come (`wakesAt`), by it and by address. */
  readonly due: (query: DueQuery) => Effect.Effect<ReadonlyArray<DueMachine>, Unreachable>
  /** Those that owe somebody a signal, by address; `next` is `null` where all have been looked at. */
  readonly owing: (
    query: OwingQuery
  ) => Effect.Effect<
    { readonly machines: ReadonlyArray<MachinePlace>; readonly next: string | null },
    Unreachable
  >
  /** Those of a tenant that have not ended, by address. */
  readonly open: (query: OpenQuery) => Effect.Effect<ReadonlyArray<MachineEntry>, Unreachable>
  /** Tenants that have some of a kind that have not ended, in the order of their names. */
  readonly openTenants: (
    query: Omit<OpenQuery, "tenant">
  ) => Effect.Effect<ReadonlyArray<string>, Unreachable>
  /** Of these machines, the ones that owe something to a receiver. */
  readonly owingTo: (
    receiver: string,
    addresses: ReadonlyArray<string>
  ) => Effect.Effect<ReadonlyArray<string>, Unreachable>
  /** How many of a kind have not ended. */
  readonly openCount: (tenant: string, kind: string) => Effect.Effect<number, Unreachable>
}

/** What has ended goes when somebody asks for it. */
export interface MachineRemoval<Unreachable> {
  /** Machines of a tenant that ended before a moment and owe nobody anything. */
  readonly countEnded: (tenant: string, before: Millis) => Effect.Effect<number, Unreachable>
  /** Removes some of them, the oldest first, and keeps their addresses from being used again. */
  readonly removeEnded: (
    tenant: string,
    before: Millis,
    limit: number
  ) => Effect.Effect<{ readonly removed: number; readonly isMore: boolean }, Unreachable>
  /** Removes what was told before a moment. */
  readonly removeOldFacts: (tenant: string, before: Millis) => Effect.Effect<void, Unreachable>
  /** Whether a machine was removed from an address. */
  readonly wasRemoved: (address: string) => Effect.Effect<boolean, Unreachable>
}

export interface MachineListQuery {
  readonly tenant: string
  readonly kind: string
  /** `null`: whatever its status is. */
  readonly statuses: ReadonlyArray<MachineStatus> | null
  /** Goes on after this one: the newest come first. */
  readonly after: { readonly createdAt: Millis; readonly address: string } | null
  readonly limit: number
}

export interface FactPage {
  /** In the order of their commits. */
  readonly facts: ReadonlyArray<StoredFact>
  /** Facts up to this one have been removed: whoever asks for what follows an earlier one has missed some. */
  readonly removedTo: number
}

/** Somebody else has claimed the machine since, or it has gone on. Nothing was written. */
export class MachineFenced extends Schema.TaggedError<MachineFenced>()("MachineFenced", {
  address: Schema.String
}) {
  override get message() {
    return `${this.address} is another owner's now`
  }
}

/** The data itself was refused, and would be again. Nothing was written. */
export class MachineRefused extends Schema.TaggedError<MachineRefused>()("MachineRefused", {
  address: Schema.String,
  message: Schema.String
}) {}

/** Nothing was written; it may be tried again. */
export class MachineNotWritten extends Schema.TaggedError<MachineNotWritten>()("MachineNotWritten", {
  address: Schema.String,
  message: Schema.String
}) {}

/** The connection was lost: nobody knows whether it was written (`resolve`). */
export class MachineOutcomeUnknown extends Schema.TaggedError<MachineOutcomeUnknown>()(
  "MachineOutcomeUnknown",
  { address: Schema.String, message: Schema.String }
) {}

/** The store does not answer. */
export class MachineStoreUnreachable extends Schema.TaggedError<MachineStoreUnreachable>()(
  "MachineStoreUnreachable",
  { message: Schema.String }
) {}

export type MachineCommitError = MachineFenced | MachineRefused | MachineNotWritten | MachineOutcomeUnknown

export interface MachineStore
  extends MachineRewriting<MachineStoreUnreachable>,
    MachineLooking<MachineStoreUnreachable>,
    MachineRemoval<MachineStoreUnreachable> {
  /**
   * Takes a machine over from whoever had it, and reads it. An address that nothing was committed at is claimed too: its
   * first commit makes the machine.
   */
  readonly claim: (
    machine: { readonly tenant: string; readonly address: string; readonly kind: string },
    owner: string
  ) => Effect.Effect<ClaimedMachine, MachineStoreUnreachable>
  readonly commit: (claim: MachineClaim, commit: MachineCommit) => Effect.Effect<void, MachineCommitError>
  /** After `MachineOutcomeUnknown`: moves the epoch on, which waits for the old statement, and says how it ended. */
  readonly resolve: (
    claim: MachineClaim,
    commitId: string
  ) => Effect.Effect<
    { readonly claim: MachineClaim; readonly isWritten: boolean },
    MachineFenced | MachineStoreUnreachable
  >
  /** Whether the machine is still this claim's: for answers that write nothing. */
  readonly isOwner: (claim: MachineClaim) => Effect.Effect<boolean, MachineStoreUnreachable>
  /** These outgoing signals have arrived. Whoever says so is right, so no claim is needed. */
  readonly delivered: (
    address: string,
    seqs: ReadonlyArray<number>
  ) => Effect.Effect<void, MachineStoreUnreachable>
  /** One machine, without taking it over. */
  readonly read: (address: string) => Effect.Effect<MachineRow | undefined, MachineStoreUnreachable>
  readonly list: (
    query: MachineListQuery
  ) => Effect.Effect<ReadonlyArray<MachineEntry>, MachineStoreUnreachable>
  /** A tenant's facts that follow `afterSeq`. */
  readonly facts: (
    tenant: string,
    afterSeq: number,
    limit: number
  ) => Effect.Effect<FactPage, MachineStoreUnreachable>
  /** The last fact's `seq`; 0 where there is none. */
  readonly lastFactSeq: (tenant: string) => Effect.Effect<number, MachineStoreUnreachable>
  /** Removes a tenant's oldest facts, so that at most so many are left. */
  readonly removeFacts: (tenant: string, keep: number) => Effect.Effect<void, MachineStoreUnreachable>
}

export const MachineStore = Context.Service<MachineStore>("bursar/actor/MachineStore")
