/**
 * Finds the signal whose data the store refuses.
 *
 * Owns: trying the signals of a refused batch in halves, each on a fresh ledger, until the offending one stands
 * alone; it is refused and reported, and stops nobody else.
 */
import { Effect, Result } from "effect"
import type { Envelope } from "../actor/Envelope.ts"
import { invalidParam } from "../signal/Errors.ts"
import { readBeforehand } from "./Beforehand.ts"
import { batchIdOf, commit } from "./Commit.ts"
import { decide, type LedgerSignal } from "./Decide.ts"
import { gather } from "./Gather.ts"
import type { Ledger } from "./Ledger.ts"
import type { BatchRefused, Claim, StoreUnreachable } from "./LedgerStore.ts"
import { type Decided, deliver, type ShiftEnvironment, unavailable } from "./ShiftEnvironment.ts"

export type Activate = Effect.Effect<{ readonly ledger: Ledger; readonly claim: Claim }>

const decideAll = (
  env: ShiftEnvironment,
  ledger: Ledger,
  envelopes: ReadonlyArray<Envelope<LedgerSignal>>
): Effect.Effect<ReadonlyArray<Decided>, StoreUnreachable> =>
  Effect.gen(function* () {
    yield* gather(env.store, ledger, envelopes) ?? Effect.void
    const now = env.clock.currentTimeMillisUnsafe()
    const decided: Array<Decided> = []
    for (const envelope of envelopes) {
      const before = yield* readBeforehand(env.store, ledger, envelope, now)
      const decidedAt = env.ahead.decidedAt(envelope) ?? now
      decided.push({ envelope, answer: decide(ledger, envelope, before, decidedAt) })
    }
    return decided
  })

const refuse = (
  env: ShiftEnvironment,
  activate: Activate,
  envelope: Envelope<LedgerSignal>,
  error: BatchRefused
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const incident = crypto.randomUUID()
    yield* Effect.logError(`a ${envelope.name} is quarantined: the store refuses its data`, error).pipe(
      Effect.annotateLogs({ incident })
    )
    envelope.fail(
      invalidParam(
        [],
        `The store cannot keep this signal's data; change it and send it again (incident ${incident})`
      )
    )
    env.ahead.lose(envelope)
    const { ledger, claim } = yield* activate
    ledger.raiseAlert({
      kind: "quarantined",
      severity: "critical",
      message: `A ${envelope.name} was refused because the store cannot keep its data`,
      at: env.clock.currentTimeMillisUnsafe(),
      data: { signal: envelope.name, incident, principal: envelope.principal.keyId }
    })
    const batch = ledger.seal(batchIdOf(claim, ledger))
    const outcome = yield* commit(env.store, claim, batch)
    if (outcome._tag === "committed") env.observer.committed(env.tenant, batch, [])
  })

/** Whoever waits is told; what was answered ahead is decided again by the next shift. */
const putOff = (
  env: ShiftEnvironment,
  envelopes: ReadonlyArray<Envelope<LedgerSignal>>,
  what: string
): void => {
  env.mailbox.putBack(envelopes.filter((envelope) => env.ahead.has(envelope)))
  for (const envelope of envelopes) if (!env.ahead.has(envelope)) envelope.fail(unavailable(what))
}

/** Decides and commits these signals anew, apart where they fail together. */
export const quarantine = (
  env: ShiftEnvironment,
  activate: Activate,
  envelopes: ReadonlyArray<Envelope<LedgerSignal>>
): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (envelopes.length === 0) return
    const { ledger, claim } = yield* activate
    const decided = yield* Effect.result(decideAll(env, ledger, envelopes))
    if (Result.isFailure(decided)) {
      return putOff(env, envelopes, "The store did not answer")
    }
    const batch = ledger.seal(batchIdOf(claim, ledger))
    const outcome = yield* commit(env.store, claim, batch)
    if (outcome._tag === "committed") {
      deliver(env, ledger, decided.success)
      env.observer.committed(env.tenant, batch, [])
      return
    }
    if (outcome._tag !== "refused") {
      return putOff(env, envelopes, "Whether this was recorded is not known")
    }
    const [only] = envelopes
    if (envelopes.length === 1 && only !== undefined) return yield* refuse(env, activate, only, outcome.error)
    const half = Math.ceil(envelopes.length / 2)
    yield* quarantine(env, activate, envelopes.slice(0, half))
    yield* quarantine(env, activate, envelopes.slice(half))
  })
