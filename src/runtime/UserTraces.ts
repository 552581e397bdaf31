/**
 * Forgets a user in what durable machines know and have told, in dead letters, and in refusals.
 *
 * Owns: that machines which run for the user stand still meanwhile; the order: machines, then what they have told, then
 * letters, then refusals, some rows at a time.
 * Does not decide: what in a text names a user (tokens/ForgottenText), or the ledger's own part (tokens/Forget).
 *
 * What is not about the user is not touched, also where it has the name in its words. A machine that is started for the user
 * meanwhile is somebody who has come back.
 */
import { Effect, type Schema } from "effect"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import type { DeadLetterStore, KeptLetter } from "../actor/DeadLetterStore.ts"
import type { DurableMachines } from "../actor/DurableMachines.ts"
import { knownOf, type MachineTexts, type Mentioning, renamedMachine } from "../actor/MachineRewriting.ts"
import type { MachineStore, MachineStoreUnreachable } from "../actor/MachineStore.ts"
import { owedBy } from "../alerts/AlertLetter.ts"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import { isAbout, renamedTexts, wordsWithout } from "../tokens/ForgottenText.ts"
import type { RefusalKeeper } from "../tokens/RefusalKeeper.ts"
import type { UserTraces } from "../tokens/UserTraces.ts"
import { workflowAddress } from "../workflow/WorkflowAddress.ts"
import { renameRefusals } from "./RefusalTraces.ts"

interface Keepers {
  readonly system: ActorSystem
  readonly machines: DurableMachines
  readonly store: MachineStore
  readonly letters: DeadLetterStore
  readonly refusals: RefusalKeeper
}

interface Names {
  readonly from: string
  readonly to: string
}

type MachinePage = Effect.Success<ReturnType<MachineStore["mentioning"]>>
type FactPage = Effect.Success<ReturnType<MachineStore["factsMentioning"]>>

const MACHINES_AT_ONCE = 50
const FACTS_AT_ONCE = 500
const LETTERS_AT_ONCE = 100

/** How a text stands inside a JSON text. */
const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)

const parsed = (text: string): Schema.Json => JSON.parse(text) as Schema.Json

const answered = <A>(effect: Effect.Effect<A, MachineStoreUnreachable>): Effect.Effect<A, SignalError> =>
  Effect.mapError(
    effect,
    () => new Unavailable({ message: "The store cannot be reached; send it again", retry_after_ms: 1_000 })
  )

const isMachineAbout = (machine: MachineTexts, names: Names): boolean => {
  const all = [
    ...knownOf(JSON.parse(machine.snapshot)),
    parsed(machine.about),
    ...machine.outgoing.map(({ params }) => parsed(params))
  ]
  return all.some((json) => isAbout(json, names))
}

/** Does something with each page of the machines that are about the user. */
const eachMachine = (
  { store }: Keepers,
  tenant: string,
  names: Names,
  act: (machines: ReadonlyArray<MachineTexts>) => Effect.Effect<void, SignalError>
): Effect.Effect<void, SignalError> =>
  Effect.gen(function* () {
    let after: string | null = ""
    while (after !== null) {
      const query: Mentioning<string> = {
        tenant,
        text: inJson(names.from),
        after,
        limit: MACHINES_AT_ONCE
      }
      const page: MachinePage = yield* answered(store.mentioning(query))
      yield* act(page.machines.filter((machine) => isMachineAbout(machine, names)))
      after = page.next
    }
  })

const renameMachines = (keepers: Keepers, tenant: string, names: Names, still: ReadonlySet<string>) =>
  Effect.gen(function* () {
    let changed = 0
    yield* eachMachine(keepers, tenant, names, (machines) =>
      Effect.gen(function* () {
        for (const machine of machines) {
          if (!machine.hasEnded && !still.has(machine.address)) continue
          const { reason } = machine
          const renamed = {
            ...renamedMachine(machine, (json) => renamedTexts(json, names)),
            reason: reason === null ? null : wordsWithout(reason, names)
          }
          if (yield* answered(keepers.store.rewrite(renamed))) changed += 1
          else
            return yield* new Unavailable({
              message: `${machine.address} went on while the user was being forgotten; send it again`,
              retry_after_ms: SOON_MS
            })
        }
      })
    )
    return changed
  })

