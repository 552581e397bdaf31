/**
 * What a durable machine's life is given, and what those who wait for it are told where it cannot answer.
 */
import { type Deferred, Exit } from "effect"
import { Conflict, NotFound, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Address } from "./Address.ts"
import type { AnyEnvelope } from "./Envelope.ts"
import type { MachineStore } from "./MachineStore.ts"
import type { OpenMachines } from "./OpenMachines.ts"
import type { SignalDelivery } from "./SignalDelivery.ts"

/** What all durable machines of a node share. */
export interface DurableEnvironment {
  readonly store: MachineStore
  readonly delivery: SignalDelivery
  /** How many may be open, and of each kind that says nothing else, so many. */
  readonly openMachines: OpenMachines
  readonly openMax: number
  /** How long a machine may be idle in memory, where its kind says nothing else. */
  readonly idleMs: number
  /** A text that is never made twice. */
  readonly newId: () => string
  /** Facts of a tenant have been committed. */
  readonly onFacts: (tenant: string) => void
}

/** How a life begins. */
export interface Birth {
  /** Where the machine was never started. Without it there is nothing to begin with. */
  readonly input: { readonly value: unknown } | undefined
  /**
   * `asked`: somebody has something for it, and knows that it is there. `moment`: its moment has come, or it owes something.
   * `ref`: somebody had a handle to it, and does not know whether it is still there.
   */
  readonly why: "asked" | "moment" | "ref"
  /** Done once the machine is known to be in the store; `isNew`: it began with this life. */
  readonly ready: Deferred.Deferred<{ readonly isNew: boolean }, SignalError>
}

/** The store is away. */
export const away = (address: string): Unavailable =>
  new Unavailable({
    message: `${address} cannot reach its store right now; send it again`,
    retry_after_ms: 1_000
  })

/** It stands still until somebody puts right what it says: whoever asks again is answered the same. */
export const standsStill = (address: string, reason: string): Conflict =>
  new Conflict({
    message: `${address} is parked: ${reason}. Waiting does not help: put that right, then begin it again with restart_actor (a workflow also with resume_workflow)`,
    reason: "machine_parked"
  })

/** What ended here was removed: who starts it again would do it twice. */
export const wasHere = ({ kind, text }: Address): NotFound =>
  new NotFound({
    kind,
    id: text,
    message: `${text} had ended, and was removed by cleanup_old_data: it is not started again. Take another id`
  })

/** Answers whoever asked, with what the rule of the signal made. */
export const succeed = (envelope: AnyEnvelope, success: unknown): void =>
  (envelope as AnyEnvelope & { readonly succeed: (success: unknown) => void }).succeed(success)

/** What whoever started the machine is told where its life ended before it was in the store. */
export const endOf = (address: string, exit: Exit.Exit<void>): SignalError =>
  new Unavailable({
    message: Exit.isSuccess(exit)
      ? `${address} is not in the store`
      : `${address} was stopped before it was in the store; send it again`,
    retry_after_ms: 100
  })
