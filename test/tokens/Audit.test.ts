/** What the audit trail has of each command, and that its chain is what it says it is. */
import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { SEALED_PREFIX } from "../../src/signal/AlertChannels.ts"
import { AuditKind } from "../../src/signal/Audit.ts"
import { ACTOR_SIGNALS, type ActorSignalName, type SignalParams } from "../../src/signal/Catalogue.ts"
import { decodeSuccess, encodeSuccess, findSignal } from "../../src/signal/Decode.ts"
import { traitsOf } from "../../src/signal/Signal.ts"
import type { AuditBody } from "../../src/tokens/AuditChain.ts"
import { getAuditTrail } from "../../src/tokens/AuditQuery.ts"
import { LEDGER_SIGNALS, type LedgerSignal } from "../../src/tokens/Decide.ts"
import type { AuditRow } from "../../src/tokens/LedgerStore.ts"
import { ADMIN, Books, keyNamed, MORNING, TENANT } from "./support/Books.ts"

const BUDGET = { name: "all", type: "global", period: "daily", limit: "10" } as const
const RATES = { prompt_per_million: "2000000", completion_per_million: "3000000" }

const USED = { request_id: "used", provider: "test", model: "dollar", prompt_tokens: 3, completion_tokens: 0 }

const FORGOTTEN = {
  pseudonym_deleted: true,
  usage_rows: 1,
  requests: 1,
  budgets: 0,
  periods: 0,
  overrides: 0,
  alerts: 0,
  commands: 0,
  cleaned_sums: 0,
  audit_entries: 0,
  machines: 0,
  dead_letters: 0,
  refusals: 0,
  keys_ended: 0
}

/**
 * Each command that changes the rules, or what is recorded; `budget_1` is there, `override_2` of it, and the
 * usage of `used`.
 */
const AUDITED: { readonly [name: string]: SignalParams<ActorSignalName> } = {
  create_budget: BUDGET,
  update_budget: { budget_id: "budget_1", updates: { limit: "20" } },
  request_override: { budget_id: "budget_1", amount: "1", reason: "more" },
  decide_override: { override_id: "override_2", decision: "approve" },
  update_pricing: { provider: "test", model: "dollar", pricing: RATES },
  correct_usage: { request_id: "used", usage: { prompt_tokens: 2, completion_tokens: 0 }, reason: "less" },
  update_exchange_rates: { base: "USD", rates: { EUR: "0.9" }, source: "a bank" },
  configure_manager: { default_completion_tokens: 7 },
  record_audit: { request_id: "create_key k", action: "create_key", subject: "k", before: null, after: {} },
  record_cleanup: { before: "2026-01-01T00:00:00Z", usage_rows: 3, answers: null },
  record_forgetting: { forgotten: FORGOTTEN, answers: null }
}

/** Commands without an entry, and why. */
const EXEMPT: { readonly [name: string]: string } = {
  track_usage: "its row is its record",
  check_budget: "its hold is its record",
  extend_hold: "its hold is its record",
  release_hold: "its hold is its record",
  settle_hold: "its row is its record",
  complete: "it asks and reports, and its rows are its record",
  cleanup_old_data: "record_cleanup notes it when it has ended",
  forget_user: "record_forgetting notes it when it has ended",
  forget_named: "record_forgetting notes it when it has ended",
  forget_step: "the forgetting whose steps they are is one entry",
  clean_usage: "the cleanup whose steps they are is one entry",
  raise_alert: "the alert is its record",
  start_workflow: "its machine is its record, and its calls have rows of their own",
  cancel_workflow: "its machine is its record",
  resume_workflow: "its machine is its record",
  ask_machine: "what it passes on is recorded by its machine",
  stop_actor: "it changes no rule; inspection tells it, and the actor's supervision has it",
  restart_actor: "it changes no rule; inspection tells it, and the actor's supervision has it",
  redrive_dead_letter: "the signal that is sent again is audited as itself",
  subscribe: "it changes nothing",
  unsubscribe: "it changes nothing",
  create_key: "the bridge notes it by record_audit (test/runtime/AuditTrail)",
  revoke_key: "the bridge notes it by record_audit (test/runtime/AuditTrail)"
}

/** What is noted by a signal that no door knows. */
const NOTED_BY: { readonly [name: string]: string } = {
  record_audit: "create_key",
  record_cleanup: "cleanup_old_data",
  record_forgetting: "forget_user"
}
const actionOf = (name: string): string => NOTED_BY[name] ?? name

