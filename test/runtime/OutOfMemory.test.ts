/** Who asks for a workflow by its address while it is a row in the store is told so. */
import { assert, it } from "vitest"
import { answers, scriptedProvider, startTestBursar } from "../../src/testing.ts"

const AGENT = { name: "a", provider: "scripted", model: "m", prompt: "{{input}}", max_completion_tokens: 10 }

it("a workflow at rest, one that has ended, and one that there is not are told apart", async () => {
  await using bursar = await startTestBursar({
    startAt: "2026-01-05T09:00:00Z",
    providers: [scriptedProvider([], { thenAlways: answers("done") })]
  })
  const pricing = { prompt_per_million: "1", completion_per_million: "1" }
  await bursar.update_pricing({ provider: "scripted", model: "m", pricing })
  await bursar.create_budget({
    ...{ name: "red", type: "team", entity_id: "red", period: "lifetime", measure: "requests", limit: "0" }
  })
  const workflow = { name: "w", agents: [AGENT] }
  await bursar.start_workflow({ workflow, input: "x", team_id: "red", workflow_id: "waits" })
  await bursar.start_workflow({ workflow, input: "x", workflow_id: "ended" })
  await bursar.advance("12 minutes")
  const told = (signal: "inspect_actor" | "stop_actor" | "restart_actor", id: string) =>
    bursar[signal]({ address: `workflow/default/${id}` }).then(
      () => assert.fail("it is not in memory"),
      ({ _tag, message }) => `${_tag}: ${message}`
    )
  const resting =
    /^NotFound: workflow\/default\/waits is not in memory: it has waited since 2026-01-05T09:\d\d:\d\d\.\d{3}Z, and comes back with its next signal, by itself at 2026-01-05T\d\d:\d\d:\d\d\.\d{3}Z at the latest\. get_workflow shows it; resume_workflow lets it look at once$/
  for (const signal of ["inspect_actor", "stop_actor", "restart_actor"] as const)
    assert.match(await told(signal, "waits"), resting)
  assert.match(
    await told("inspect_actor", "ended"),
    /is not in memory: it has ended \(done\) at 2026-01-05T09:00/
  )
  assert.strictEqual(
    await told("inspect_actor", "never"),
    "NotFound: No actor lives at workflow/default/never; list_actors shows those that do"
  )
  const other = bursar.as({ tenant: "other", roles: ["admin"], owner: "ann" })
  const foreign = await other
    .inspect_actor({ address: "workflow/default/waits" })
    .catch(({ message }) => message)
  assert.strictEqual(foreign, "No actor lives at workflow/default/waits; list_actors shows those that do")
})
