/**
 * Shows dead letters, and sends them again.
 *
 * Owns: list_dead_letters and redrive_dead_letter. Does not decide: what is kept of a letter (actor/LetterKeeper,
 * alerts/AlertLetter).
 *
 * A letter is sent again as the key that sent it first, with the roles and the forced attribution that it has now; one whose
 * key has ended stays, for its sender would be refused as well. It is taken by one
 * process at a time, and stays until it has been answered: a process that dies in between leaves it for the next try, so a
 * command without a `request_id` may then be done twice.
 */
import { Clock, Effect, Result } from "effect"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import type { DeadLetterStore, KeptLetter } from "../actor/DeadLetterStore.ts"
import type { AlertDelivery } from "../alerts/AlertDelivery.ts"
import { owedBy } from "../alerts/AlertLetter.ts"
import { authorize } from "../signal/Authorization.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { decodePayload, findSignal } from "../signal/Decode.ts"
import { Conflict, invalidParam, NotFound, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { RoutedSignal } from "../signal/SignalRouter.ts"
import type { Millis } from "../signal/Text.ts"
import type { KeyStandings } from "../workflow/Ports.ts"
import { ofDoors } from "./DurableRuntime.ts"

/** Longer than any signal is waited for. */
const TAKEN_MS = 120_000
/** The number, and the moment: so that an id of another tenant names nothing here. */
const ID = /^letter_([0-9]{1,15})_([0-9a-z]{1,12})$/u

export type Send = (
  name: RoutedSignal,
  payload: SignalPayload<RoutedSignal>,
  principal: Principal
) => Effect.Effect<unknown, SignalError>

export interface LetterSurroundings {
  readonly store: DeadLetterStore
  readonly system: ActorSystem
  /** What a key may do now. */
  readonly keys: KeyStandings
  readonly alerts: Pick<AlertDelivery, "again">
  /** Brings a signal of the product to whoever answers it. */
  readonly send: Send
}

const idOf = ({ seq, at }: { readonly seq: number; readonly at: Millis }): string =>
  `letter_${seq}_${at.toString(36)}`

export const listDeadLetters = (
  store: DeadLetterStore,
  { address, signal, limit, cursor }: SignalPayload<"list_dead_letters">,
  { tenant }: Principal
): Effect.Effect<SignalSuccess<"list_dead_letters">, SignalError> => {
  const before = cursor === undefined ? undefined : ID.exec(cursor)?.[1]
  if (cursor !== undefined && before === undefined)
    return Effect.fail(invalidParam(["cursor"], "This is not a cursor of list_dead_letters"))
  const filter = {
    address,
    signal,
    before: before === undefined ? undefined : Number(before),
    limit: limit + 1
  }
  return Effect.map(store.page(tenant, filter), ({ letters, dropped }) => {
    const shown = letters.slice(0, limit)
    const last = shown.at(-1)
    return {
      items: shown.map(({ seq, principal, preview, params, at, why, ...letter }) => ({
        letter_id: idOf({ seq, at }),
        at,
        address: letter.address,
        signal: letter.signal,
        principal: principal.keyId,
        why,
        payload: preview,
        redrivable: params !== null && !ofDoors.has(letter.signal)
      })),
      next_cursor: letters.length > limit && last !== undefined ? idOf(last) : null,
      dropped
    }
  })
}

const ENDS = { revoked: "was revoked", expired: "has expired", unknown: "is not known any more" } as const

const notRedrivable = (letterId: string, why: string): Conflict =>
  new Conflict({ reason: "letter_not_redrivable", message: `${letterId} cannot be sent again: ${why}` })

/** A signal of the product goes through the same checks as when it came first; a host's own goes to its actor. */
const sendAgain = (
  { system, send }: LetterSurroundings,
  { signal, address, params }: KeptLetter,
  principal: Principal
): Effect.Effect<unknown, SignalError> => {
  const wire: unknown = JSON.parse(params ?? "{}")
  const name = findSignal(signal)
  if (Result.isFailure(name)) return system.deliver(address, signal, wire, principal)
  const payload = Result.flatMap(decodePayload(name.success, wire), (decoded) =>
    authorize(name.success, decoded, principal)
  )
  return Effect.flatMap(Effect.fromResult(payload), (admitted) =>
    send(name.success as RoutedSignal, admitted as SignalPayload<RoutedSignal>, principal)
  )
}

const noRecipient = (letterId: string): Conflict =>
  notRedrivable(letterId, "its channel is not configured any more, and an alert goes to no other one")

/** Whoever is to do it again now, and what that is. An alert is owed again, in nobody's name; a signal goes by its key. */
const againFor = (
  around: LetterSurroundings,
  letterId: string,
  letter: KeptLetter
): Effect.Effect<Effect.Effect<unknown, SignalError>, SignalError> =>
  Effect.gen(function* () {
    const owed = owedBy(letter)
    if (owed !== undefined) {
      return Effect.filterOrFail(
        around.alerts.again(letter.principal.tenant, owed),
        (isOwed) => isOwed,
        () => noRecipient(letterId)
      )
    }
    const standing = yield* around.keys.of(letter.principal)
    if ("holder" in standing) return sendAgain(around, letter, standing.holder)
    const why = `the key ${letter.principal.keyId}, which sent it, ${ENDS[standing.ended]}; send the signal itself again with a key that may`
    return yield* notRedrivable(letterId, why)
  })

export const redriveDeadLetter = (
  around: LetterSurroundings,
  { letter_id }: SignalPayload<"redrive_dead_letter">,
  { tenant }: Principal
): Effect.Effect<SignalSuccess<"redrive_dead_letter">, SignalError> =>
  Effect.gen(function* () {
    const { store } = around
    const seq = Number(ID.exec(letter_id)?.[1] ?? 0)
    const letter = seq === 0 ? undefined : yield* store.find(tenant, seq)
    if (letter === undefined || idOf(letter) !== letter_id) {
      const message = `There is no dead letter ${letter_id}; list_dead_letters shows those that there are`
      return yield* new NotFound({ kind: "dead_letter", id: letter_id, message })
    }
    if (ofDoors.has(letter.signal)) {
      return yield* notRedrivable(letter_id, `${letter.signal} belongs to a connection; send it on one`)
    }
    if (letter.params === null) {
      return yield* notRedrivable(letter_id, "what it carried is not kept; send the signal itself again")
    }
    const again = yield* againFor(around, letter_id, letter)
    const now = yield* Clock.currentTimeMillis
    if (!(yield* store.claim(tenant, seq, now, now + TAKEN_MS)))
      return yield* notRedrivable(letter_id, "it is being sent at this moment")
    const sent = yield* Effect.result(again).pipe(
      Effect.onExit((exit) =>
        Effect.ignore(store.settle(tenant, seq, exit._tag === "Success" && Result.isSuccess(exit.value)))
      )
    )
    if (Result.isSuccess(sent)) return { redriven: true, letter_id, error: null }
    const { _tag, message } = sent.failure
    return { redriven: false, letter_id, error: { _tag, message } }
  })
