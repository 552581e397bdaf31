/**
 * Brings what is for durable machines on other nodes to where they live.
 *
 * Owns: that what is told to one machine arrives in its order, how much may be on its way, to one and to all together, and
 * that everything is answered.
 * Does not decide: where a machine lives (MachinePlaces), or what it answers (the node where it lives: MachineAnswering).
 *
 * An ask goes at once. What is told or pushed goes one after the other for each machine, each once the one before is
 * answered: what would arrive together might overtake each other while the machine moves.
 */
import { Cause, Effect, type Fiber, Result, type Schema } from "effect"
import { invalidParam, Overloaded, type SignalError, Unavailable } from "../signal/Errors.ts"
import { installationPrincipal } from "../signal/Principal.ts"
import type { AnySignal, Protocol } from "../signal/Protocol.ts"
import { withRequestId } from "../signal/Repeatable.ts"
import type { CarriedSignal, Carry } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import { reportIncident } from "./Incident.ts"
import { Lanes } from "./Lanes.ts"
import type { MachinePlaces } from "./MachinePlaces.ts"
import { watchElsewhere } from "./MachineWatching.ts"
import { readAnswer, writeParams } from "./MachineWire.ts"
import type { Elsewhere } from "./Passivation.ts"
import { sendingProblem } from "./PayloadCheck.ts"
import { jsonProblem } from "./PlainJson.ts"
import { within } from "./TraceContext.ts"
import { doesNotAnswer } from "./Unanswered.ts"

/** Asks of this node that are on their way to others; the next is `Overloaded`. */
const ASKS_MAX = 20_000
/** What is told to one machine and has not arrived, as in a mailbox; the next is `Overloaded`, and so a dead letter. */
const TOLD_MAX = 1_000
/** The same for all machines together, however many they are. */
const TOLD_MAX_IN_ALL = 20_000

type Ask = NonNullable<MachinePlaces["ask"]>

interface Carried {
  readonly address: Address
  readonly definition: AnySignal
  readonly ask: Ask
  readonly signal: CarriedSignal
  readonly onPlace: (() => void) | undefined
}

const overloaded = (what: string): Overloaded =>
  new Overloaded({ message: `${what}; send it again later`, retry_after_ms: 100 })

const ending = ({ text }: Address): Unavailable =>
  new Unavailable({
    message: `This node is ending, and whether ${text} has taken this is not known: send it again, under the same request_id`,
    retry_after_ms: 1_000
  })

const MUST_TRAVEL =
  "Where there are several nodes it has to be plain JSON, since it goes to the node that has the tenant"

const NOT_WAITING = (): void => undefined

export class MachineRouting {
  readonly #run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #told: Lanes<Carried>
  /** Tenants of which something lives here, and the others know. */
  readonly #held = new Set<string>()
  #asks = 0
  places: MachinePlaces = { isMine: () => true }
  isEnding = false

