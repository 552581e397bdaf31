/**
 * What a durable machine's life is given, and what those who wait for it are told where it cannot answer.
 */
import { Cause, type Deferred, Effect, Exit } from "effect"
import { Conflict, InternalError, NotFound, type SignalError, Unavailable } from "../signal/Errors.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import type { Address } from "./Address.ts"
import type { AnyEnvelope } from "./Envelope.ts"
import { reportIncident } from "./Incident.ts"
import type { MachineStore, OutgoingSignal } from "./MachineStore.ts"
import type { OpenMachines } from "./OpenMachines.ts"
import { NotDurable } from "./PlainJson.ts"
import type { SignalDelivery } from "./SignalDelivery.ts"

/** What all durable machines of a node share. */
export interface DurableEnvironment {
  readonly store: MachineStore
  readonly delivery: SignalDelivery
  /** What a signal is to its receiver; `undefined`: nobody here knows. */
  readonly definitionOf: (outgoing: OutgoingSignal) => AnySignal | undefined
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

/** Its life has failed while it did something. */
export const cutOff = (address: string): Unavailable =>
  new Unavailable({
    message: `${address} failed on its way to the store, and whether it has taken this is not known: send it again, under the same request_id`,
    retry_after_ms: 1_000
  })

/** A rule of the machine has thrown. What no durable machine can do is said to who asked: its author has to know where. */
export const ruleFailed = (what: string, cause: unknown): Effect.Effect<InternalError> =>
  Effect.map(reportIncident(what, Cause.die(cause)), (error) =>
    cause instanceof NotDurable
      ? new InternalError({
          message: `${what} failed: ${cause.message} (incident ${error.incident})`,
          incident: error.incident
        })
      : error
  )

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
    retry_after_ms: SOON_MS
  })