const renameFacts = ({ store }: Keepers, tenant: string, names: Names): Effect.Effect<void, SignalError> =>
  Effect.gen(function* () {
    let after: number | null = 0
    while (after !== null) {
      const query: Mentioning<number> = { tenant, text: inJson(names.from), after, limit: FACTS_AT_ONCE }
      const page: FactPage = yield* answered(store.factsMentioning(query))
      const renamed = page.facts.flatMap(({ seq, body }) =>
        isAbout(parsed(body), names) ? [{ seq, body: JSON.stringify(renamedTexts(parsed(body), names)) }] : []
      )
      if (renamed.length > 0) yield* answered(store.rewriteFacts(tenant, renamed))
      after = page.next
    }
  })

/**
 * Of a letter that was never decoded, or is not kept whole, there is a preview only, as there is of an alert: what it is
 * about is not known.
 */
const renamedLetter = (letter: KeptLetter, names: Names): KeptLetter => {
  const { principal, params, preview, why } = letter
  const isHis =
    principal.attribution.user_id === names.from ||
    (params === null || owedBy(letter) !== undefined
      ? preview.includes(names.from)
      : isAbout(parsed(params), names))
  if (!isHis) return letter
  const { attribution } = principal
  return {
    ...letter,
    principal:
      attribution.user_id === names.from
        ? { ...principal, attribution: { ...attribution, user_id: names.to } }
        : principal,
    params: params === null ? null : JSON.stringify(renamedTexts(parsed(params), names)),
    preview: wordsWithout(preview, names),
    why: wordsWithout(why, names)
  }
}

const renameLetters = ({ letters }: Keepers, tenant: string, names: Names) =>
  Effect.gen(function* () {
    let changed = 0
    let before: number | undefined
    while (true) {
      const page = yield* letters.page(tenant, { before, limit: LETTERS_AT_ONCE })
      const renamed = page.letters.flatMap((letter) => {
        const now = renamedLetter(letter, names)
        return now === letter ? [] : [now]
      })
      if (renamed.length > 0) yield* letters.rewrite(tenant, renamed)
      changed += renamed.length
      if (page.letters.length < LETTERS_AT_ONCE) return changed
      before = page.letters.at(-1)?.seq
    }
  })

/** A call of a step outlives the machine that made it, until it has settled itself. */
const stopCalls = (
  system: ActorSystem,
  tenant: string,
  machines: ReadonlySet<string>
): Effect.Effect<void> => {
  const calls = system.entries().filter(({ address }) => {
    if (address.kind !== "call" || address.tenant !== tenant) return false
    // Its request id is WORKFLOW/STEP/TRY.
    const workflow = address.text.split("/").slice(2, -2).join("/")
    return machines.has(workflowAddress(tenant, workflow).text)
  })
  return Effect.forEach(calls, ({ address }) => system.stop(address), {
    concurrency: "unbounded",
    discard: true
  })
}

export const makeUserTraces = (keepers: Keepers): UserTraces => ({
  whileStill: (tenant, user, effect) =>
    Effect.gen(function* () {
      const still = new Set<string>()
      // Nothing is renamed yet, so any other name will do.
      yield* eachMachine(keepers, tenant, { from: user, to: "" }, (machines) =>
        Effect.sync(() => {
          for (const machine of machines) if (!machine.hasEnded) still.add(machine.address)
        })
      )
      const rename = (to: string) =>
        Effect.gen(function* () {
          const names = { from: user, to }
          const machines = yield* renameMachines(keepers, tenant, names, still)
          yield* renameFacts(keepers, tenant, names)
          const dead_letters = yield* renameLetters(keepers, tenant, names)
          const refusals = yield* renameRefusals(keepers.refusals, tenant, names)
          return { machines, dead_letters, refusals }
        })
      const settled = stopCalls(keepers.system, tenant, still)
      return yield* keepers.machines.whileStill(still, Effect.andThen(settled, effect(rename)))
    })
})
