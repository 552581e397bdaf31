/**
 * Where durable machines live, when there are several nodes.
 *
 * Owns: the port between the machines of a node and those of the others. Without it all machines are here.
 * Does not decide: on which node a machine lives (cluster/), or how it is asked there (MachineRouting, MachineAnswering).
 */
import type { Effect, Schema } from "effect"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Address } from "./Address.ts"

/** What is asked of a machine on another node. */
export interface MachineAsk {
  /** Whole, as text. */
  readonly address: string
  readonly what: "signal" | "start" | "restart" | "watch" | "hold"
  /** Of a signal: its name. */
  readonly signal: string
  /** Of a signal: its payload; of a start: its input. As its schemas write it. */
  readonly params: Schema.Json
}

export interface MachinePlaces {
  /** Whether an address lives here, as far as is known. It looks at memory only. */
  readonly isMine: (address: Address) => boolean
  /** Asks the node where it lives, for as long as it moves; `undefined`: there is nobody to ask. */
  readonly ask?: (asked: MachineAsk, principal: Principal) => Effect.Effect<Schema.Json, SignalError>
  /** The name of this node, for what others are told of it. */
  readonly node?: () => string
}

/** It lives on another node, and has just moved, or nobody can be asked. */
export const elsewhere = (address: string): Unavailable =>
  new Unavailable({
    message: `${address} lives on another node, where its tenant's TokenManager is; send it again`,
    retry_after_ms: 1_000
  })
