/**
 * A workflow that is refused at its second step, and a process that ends before somebody else approves an override: it goes
 * on from its second step.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { ActorSystem, layer as actorLayer } from "../../src/actor/ActorSystem.ts"
import { SIMULATOR_PRICES } from "../../src/provider/SimulatorModels.ts"
import { Hub } from "../../src/runtime/Hub.ts"
import { makeTokenManagers } from "../../src/runtime/TokenManagers.ts"
import { installationPrincipal, type Principal } from "../../src/signal/Principal.ts"
import { serverStore } from "../../src/store/Store.ts"
import { LedgerStore } from "../../src/tokens/LedgerStore.ts"
import { makeDatabase, type Program, startProgram } from "../support/Program.ts"
import { eventually, type Json } from "../support/Wire.ts"

const agent = (name: string, depends_on: ReadonlyArray<string> = []): Json => ({
  name,
  provider: "simulator",
  model: "sim-fast",
  prompt: ["{{input}}", ...depends_on.map((other) => `{{${other}}}`)].join(" "),
  max_completion_tokens: 20,
  depends_on
})

const WORKFLOW = {
  name: "two steps",
  agents: [agent("research"), agent("draft", ["research"])],
  budget: {
    limit: "1",
    measure: "requests",
    override_policy: {
      requires_approval: true,
      approvers: ["budget_admin"],
      max_override_percentage: 100,
      notification_required: true
    }
  },
  request_override: {}
}

const shown = async (program: Program, workflow_id: string): Promise<Json> =>
  (await program.call("get_workflow", { workflow_id })).workflow

/** Somebody else, with a key of their own. */
const DECIDER: Principal = {
  ...installationPrincipal("default", "decider"),
  owner: "decider",
  roles: ["budget_admin"],
  isInstallation: false
}

/** The tenant's ledger alone, where nothing of workflows runs. */
const approveInTheStore = (databaseUrl: string, override_id: string) =>
  Effect.gen(function* () {
    const tokenManagers = makeTokenManagers(yield* ActorSystem, {
      store: yield* LedgerStore,
      builtInPrices: SIMULATOR_PRICES,
      version: "test",
      observer: new Hub()
    })
    return yield* tokenManagers.ask("decide_override", { override_id, decision: "approve" }, DECIDER)
  }).pipe(
    Effect.provide(actorLayer),
    Effect.provide(serverStore({ url: Redacted.make(databaseUrl) })),
    Effect.runPromise
  )

describe("refused at its second step", () => {
  for (const end of ["stop", "kill"] as const) {
    for (const when of ["while it is down", "when it is up again"] as const) {
      it(`and ${end === "stop" ? "stopped" : "killed"}: approved ${when}, it goes on from there`, async () => {
        const databaseUrl = await makeDatabase()
        let program = await startProgram({ databaseUrl })
        const { workflow_id } = await program.call("start_workflow", { workflow: WORKFLOW, input: "tides" })
        const parked = await eventually(
          () => shown(program, workflow_id),
          ({ parked: why }) => why !== null && why.overrides.length > 0
        )
        assert.deepStrictEqual(parked.parked.agents, ["draft"])
        const [override_id] = parked.parked.overrides
        await program[end]()
        if (when === "while it is down") await approveInTheStore(databaseUrl, override_id)
        program = await startProgram({ databaseUrl })
        if (when === "when it is up again") {
          assert.deepInclude(await shown(program, workflow_id), { state: "parked", steps_done: 1 })
          const { key } = await program.call("create_key", {
            name: "decider",
            owner: "decider",
            roles: ["budget_admin"]
          })
          await program.call("decide_override", { override_id, decision: "approve" }, key)
        }
        const completed = await eventually(
          () => shown(program, workflow_id),
          ({ state }) => state === "completed"
        )
        assert.strictEqual(completed.steps[0].output, parked.steps[0].output, "the first step is as it was")
        const { items } = await program.call("get_usage", { workflow_id })
        assert.deepStrictEqual(items.map((row: Json) => row.request_id).sort(), [
          `${workflow_id}/draft/1`,
          `${workflow_id}/research/1`
        ])
        assert.deepInclude(await program.call("get_status"), { open_holds: 0, total_tracked: 2 })
        await program.kill()
      })
    }
  }
})
