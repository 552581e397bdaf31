/**
 * Which XState systems run inside an actor, and what the Effects that their machines invoke get of it.
 *
 * Owns: that one can be found from the other. An XState system has no place of its own for it.
 */
import type { Context } from "effect"
import type { Address } from "./Address.ts"
import type { Outgoing } from "./Outgoing.ts"

export interface HostedSystem {
  /** The actor's clock, log and tracer, where an Effect brings none of its own. */
  readonly services: Context.Context<never>
  /** What names one run of an Effect, under a key of this run alone. */
  readonly invocation: (id: string) => {
    readonly key: string
    readonly address: Address
    readonly id: string
    readonly revision: number
    readonly isOver: () => boolean
  }
  /** Something that was invoked begins to run, and ends with the promise, interrupted or not. */
  readonly runs: (id: string, done: Promise<unknown>) => void
  /** Sends signals to other actors, at most once. */
  readonly tells: (told: ReadonlyArray<Outgoing>) => void
}

const HOSTED = new WeakMap<object, HostedSystem>()

export const hostSystem = (system: object, hosted: HostedSystem): void => {
  HOSTED.set(system, hosted)
}

/** `undefined`: nobody hosts it, or it is a durable machine's, which never runs. */
export const hostOf = (system: object): HostedSystem | undefined => HOSTED.get(system)
