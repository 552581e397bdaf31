/**
 * Brings what machines in memory tell to whom they tell it.
 *
 * Owns: at most once, at once, to each receiver in order; how much may wait, for one of them and for all together; what
 * is not taken is a dead letter.
 * Does not decide: how a receiver is found (DurableDelivery), or when a machine tells (MachineActor).
 *
 * Nothing of it is committed before it leaves: with the process it is lost, and nobody sends it again.
 */
import { Cause, Effect } from "effect"
import { Overloaded, type SignalError, Unavailable } from "../signal/Errors.ts"
import { installationPrincipal, type Principal } from "../signal/Principal.ts"
import type { AnySignal } from "../signal/Protocol.ts"
import type { Address } from "./Address.ts"
import type { DeadLetters } from "./DeadLetters.ts"
import { reportIncident } from "./Incident.ts"
import { Lanes } from "./Lanes.ts"
import type { OutgoingSignal } from "./MachineStore.ts"
import type { SignalDelivery } from "./SignalDelivery.ts"
import { readTraceparent, within } from "./TraceContext.ts"
import { undelivered } from "./Undelivered.ts"

/** Signals of this node's machines in memory that wait for one receiver; the next is a dead letter. */
const WAITING_MAX = 1_000
/** For all receivers together, since each that is told something costs a fiber; the next is a dead letter, too. */
const WAITING_MAX_IN_ALL = 20_000
const ANSWER_TIMEOUT = "30 seconds"

interface Surroundings extends SignalDelivery {
  readonly deadLetters: DeadLetters
  readonly definitionOf: (outgoing: OutgoingSignal) => AnySignal | undefined
  readonly now: () => number
  readonly run: (effect: Effect.Effect<void>) => unknown
}

interface Told {
  readonly from: Address
  readonly outgoing: OutgoingSignal
}

/** As whom it is sent: the key's id names it, and no door gives such an id to anybody. */
const tellerOf = ({ tenant, text }: Address): Principal => installationPrincipal(tenant, `memory:${text}`)

const overloaded = (what: string): Overloaded =>
  new Overloaded({ message: `${what}, or make whoever tells it durable`, retry_after_ms: 1_000 })

const NO_ROOM = {
  full: overloaded(`${WAITING_MAX} signals of machines in memory wait for it; tell it less`),
  "all full": overloaded(
    `${WAITING_MAX_IN_ALL} signals of machines in memory wait on this node, for all receivers together; tell fewer at once`
  )
}
const ENDS = new Unavailable({ message: "The node ended before this was taken", retry_after_ms: 1_000 })

export class MachineTelling {
  readonly #around: Surroundings
  readonly #lanes: Lanes<Told>
  isEnding = false

  constructor(around: Surroundings) {
    this.#around = around
    this.#lanes = new Lanes({
      run: around.run,
      max: WAITING_MAX,
      maxInAll: WAITING_MAX_IN_ALL,
      carry: (told) => this.#carry(told),
      abandon: (told) => this.#bury(told, ENDS)
    })
  }

  tell(from: Address, outgoing: OutgoingSignal): void {
    const told = { from, outgoing }
    if (this.isEnding) {
      this.#bury(told, ENDS)
      return
    }
    const added = this.#lanes.add(outgoing.to, told)
    if (added !== "waits") this.#bury(told, NO_ROOM[added])
  }

  #carry(told: Told): Effect.Effect<void> {
    const { from, outgoing } = told
    const { to, traceparent } = outgoing
    const taken = Effect.timeoutOrElse(this.#around.deliver(tellerOf(from), outgoing), {
      duration: ANSWER_TIMEOUT,
      orElse: () => Effect.fail(new Unavailable({ message: `${to} does not answer`, retry_after_ms: 0 }))
    })
    return within(
      readTraceparent(traceparent),
      taken.pipe(
        Effect.catchDefect((defect) =>
          Effect.flip(reportIncident(`The signal ${outgoing.signal} to ${to}`, Cause.die(defect)))
        ),
        Effect.catch((error) => Effect.sync(() => this.#bury(told, error))),
        Effect.onInterrupt(() => Effect.sync(() => this.#bury(told, ENDS)))
      )
    )
  }

  #bury({ from, outgoing }: Told, error: SignalError): void {
    const { deadLetters, definitionOf, now } = this.#around
    const about = { principal: tellerOf(from), definition: definitionOf(outgoing), at: now() }
    deadLetters.add(undelivered(outgoing, error, about))
  }
}