const COMMANDS = (Object.keys(ACTOR_SIGNALS) as ReadonlyArray<ActorSignalName>).filter(
  (name) => traitsOf(ACTOR_SIGNALS[name]).kind === "command"
)

/** Books with one budget, and its entry. */
const withBudget = Effect.gen(function* () {
  const books = new Books()
  yield* books.ask("create_budget", BUDGET)
  return books
})

const send = (books: Books, name: string, params: SignalParams<ActorSignalName>, who = ADMIN) =>
  books.ask(name as LedgerSignal, params as never, who)

const bodyOf = (row: AuditRow | undefined): AuditBody => JSON.parse(row?.body ?? "null")
const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

describe("commands", () => {
  for (const name of COMMANDS) {
    if (name in EXEMPT) continue
    it.effect(`${name} leaves one entry`, () =>
      Effect.gen(function* () {
        const params = AUDITED[name]
        assert.isDefined(params, `${name} is neither audited nor exempt: say which in this test`)
        const books = yield* withBudget
        yield* books.ask(
          "request_override",
          { budget_id: "budget_1", amount: "1", reason: "more" },
          keyNamed("ann")
        )
        yield* books.ask("track_usage", USED)
        const answer = yield* send(books, name, params as SignalParams<ActorSignalName>)
        assert.isTrue(Result.isSuccess(answer))
        assert.lengthOf(books.rows.audit, 3)
        const entry = books.rows.audit.at(-1)
        const action = actionOf(name)
        assert.deepInclude(entry, { action, keyId: "admin", owner: "admin", at: MORNING })
        assert.deepInclude(bodyOf(entry), {
          action,
          subject: entry?.subject ?? "nothing",
          principal: { key_id: "admin", owner: "admin" },
          at: "2026-03-10T10:00:00.000Z"
        })
      })
    )
  }

  it("can be asked for by kind, each of them, and nothing else", () => {
    const actions = [...Object.keys(AUDITED).map(actionOf), "revoke_key"]
    assert.deepStrictEqual([...AuditKind.literals].sort(), actions.sort())
  })

  it("are audited, or exempt for a reason", () => {
    assert.deepStrictEqual([...Object.keys(AUDITED), ...Object.keys(EXEMPT)].sort(), [...COMMANDS].sort())
  })

  it.effect("that ask and report leave none, whatever they do", () =>
    Effect.gen(function* () {
      const books = yield* withBudget
      const call = { provider: "test", model: "dollar", request_id: "r" }
      yield* books.ask("check_budget", { ...call, estimated_tokens: 1 })
      const hold_id = [...books.rows.open.values()][0]?.hold.id ?? ""
      yield* books.ask("extend_hold", { hold_id, by: { tokens: 1 } })
      yield* books.ask("release_hold", { hold_id })
      yield* books.ask("track_usage", { ...call, prompt_tokens: 1, completion_tokens: 0 })
      yield* books.ask("get_budget_status", {})
      assert.lengthOf(books.rows.audit, 1)
    })
  )

  it.effect("that are refused leave none", () =>
    Effect.gen(function* () {
      const books = yield* withBudget
      const refused = [
        yield* send(books, "update_budget", { budget_id: "budget_9", updates: {} }),
        yield* send(books, "update_budget", { budget_id: "budget_1", updates: {}, expected_version: 9 }),
        yield* send(books, "create_budget", { ...BUDGET, entity_id: "x" }),
        yield* send(books, "update_pricing", {
          provider: "test",
          model: "dollar",
          pricing: { prompt_per_million: "1", completion_per_million: "1" }
        })
      ]
      assert.isTrue(refused.every(Result.isFailure))
      assert.lengthOf(books.rows.audit, 1)
    })
  )

  it.effect("that are sent again under their id leave one", () =>
    Effect.gen(function* () {
      const books = yield* withBudget
      const again = { request_id: "once", budget_id: "budget_1", updates: { limit: "20" } }
      yield* send(books, "update_budget", again)
      books.crash()
      assert.isTrue(Result.isSuccess(yield* send(books, "update_budget", again)))
      const note = AUDITED.record_audit as SignalParams<"record_audit">
      yield* send(books, "record_audit", note)
      books.crash()
      // Somebody else's key may send it again: who did it first counts.
      yield* send(books, "record_audit", note, keyNamed("bob", ["admin"]))
      assert.deepStrictEqual(
        books.rows.audit.map(({ action, keyId }) => `${action} by ${keyId}`),
        ["create_budget by admin", "update_budget by admin", "create_key by admin"]
      )
    })
  )

  it.effect("of a batch that was not written leave none, and the chain goes on where the store is", () =>
    Effect.gen(function* () {
      const books = yield* withBudget
      yield* books.send("update_budget", { budget_id: "budget_1", updates: { limit: "30" } })
      books.crash()
      yield* send(books, "update_budget", { budget_id: "budget_1", updates: { limit: "20" } })
      assert.deepStrictEqual(
        books.rows.audit.map(({ seq }) => seq),
        [1, 2]
      )
      assert.deepInclude(bodyOf(books.rows.audit[1]).before as object, { limit: "10" })
    })
  )
})

