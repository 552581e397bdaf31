/**
 * One life of a durable machine: read it, decide, commit, then do.
 *
 * Owns: the order of these, and what becomes of a step whose commit failed.
 * Does not decide: what a step is (DurableDraft), or how a commit is tried (MachineCommitting).
 *
 * Nothing of a step leaves before its commit: no answer, no signal, no Effect, no fact. What is decided and not committed
 * is thrown away as a whole, so there is nothing to undo.
 */
import { Cause, Clock, Deferred, Effect, Exit } from "effect"
import type { AnyStateMachine, EventObject } from "xstate"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Protocol } from "../signal/Protocol.ts"
import type { ActorContext } from "./ActorSystem.ts"
import { Draft, type Standing } from "./DurableDraft.ts"
import { away, type Birth, type DurableEnvironment, endOf, succeed } from "./DurableEnvironment.ts"
import { durableInsight } from "./DurableInsight.ts"
import { type Registered, readingOf } from "./DurableReading.ts"
import { type DurableState, nextTimer } from "./DurableState.ts"
import { begin, type Ended, type StepContext } from "./DurableStep.ts"
import type { AnyEnvelope } from "./Envelope.ts"
import { reportIncident } from "./Incident.ts"
import { Invocations } from "./Invocations.ts"
import { stateText } from "./Machine.ts"
import { commitMachine, PATIENCE_MS } from "./MachineCommitting.ts"
import { MachineOutbox, OUTGOING_MAX } from "./MachineOutbox.ts"
import type { ClaimedMachine, MachineClaim, MachineRow } from "./MachineStore.ts"
import { messageOf } from "./PlainJson.ts"
import { SeenSignals } from "./SeenSignals.ts"

const BATCH_MAX = 64
const PAUSE_MS_MAX = 5_000
/** So long a machine that has ended stays to say so. */
const LINGERS = "10 seconds"

/** How a turn of the loop ended. `again`: what was to be taken is still to be taken. */
type Turn = "go on" | "again" | "load again" | "stop"

export class DurableLife<Machine extends AnyStateMachine, P extends Protocol> {
  readonly #registered: Registered<Machine, P>
  readonly #environment: DurableEnvironment
  readonly #actor: ActorContext<P>
  readonly #birth: Birth
  readonly #invocations: Invocations
  readonly #outbox: MachineOutbox
  #claim: MachineClaim | undefined
  #seen = new SeenSignals([])
  #standing: Standing | undefined
  /** What an earlier version left, and nobody here can read. */
  #unreadable: MachineRow | undefined
  #ended: ReadonlyArray<Ended> = []
  #sentSelf: ReadonlyArray<EventObject> = []
  #hasBegun = false
  #batchMax = BATCH_MAX
  #failures = 0
  #wake: (() => void) | undefined

