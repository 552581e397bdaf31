/** Dead letters are kept in the store, listed and sent again; what may not be kept is not. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { DeadLetterStore } from "../../src/actor/DeadLetterStore.ts"
import { letterOfDelivery } from "../../src/alerts/AlertLetter.ts"
import type { Delivery } from "../../src/alerts/DeliveryStore.ts"
import {
  type LetterSurroundings,
  listDeadLetters,
  redriveDeadLetter,
  type Send
} from "../../src/runtime/DeadLetterBox.ts"
import { NotFound, Unavailable } from "../../src/signal/Errors.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import { makeMemoryDeadLetters } from "../../src/store/MemoryDeadLetters.ts"
import type { KeyStanding, KeyStandings } from "../../src/workflow/Ports.ts"
import { HOME, quiet, TILL, till, tillAt } from "../actor/support/Till.ts"

const OPERATOR = installationPrincipal("default", "operator")
const APP: Principal = { ...OPERATOR, keyId: "key_app", roles: ["app"], isInstallation: false }
const PAGE = { limit: 100 }

const gone = new Unavailable({ message: "The store cannot be reached", retry_after_ms: 1 })

/** An actor of the product's signals that fails everything, and a till; `failing` decides about what is sent again. */
const box = Effect.gen(function* () {
  const system = yield* ActorSystem
  const store = yield* DeadLetterStore
  const refused = yield* system.spawn({
    address: { ...HOME, kind: "refuser", text: "refuser/default" },
    behaviour: ({ ref: { mailbox } }) =>
      Effect.gen(function* () {
        while (true) {
          yield* mailbox.nonEmpty
          for (const envelope of mailbox.takeNow(9)) envelope.fail(gone)
        }
      })
  })
  const sent: Array<string> = []
  const failing = { error: undefined as NotFound | undefined }
  const send: Send = (name, payload, principal) =>
    Effect.suspend(() => {
      sent.push(`${name} ${JSON.stringify(payload)} by ${principal.keyId}`)
      return failing.error === undefined ? Effect.succeed({}) : Effect.fail(failing.error)
    })
  const standing = { of: (principal: Principal): KeyStanding => ({ holder: principal }) }
  const keys: KeyStandings = { of: (principal) => Effect.sync(() => standing.of(principal)) }
  const channels = new Set<string>()
  const again: Array<string> = []
  const alerts: LetterSurroundings["alerts"] = {
    again: (tenant, { recipient_id, alert_seq }) =>
      Effect.sync(() => {
        again.push(`${alert_seq} to ${recipient_id} of ${tenant}`)
        return channels.has(recipient_id)
      })
  }
  const around = { store, system, send, keys, alerts }
  const list = Effect.andThen(quiet, listDeadLetters(store, PAGE, OPERATOR))
  const redrive = (letter_id: string, principal = OPERATOR) =>
    redriveDeadLetter(around, { letter_id }, principal)
  return { system, store, refused, sent, failing, standing, channels, again, list, redrive }
})

const told = <A, E>(test: Effect.Effect<A, E, ActorSystem | DeadLetterStore>) => {
  const store = Layer.succeed(DeadLetterStore, makeMemoryDeadLetters())
  return Effect.andThen(TestClock.setTime(1_000_000), Effect.provide(test, Layer.provideMerge(layer, store)))
}

const firstOf = ({ items }: { readonly items: ReadonlyArray<{ readonly letter_id: string }> }): string => {
  const [letter] = items
  if (letter === undefined) throw new Error("there is no letter")
  return letter.letter_id
}

