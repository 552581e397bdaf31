/**
 * The signal by which one node asks another one's durable machines.
 *
 * Owns: its shape. What is asked of a machine is written by the machine's own schemas, and is only passed on here.
 * Does not decide: what a machine takes (its protocol), or on which node it lives.
 */
import { Schema } from "effect"
import { AddressText } from "./Actors.ts"
import { command } from "./Signal.ts"

export const AskMachine = command("ask_machine", {
  family: "actors",
  roles: [],
  description: "Asks a durable machine on the node where it lives.",
  payload: {
    address: AddressText,
    /**
     * `signal`: one of its own; `start`: it begins, if it has not; `restart`: its life begins anew; `watch`: how it has ended, if
     * it has within some seconds; `hold`: it has begun to live there.
     */
    what: Schema.Literals(["signal", "start", "restart", "watch", "hold"]),
    /** The name of its own signal. */
    signal: Schema.String,
    /** What its own signal takes, or what it begins with. */
    params: Schema.Json
  },
  success: Schema.Struct({ answer: Schema.Json })
})