describe("what an entry shows", () => {
  it.effect("a budget's definition before and after, without what calls change", () =>
    Effect.gen(function* () {
      const books = yield* withBudget
      yield* send(books, "update_budget", {
        budget_id: "budget_1",
        updates: { limit: "20.5", rollover: { max: "5" }, active: false }
      })
      const [made, changed] = books.rows.audit.map(bodyOf)
      const definition = {
        id: "budget_1",
        name: "all",
        type: "global",
        entity_id: null,
        period: "daily",
        time_zone: "UTC",
        limit: "10",
        active: true,
        rollover: null,
        version: 1,
        created_at: "2026-03-10T10:00:00.000Z"
      }
      assert.isNull(made?.before)
      assert.deepInclude(made?.after as object, definition)
      assert.notProperty(made?.after, "spent")
      assert.deepStrictEqual(changed?.before, made?.after)
      assert.deepInclude(changed?.after as object, {
        ...definition,
        limit: "20.5",
        rollover: { max: "5" },
        active: false,
        version: 2
      })
    })
  )

  it.effect("the price that was in force, and the new one", () =>
    Effect.gen(function* () {
      const books = yield* withBudget
      yield* send(books, "update_pricing", { provider: "test", model: "dollar", pricing: RATES })
      yield* send(books, "update_pricing", { provider: "test", model: "new", pricing: RATES })
      const [, changed, first] = books.rows.audit.map(bodyOf)
      assert.strictEqual(changed?.subject, "test/dollar")
      assert.deepInclude(changed?.before as object, { id: "test:dollar", prompt_per_million: "1000000" })
      assert.deepInclude(changed?.after as object, { source: "override", prompt_per_million: "2000000" })
      assert.isNull(first?.before)
    })
  )

  it.effect(
    "what an attempt amounted to before its correction and after it, and why; a repeat shows nothing",
    () =>
      Effect.gen(function* () {
        const books = yield* withBudget
        yield* books.ask("track_usage", USED)
        const correct = (prompt_tokens: number) =>
          books.ask("correct_usage", {
            request_id: "used",
            usage: { prompt_tokens, completion_tokens: 1 },
            reason: "so it was"
          })
        for (const tokens of [2, 2, 7, 2]) yield* correct(tokens)
        const [, ...entries] = books.rows.audit.map(bodyOf)
        assert.deepStrictEqual(
          entries.map(({ subject }) => subject),
          ["used/1", "used/1"]
        )
        assert.deepInclude(entries[0]?.before as object, {
          prompt_tokens: 3,
          completion_tokens: 0,
          cost: "3"
        })
        const after = { prompt_tokens: 2, completion_tokens: 1, cost: "3" }
        assert.deepInclude(entries[0]?.after as object, { ...after, reason: "so it was" })
        assert.deepInclude(entries[1]?.before as object, after)
        assert.deepInclude(entries[1]?.after as object, { prompt_tokens: 7, cost: "8" })
      })
  )

  it.effect("settings without a secret", () =>
    Effect.gen(function* () {
      const books = yield* withBudget
      const secret = `${SEALED_PREFIX}${"x".repeat(40)}`
      yield* send(books, "configure_manager", {
        alert_channels: [{ type: "webhook", url: "https://example.com/hook?token=hush", secret }]
      })
      const text = books.rows.audit.at(-1)?.body ?? ""
      assert.include(text, "https://example.com/hook?…")
      assert.notInclude(text, "hush")
      assert.notInclude(text, "xxxx")
    })
  )
})

