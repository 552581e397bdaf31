/**
 * `provider/NAME`: takes calls in the order of their coming and starts one `call/TENANT/REQUEST_ID` for each.
 *
 * Owns: how many run and how many wait (its mailbox; one more is `Overloaded`), and that every envelope is
 * answered, however its call ends.
 * Does not decide: what a call does (CallMachine).
 */
import { Cause, Effect, Exit } from "effect"
import type { ActorContext, ActorInsight, ActorSystem } from "../actor/ActorSystem.ts"
import { type Address, scopedAddress, sharedAddress } from "../actor/Address.ts"
import type { EnvelopeOf } from "../actor/Envelope.ts"
import { graphOf, runMachine, stateText } from "../actor/Machine.ts"
import { DEFAULT_SUPERVISION, NEVER_RESTART } from "../actor/Supervision.ts"
import { InternalError, type SignalError, Unavailable, UnknownSignal } from "../signal/Errors.ts"
import type { Completion } from "../signal/Providers.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import type { CallOutcome, CompletionLog } from "./BudgetKeeper.ts"
import type { Call } from "./Call.ts"
import type { CallMachine } from "./CallMachine.ts"
import { type CompletePayload, targetsOf } from "./CallRequest.ts"
import { type CallResult, resultOf } from "./CallResult.ts"
import type { ProviderGuard } from "./ProviderGuard.ts"
import type { RunningCall, RunningCalls } from "./RunningCalls.ts"

export interface ProviderSurroundings {
  readonly system: ActorSystem
  readonly log: CompletionLog
  readonly machine: CallMachine
  readonly running: RunningCalls
  /** The call that a payload was sent for. */
  readonly callOf: (payload: CompletePayload) => RunningCall | undefined
}

export const PROVIDER = "provider"

export const providerAddress = (name: string): Address => sharedAddress(PROVIDER, name)
export const callAddress = (call: Call): Address =>
  scopedAddress("call", call.identity.principal.tenant, call.identity.requestId)

const wasStopped = (call: Call): Unavailable =>
  new Unavailable({
    message: call.isCharged
      ? `${callAddress(call).text} was stopped; what it used is recorded. To make it again, send it under a new request_id`
      : `${callAddress(call).text} was stopped before anything was charged. Send it again`,
    retry_after_ms: SOON_MS
  })

const diedOf = (call: Call, cause: Cause.Cause<unknown>): SignalError =>
  Cause.hasInterrupts(cause)
    ? wasStopped(call)
    : new InternalError({
        message: "The call failed by a defect of ours; the log says more",
        incident: call.identity.requestId
      })

/** What is remembered of a call: nothing where nothing was charged, so that it can be tried afresh. */
const memoryOf = (call: Call, result: CallResult): CallOutcome | undefined => {
  if (!call.isCharged) return undefined
  if ("completion" in result) return result
  return result.error._tag === "ProviderFailed" ? { error: result.error } : undefined
}

const runCall = (around: ProviderSurroundings, { call, digest }: RunningCall, actor: ActorContext) =>
  Effect.gen(function* () {
    const { requestId, principal } = call.identity
    const input = { steps: call, targets: targetsOf(call.payload), deadlineMs: call.remainingMs }
    let state = ""
    const ending = yield* runMachine(actor, around.machine, input, (snapshot) => {
      const next = stateText(snapshot.value)
      if (next === state) return
      state = next
      call.stateChanged(next)
    }).pipe(Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : call.settleAfterDeath)))
    // The machine tells its last state when it has answered: the actor must not end before that.
    yield* Effect.yieldNow
    const result = resultOf(ending, { requestId, attempts: call.records, deadlineMs: call.deadlineMs })
    const outcome = memoryOf(call, result)
    if (outcome !== undefined) {
      yield* around.log
        .save(principal.tenant, requestId, { digest, outcome })
        .pipe(
          Effect.catch((error) =>
            Effect.logError(`The answer of ${callAddress(call).text} could not be kept: ${error.message}`)
          )
        )
    }
    return result
  })

/** Starts a call's actor. It ends with the call; whoever waits is answered in any case. */
const startCall = Effect.fnUntraced(function* (
  around: ProviderSurroundings,
  running: RunningCall,
  parent: Address,
  envelope: EnvelopeOf<"complete">,
  free: Effect.Effect<unknown>
) {
  const { call } = running
  call.span = envelope.span
  const address = callAddress(call)
  const answer = (result: CallResult): void => {
    const outcome: Effect.Effect<Completion, SignalError> =
      "completion" in result ? Effect.succeed(result.completion) : Effect.fail(result.error)
    around.running.end(running, outcome)
    if ("completion" in result) envelope.succeed(result.completion)
    else envelope.fail(result.error)
  }
  // A call of the same id may be on its last steps.
  if (around.system.find(address) !== undefined) yield* around.system.stop(address)
  const insight = (): ActorInsight => ({ machine: graphOf(around.machine), context: call.insight })
  yield* around.system.spawn({
    address,
    parent,
    supervision: NEVER_RESTART,
    mailboxCapacity: 1,
    insight,
    behaviour: (actor) =>
      runCall(around, running, actor).pipe(
        Effect.onExit((exit) =>
          Effect.sync(() => answer(Exit.isSuccess(exit) ? exit.value : { error: diedOf(call, exit.cause) }))
        ),
        Effect.ensuring(free),
        Effect.asVoid
      )
  })
})

const take = (around: ProviderSurroundings, guard: ProviderGuard, actor: ActorContext) =>
  Effect.gen(function* () {
    const free = guard.slots.release(1)
    yield* guard.slots.take(1)
    yield* Effect.onInterrupt(actor.ref.mailbox.nonEmpty, () => free)
    const [envelope] = actor.ref.mailbox.takeNow(1)
    if (envelope === undefined) return yield* free
    if (envelope.name !== "complete") {
      envelope.fail(
        new UnknownSignal({ message: `${actor.ref.address.text} takes complete`, signal: envelope.name })
      )
      return yield* free
    }
    const running = around.callOf(envelope.payload)
    if (running === undefined) {
      envelope.fail(new Unavailable({ message: "Send complete through the router", retry_after_ms: SOON_MS }))
      return yield* free
    }
    if (running.isAbandoned) {
      around.running.end(running, Effect.fail(wasStopped(running.call)))
      envelope.fail(wasStopped(running.call))
      return yield* free
    }
    return yield* Effect.uninterruptible(startCall(around, running, actor.ref.address, envelope, free))
  })

/** Starts the provider's actor, where it does not live already. */
export const spawnProvider = (around: ProviderSurroundings, guard: ProviderGuard) =>
  around.system.spawn({
    address: providerAddress(guard.adapter.name),
    mailboxCapacity: guard.options.waiting,
    isRemade: true,
    // Calls that run have their money and their answer: a defect in taking others is no reason to end them.
    supervision: { ...DEFAULT_SUPERVISION, children: "keep" },
    behaviour: (actor) => Effect.forever(take(around, guard, actor)),
    insight: () => ({
      machine: null,
      context: { concurrency: guard.options.concurrency, waiting_max: guard.options.waiting }
    })
  })
