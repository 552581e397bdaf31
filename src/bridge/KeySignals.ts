/**
 * The signals about keys.
 *
 * Owns: which of them there are, and that a key's sessions end with it.
 * Does not decide: what a key is (Keys), or who may send them (signal/Authorization).
 */
import { Effect, type Redacted } from "effect"
import type { SignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { DoorSignal, SignalRouter } from "../signal/SignalRouter.ts"
import { Keys, make as makeKeys } from "./Keys.ts"
import { make as makeSessions, type Sessions } from "./Sessions.ts"

export type KeySignal = Exclude<DoorSignal, "subscribe" | "unsubscribe">

/** Keys, and the sessions that rest on them. Connections hear of a key's end from the ones that ended it. */
export interface Credentials {
  readonly keys: Keys
  readonly sessions: Sessions
}

/** Over the stores of the context. `adminKey` is the installation's own. */
export const makeCredentials = Effect.fnUntraced(function* (adminKey: Redacted.Redacted<string>) {
  const keys = yield* makeKeys(adminKey)
  const sessions = yield* Effect.provideService(makeSessions, Keys, keys)
  return { keys, sessions } satisfies Credentials
})

const NAMES: { readonly [Name in KeySignal]: true } = { create_key: true, list_keys: true, revoke_key: true }

export const isKeySignal = (name: SignalName): name is KeySignal => Object.hasOwn(NAMES, name)

const answer = (
  { keys, sessions }: Credentials,
  name: KeySignal,
  payload: SignalPayload<KeySignal>,
  principal: Principal
): Effect.Effect<SignalSuccess<KeySignal>, SignalError> => {
  switch (name) {
    case "create_key":
      return keys.create(payload as SignalPayload<"create_key">, principal)
    case "list_keys":
      return keys.list(payload as SignalPayload<"list_keys">, principal)
    case "revoke_key": {
      const revoke = payload as SignalPayload<"revoke_key">
      return Effect.tap(keys.revoke(revoke, principal), sessions.endOfKey(revoke.key_id))
    }
  }
}

/** Answers one of them, under a span where somebody traces. */
export const askKeys = (
  credentials: Credentials,
  { traced }: Pick<SignalRouter, "traced">,
  name: KeySignal,
  payload: SignalPayload<KeySignal>,
  principal: Principal
): Effect.Effect<SignalSuccess<KeySignal>, SignalError> => {
  const answered = answer(credentials, name, payload, principal)
  return traced === undefined ? answered : traced(name, payload, principal, answered)
}
