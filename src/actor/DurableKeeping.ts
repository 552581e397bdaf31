/**
 * What of a durable machine is known to be in the store, and what is done once another step is.
 *
 * Owns: the claim, the machine as it was last committed, and the order in which a committed step is carried out: what it
 * invokes, its answers, its actions, its facts.
 * Does not decide: what a step is (DurableDraft), how a commit is tried (MachineCommitting), or what follows (DurableLife).
 */
import { Cause, type Context, Effect, Exit } from "effect"
import type { AnyStateMachine } from "xstate"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Protocol } from "../signal/Protocol.ts"
import { isRefusal, SOON_MS } from "../signal/Refusing.ts"
import type { Millis } from "../signal/Text.ts"
import type { ActorContext } from "./ActorSystem.ts"
import { DurableChildren } from "./DurableChildren.ts"
import { Draft, type Standing } from "./DurableDraft.ts"
import { away, type DurableEnvironment, ruleFailed, succeed } from "./DurableEnvironment.ts"
import type { DurableInbox, Taken } from "./DurableInbox.ts"
import type { Registered } from "./DurableReading.ts"
import { wakesAtOf } from "./DurableRest.ts"
import type { DurableState } from "./DurableState.ts"
import type { StepContext } from "./DurableStep.ts"
import type { AnyEnvelope } from "./Envelope.ts"
import { reportIncident } from "./Incident.ts"
import { Invocations } from "./Invocations.ts"
import { stateText } from "./Machine.ts"
import { commitMachine } from "./MachineCommitting.ts"
import type { MachineOutbox } from "./MachineOutbox.ts"
import type { ClaimedMachine, MachineClaim } from "./MachineStore.ts"
import { messageOf } from "./PlainJson.ts"
import { SeenSignals } from "./SeenSignals.ts"

/**
 * How a turn of a life ended. `again`: what was to be taken is still to be taken. `refused`: the store never takes it, and not
 * that the machine is parked for it either.
 */
export type Turn = "go on" | "again" | "load again" | "refused" | "stop"

/** What is taken at once. */
export const BATCH_MAX = 64

export interface KeepingParts<Machine extends AnyStateMachine, P extends Protocol> {
  readonly registered: Registered<Machine, P>
  readonly environment: DurableEnvironment
  readonly actor: ActorContext<P>
  readonly inbox: DurableInbox<P>
  readonly outbox: MachineOutbox
  readonly services: Context.Context<never>
}

export class DurableKeeping<Machine extends AnyStateMachine, P extends Protocol> {
  readonly #registered: Registered<Machine, P>
  readonly #environment: DurableEnvironment
  readonly #actor: ActorContext<P>
  readonly #inbox: DurableInbox<P>
  readonly outbox: MachineOutbox
  readonly invocations: Invocations
  readonly children: DurableChildren
  claim: MachineClaim | undefined
  seen = new SeenSignals([])
  standing: Standing | undefined
  /** One, while it is looked for what the store refuses. */
  batchMax = BATCH_MAX
  failures = 0
  /** The commit that the store had last, as far as this life knows. */
  #lastCommit: string | null = null
  /** A commit that may have been written, and what of the inbox it has. */
  #unsure: { readonly id: string; readonly taken: Pick<Taken, "ended" | "late"> } | undefined
  /** What the store last said to what it never takes. */
  refusal = ""

  constructor({ registered, environment, actor, inbox, outbox, services }: KeepingParts<Machine, P>) {
    this.#registered = registered
    this.#environment = environment
    this.#actor = actor
    this.#inbox = inbox
    this.outbox = outbox
    this.invocations = new Invocations(actor.ref.address, inbox.end)
    this.children = new DurableChildren(actor.ref.address, actor, services, inbox.sendLate)
  }