describe("the chain", () => {
  it.effect("can be worked out again by whoever reads how", () =>
    Effect.gen(function* () {
      const books = yield* withBudget
      for (const [name, params] of Object.entries(AUDITED)) yield* send(books, name, params)
      let previous = "0".repeat(64)
      for (const [index, row] of books.rows.audit.entries()) {
        assert.strictEqual(row.seq, index + 1)
        assert.strictEqual(row.digest, sha256(`${row.salt}${row.body}`))
        assert.strictEqual(
          row.hash,
          sha256(`bursar audit 1\n${TENANT}\n${row.seq}\n${previous}\n${row.digest}\n`)
        )
        previous = row.hash
      }
      assert.strictEqual(new Set(books.rows.audit.map(({ salt }) => salt)).size, books.rows.audit.length)
      assert.strictEqual(books.ledger.auditHead.hash, previous)
    })
  )
})

describe("get_audit_trail", () => {
  const read = (books: Books, params: SignalParams<"get_audit_trail"> = {}) =>
    getAuditTrail(books.store, TENANT, { limit: 100, ...params } as never)

  it.effect("pages through a snapshot, whatever is written meanwhile", () =>
    Effect.gen(function* () {
      const books = new Books()
      for (let count = 0; count < 5; count++) yield* books.ask("create_budget", BUDGET)
      const first = yield* read(books, { limit: 2 })
      assert.deepStrictEqual(
        first.items.map(({ seq, subject }) => [seq, subject]),
        [
          [5, "budget_5"],
          [4, "budget_4"]
        ]
      )
      assert.strictEqual(first.head.hash, first.items[0]?.hash)
      yield* books.ask("create_budget", BUDGET)
      const second = yield* read(books, { limit: 2, cursor: first.next_cursor ?? "" })
      assert.deepStrictEqual(
        second.items.map(({ seq }) => seq),
        [3, 2]
      )
      assert.deepStrictEqual(second.head, first.head)
      const third = yield* read(books, { limit: 2, cursor: second.next_cursor ?? "" })
      assert.deepStrictEqual(
        third.items.map(({ seq }) => seq),
        [1]
      )
      assert.isNull(third.next_cursor)
      assert.strictEqual((yield* read(books)).head.seq, 6)
    })
  )

  it.effect("refuses a cursor of another filter or another list", () =>
    Effect.gen(function* () {
      const books = new Books()
      for (let count = 0; count < 3; count++) yield* books.ask("create_budget", BUDGET)
      const { next_cursor } = yield* read(books, { limit: 1 })
      const other = yield* Effect.flip(read(books, { kind: "update_budget", cursor: next_cursor ?? "" }))
      assert.include(other.message, "another filter")
      for (const cursor of ["x", "", Buffer.from('["a",1]').toString("base64url")]) {
        assert.include(
          (yield* Effect.flip(read(books, { cursor }))).message,
          "not a cursor of get_audit_trail"
        )
      }
    })
  )

  it.effect("what is about two long names is an answer by its schema", () =>
    Effect.gen(function* () {
      const books = new Books()
      const [provider, model] = ["p".repeat(256), "m".repeat(256)]
      yield* books.ask("update_pricing", { provider, model, pricing: RATES })
      const usage = { provider, model, prompt_tokens: 3, completion_tokens: 0 }
      const request_id = "r".repeat(256)
      yield* books.ask("track_usage", { request_id, ...usage })
      const counts = { prompt_tokens: 2, completion_tokens: 0 }
      yield* books.ask("correct_usage", { request_id, usage: counts, reason: "less" })
      const trail = encodeSuccess("get_audit_trail", yield* read(books))
      assert.strictEqual(decodeSuccess("get_audit_trail", trail).items.length, 2)
    })
  )

  it.effect("an empty trail has the head of an empty chain", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read(new Books()), {
        items: [],
        head: { seq: 0, hash: "0".repeat(64) },
        next_cursor: null
      })
    })
  )
})

describe("signals between parts of the runtime", () => {
  it("are found by no door", () => {
    assert.isTrue(Result.isFailure(findSignal("record_audit")))
  })

  it("a ledger decides only what there is", () => {
    for (const name of LEDGER_SIGNALS) assert.property(ACTOR_SIGNALS, name)
  })
})
