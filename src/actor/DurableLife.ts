/**
 * One life of a durable machine: read it, decide, commit, then do.
 *
 * Owns: the order of these, and when there is something to decide.
 * Does not decide: what a step is (DurableDraft), or what becomes of it in the store and afterwards (DurableKeeping).
 *
 * Nothing of a step leaves before its commit: no answer, no signal, no Effect, no fact. What is decided and not committed
 * is thrown away as a whole, so there is nothing to undo.
 */
import { Cause, Clock, Deferred, Effect, Exit } from "effect"
import type { AnyStateMachine } from "xstate"
import type { SignalError } from "../signal/Errors.ts"
import type { Protocol } from "../signal/Protocol.ts"
import type { ActorContext } from "./ActorSystem.ts"
import { hasEnded } from "./DurableEnded.ts"
import {
  away,
  type Birth,
  cutOff,
  type DurableEnvironment,
  endOf,
  ruleFailed,
  standsStill,
  wasHere
} from "./DurableEnvironment.ts"
import { DurableInbox } from "./DurableInbox.ts"
import { durableInsight } from "./DurableInsight.ts"
import { BATCH_MAX, DurableKeeping, type KeepingParts, type Turn } from "./DurableKeeping.ts"
import { type Registered, readingOf } from "./DurableReading.ts"
import type { Rests } from "./DurableResidents.ts"
import { nextTimer } from "./DurableState.ts"
import { begin } from "./DurableStep.ts"
import { reportIncident } from "./Incident.ts"
import { commitMachine, PATIENCE_MS } from "./MachineCommitting.ts"
import { MachineOutbox, OUTGOING_MAX } from "./MachineOutbox.ts"
import type { ClaimedMachine, MachineClaim, MachineRow } from "./MachineStore.ts"

const PAUSE_MS_MAX = 5_000
/** So long a machine that has ended stays to say so. */
const LINGERS = "10 seconds"
/** Who came back by itself, and was asked nothing, stays for this part of what others do. */
const UNASKED_PART = 20

export class DurableLife<Machine extends AnyStateMachine, P extends Protocol> {
  readonly #registered: Registered<Machine, P>
  readonly #environment: DurableEnvironment
  readonly #actor: ActorContext<P>
  readonly #birth: Birth
  readonly #inbox: DurableInbox<P>
  readonly #kept: DurableKeeping<Machine, P>
  /** What an earlier version left, and nobody here can read. */
  #unreadable: MachineRow | undefined
  /** Why it takes nothing, though the store does not say so: the store refuses that, too. */
  #stuck: string | undefined
  #hasBegun = false
  /** Since when it has had nothing to do; `undefined`: it does something. */
  #calmSince: number | undefined

  private constructor(parts: KeepingParts<Machine, P>, birth: Birth) {
    this.#registered = parts.registered
    this.#environment = parts.environment
    this.#actor = parts.actor
    this.#birth = birth
    this.#inbox = parts.inbox
    this.#kept = new DurableKeeping(parts)
  }

  /** A life as an actor's behaviour. */
  static live<Machine extends AnyStateMachine, P extends Protocol>(
    registered: Registered<Machine, P>,
    environment: DurableEnvironment,
    actor: ActorContext<P>,
    birth: Birth,
    onLife: (rests: Rests) => void
  ): Effect.Effect<void> {
    return Effect.scoped(
      Effect.gen(function* () {
        const { ref } = actor
        const { store, delivery } = environment
        const makeOutbox = yield* MachineOutbox.maker({
          address: ref.address,
          store,
          delivery,
          definitionOf: environment.definitionOf,
          deadLetters: ref.surroundings.deadLetters,
          now: ref.surroundings.now
        })
        const inbox = new DurableInbox(ref)
        const outbox = makeOutbox(inbox.wake)
        const services = yield* Effect.context<never>()
        const life = new DurableLife({ registered, environment, actor, inbox, outbox, services }, birth)
        const kept = life.#kept
        yield* Effect.addFinalizer(() => kept.invocations.stop)
        actor.shows(() =>
          durableInsight(registered, {
            standing: kept.standing,
            unreadable: life.#unreadable,
            undelivered: outbox.depth,
            failures: kept.failures,
            childrenNotShown: kept.children.unseen
          })
        )
        onLife((now, idleMs) => life.#mayRest(now, idleMs))
        yield* life.#run()
      })
    ).pipe(
      Effect.onExit((exit) =>
        Deferred.fail(birth.ready, endOf(actor.ref.address.text, exit)).pipe(Effect.asVoid)
      )
    )
  }

  get #address(): string {
    return this.#actor.ref.address.text
  }