  constructor(run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#run = run
    this.#told = new Lanes({
      run,
      max: TOLD_MAX,
      maxInAll: TOLD_MAX_IN_ALL,
      carry: sent,
      abandon: ({ signal, address }) => signal.fail(ending(address))
    })
  }

  /** How those are asked that live on the node where this address does; `undefined`: it lives here, or nobody can be asked. */
  #askFor(address: Address): Ask | undefined {
    const { isMine, ask } = this.places
    return ask === undefined || isMine(address) ? undefined : ask
  }

  isElsewhere(address: Address): boolean {
    return this.#askFor(address) !== undefined
  }

  /** How an address is reached that is not here. */
  elsewhere<P extends Protocol>(address: Address, protocol: P): Elsewhere<P> | undefined {
    const ask = this.#askFor(address)
    if (ask === undefined) return undefined
    return {
      protocol,
      carry: this.#carryTo(address, protocol, ask),
      watch: (told) => {
        const ended = watchElsewhere(address, () => this.#askFor(address))
        const watching = this.#run(Effect.map(ended, told))
        return () => watching.interruptUnsafe()
      }
    }
  }

  /** Starts one where it lives; `undefined`: that is here. The input may have to travel, whichever node is asked: that is chance. */
  start(
    address: Address,
    input: unknown
  ): Effect.Effect<{ readonly isNew: boolean } | undefined, SignalError> {
    const problem = input === undefined ? undefined : jsonProblem(input, "input")
    if (this.places.ask !== undefined && problem !== undefined)
      return Effect.fail(invalidParam(["input"], `${problem}. ${MUST_TRAVEL}`))
    const params = input === undefined ? {} : { input: input as Schema.Json }
    return Effect.map(this.#asked(address, "start", params), (answer) =>
      answer === undefined ? undefined : { isNew: (answer as { readonly is_new: boolean }).is_new }
    )
  }

  /** Begins the life of one anew where it lives. False: that is here. */
  restart(address: Address): Effect.Effect<boolean, SignalError> {
    return Effect.map(this.#asked(address, "restart", {}), (answer) => answer !== undefined)
  }

  /**
   * Something of a tenant begins to live here. The node is asked as if by another one: only who was asked so is told to
   * stop what it has before the tenant goes to somebody else.
   */
  holds({ tenant, text }: Address): void {
    const { ask } = this.places
    if (ask === undefined || tenant === undefined || this.#held.has(tenant)) return
    this.#held.add(tenant)
    const asked = ask({ address: text, what: "hold", signal: "", params: {} }, installationPrincipal(tenant))
    const failed = Effect.sync(() => this.#held.delete(tenant))
    this.#run(Effect.asVoid(Effect.catchCause(asked, () => failed)))
  }

  /** Nothing of these lives here any more. */
  release(isGone: (address: Address) => boolean): void {
    for (const tenant of this.#held)
      if (isGone({ kind: "", tenant, text: `/${tenant}` })) this.#held.delete(tenant)
  }

  #asked(
    address: Address,
    what: "start" | "restart",
    params: Schema.Json
  ): Effect.Effect<Schema.Json | undefined, SignalError> {
    return Effect.suspend(() => {
      const ask = this.#askFor(address)
      if (ask === undefined) return Effect.undefined
      return ask({ address: address.text, what, signal: "", params }, installationPrincipal(address.tenant))
    })
  }

  #carryTo(address: Address, protocol: object, ask: Ask): Carry {
    return (signal, onPlace) => {
      const { definition } = signal
      if (definition === undefined) {
        signal.fail(doesNotAnswer(address.text, signal.name, protocol))
        return NOT_WAITING
      }
      if (this.isEnding) {
        signal.fail(ending(address))
        return NOT_WAITING
      }
      const carried = { address, definition, ask, signal, onPlace }
      return signal.isAsked ? this.#ask(carried) : this.#tell(carried)
    }
  }

  #ask(carried: Carried): () => void {
    if (this.#asks >= ASKS_MAX) {
      const { text } = carried.address
      carried.signal.fail(
        overloaded(`${text} is on another node, and ${ASKS_MAX} asks are on their way to others`)
      )
      return NOT_WAITING
    }
    this.#asks += 1
    const done = Effect.sync(() => {
      this.#asks -= 1
    })
    const asking = this.#run(Effect.ensuring(sent(carried), done))
    return () => asking.interruptUnsafe()
  }

  #tell(carried: Carried): () => void {
    const { text } = carried.address
    const added = this.#told.add(text, carried)
    if (added !== "waits") {
      const waiting =
        added === "full"
          ? `${TOLD_MAX} signals wait for it`
          : `${TOLD_MAX_IN_ALL} signals wait for machines of other nodes`
      carried.signal.fail(overloaded(`${text} is on another node, and ${waiting}`))
    }
    return () => this.#told.remove(text, carried)
  }
}

/** Sends one, and answers it with what comes back. */
const sent = (carried: Carried): Effect.Effect<void> => {
  const { signal, address, onPlace } = carried
  const answered = Effect.match(asked(carried), {
    onFailure: (error) => signal.fail(error),
    onSuccess: (success) => {
      onPlace?.()
      signal.succeed(success)
    }
  })
  const settled = Effect.catchDefect(answered, (defect) =>
    Effect.map(reportIncident(`The signal ${signal.name} to ${address.text}`, Cause.die(defect)), (error) =>
      signal.fail(error)
    )
  )
  return within(
    signal.span,
    Effect.onInterrupt(settled, () => Effect.sync(() => signal.fail(ending(address))))
  )
}

const asked = ({ address, definition, ask, signal }: Carried): Effect.Effect<unknown, SignalError> =>
  Effect.gen(function* () {
    const { name, payload, principal } = signal
    // As it was sent, and as it would be where its machine lives: before anything is filled in.
    const problem = sendingProblem(signal)
    if (problem !== undefined) return yield* problem
    const written = writeParams(definition, withRequestId(definition, payload))
    if (Result.isFailure(written)) return yield* written.failure
    const { text } = address
    const answer = yield* ask(
      { address: text, what: "signal", signal: name, params: written.success },
      principal
    )
    return yield* readAnswer(definition, answer, text)
  })
