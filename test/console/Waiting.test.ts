/** Overrides, dead letters, and what roles are offered. */

import { Result } from "effect"
import { describe, expect, it } from "vitest"
import {
  afterLetters,
  isBehind,
  LETTERS_MAX,
  payloadOf,
  type WireLetter
} from "../../src/console/model/Letters.ts"
import { EMPTY_MODEL, OVERRIDES_MAX } from "../../src/console/model/Model.ts"
import { chosenFrom, openCount, openFor, waitingFor } from "../../src/console/model/Overrides.ts"
import { NO_PAGES } from "../../src/console/model/Pages.ts"
import { reduce } from "../../src/console/model/Reduce.ts"
import { maySend, neededFor } from "../../src/console/model/Roles.ts"
import { authorize } from "../../src/signal/Authorization.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { Role } from "../../src/signal/Signal.ts"
import { at, override, parked, violation, workflow } from "./Fixtures.ts"

const NOW = Date.parse(at(30))

describe("overrides", () => {
  const all = [
    override({ id: "decided", status: "approved", approved_amount: "1", requested_at: at(8) }),
    override({ id: "denied", status: "denied", requested_at: at(9) }),
    override({ id: "open", requested_at: at(5) }),
    override({ id: "soon", requested_at: at(1), expires_at: at(40) }),
    override({ id: "over", expires_at: at(29) })
  ]
  const ids = (filter: Parameters<typeof chosenFrom>[1]) => chosenFrom(all, filter, NOW).map(({ id }) => id)

  it("that are open come first, the one that ends soonest before the others", () => {
    expect(ids("all")).toEqual(["soon", "open", "denied", "decided", "over"])
  })

  it.each([
    ["open", ["soon", "open"]],
    ["approved", ["decided"]],
    ["denied", ["denied"]],
    ["expired", ["over"]]
  ] as const)("that are %s", (filter, expected) => {
    expect(ids(filter)).toEqual(expected)
  })

  it("whose time is over are not counted as open, told or not", () => {
    expect(openCount(all, NOW)).toBe(2)
    expect(openCount(all, Date.parse(at(40)))).toBe(1)
  })

  it("that were decided stay so, whichever comes last: the event or the list", () => {
    const decided = override({ status: "approved", approved_amount: "2" })
    const event = { kind: "event", topic: "budgets", event: { override: decided }, now: NOW } as const
    const list = { kind: "overrides", overrides: [override()], more: "next" } as const
    for (const changes of [
      [event, list],
      [list, event]
    ]) {
      const model = reduce(EMPTY_MODEL, changes)
      expect(model.overrides.get("o1")).toEqual(decided)
      expect(model.overridesMore).toBe("next")
    }
  })

  it("let the budget be read again, because its standing does not say them", () => {
    const event = { kind: "event", topic: "budgets", event: { override: override() }, now: NOW } as const
    expect([...reduce(EMPTY_MODEL, [event]).unknownBudgets]).toEqual(["b1"])
  })

  it("are bounded, and open ones stay", () => {
    const many = Array.from({ length: OVERRIDES_MAX }, (_, index) =>
      override({ id: `d${index}`, status: "denied", requested_at: at(index) })
    )
    const { overrides } = reduce(EMPTY_MODEL, [{ kind: "overrides", overrides: [override(), ...many] }])
    expect([overrides.size, overrides.has("o1"), overrides.has("d0")]).toEqual([OVERRIDES_MAX, true, false])
  })

  it("are matched with the workflows that wait for them, by budget and by who stands in a default", () => {
    const waits = parked({ violations: [violation({ entity_id: "ada" })] })
    const ada = override({ id: "ada", entity_id: "ada" })
    const grace = override({ id: "grace", entity_id: "grace" })
    expect(openFor([ada, grace], waits.violations, NOW)).toEqual([ada])
    const rows = [{ progress: workflow({ state: "parked", parked: waits }), facts: [] }]
    expect(waitingFor(ada, rows).map(({ workflow_id }) => workflow_id)).toEqual(["w1"])
    expect(waitingFor(grace, rows)).toEqual([])
  })
})