  private constructor(
    registered: Registered<Machine, P>,
    environment: DurableEnvironment,
    actor: ActorContext<P>,
    birth: Birth,
    makeOutbox: (onDelivered: () => void) => MachineOutbox
  ) {
    this.#registered = registered
    this.#environment = environment
    this.#actor = actor
    this.#birth = birth
    this.#outbox = makeOutbox(() => this.#wake?.())
    this.#invocations = new Invocations(actor.ref.address, (ended) => {
      this.#ended = [...this.#ended, ended]
      this.#wake?.()
    })
    actor.ref.mailbox.onArrival = () => this.#wake?.()
  }

  /** A life as an actor's behaviour. */
  static live<Machine extends AnyStateMachine, P extends Protocol>(
    registered: Registered<Machine, P>,
    environment: DurableEnvironment,
    actor: ActorContext<P>,
    birth: Birth
  ): Effect.Effect<void> {
    return Effect.scoped(
      Effect.gen(function* () {
        const { ref } = actor
        const { store, delivery } = environment
        const makeOutbox = yield* MachineOutbox.maker({
          address: ref.address,
          store,
          delivery,
          deadLetters: ref.surroundings.deadLetters,
          now: ref.surroundings.now
        })
        const life = new DurableLife(registered, environment, actor, birth, makeOutbox)
        yield* Effect.addFinalizer(() => life.#invocations.stop)
        actor.shows(() =>
          durableInsight(registered, {
            standing: life.#standing,
            unreadable: life.#unreadable,
            undelivered: life.#outbox.depth,
            failures: life.#failures
          })
        )
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

  #contextAt(now: number): StepContext {
    return {
      machine: this.#registered.machine,
      address: this.#actor.ref.address,
      now,
      sendSelf: (event) => {
        this.#sentSelf = [...this.#sentSelf, event]
        this.#wake?.()
      }
    }
  }

  #draftAt(now: number): Draft<Machine, P> {
    return new Draft(this.#registered.definition, this.#contextAt(now), this.#seen, this.#standing)
  }

  #run(): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        const loaded = yield* this.#load()
        let turn: Turn = loaded
        while (turn === "go on" || turn === "again") turn = yield* this.#turn()
        if (turn === "stop") return
      }
    })
  }

  // --- reading

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
          this.#refuse(this.#actor.ref.mailbox.takeNow(Number.POSITIVE_INFINITY), away(address))
          // What is not in the store yet has nobody to wait for it.
          if (this.#birth.input !== undefined && this.#standing === undefined) return undefined
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
      this.#claim = claimed.claim
      this.#seen = new SeenSignals(claimed.seen)
      this.#outbox.add(claimed.outgoing)
      const { row } = claimed
      if (row === undefined) return yield* this.#begin()
      const turn = yield* this.#read(row)
      if (turn === "go on") {
        // Whether an earlier try of this life was written may not have been known.
        const isNew = this.#hasBegun && row.revision === 1
        yield* Deferred.succeed(this.#birth.ready, { isNew })
      }
      return turn
    })
  }

  #begin(): Effect.Effect<Turn> {
    return Effect.gen({ self: this }, function* () {
      const { input } = this.#birth
      if (input === undefined) return "stop"
      const now = yield* Clock.currentTimeMillis
      this.#standing = undefined
      const draft = this.#draftAt(now)
      const begun = yield* Effect.exit(
        Effect.try({ try: () => begin(this.#contextAt(now), input.value), catch: identity })
      )
      if (Exit.isFailure(begun)) {
        const error = yield* reportIncident(`The start of ${this.#address}`, begun.cause)
        yield* Deferred.fail(this.#birth.ready, error)
        return "stop"
      }
      draft.begin(begun.value)
      this.#hasBegun = true
      const turn = yield* this.#commit(draft)
      if (turn === "go on") yield* Deferred.succeed(this.#birth.ready, { isNew: true })
      return turn
    })
  }

  /** Goes on from what is there. */
  #read(row: MachineRow): Effect.Effect<Turn> {
    return Effect.gen({ self: this }, function* () {
      const now = yield* Clock.currentTimeMillis
      const reading = readingOf(this.#registered, row, now)
      if (reading._tag === "unreadable") return yield* this.#parkUnread(row, reading.reason)
      this.#unreadable = undefined
      this.#standing = reading.standing
      const draft = this.#draftAt(now)
      if (reading._tag === "migrated") draft.put(reading.state, reading.snapshot)
      else if (row.status === "parked") draft.unpark()
      else {
        this.#follow(undefined)
        return "go on"
      }
      return yield* this.#commit(draft)
    })
  }

  /** Nobody here can go on with it. It stays as it is, says why, and is tried again by whoever starts next. */
  #parkUnread(row: MachineRow, reason: string): Effect.Effect<Turn> {
    const { store, newId } = this.#environment
    return Effect.gen({ self: this }, function* () {
      this.#standing = undefined
      this.#unreadable = { ...row, status: "parked", reason, revision: row.revision + 1 }
      yield* Effect.logError(`${this.#address} is parked: ${reason}`)
      this.#actor.transition("parked", reason)
      if (row.status === "parked" && row.reason === reason) return "go on"
      const outcome = yield* commitMachine(store, this.#claim as MachineClaim, {
        ...{ id: newId(), revision: row.revision, nextRevision: row.revision + 1, status: "parked", reason },
        ...{ state: row.state, about: row.about, version: row.version, snapshot: row.snapshot, wakesAt: 0 },
        ...{ outgoing: [], seen: [], forgotten: [], facts: [], at: yield* Clock.currentTimeMillis }
      })
      if (outcome._tag === "committed") {
        this.#claim = outcome.claim
        return "go on"
      }
      return outcome._tag === "unavailable" ? "load again" : yield* this.#lose([])
    })
  }

  // --- deciding

  #turn(): Effect.Effect<Turn> {
    return Effect.gen({ self: this }, function* () {
      const { mailbox } = this.#actor.ref
      if (this.#unreadable !== undefined) {
        yield* mailbox.nonEmpty
        const { reason } = this.#unreadable
        const message = `${this.#address} is parked: ${reason}`
        this.#refuse(mailbox.takeNow(BATCH_MAX), new Unavailable({ message, retry_after_ms: 5_000 }))
        return "go on"
      }
      const now = yield* Clock.currentTimeMillis
      if (!this.#hasWork(now)) {
        const isOver = this.#isOver
        yield* isOver ? Effect.raceFirst(this.#wait(now), Effect.sleep(LINGERS)) : this.#wait(now)
        return isOver && !this.#hasWork(now) ? "stop" : "go on"
      }
      return yield* this.#decide(now)
    })
  }

  get #isOver(): boolean {
    const status = this.#standing?.status
    return (status === "done" || status === "failed") && this.#outbox.depth === 0
  }

  #hasWork(now: number): boolean {
    if (this.#outbox.depth >= OUTGOING_MAX) return false
    const timer = this.#timer
    return (
      this.#ended.length > 0 ||
      this.#sentSelf.length > 0 ||
      this.#actor.ref.mailbox.depth > 0 ||
      (timer !== undefined && timer.at <= now)
    )
  }

  get #timer() {
    return this.#standing?.status === "active" ? nextTimer(this.#standing.state) : undefined
  }

  #wait(now: number): Effect.Effect<void> {
    const woken = Effect.callback<void>((resume) => {
      this.#wake = () => {
        this.#wake = undefined
        resume(Effect.void)
      }
      if (this.#hasWork(now)) this.#wake()
      return Effect.sync(() => {
        this.#wake = undefined
      })
    })
    const timer = this.#timer
    return timer === undefined || this.#outbox.depth >= OUTGOING_MAX
      ? woken
      : Effect.raceFirst(woken, Effect.sleep(Math.max(0, timer.at - now)))
  }

  #decide(now: number): Effect.Effect<Turn> {
    const draft = this.#draftAt(now)
    let left = this.#batchMax - draft.fireTimers(this.#batchMax)
    const ended = this.#ended.slice(0, left)
    left -= ended.length
    const sentSelf = this.#sentSelf.slice(0, left)
    left -= sentSelf.length
    for (const one of ended) draft.end(one)
    for (const event of sentSelf) draft.sendSelf(event)
    const envelopes: ReadonlyArray<AnyEnvelope> = left > 0 ? this.#actor.ref.mailbox.takeNow(left) : []
    for (const envelope of envelopes) draft.signal(envelope)
    return Effect.gen({ self: this }, function* () {
      const turn = yield* this.#commit(draft, envelopes)
      // What was not committed is still to be taken.
      if (turn === "go on") {
        this.#ended = this.#ended.slice(ended.length)
        this.#sentSelf = this.#sentSelf.slice(sentSelf.length)
        this.#batchMax = BATCH_MAX
      }
      return turn
    }).pipe(
      // Stopped on the way: whether it was committed is for whoever reads it next.
      Effect.onInterrupt(() => Effect.sync(() => this.#refuse(envelopes, away(this.#address))))
    )
  }

  // --- committing

  #commit(draft: Draft<Machine, P>, envelopes: ReadonlyArray<AnyEnvelope> = []): Effect.Effect<Turn> {
    const { store, newId } = this.#environment
    const claim = this.#claim as MachineClaim
    return Effect.gen({ self: this }, function* () {
      if (!draft.hasChanged) return yield* this.#answerUnchanged(draft, envelopes)
      const outcome = yield* commitMachine(store, claim, draft.commitOf(newId()))
      switch (outcome._tag) {
        case "committed":
          this.#claim = outcome.claim
          yield* this.#take(draft)
          return "go on" as const
        case "lost":
          return yield* this.#lose(envelopes)
        case "unavailable":
          this.#refuse(envelopes, away(this.#address))
          return "load again" as const
        case "refused":
          return yield* this.#refused(draft, envelopes, outcome.error)
      }
    })
  }

  /** An owner that was frozen must not answer from what another one has gone on from. */
  #answerUnchanged(draft: Draft<Machine, P>, envelopes: ReadonlyArray<AnyEnvelope>) {
    const { store } = this.#environment
    return Effect.gen({ self: this }, function* () {
      if (draft.answers.length > 0) {
        const mine = yield* Effect.exit(store.isOwner(this.#claim as MachineClaim))
        if (Exit.isFailure(mine)) {
          this.#refuse(envelopes, away(this.#address))
          return "go on" as const
        }
        if (!mine.value) return yield* this.#lose(envelopes)
      }
      yield* this.#answer(draft)
      return "go on" as const
    })
  }

  /** The step is in the store: now it is done. */
  #take(draft: Draft<Machine, P>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const before = this.#standing
      this.#standing = draft.standing
      this.#seen.commit(draft.marks, this.#seen.surplus(draft.marks))
      this.#outbox.add(draft.outgoing)
      this.#follow(draft.event, before)
      yield* this.#answer(draft)
      for (const action of draft.actions) {
        try {
          action()
        } catch (cause) {
          this.#failures += 1
          yield* Effect.logError(`An action of ${this.#address} failed; nobody repeats it`, Cause.die(cause))
        }
      }
      if (draft.facts.length > 0) this.#environment.onFacts(this.#actor.ref.address.tenant ?? "")
    })
  }

  #answer({ answers, poisoned }: Draft<Machine, P>): Effect.Effect<void> {
    for (const { envelope, answer } of answers) {
      if (answer instanceof Error) envelope.fail(answer as SignalError)
      else succeed(envelope, answer)
    }
    return Effect.forEach(
      poisoned,
      ({ envelope, cause }) => {
        this.#failures += 1
        return Effect.map(
          reportIncident(`The signal ${envelope.name} to ${this.#address}`, Cause.die(cause)),
          (error) => envelope.fail(error)
        )
      },
      { discard: true }
    )
  }

  /** Runs what the state invokes, and says where the machine is. */
  #follow(event: string | undefined, before?: Standing): void {
    const { state, snapshot, status, reason } = this.#standing as Standing
    if (status === "active") this.#invocations.follow(state, snapshot)
    else this.#invocations.follow(NOTHING(state), snapshot)
    const now = status === "parked" ? "parked" : stateText(snapshot.value)
    if (status !== "active" || before === undefined || stateText(before.snapshot.value) !== now)
      this.#actor.transition(now, reason ?? event)
  }

  #lose(envelopes: ReadonlyArray<AnyEnvelope>): Effect.Effect<"stop"> {
    const message = `${this.#address} has gone on elsewhere; send it again`
    this.#refuse(envelopes, new Unavailable({ message, retry_after_ms: 100 }))
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
      if (this.#batchMax > 1) {
        this.#batchMax = 1
        this.#actor.ref.mailbox.putBack(envelopes as never)
        return "again" as const
      }
      const [envelope] = envelopes
      if (envelope !== undefined) {
        this.#failures += 1
        const what = `The signal ${envelope.name} to ${this.#address}`
        envelope.fail(yield* reportIncident(what, Cause.fail(error)))
        return "go on" as const
      }
      const parked = this.#draftAt(draft.standing?.updatedAt ?? 0)
      if (this.#standing === undefined || this.#standing.status === "parked") return yield* Effect.die(error)
      parked.park(`the store refused ${draft.event}: ${messageOf(error)}`)
      return yield* this.#commit(parked)
    })
  }

  #refuse(envelopes: ReadonlyArray<AnyEnvelope>, error: SignalError): void {
    for (const envelope of envelopes) envelope.fail(error)
  }
}

const identity = (cause: unknown): unknown => cause

/** A state that invokes nothing. */
const NOTHING = (state: DurableState): DurableState => ({ ...state, invocations: {} })
