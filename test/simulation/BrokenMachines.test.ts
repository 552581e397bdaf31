/**
 * The histories of machines find what they are for: with one rule of durable machines broken at a time, some dozens of them are
 * enough, and the seed that is named shows it again.
 *
 * The rules are broken from outside: each module is replaced by one that does the same, but for the rule that is broken now.
 */
import { Effect } from "effect"
import { afterEach, assert, describe, it, vi } from "vitest"
import type * as DurableRestModule from "../../src/actor/DurableRest.ts"
import type * as DurableStateModule from "../../src/actor/DurableState.ts"
import type { MachineCommit } from "../../src/actor/MachineStore.ts"
import type * as SeenSignalsModule from "../../src/actor/SeenSignals.ts"
import type * as StoreModule from "../../src/store/MemoryMachineStore.ts"
import { MachineHistoryFailure, runMachineHistories, runMachineHistory } from "./MachineHistory.ts"

/** Histories in which each broken rule is found. */
const WITHIN = 60

const rules = vi.hoisted(() => ({ broken: "" }))

vi.mock("../../src/actor/SeenSignals.ts", async (original) => {
  const real = await original<typeof SeenSignalsModule>()
  class SeenSignals extends real.SeenSignals {
    override get(...args: Parameters<InstanceType<typeof real.SeenSignals>["get"]>) {
      return rules.broken === "a signal is taken once" ? undefined : super.get(...args)
    }
  }
  return { ...real, SeenSignals }
})

vi.mock("../../src/actor/DurableRest.ts", async (original) => {
  const real = await original<typeof DurableRestModule>()
  const wakesAtOf: typeof real.wakesAtOf = (state, snapshot) =>
    rules.broken === "who leaves memory says when it has to be back" ? null : real.wakesAtOf(state, snapshot)
  return { ...real, wakesAtOf }
})

vi.mock("../../src/actor/DurableState.ts", async (original) => {
  const real = await original<typeof DurableStateModule>()
  const stateFrom: typeof real.stateFrom = (text, revision) => {
    const state = real.stateFrom(text, revision)
    if (rules.broken !== "what a child waits for goes on in another process") return state
    return { ...state, timers: state.timers.filter(({ from }) => from === undefined) }
  }
  return { ...real, stateFrom }
})

vi.mock("../../src/store/MemoryMachineStore.ts", async (original) => {
  const real = await original<typeof StoreModule>()
  const memoryMachineStore: typeof real.memoryMachineStore = (rows) => {
    const store = real.memoryMachineStore(rows)
    // Whoever was deposed writes over what the next one has written.
    const commitAnyway = (
      {
        tenant,
        address,
        owner
      }: { readonly tenant: string; readonly address: string; readonly owner: string },
      commit: MachineCommit
    ) =>
      Effect.gen(function* () {
        const kind = address.slice(0, address.indexOf("/"))
        const { claim, row } = yield* Effect.orDie(store.claim({ tenant, address, kind }, owner))
        const revision = row?.revision ?? 0
        const nextRevision = revision + commit.nextRevision - commit.revision
        yield* store.commit(claim, { ...commit, revision, nextRevision })
      })
    return {
      ...store,
      commit: (claim, commit) =>
        rules.broken === "who is deposed writes nothing"
          ? commitAnyway(claim, commit)
          : store.commit(claim, commit)
    }
  }
  return { ...real, memoryMachineStore }
})

afterEach(() => {
  rules.broken = ""
})

/** The first history that breaks something. */
const firstFailure = async (): Promise<MachineHistoryFailure | undefined> => {
  try {
    await runMachineHistories(1, WITHIN)
    return undefined
  } catch (error) {
    assert.instanceOf(error, MachineHistoryFailure)
    return error
  }
}

const messageOf = (seed: number): Promise<string> =>
  runMachineHistory(seed).then(
    () => "nothing was found",
    (error: Error) => error.message
  )

describe(`broken on purpose, it is found within ${WITHIN} histories`, () => {
  it.each([
    ["a signal is taken once", /each signal arrives once|each work is taken once/u],
    ["what a child waits for goes on in another process", /what was begun has ended/u],
    ["who leaves memory says when it has to be back", /what was begun has ended/u],
    ["who is deposed writes nothing", /once|has ended|order|gone/u]
  ])("the rule that %s", async (rule, found) => {
    rules.broken = rule
    const failure = await firstFailure()
    assert.match(failure?.message ?? "", found)
    const seed = failure?.seed ?? 0
    assert.include(failure?.message, `--machines --seed ${seed} `)
    assert.strictEqual(await messageOf(seed), failure?.message, "the seed shows it again")
    rules.broken = ""
    await runMachineHistory(seed)
  })
})