  #run(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      if (!(yield* this.#isThere())) return
      for (;;) {
        const loaded = yield* this.#load()
        let turn: Turn = loaded
        while (turn === "go on" || turn === "again") turn = yield* this.#turn()
        if (turn === "stop") return
      }
    })
  }

  // --- leaving memory

  /**
   * Whether it does nothing but wait, has done so for long enough, and will for as long again: then a restart would read all
   * that it is. Who came back by itself and was asked nothing stays for a shorter while.
   */
  #mayRest(now: number, given: number | undefined): boolean {
    const { standing, outbox, wakesAt } = this.#kept
    if (this.#calmSince === undefined || standing?.status !== "active") return false
    if (outbox.depth > 0 || !this.#inbox.isEmpty) return false
    const idleMs = given ?? this.#registered.definition.idleMs ?? this.#environment.idleMs
    const isUnasked = this.#birth.why === "moment" && this.#actor.ref.signalsSent === 0
    if (now - this.#calmSince < (isUnasked ? idleMs / UNASKED_PART : idleMs)) return false
    return Number.isFinite(idleMs) && (wakesAt === null || wakesAt > now + idleMs)
  }

  // --- reading

  /** Who comes by a handle may find nothing: then nothing is claimed. */
  #isThere(): Effect.Effect<boolean> {
    if (this.#birth.why !== "ref") return Effect.succeed(true)
    return this.#environment.store.read(this.#address).pipe(
      Effect.map((row) => row !== undefined),
      // Then it is claimed, which waits for the store.
      Effect.orElseSucceed(() => true)
    )
  }

  /** Claims the machine, however long that takes. Whoever waits meanwhile is told after some seconds. */
  #claimed(): Effect.Effect<ClaimedMachine | undefined> {
    const { store, newId } = this.#environment
    const { tenant = "", text: address, kind } = this.#actor.ref.address
    return Effect.gen({ self: this }, function* () {
      const owner = newId()
      const since = yield* Clock.currentTimeMillis
      for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
        const claimed = yield* Effect.exit(store.claim({ tenant, address, kind }, owner))
        if (Exit.isSuccess(claimed)) return claimed.value
        if ((yield* Clock.currentTimeMillis) - since >= PATIENCE_MS) {
          this.#kept.refuse(this.#actor.ref.mailbox.takeNow(Number.POSITIVE_INFINITY), away(address))
          // What is not in the store yet has nobody to wait for it.
          if (this.#birth.input !== undefined && this.#kept.standing === undefined) return undefined
        }
        this.#actor.transition("waiting for the store")
        yield* Effect.sleep(pauseMs)
      }
    })
  }

  #load(): Effect.Effect<Turn> {
    return Effect.gen({ self: this }, function* () {
      const claimed = yield* this.#claimed()
      if (claimed === undefined) return "stop"
      this.#kept.take(claimed)
      const { row } = claimed
      if (row === undefined) return yield* this.#admit(claimed)
      const turn = yield* this.#read(row)
      if (turn === "go on") {
        // Whether an earlier try of this life was written may not have been known.
        const isNew = this.#hasBegun && row.revision === 1
        yield* Deferred.succeed(this.#birth.ready, { isNew })
      }
      return turn
    })
  }

  /** Nothing was ever committed here: it begins where it is to, and may. */
  #admit({ wasRemoved }: ClaimedMachine): Effect.Effect<Turn> {
    const { input, ready } = this.#birth
    if (input === undefined) return Effect.succeed("stop")
    const { address } = this.#actor.ref
    const { openMachines, openMax } = this.#environment
    const begun: Effect.Effect<Turn, SignalError> = wasRemoved
      ? Effect.fail(wasHere(address))
      : openMachines.begun(address, this.#registered.definition.openMax ?? openMax, this.#begin(input))
    return Effect.catch(begun, (error) => Effect.as(Deferred.fail(ready, error), "stop"))
  }

  #begin(input: NonNullable<Birth["input"]>): Effect.Effect<Turn> {
    return Effect.gen({ self: this }, function* () {
      const now = yield* Clock.currentTimeMillis
      this.#kept.standing = undefined
      const draft = this.#kept.draftAt(now)
      const begun = yield* Effect.exit(
        Effect.try({ try: () => begin(this.#kept.contextAt(now), input.value), catch: identity })
      )
      if (Exit.isFailure(begun)) {
        const error = yield* ruleFailed(`The start of ${this.#address}`, Cause.squash(begun.cause))
        yield* Deferred.fail(this.#birth.ready, error)
        return "stop"
      }
      draft.begin(begun.value)
      this.#hasBegun = true
      const turn = yield* this.#kept.commit(draft)
      if (turn === "refused") {
        const cause = Cause.fail(new Error(this.#kept.refusal))
        yield* Deferred.fail(this.#birth.ready, yield* reportIncident(`The start of ${this.#address}`, cause))
        return "stop"
      }
      if (turn === "go on") yield* Deferred.succeed(this.#birth.ready, { isNew: true })
      return turn
    })
  }

  /** Goes on from what is there. */
  #read(row: MachineRow): Effect.Effect<Turn> {
    return Effect.gen({ self: this }, function* () {
      const now = yield* Clock.currentTimeMillis
      const reading = readingOf(this.#registered, row, now, this.#inbox.sendLate)
      if (reading._tag === "unreadable") return yield* this.#parkUnread(row, reading.reason)
      this.#unreadable = undefined
      this.#kept.standing = reading.standing
      const draft = this.#kept.draftAt(now)
      if (reading._tag === "migrated") draft.put(reading.stepped)
      else if (row.status === "parked") draft.unpark()
      else {
        this.#kept.follow(undefined)
        return "go on"
      }
      const turn = yield* this.#kept.commit(draft)
      const what = reading._tag === "migrated" ? "its migration" : "that it goes on"
      return turn === "refused"
        ? yield* this.#parkUnread(row, `the store refused ${what}: ${this.#kept.refusal}`)
        : turn
    })
  }

  /** Nobody here can go on with it. It stays as it is, says why, and is tried again by whoever starts next. */
  #parkUnread(row: MachineRow, reason: string): Effect.Effect<Turn> {
    const { store, newId } = this.#environment
    return Effect.gen({ self: this }, function* () {
      this.#kept.standing = undefined
      this.#unreadable = { ...row, status: "parked", reason, revision: row.revision + 1 }
      yield* Effect.logError(`${this.#address} is parked: ${reason}`)
      this.#actor.transition("parked", reason)
      if (hasEnded(row) || (row.status === "parked" && row.reason === reason)) return "go on"
      const outcome = yield* commitMachine(store, this.#kept.claim as MachineClaim, {
        ...{ id: newId(), revision: row.revision, nextRevision: row.revision + 1, status: "parked", reason },
        ...{ state: row.state, about: row.about, version: row.version, snapshot: row.snapshot, wakesAt: 0 },
        ...{ outgoing: [], seen: [], forgotten: [], facts: [], at: yield* Clock.currentTimeMillis }
      })
      if (outcome._tag === "committed") this.#kept.claim = outcome.claim
      // Whether the store knows why it stands still or not: it does.
      if (outcome._tag === "committed" || outcome._tag === "refused") return "go on"
      return outcome._tag === "unavailable" ? "load again" : yield* this.#kept.lose([])
    })
  }

  // --- deciding

  #turn(): Effect.Effect<Turn> {
    return Effect.gen({ self: this }, function* () {
      const { mailbox } = this.#actor.ref
      const reason = this.#unreadable?.reason ?? this.#stuck
      if (reason !== undefined) {
        yield* mailbox.nonEmpty
        this.#kept.refuse(mailbox.takeNow(BATCH_MAX), standsStill(this.#address, reason))
        return "go on"
      }
      const now = yield* Clock.currentTimeMillis
      if (!this.#hasWork(now)) {
        const isOver = this.#isOver
        this.#calmSince = now
        yield* isOver ? Effect.raceFirst(this.#wait(now), Effect.sleep(LINGERS)) : this.#wait(now)
        this.#calmSince = undefined
        return isOver && !this.#hasWork(now) ? "stop" : "go on"
      }
      yield* this.#kept.settleSenders()
      const turn = yield* this.#decide(now)
      return turn === "refused" ? yield* this.#stick() : turn
    })
  }

  /** What it has done cannot be written, nor that it is parked: it stands still until somebody starts it again. */
  #stick(): Effect.Effect<Turn> {
    this.#stuck = `the store refuses what it has done: ${this.#kept.refusal}`
    this.#actor.transition("parked", this.#stuck)
    return Effect.as(
      Effect.andThen(
        this.#kept.invocations.stop,
        Effect.logError(`${this.#address} is parked: ${this.#stuck}`)
      ),
      "go on"
    )
  }

  get #isOver(): boolean {
    const status = this.#kept.standing?.status
    return (status === "done" || status === "failed") && this.#kept.outbox.depth === 0
  }

  #hasWork(now: number): boolean {
    if (this.#kept.outbox.depth >= OUTGOING_MAX) return false
    const timer = this.#timer
    return !this.#inbox.isEmpty || (timer !== undefined && timer.at <= now)
  }

  get #timer() {
    return this.#kept.standing?.status === "active" ? nextTimer(this.#kept.standing.state) : undefined
  }

  #wait(now: number): Effect.Effect<void> {
    const woken = this.#inbox.wait(() => this.#hasWork(now))
    const timer = this.#timer
    return timer === undefined || this.#kept.outbox.depth >= OUTGOING_MAX
      ? woken
      : Effect.raceFirst(woken, Effect.sleep(Math.max(0, timer.at - now)))
  }

  #decide(now: number): Effect.Effect<Turn> {
    const draft = this.#kept.draftAt(now)
    const taken = this.#inbox.peek(this.#kept.batchMax - draft.fireTimers(this.#kept.batchMax))
    const { envelopes } = taken
    for (const one of taken.ended) draft.end(one)
    for (const one of taken.late) draft.deliverLate(one)
    for (const envelope of envelopes) draft.signal(envelope)
    return Effect.gen({ self: this }, function* () {
      const turn = yield* this.#kept.commit(draft, taken)
      // What was not committed is still to be taken.
      if (turn === "go on") {
        this.#inbox.took(taken)
        this.#kept.batchMax = BATCH_MAX
      }
      return turn
    }).pipe(
      // Stopped, or failed, on the way: whether it was committed is for whoever reads it next.
      Effect.onExit((exit) =>
        Effect.sync(() => {
          if (Exit.isSuccess(exit)) return
          const isStopped = Cause.hasInterruptsOnly(exit.cause)
          this.#kept.refuse(envelopes, isStopped ? away(this.#address) : cutOff(this.#address))
        })
      )
    )
  }
}

const identity = (cause: unknown): unknown => cause