  get #address(): string {
    return this.#actor.ref.address.text
  }

  /** The machine is this life's now. */
  take(claimed: ClaimedMachine): void {
    this.#settleUnsure(claimed.commitId)
    this.#lastCommit = claimed.commitId
    this.claim = claimed.claim
    this.seen = new SeenSignals(claimed.seen)
    this.outbox.add(claimed.outgoing)
  }

  /**
   * Of what was to be committed nobody knew whether it was: now it is known. Where somebody else has gone on meanwhile, it is
   * not: an end is recognised where it comes again, an event that an action has sent is not, and is dropped.
   */
  #settleUnsure(commitId: string | null): void {
    const unsure = this.#unsure
    this.#unsure = undefined
    if (unsure === undefined || commitId === this.#lastCommit) return
    const { late, ended } = unsure.taken
    this.#inbox.took({ late, ended: commitId === unsure.id ? ended : [] })
  }

  contextAt(now: Millis): StepContext {
    return {
      machine: this.#registered.machine,
      address: this.#actor.ref.address,
      now,
      sendLate: this.#inbox.sendLate
    }
  }

  draftAt(now: Millis): Draft<Machine, P> {
    return new Draft(this.#registered.definition, this.contextAt(now), this.seen, this.standing)
  }

  /** Where many senders are remembered, finds out which of them may be forgotten. */
  settleSenders(): Effect.Effect<void> {
    const senders = this.seen.unsettled(BATCH_MAX)
    if (senders.length === 0) return Effect.void
    const { seen } = this
    return Effect.ignore(
      Effect.map(this.#environment.store.owingTo(this.#address, senders), (owing) => {
        const owe = new Set(owing)
        seen.settle(senders.filter((sender) => !owe.has(sender)))
      })
    )
  }

  /** `taken`: what it has of the inbox; absent where nothing was taken, so that nothing in it is to blame. */
  commit(draft: Draft<Machine, P>, taken?: Taken): Effect.Effect<Turn> {
    const { store, newId } = this.#environment
    const claim = this.claim as MachineClaim
    return Effect.gen({ self: this }, function* () {
      const envelopes = taken?.envelopes ?? []
      if (!draft.hasChanged) return yield* this.#answerUnchanged(draft, envelopes)
      const commit = draft.commitOf(newId())
      const outcome = yield* commitMachine(store, claim, commit)
      switch (outcome._tag) {
        case "committed":
          this.claim = outcome.claim
          this.#lastCommit = commit.id
          yield* this.#carryOut(draft)
          return "go on" as const
        case "lost":
          return yield* this.lose(envelopes)
        case "unavailable":
          this.#unsure = { id: commit.id, taken: taken ?? NOTHING_TAKEN }
          this.refuse(envelopes, away(this.#address))
          return "load again" as const
        case "refused":
          this.refusal = messageOf(outcome.error)
          return taken === undefined ? "refused" : yield* this.#refused(draft, envelopes, outcome.error)
      }
    })
  }

  /** An owner that was frozen must not answer from what another one has gone on from. */
  #answerUnchanged(draft: Draft<Machine, P>, envelopes: ReadonlyArray<AnyEnvelope>) {
    const { store } = this.#environment
    return Effect.gen({ self: this }, function* () {
      if (draft.answers.length > 0) {
        const mine = yield* Effect.exit(store.isOwner(this.claim as MachineClaim))
        if (Exit.isFailure(mine)) {
          this.refuse(envelopes, away(this.#address))
          return "go on" as const
        }
        if (!mine.value) return yield* this.lose(envelopes)
      }
      yield* this.#answer(draft)
      return "go on" as const
    })
  }

  /** The step is in the store: now it is done. */
  #carryOut(draft: Draft<Machine, P>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const before = this.standing
      this.standing = draft.standing
      this.seen.commit(draft.marks, this.seen.surplus(draft.marks))
      this.outbox.add(draft.outgoing)
      this.follow(draft.event, before)
      yield* this.#answer(draft)
      for (const action of draft.actions) {
        try {
          action()
        } catch (cause) {
          this.failures += 1
          yield* Effect.logError(`An action of ${this.#address} failed; nobody repeats it`, Cause.die(cause))
        }
      }
      if (draft.facts.length > 0) this.#environment.onFacts(this.#actor.ref.address.tenant ?? "")
    })
  }

  #answer({ answers, poisoned, notes }: Draft<Machine, P>): Effect.Effect<void> {
    for (const { envelope, answer } of answers) {
      if (isRefusal(answer)) envelope.fail(answer)
      else succeed(envelope, answer)
    }
    const said = Effect.forEach(notes, (note) => Effect.logInfo(`${this.#address}: ${note}`), {
      discard: true
    })
    const incidents = Effect.forEach(
      poisoned,
      ({ envelope, cause }) => {
        this.failures += 1
        return Effect.map(ruleFailed(`The signal ${envelope.name} to ${this.#address}`, cause), (error) =>
          envelope.fail(error)
        )
      },
      { discard: true }
    )
    return Effect.andThen(said, incidents)
  }

  /** When its row says that it has to be in memory; 0 where nobody knows. */
  get wakesAt(): Millis | null {
    const { standing } = this
    return standing?.status === "active" ? wakesAtOf(standing.state, standing.snapshot) : 0
  }

  /** Runs what the state invokes, and says where the machine is. */
  follow(event: string | undefined, before?: Standing): void {
    const { state, snapshot, status, reason } = this.standing as Standing
    if (status === "active") this.invocations.follow(state, snapshot)
    else this.invocations.follow(NOTHING(state), snapshot)
    this.children.follow(state, snapshot, event)
    const now = status === "parked" ? "parked" : stateText(snapshot.value)
    if (status !== "active" || before === undefined || stateText(before.snapshot.value) !== now)
      this.#actor.transition(now, reason ?? event)
  }

  lose(envelopes: ReadonlyArray<AnyEnvelope>): Effect.Effect<"stop"> {
    const message = `${this.#address} has gone on elsewhere; send it again`
    this.refuse(envelopes, new Unavailable({ message, retry_after_ms: SOON_MS }))
    this.#actor.transition("fenced", "another owner has claimed it")
    return Effect.as(
      Effect.logWarning(
        `${this.#address} has been claimed by another owner; this one stops, having done nothing`
      ),
      "stop" as const
    )
  }

  /** The store will never take this. Of several things it is found out which one is to blame. */
  #refused(
    draft: Draft<Machine, P>,
    envelopes: ReadonlyArray<AnyEnvelope>,
    error: Error
  ): Effect.Effect<Turn> {
    return Effect.gen({ self: this }, function* () {
      if (this.batchMax > 1) {
        this.batchMax = 1
        this.#actor.ref.mailbox.putBack(envelopes as never)
        return "again" as const
      }
      const [envelope] = envelopes
      if (envelope !== undefined) {
        this.failures += 1
        const what = `The signal ${envelope.name} to ${this.#address}`
        envelope.fail(yield* reportIncident(what, Cause.fail(error)))
        return "go on" as const
      }
      const parked = this.draftAt(draft.standing?.updatedAt ?? 0)
      parked.park(`the store refused ${draft.event}: ${messageOf(error)}`)
      return yield* this.commit(parked)
    })
  }

  refuse(envelopes: ReadonlyArray<AnyEnvelope>, error: SignalError): void {
    for (const envelope of envelopes) envelope.fail(error)
  }
}

const NOTHING_TAKEN: Pick<Taken, "ended" | "late"> = { ended: [], late: [] }

/** A state that invokes nothing. */
const NOTHING = (state: DurableState): DurableState => ({ ...state, invocations: {} })