describe("dead letters", () => {
  const letter = (id: string): WireLetter => ({
    letter_id: id,
    at: at(1),
    address: "bridge",
    signal: "resume_workflow",
    principal: "k1",
    why: "There is no workflow w1",
    payload: '{"workflow_id":"w1"}',
    redrivable: true
  })
  const page = (ids: ReadonlyArray<string>, next_cursor: string | null, isFirst: boolean) =>
    ({ kind: "page", page: { items: ids.map(letter), next_cursor, dropped: 2 }, isFirst }) as const
  const ids = (letters: ReturnType<typeof afterLetters>) => letters.items.map(({ letter_id }) => letter_id)

  it("are read a page after the other, nobody twice", () => {
    const first = afterLetters(NO_PAGES, page(["c", "b"], "b", true))
    const second = afterLetters(first, page(["b", "a"], null, false))
    expect([ids(second), second.next, second.dropped]).toEqual([["c", "b", "a"], null, 2])
    expect(ids(afterLetters(second, page(["d"], null, true)))).toEqual(["d"])
  })

  it("stay when a page fails, which is said until it is read", () => {
    const failed = afterLetters(afterLetters(NO_PAGES, page(["a"], null, true)), {
      kind: "failed",
      why: "away"
    })
    expect([ids(failed), failed.failure]).toEqual([["a"], "away"])
    expect(afterLetters(failed, { kind: "reading" }).failure).toBeNull()
  })

  it("are gone when they were taken", () => {
    const known = afterLetters(NO_PAGES, page(["b", "a"], null, true))
    expect(ids(afterLetters(known, { kind: "gone", id: "b" }))).toEqual(["a"])
  })

  it("are bounded", () => {
    const many = Array.from({ length: LETTERS_MAX }, (_, index) => `l${index}`)
    const full = afterLetters(afterLetters(NO_PAGES, page(many, "more", true)), page(["x"], "more", false))
    expect([full.items.length, full.next]).toEqual([LETTERS_MAX, null])
  })

  it("are counted as they are told", () => {
    const told = { kind: "event", topic: "signals", event: { dead_letter: { at: at(5) } }, now: NOW } as never
    const { lettersTold, letterToldAt } = reduce(EMPTY_MODEL, [told, told])
    expect([lettersTold, letterToldAt]).toEqual([2, Date.parse(at(5))])
  })

  it.each([
    ["has none yet", [], at(1), true],
    ["has an older one", [letter("a")], at(2), true],
    ["has it", [letter("a")], at(1), false]
  ] as const)("are read again in a moment where the page %s", (_, items, toldAt, expected) => {
    expect(isBehind({ items }, Date.parse(toldAt))).toBe(expected)
  })

  it.each([
    ['{"a":1}', { json: { a: 1 } }],
    ['{"a":1', null],
    ["plain", null],
    ["3", null]
  ])("show %j as %j", (payload, expected) => {
    expect(payloadOf({ payload })).toEqual(expected)
  })
})

describe("what a role is offered", () => {
  const OFFERED = [
    "cancel_workflow",
    "create_budget",
    "decide_override",
    "list_dead_letters",
    "list_overrides",
    "list_refusals",
    "list_workflows",
    "redrive_dead_letter",
    "request_override",
    "resume_workflow",
    "start_workflow",
    "update_budget"
  ] as const

  it.each(Role.literals)("%s: what the server would take, and nothing else", (role) => {
    const principal = { ...installationPrincipal(), roles: [role], isInstallation: false }
    for (const name of OFFERED) {
      const isTaken = Result.isSuccess(authorize(name, {}, principal))
      expect([name, maySend({ roles: [role] }, name)]).toEqual([name, isTaken])
    }
  })

  it("is everything where the server does not say who this is: it decides", () => {
    expect(maySend({}, "decide_override")).toBe(true)
    expect(maySend(null, "decide_override")).toBe(true)
    expect(neededFor("decide_override")).toBe("budget_admin or admin")
  })
})