describe("a dead letter", () => {
  it.effect("is kept whole, and sent again as whoever sent it", () =>
    Effect.gen(function* () {
      const { refused, list, redrive, sent } = yield* box
      refused.tell("release_hold", { hold_id: "h1" }, APP)
      const listed = yield* list
      assert.deepInclude(listed.items[0], {
        address: "refuser/default",
        signal: "release_hold",
        principal: "key_app",
        why: "The store cannot be reached",
        redrivable: true
      })
      const letterId = firstOf(listed)
      assert.deepStrictEqual(yield* redrive(letterId), { redriven: true, letter_id: letterId, error: null })
      assert.deepStrictEqual(sent, ['release_hold {"hold_id":"h1"} by key_app'])
      assert.deepStrictEqual(yield* list, { items: [], next_cursor: null, dropped: 0 })
      assert.strictEqual((yield* Effect.flip(redrive(letterId)))._tag, "NotFound")
    }).pipe(told)
  )

  it.effect("that fails again stays, and says why", () =>
    Effect.gen(function* () {
      const { refused, list, redrive, failing } = yield* box
      refused.tell("release_hold", { hold_id: "h1" }, APP)
      const letterId = firstOf(yield* list)
      failing.error = new NotFound({ kind: "hold", id: "h1", message: "There is no such hold" })
      assert.deepStrictEqual(yield* redrive(letterId), {
        redriven: false,
        letter_id: letterId,
        error: { _tag: "NotFound", message: "There is no such hold" }
      })
      failing.error = undefined
      assert.isTrue((yield* redrive(letterId)).redriven)
    }).pipe(told)
  )

  it.effect("is sent again with the roles that its key has now", () =>
    Effect.gen(function* () {
      const { refused, list, redrive, sent, standing } = yield* box
      refused.tell("configure_manager", { retention_days: 9 }, APP)
      const letterId = firstOf(yield* list)
      const { redriven, error } = yield* redrive(letterId)
      assert.isFalse(redriven)
      assert.strictEqual(error?._tag, "Forbidden")
      assert.deepStrictEqual(sent, [])
      standing.of = (principal) => ({ holder: { ...principal, roles: ["admin"] } })
      assert.isTrue((yield* redrive(letterId)).redriven)
      assert.deepStrictEqual(sent, ['configure_manager {"retention_days":9} by key_app'])
    }).pipe(told)
  )

  it.effect("whose key has ended is not sent, says what to do, and is kept", () =>
    Effect.gen(function* () {
      const { refused, list, redrive, sent, standing } = yield* box
      refused.tell("release_hold", { hold_id: "h1" }, APP)
      const letterId = firstOf(yield* list)
      for (const [ended, what] of [
        ["revoked", "was revoked"],
        ["expired", "has expired"],
        ["unknown", "is not known any more"]
      ] as const) {
        standing.of = () => ({ ended })
        const error = yield* Effect.flip(redrive(letterId))
        assert.deepInclude(error, { _tag: "Conflict", reason: "letter_not_redrivable" })
        assert.include(error.message, `the key key_app, which sent it, ${what}; send the signal itself again`)
      }
      assert.deepStrictEqual(sent, [])
      assert.lengthOf((yield* list).items, 1)
      standing.of = (principal) => ({ holder: principal })
      assert.isTrue((yield* redrive(letterId)).redriven, "nobody has taken it meanwhile")
    }).pipe(told)
  )

  it.effect("of prompt text or a secret is listed without it, and cannot be sent again", () =>
    Effect.gen(function* () {
      const { system, store, refused, list, redrive } = yield* box
      const call = { provider: "p", model: "m", fallback: [], max_attempts: 1, stream: false }
      const messages = [{ role: "user", content: "the launch code" }] as const
      refused.tell("complete", { ...call, on_overrun: "stop", messages }, APP)
      const ref = yield* system.spawn(tillAt())
      ref.tell("pay", { coins: -1, pin: "the launch code" }, APP)
      const listed = yield* list
      const kept = yield* store.page("default", { limit: 9 })
      assert.notInclude(JSON.stringify([listed, kept]), "launch code")
      assert.deepStrictEqual(
        listed.items.map(({ signal, redrivable }) => [signal, redrivable]),
        [
          ["pay", false],
          ["complete", false]
        ]
      )
      const error = yield* Effect.flip(redrive(firstOf(listed)))
      assert.deepInclude(error, { _tag: "Conflict", reason: "letter_not_redrivable" })
    }).pipe(told)
  )

  it.effect("of a signal that belongs to a connection cannot be sent again", () =>
    Effect.gen(function* () {
      const { store, list, redrive, sent } = yield* box
      const about = { address: "bridge", principal: APP, at: 1, why: "It failed", preview: "" }
      yield* store.add("default", [{ ...about, signal: "revoke_key", params: '{"key_id":"k1"}' }], 0)
      const listed = yield* list
      assert.deepInclude(listed.items[0], { signal: "revoke_key", redrivable: false })
      const error = yield* Effect.flip(redrive(firstOf(listed)))
      assert.deepInclude(error, { _tag: "Conflict", reason: "letter_not_redrivable" })
      assert.deepStrictEqual(sent, [])
    }).pipe(told)
  )

  it.effect("too large to be kept whole is listed all the same", () =>
    Effect.gen(function* () {
      const { refused, list } = yield* box
      const metadata = { text: "x".repeat(70_000) }
      const usage = { provider: "p", model: "m", prompt_tokens: 1, completion_tokens: 1 } as const
      refused.tell("track_usage", { ...usage, request_id: "r1", metadata } as never, APP)
      const listed = yield* list
      assert.deepInclude(listed.items[0], { signal: "track_usage", redrivable: false })
    }).pipe(told)
  )

  it.effect("of a host's own actor goes to that actor again", () =>
    Effect.gen(function* () {
      const { system, list, redrive, sent } = yield* box
      const ref = yield* system.spawn({ ...tillAt(), behaviour: () => Effect.never })
      ref.tell("pay", { coins: 4 }, APP)
      yield* system.stop(HOME)
      const letterId = firstOf(yield* list)
      assert.strictEqual((yield* redrive(letterId)).error?._tag, "Unavailable", "nobody lives there")
      const next = yield* system.spawn({ address: HOME, ...till() })
      assert.isTrue((yield* redrive(letterId)).redriven)
      assert.deepStrictEqual(yield* next.ask("total", {}, APP), { total: 4 })
      assert.deepStrictEqual(sent, [])
      assert.strictEqual(next.protocol, TILL)
    }).pipe(told)
  )

  it.effect("of an alert goes to its channel again, in nobody's name, while the channel is there", () =>
    Effect.gen(function* () {
      const { store, list, redrive, sent, channels, again, standing } = yield* box
      standing.of = () => ({ ended: "revoked" })
      const delivery: Delivery = {
        ...{ tenant: "default", recipientId: "r1", seq: 7, claim: "c", attempt: 8, secret: "sealed" },
        kind: "webhook",
        target: "https://hooks.example.com/in?token=t0ken",
        alert: {
          id: "alert_7",
          kind: "exceeded",
          severity: "critical",
          message: "all is spent",
          at: 1,
          data: {}
        }
      }
      yield* store.add("default", [letterOfDelivery(delivery, 5, "it answered 500")], 0)
      const listed = yield* list
      assert.deepInclude(listed.items[0], {
        ...{ address: "alerts", signal: "deliver_alert", principal: "alerts", at: 5, redrivable: true },
        why: "It did not arrive in 8 tries: it answered 500"
      })
      assert.include(listed.items[0]?.payload, 'to:"https://hooks.example.com/in?…"')
      assert.include(listed.items[0]?.payload, 'message:"all is spent"')
      const kept = JSON.stringify(yield* store.page("default", { limit: 9 }))
      for (const secret of ["sealed", "t0ken"]) assert.notInclude(kept, secret)
      const letterId = firstOf(listed)
      const gone = yield* redrive(letterId)
      assert.isFalse(gone.redriven)
      assert.include(gone.error?.message, "its channel is not configured any more")
      channels.add("r1")
      assert.isTrue((yield* redrive(letterId)).redriven)
      assert.deepStrictEqual(again, ["7 to r1 of default", "7 to r1 of default"])
      assert.deepStrictEqual((yield* list).items, [])
      assert.deepStrictEqual(sent, [])
    }).pipe(told)
  )

  it.effect("of another tenant answers like one that never was", () =>
    Effect.gen(function* () {
      const { refused, list, redrive } = yield* box
      refused.tell("release_hold", { hold_id: "h1" }, APP)
      const letterId = firstOf(yield* list)
      const foreign = yield* Effect.flip(redrive(letterId, installationPrincipal("globex", "operator")))
      assert.strictEqual(foreign._tag, "NotFound")
    }).pipe(told)
  )

  it.effect("that is lost while the system ends is kept too", () =>
    Effect.gen(function* () {
      const store = makeMemoryDeadLetters()
      yield* Effect.gen(function* () {
        const system = yield* ActorSystem
        const ref = yield* system.spawn({ ...tillAt(), behaviour: () => Effect.never })
        ref.tell("pay", { coins: 4 }, APP)
      }).pipe(Effect.provide(Layer.provide(layer, Layer.succeed(DeadLetterStore, store))))
      const { letters } = yield* store.page("default", { limit: 9 })
      assert.deepStrictEqual(
        letters.map(({ signal, params }) => [signal, params]),
        [["pay", '{"coins":4}']]
      )
    })
  )
})
