/**
 * What every store of durable machines must do. Run it on each layer that claims to be one.
 */
import { assert, describe, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import {
  type MachineClaim,
  type MachineCommit,
  type MachineFact,
  MachineStore,
  type OutgoingSignal
} from "../../src/actor/MachineStore.ts"

const NOON = Date.UTC(2026, 10, 25, 12)

let machines = 0
const machineOf = (kind = "order") => {
  machines += 1
  const tenant = `tenant-${machines}`
  return { tenant, kind, address: `${kind}/${tenant}/1` }
}

const commitOf = (id: string, revision: number, fields: Partial<MachineCommit> = {}): MachineCommit => ({
  id,
  revision,
  nextRevision: revision + 1,
  status: "active",
  state: "open.waiting",
  reason: null,
  about: { title: "'a' \\ 🙂", list: [1, null] },
  version: "1",
  snapshot: JSON.stringify({ text: "a model wrote \u0000 and \ud800" }),
  wakesAt: null,
  outgoing: [],
  seen: [],
  forgotten: [],
  facts: [],
  at: NOON + revision,
  ...fields
})

const outgoing = (seq: number): OutgoingSignal => ({
  seq,
  to: "token_manager/x",
  signal: "reset_budget",
  params: { budget_id: `b${seq}`, text: "\u0000" }
})

const fact = (text: string): MachineFact => ({ kind: "step", body: { text } })

/** A machine that was claimed and committed once. */
const opened = Effect.fnUntraced(function* (fields: Partial<MachineCommit> = {}, machine = machineOf()) {
  const store = yield* MachineStore
  const { claim } = yield* store.claim(machine, "owner")
  yield* store.commit(claim, commitOf("c0", 0, fields))
  return { store, machine, claim }
})

/** Machines of one kind and tenant, by short names. */
const family = Effect.fnUntraced(function* (kind: string) {
  const store = yield* MachineStore
  const base = machineOf(kind)
  const addressOf = (name: string) => `${base.kind}/${base.tenant}/${name}`
  const commit = (name: string, fields: Partial<MachineCommit>) =>
    Effect.gen(function* () {
      const { claim } = yield* store.claim({ ...base, address: addressOf(name) }, "owner")
      yield* store.commit(claim, commitOf("c", 0, fields))
      return claim
    })
  return { store, base, addressOf, commit }
})

const claims = (it: Tests) => {
  it.effect("a machine that was never committed is claimed, and read as nothing", () =>
    Effect.gen(function* () {
      const store = yield* MachineStore
      const machine = machineOf()
      const claimed = yield* store.claim(machine, "a")
      assert.deepStrictEqual(claimed, {
        claim: { tenant: machine.tenant, address: machine.address, owner: "a", epoch: 1 },
        row: undefined,
        commitId: null,
        wasRemoved: false,
        outgoing: [],
        seen: []
      })
      assert.isUndefined(yield* store.read(machine.address))
      assert.deepStrictEqual(yield* store.list({ ...machine, statuses: null, after: null, limit: 9 }), [])
      assert.isUndefined(yield* store.read("order/\u0000/1"))
    })
  )

  it.effect("what was committed is what the next owner reads", () =>
    Effect.gen(function* () {
      const { store, machine, claim } = yield* opened({
        wakesAt: NOON + 5,
        outgoing: [outgoing(1), outgoing(2)],
        seen: [
          { id: "order/other/1", mark: 7, digest: null },
          { id: "request-1", mark: 0, digest: "of its content" },
          { id: "request-2", mark: 0, digest: "of another" },
          { id: "a last one", mark: 0, digest: "of another" }
        ]
      })
      yield* store.commit(
        claim,
        commitOf("c1", 1, {
          nextRevision: 4,
          status: "parked",
          reason: "it has no price",
          outgoing: [outgoing(3)],
          seen: [{ id: "order/other/1", mark: 8, digest: null }],
          forgotten: ["request-1"],
          wakesAt: null
        })
      )
      yield* store.delivered(machine.address, [1, 3])
      const next = yield* store.claim(machine, "b")
      assert.deepStrictEqual([next.claim.epoch, next.commitId], [2, "c1"])
      const { id: _, nextRevision, at, ...written } = commitOf("c1", 1, {})
      assert.deepStrictEqual(next.row, {
        ...machine,
        state: written.state,
        about: written.about,
        version: "1",
        snapshot: written.snapshot,
        status: "parked",
        reason: "it has no price",
        wakesAt: null,
        revision: 4,
        createdAt: NOON,
        updatedAt: at
      })
      assert.deepStrictEqual(next.outgoing, [outgoing(2)])
      assert.deepStrictEqual(
        next.seen,
        [
          { id: "request-2", mark: 0, digest: "of another" },
          { id: "a last one", mark: 0, digest: "of another" },
          { id: "order/other/1", mark: 8, digest: null }
        ],
        "in the order in which they came"
      )
      assert.deepStrictEqual(yield* store.read(machine.address), next.row)
    })
  )

  it.effect("who was taken over, or builds on another revision, writes nothing", () =>
    Effect.gen(function* () {
      const { store, machine, claim } = yield* opened()
      const late = commitOf("late", 1, {
        outgoing: [outgoing(1)],
        facts: [fact("late")],
        seen: [{ id: "s", mark: 1, digest: null }]
      })
      for (const wrong of [0, 2]) {
        assert.strictEqual(
          (yield* Effect.flip(store.commit(claim, { ...late, revision: wrong })))._tag,
          "MachineFenced"
        )
      }
      const { claim: newer } = yield* store.claim(machine, "b")
      assert.isFalse(yield* store.isOwner(claim))
      assert.isTrue(yield* store.isOwner(newer))
      assert.strictEqual((yield* Effect.flip(store.commit(claim, late)))._tag, "MachineFenced")
      assert.strictEqual((yield* Effect.flip(store.resolve(claim, "c0")))._tag, "MachineFenced")
      const { row, outgoing: owed, seen } = yield* store.claim(machine, "c")
      assert.deepStrictEqual([row?.revision, owed, seen], [1, [], []])
      assert.deepStrictEqual((yield* store.facts(machine.tenant, 0, 10)).facts, [])
    })
  )

  it.effect(
    "after a lost connection the store says whether a commit was written, and fences the old statement",
    () =>
      Effect.gen(function* () {
        const { store, claim } = yield* opened()
        const written = yield* store.resolve(claim, "c0")
        assert.deepStrictEqual(written, { claim: { ...claim, epoch: 2 }, isWritten: true })
        const not = yield* store.resolve(written.claim, "c1")
        assert.isFalse(not.isWritten)
        assert.strictEqual((yield* Effect.flip(store.commit(claim, commitOf("c1", 1))))._tag, "MachineFenced")
        yield* store.commit(not.claim, commitOf("c1", 1))
      })
  )
}

const lists = (it: Tests) => {
  it.effect("lists a tenant's machines of a kind, the newest first, page by page", () =>
    Effect.gen(function* () {
      const { store, machine } = yield* opened()
      const { tenant, kind } = machine
      for (const [index, status] of (["done", "active", "failed"] as const).entries()) {
        const { claim } = yield* store.claim(
          { ...machine, address: `${kind}/${tenant}/${index + 2}` },
          "owner"
        )
        yield* store.commit(claim, commitOf("c", 0, { status, at: NOON + Math.min(index, 1) }))
      }
      const query = { tenant, kind, statuses: null, after: null, limit: 2 }
      const first = yield* store.list(query)
      assert.deepStrictEqual(
        first.map(({ address }) => address.split("/")[2]),
        ["3", "4"]
      )
      for (const entry of first) assert.notProperty(entry, "snapshot", "it may be megabytes")
      const second = yield* store.list({ ...query, after: first[1] ?? null })
      assert.deepStrictEqual(
        second.map(({ address }) => address.split("/")[2]),
        ["1", "2"]
      )
      const ended = yield* store.list({ ...query, limit: 9, statuses: ["done", "failed"] })
      assert.deepStrictEqual(
        ended.map(({ status }) => status),
        ["failed", "done"]
      )
      assert.deepStrictEqual(yield* store.list({ ...query, kind: "other" }), [])
    })
  )

  it.effect("what has to be in memory is due: its moment has come", () =>
    Effect.gen(function* () {
      const { store, base, addressOf, commit } = yield* family("waking")
      yield* commit("c", { wakesAt: NOON + 1 })
      yield* commit("b", { wakesAt: NOON })
      yield* commit("z", { wakesAt: 0 })
      yield* commit("a", { wakesAt: NOON })
      yield* commit("d", {})
      yield* store.claim({ ...base, address: addressOf("f") }, "owner")
      const query = { kinds: ["waking"], now: NOON, after: null, limit: 2 }
      const first = yield* store.due(query)
      assert.deepStrictEqual(first, [
        { ...base, address: addressOf("z"), wakesAt: 0 },
        { ...base, address: addressOf("a"), wakesAt: NOON }
      ])
      const after = first[1] ?? null
      assert.deepStrictEqual(yield* store.due({ ...query, after }), [
        { ...base, address: addressOf("b"), wakesAt: NOON }
      ])
      assert.deepStrictEqual(yield* store.due({ ...query, kinds: ["other"] }), [])
    })
  )

  it.effect("what owes somebody a signal has to be in memory, too, once for all that it owes", () =>
    Effect.gen(function* () {
      const { store, base, addressOf, commit } = yield* family("owing")
      yield* commit("b", { outgoing: [outgoing(1), outgoing(2)] })
      yield* commit("a", { outgoing: [outgoing(1)], status: "done" })
      yield* commit("c", {})
      yield* commit("d", { outgoing: [outgoing(1)] })
      const query = { kinds: ["owing"], after: base.address, limit: 2 }
      assert.deepStrictEqual(yield* store.owing(query), {
        machines: [
          { ...base, address: addressOf("a") },
          { ...base, address: addressOf("b") }
        ],
        next: addressOf("b")
      })
      const rest = yield* store.owing({ ...query, after: addressOf("b") })
      assert.deepStrictEqual(rest.machines[0], { ...base, address: addressOf("d") })
      yield* store.delivered(addressOf("d"), [1])
      const { machines: none } = yield* store.owing({ ...query, after: addressOf("b"), limit: 100 })
      assert.deepStrictEqual(none, [])
      assert.deepStrictEqual((yield* store.owing({ ...query, kinds: ["other"] })).machines, [])
    })
  )

  it.effect("those that have not ended are counted, by tenant and kind", () =>
    Effect.gen(function* () {
      const { store, base, addressOf, commit } = yield* family("counted")
      yield* commit("a", {})
      yield* commit("b", { status: "parked" })
      yield* commit("c", { status: "done" })
      yield* commit("d", { status: "failed" })
      yield* store.claim({ ...base, address: addressOf("e") }, "owner")
      assert.strictEqual(yield* store.openCount(base.tenant, "counted"), 2)
      assert.strictEqual(yield* store.openCount(base.tenant, "other"), 0)
      assert.strictEqual(yield* store.openCount("other", "counted"), 0)
    })
  )

  it.effect("those that have not ended are listed, by address, and the tenants that have some", () =>
    Effect.gen(function* () {
      const { store, base, addressOf, commit } = yield* family("listed")
      yield* commit("b", { status: "parked", wakesAt: NOON })
      yield* commit("a", {})
      yield* commit("c", { status: "done" })
      yield* commit("d", {})
      yield* store.claim({ ...base, address: addressOf("e") }, "owner")
      const query = { kind: "listed", tenant: base.tenant, limit: 2 }
      const first = yield* store.open({ ...query, after: "" })
      assert.deepStrictEqual(
        first.map(({ address, wakesAt }) => [address, wakesAt]),
        [
          [addressOf("a"), null],
          [addressOf("b"), NOON]
        ]
      )
      const next = yield* store.open({ ...query, after: addressOf("b") })
      assert.deepStrictEqual(
        next.map(({ address }) => address),
        [addressOf("d")]
      )
      assert.deepStrictEqual(yield* store.open({ ...query, tenant: "other", after: "" }), [])
      const tenants: Array<string> = []
      for (const tenant of ["listed-1", "listed-2", "listed-3"]) {
        for (const id of ["1", "2"]) {
          const { claim } = yield* store.claim(
            { tenant, kind: "listed", address: `listed/${tenant}/${id}` },
            "owner"
          )
          yield* store.commit(claim, commitOf("c0", 0, tenant === "listed-2" ? { status: "failed" } : {}))
        }
        if (tenant !== "listed-2") tenants.push(tenant)
      }
      const open = yield* store.openTenants({ kind: "listed", after: "", limit: 9 })
      assert.deepStrictEqual([...open].toSorted(), [...tenants, base.tenant].toSorted())
      const page = yield* store.openTenants({ kind: "listed", after: open[0] ?? "", limit: 1 })
      assert.deepStrictEqual(page, open.slice(1, 2))
      assert.deepStrictEqual(yield* store.openTenants({ kind: "unlisted", after: "", limit: 9 }), [])
    })
  )

  it.effect("of some machines it says which owe something to a receiver", () =>
    Effect.gen(function* () {
      const { store, addressOf, commit } = yield* family("sending")
      const to = (receiver: string, seq: number): OutgoingSignal => ({ ...outgoing(seq), to: receiver })
      yield* commit("owes", { outgoing: [to("till/a/1", 1), to("till/a/1", 2), to("till/a/2", 3)] })
      yield* commit("owes another", { outgoing: [to("till/a/2", 1)] })
      yield* commit("has", { outgoing: [to("till/a/1", 1)] })
      yield* store.delivered(addressOf("has"), [1])
      const all = ["owes", "owes another", "has", "there is none"].map(addressOf)
      assert.deepStrictEqual(yield* store.owingTo("till/a/1", all), [addressOf("owes")])
      assert.deepStrictEqual(yield* store.owingTo("till/a/1", all.slice(1)), [])
      assert.deepStrictEqual(yield* store.owingTo("till/a/1", []), [])
    })
  )

  it.effect("what has ended goes once it is old and owes nothing, and nothing begins there anew", () =>
    Effect.gen(function* () {
      const { store, base, addressOf, commit } = yield* family("ending")
      yield* commit("active", {})
      yield* commit("parked", { status: "parked" })
      yield* commit("done", { status: "done", seen: [{ id: "s", mark: 1, digest: null }] })
      yield* commit("failed", { status: "failed", at: NOON + 1 })
      yield* commit("owes", { status: "done", outgoing: [outgoing(1)] })
      yield* commit("young", { status: "done", at: NOON + 10 })
      const { tenant } = base
      const before = NOON + 10
      assert.strictEqual(yield* store.countEnded(tenant, before), 2)
      assert.strictEqual(yield* store.countEnded("other", before), 0)
      assert.deepStrictEqual(yield* store.removeEnded("other", before, 9), { removed: 0, isMore: false })
      assert.deepStrictEqual(yield* store.removeEnded(tenant, before, 1), { removed: 1, isMore: true })
      assert.isUndefined(yield* store.read(addressOf("done")), "the oldest first")
      assert.deepStrictEqual(yield* store.removeEnded(tenant, before, 9), { removed: 1, isMore: false })
      assert.deepStrictEqual(yield* store.removeEnded(tenant, before, 9), { removed: 0, isMore: false })
      const left = yield* store.list({ ...base, statuses: null, after: null, limit: 9 })
      assert.deepStrictEqual(left.map(({ address }) => address.split("/")[2]).toSorted(), [
        "active",
        "owes",
        "parked",
        "young"
      ])
      const again = yield* store.claim({ ...base, address: addressOf("done") }, "owner")
      assert.deepStrictEqual([again.row, again.seen, again.claim.epoch], [undefined, [], 1])
      assert.isTrue(again.wasRemoved)
      assert.isTrue(yield* store.wasRemoved(addressOf("done")))
      for (const name of ["active", "never", "\u0000"])
        assert.isFalse(yield* store.wasRemoved(addressOf(name)), name)
    })
  )

  it.effect("what goes on after all is not removed: it has not ended", () =>
    Effect.gen(function* () {
      const { store, base, commit } = yield* family("migrated")
      const claim = yield* commit("a", { status: "parked" })
      yield* store.commit(claim, commitOf("c1", 1))
      assert.strictEqual(yield* store.countEnded(base.tenant, NOON + 100), 0)
      yield* store.commit(claim, commitOf("c2", 2, { status: "done" }))
      assert.strictEqual(yield* store.countEnded(base.tenant, NOON + 100), 1)
    })
  )
}

const feeds = (it: Tests) => {
  it.effect(
    "facts of a tenant are numbered in the order of their commits, also of commits at the same time",
    () =>
      Effect.gen(function* () {
        const { store, machine, claim } = yield* opened({ facts: [fact("a"), fact("b \u0000")] })
        assert.deepStrictEqual((yield* store.facts(machine.tenant, 0, 1)).facts, [
          { seq: 1, kind: "step", body: { text: "a" }, address: machine.address, at: NOON }
        ])
        const others: Array<MachineClaim> = []
        for (let index = 0; index < 8; index++) {
          const address = `${machine.address}-${index}`
          others.push((yield* store.claim({ ...machine, address }, "owner")).claim)
        }
        yield* Effect.forEach(
          others,
          (other, index) =>
            store.commit(other, commitOf("c", 0, { facts: [fact(`${index}`), fact(`${index}`)] })),
          { concurrency: "unbounded" }
        )
        yield* store.commit(claim, commitOf("last", 1, { facts: [fact("last")] }))
        const { facts, removedTo } = yield* store.facts(machine.tenant, 1, 100)
        assert.strictEqual(removedTo, 0)
        assert.deepStrictEqual(
          facts.map(({ seq }) => seq),
          Array.from({ length: 18 }, (_, index) => index + 2)
        )
        assert.deepStrictEqual(facts[0]?.body, { text: "b \u0000" })
        assert.deepStrictEqual(facts.at(-1)?.body, { text: "last" })
        for (let index = 1; index < 17; index += 2)
          assert.deepStrictEqual(facts[index]?.body, facts[index + 1]?.body)
        assert.strictEqual(yield* store.lastFactSeq(machine.tenant), 19)
      })
  )

  it.effect("old facts go, and whoever comes from before them can tell", () =>
    Effect.gen(function* () {
      const { store, machine } = yield* opened({ facts: ["a", "b", "c", "d"].map(fact) })
      yield* store.removeFacts(machine.tenant, 10)
      assert.strictEqual((yield* store.facts(machine.tenant, 0, 10)).facts.length, 4)
      yield* store.removeFacts(machine.tenant, 1)
      const page = yield* store.facts(machine.tenant, 0, 10)
      assert.deepStrictEqual([page.facts.map(({ seq }) => seq), page.removedTo], [[4], 3])
      assert.strictEqual(yield* store.lastFactSeq(machine.tenant), 4)
      assert.deepStrictEqual(yield* store.facts("nobody", 0, 10), { facts: [], removedTo: 0 })
      assert.strictEqual(yield* store.lastFactSeq("nobody"), 0)
    })
  )

  it.effect("what was told before a moment goes, up to the last of it", () =>
    Effect.gen(function* () {
      const { store, machine, claim } = yield* opened({ facts: [fact("a")] })
      yield* store.commit(claim, commitOf("c1", 1, { facts: [fact("b")], at: NOON + 20 }))
      yield* store.commit(claim, commitOf("c2", 2, { facts: [fact("c")], at: NOON + 10 }))
      yield* store.commit(claim, commitOf("c3", 3, { facts: [fact("d")], at: NOON + 30 }))
      yield* store.removeOldFacts(machine.tenant, NOON)
      assert.strictEqual((yield* store.facts(machine.tenant, 0, 9)).facts.length, 4)
      yield* store.removeOldFacts(machine.tenant, NOON + 15)
      const page = yield* store.facts(machine.tenant, 0, 9)
      assert.deepStrictEqual([page.facts.map(({ seq }) => seq), page.removedTo], [[4], 3])
      assert.strictEqual(yield* store.lastFactSeq(machine.tenant), 4)
    })
  )
}

const rewriting = (it: Tests) => {
  it.effect("texts are written anew, and whoever had the machine writes nothing any more", () =>
    Effect.gen(function* () {
      const snapshot = JSON.stringify({ user: "ada" })
      const { store, machine, claim } = yield* opened({ snapshot, outgoing: [outgoing(1)] })
      const plain = { ...machine, address: `${machine.address}/plain` }
      const other = yield* store.claim(plain, "owner")
      yield* store.commit(
        other.claim,
        commitOf("c0", 0, { outgoing: [{ ...outgoing(1), params: { name: "ada" } }] })
      )
      const unnamed = { ...machine, address: `${machine.address}/zzz` }
      yield* store.commit((yield* store.claim(unnamed, "owner")).claim, commitOf("c0", 0))
      const mentioning = (after: string, limit: number) =>
        store.mentioning({ tenant: machine.tenant, text: "ada", after, limit })

      const all = yield* mentioning("", 10)
      assert.deepStrictEqual(
        all.machines.map(({ address, outgoing: sent }) => `${address} ${sent.length}`),
        [`${machine.address} 1`, `${plain.address} 1`]
      )
      assert.isNull(all.next)
      const first = yield* mentioning("", 1)
      assert.strictEqual(first.next, machine.address)
      assert.deepStrictEqual((yield* mentioning(machine.address, 2)).machines, all.machines.slice(1))
      const [found] = first.machines
      if (found === undefined) throw new Error("nothing was found")

      const written = {
        ...found,
        reason: "why",
        about: '{"a":1}',
        snapshot: '{"user":"anon"}',
        outgoing: found.outgoing.map(({ seq }) => ({ seq, params: '{"to":"anon"}' }))
      }
      assert.isFalse(yield* store.rewrite({ ...written, revision: 7 }), "it has gone on")
      assert.isTrue(yield* store.rewrite(written))
      assert.isFalse(yield* store.isOwner(claim))
      const late = yield* Effect.flip(store.commit(claim, commitOf("c1", 1, { snapshot })))
      assert.strictEqual(late._tag, "MachineFenced")
      const asked = yield* Effect.flip(store.resolve(claim, "c0"))
      assert.strictEqual(asked._tag, "MachineFenced")
      const next = yield* store.claim(machine, "next")
      assert.deepInclude(next.row, {
        reason: "why",
        about: { a: 1 },
        snapshot: '{"user":"anon"}',
        revision: 1
      })
      assert.deepStrictEqual(next.outgoing, [{ ...outgoing(1), params: { to: "anon" } }])
    })
  )

  it.effect("facts are written anew under their numbers", () =>
    Effect.gen(function* () {
      const { store, machine } = yield* opened({ facts: ["ada", "bob", "ada"].map(fact) })
      const mentioning = (after: number, limit: number) =>
        store.factsMentioning({ tenant: machine.tenant, text: "ada", after, limit })
      const { facts } = yield* mentioning(0, 10)
      assert.deepStrictEqual(
        facts.map(({ seq }) => seq),
        [1, 3]
      )
      yield* store.rewriteFacts(
        machine.tenant,
        facts.map(({ seq }) => ({ seq, body: '{"text":"anon"}' }))
      )
      assert.deepStrictEqual(
        (yield* store.facts(machine.tenant, 0, 10)).facts.map(({ body }) => body),
        ["anon", "bob", "anon"].map((text) => ({ text }))
      )
      assert.deepStrictEqual(yield* mentioning(0, 10), { facts: [], next: null })
    })
  )
}

type Tests = Parameters<Parameters<ReturnType<typeof layer<MachineStore, never>>>[1]>[0]

export const machineStoreContract = (name: string, store: Layer.Layer<MachineStore, unknown>): void => {
  describe(name, () => {
    layer(store as Layer.Layer<MachineStore>, { excludeTestServices: true, timeout: "60 seconds" })((it) => {
      claims(it)
      lists(it)
      feeds(it)
      rewriting(it)
    })
  })
}
