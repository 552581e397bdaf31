/** What else must be there after the program was killed: keys and their end, prices, settings, finished calls. */
import { assert, describe, it } from "@effect/vitest"
import {
  makeDatabase,
  makeFolder,
  type Program,
  type ProgramOptions,
  startProgram
} from "../support/Program.ts"
import { failureOf } from "../support/Wire.ts"

const STORES: { readonly [name: string]: () => Promise<ProgramOptions> } = {
  "a Postgres server": async () => ({ databaseUrl: await makeDatabase() }),
  // As the first `npm start` does it: from the sources, in an empty directory.
  "the embedded store": async () => ({ data: makeFolder(), isFromSource: true })
}

const CALL = {
  request_id: "finished",
  provider: "simulator",
  model: "sim-fast",
  messages: [{ role: "user", content: "Say it once." }],
  max_completion_tokens: 20
}
const PRICE = { provider: "own", model: "own-model" }

for (const [store, optionsOf] of Object.entries(STORES)) {
  it(`on ${store}, it is there after a kill`, async () => {
    const options = await optionsOf()
    let program: Program = await startProgram(options)
    const kept = await program.call("create_key", { name: "kept", roles: ["admin"], tenant: "acme" })
    const revoked = await program.call("create_key", { name: "revoked", roles: ["admin"], tenant: "acme" })
    assert.isNotEmpty((await program.call("get_status", {}, revoked.key)).tenant)
    await program.call("revoke_key", { key_id: revoked.key_id })
    const rates = { prompt_per_million: "1", completion_per_million: "2" }
    await program.call("update_pricing", { ...PRICE, pricing: rates }, kept.key)
    const { config } = await program.call("configure_manager", { default_completion_tokens: 123 }, kept.key)
    const prices = await program.call("get_pricing", PRICE, kept.key)
    const completion = await program.call("complete", CALL, kept.key)
    const usage = await program.call("get_usage", {}, kept.key)

    await program.kill()
    program = await startProgram(options)

    const status = await program.call("get_status", {}, kept.key)
    assert.deepInclude(status, { tenant: "acme", config, total_tracked: 1, open_holds: 0 })
    assert.strictEqual((await failureOf(program.call("get_status", {}, revoked.key))).tag, "Unauthenticated")
    assert.deepStrictEqual(await program.call("get_pricing", PRICE, kept.key), prices)
    assert.deepStrictEqual(
      await program.call("complete", CALL, kept.key),
      completion,
      "the first answer again"
    )
    const other = { ...CALL, messages: [{ role: "user", content: "Say something else." }] }
    assert.deepInclude((await failureOf(program.call("complete", other, kept.key))).data, {
      _tag: "Conflict",
      reason: "request_reused_with_different_content"
    })
    assert.deepStrictEqual(await program.call("get_usage", {}, kept.key), usage, "charged once")
    await program.kill()
  })
}

describe("a call that was cut off by a kill", () => {
  it("keeps what it held until its deadline, and can be sent again under its id", async () => {
    const options = { databaseUrl: await makeDatabase() }
    let program = await startProgram(options)
    const { budget_id } = await program.call("create_budget", {
      name: "n",
      type: "global",
      period: "lifetime",
      limit: "5"
    })
    const wire = await program.connect()
    const usage = await wire.subscribe("usage")
    const call = { ...CALL, model: "sim-slow", request_id: "cut-off" }
    const cut = program.call("complete", call).then(
      () => assert.fail("it was answered"),
      (error: unknown) => error
    )
    await usage.until((event) => event.in_flight?.state === "calling")
    await program.kill()
    await cut
    program = await startProgram(options)
    const [held] = (await program.call("get_budget_status", { budget_id })).budgets
    assert.strictEqual(held.open_holds, 1)
    assert.notStrictEqual(held.held, "0")
    const completion = await program.call("complete", call)
    const [spent] = (await program.call("get_budget_status", { budget_id })).budgets
    assert.deepInclude(spent, { held: "0", open_holds: 0, spent: completion.usage.cost })
    await program.kill()
  })
})
