/** A model that cannot be called is said at the start: its provider has none of the name, or it has no price where that matters. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { PriceUnknown } from "../../src/signal/Errors.ts"
import { modelIssues } from "../../src/workflow/Models.ts"
import { FakePorts, violationOf } from "./support/FakePorts.ts"
import { agent, inputOf } from "./support/Graphs.ts"

const unknown = new PriceUnknown({ provider: "p", model: "m", nearest: [], message: "m has no price" })
const refused = { allowed: false, reason: "Refused: no price; nearest known: n", violations: [] } as never
const input = inputOf({
  name: "n",
  agents: [agent("a"), agent("b", [], { fallback: [{ provider: "p", model: "m" }] })]
})

it.effect.each([
  ["is none where there is a price", { cost: 0n }, refused, []],
  [
    "without a price is refused where a hard cost budget applies",
    unknown,
    refused,
    ["agents.0.model", "agents.1.model", "agents.1.fallback.0.model"]
  ],
  ["without a price may be used where none applies", unknown, { allowed: true }, []],
  ["is not refused for want of room", unknown, { allowed: false, violations: [violationOf()] }, []]
] as const)("an issue %s", ([_, price, look, expected]) =>
  Effect.gen(function* () {
    const ports = new FakePorts()
      .script("calculate_cost", price as never)
      .script("check_budget", look as never)
    const issues = yield* modelIssues(ports, input)
    assert.deepStrictEqual(
      issues.map(({ path }) => path.join(".")),
      [...expected]
    )
    for (const look of ports.named("check_budget")) assert.deepInclude(look, { hold: false } as never)
  })
)
