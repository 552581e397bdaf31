/**
 * Whether the providers and models that a workflow names can be called, before anything of it runs.
 *
 * Owns: a provider that there is not, a model that its provider does not have, and one without a price where a hard cost budget of somebody applies: a
 * reset or an override would not help it.
 * Does not decide: whether there is room, or which prices there are (the TokenManager). A price that is missing later, or
 * only for the workflow's own budget, parks the step: it goes on when the price comes.
 */
import { Effect } from "effect"
import type { InvalidParams, SignalError } from "../signal/Errors.ts"
import { nearest, nearestFew } from "../signal/Nearest.ts"
import type { AgentDefinition } from "../signal/WorkflowDefinition.ts"
import { attributionFor, callerOf } from "./AgentOrder.ts"
import type { AgentCalls, WorkflowPorts } from "./Ports.ts"
import type { WorkflowInput } from "./WorkflowContext.ts"

type Issue = InvalidParams["issues"][number]

interface Named {
  readonly agent: string
  readonly provider: string
  readonly model: string
  readonly path: ReadonlyArray<string | number>
}

const NAMES_MAX = 3

const namedBy = (agents: ReadonlyArray<AgentDefinition>): ReadonlyArray<Named> =>
  agents.flatMap(({ name, provider, model, fallback }, index) => [
    { agent: name, provider, model, path: ["agents", index, "model"] },
    ...fallback.map((target, position) => ({
      agent: name,
      ...target,
      path: ["agents", index, "fallback", position, "model"]
    }))
  ])

const strange = (known: ReadonlyArray<string>, { provider, model, path }: Named): Issue => ({
  path,
  message: `${provider} has no model ${JSON.stringify(model)}. ${known.length === 1 ? "Its only one is" : "Nearest are:"} ${nearestFew(model, known, NAMES_MAX).join(", ")}`
})

/** What can be called here; it is the same for as long as the runtime runs. */
export type Callable = Pick<AgentCalls, "providers" | "models">

/** Providers that there are not. */
export const strangeProviders = (
  agents: ReadonlyArray<AgentDefinition>,
  { providers }: Callable
): ReadonlyArray<Issue> =>
  namedBy(agents)
    .filter(({ provider }) => !providers.includes(provider))
    .map(({ provider, path }) => {
      const guess = nearest(provider, providers)
      const hint = guess === undefined ? "" : `. Did you mean ${JSON.stringify(guess)}?`
      return {
        path: [...path.slice(0, -1), "provider"],
        message: `There is no provider ${JSON.stringify(provider)}. Configured are: ${providers.join(", ") || "none"}${hint}`
      }
    })

/** Models that their providers do not have, where these know what they have. */
export const strangeModels = (
  agents: ReadonlyArray<AgentDefinition>,
  { models }: Callable
): ReadonlyArray<Issue> =>
  namedBy(agents).flatMap((named) => {
    const known = models(named.provider)
    return known === undefined || known.includes(named.model) ? [] : [strange(known, named)]
  })

const unpriced = (ports: WorkflowPorts, input: WorkflowInput, named: Named) => {
  const { agent, provider, model, path } = named
  const principal = callerOf(input.principal)
  const order = { ...input, workflowId: input.id, workflowName: input.plan.name }
  const look = ports.money.ask(
    "check_budget",
    {
      ...attributionFor(order, agent),
      request_id: `${input.id}/${agent}/look`,
      ...{ provider, model, estimated_tokens: 0, hold: false, hold_ttl_ms: 1 }
    },
    principal
  )
  const price = { provider, model, prompt_tokens: 1, completion_tokens: 1 }
  return ports.money.ask("calculate_cost", price, principal).pipe(
    Effect.as([]),
    Effect.catchTag("RateUnknown", () => Effect.succeed([])),
    Effect.catchTag("PriceUnknown", () =>
      Effect.map(look, (approval): ReadonlyArray<Issue> => {
        const isRefused = !approval.allowed && approval.violations.length === 0
        return isRefused ? [{ path, message: approval.reason }] : []
      })
    )
  )
}

/** Everything that is wrong with the models it names. */
export const modelIssues = (
  ports: WorkflowPorts,
  input: WorkflowInput
): Effect.Effect<ReadonlyArray<Issue>, SignalError> => {
  const { agents } = input.plan
  const strangers = strangeModels(agents, ports.calls)
  const isStrange = (path: Named["path"]) => strangers.some((issue) => issue.path.join() === path.join())
  const looks = Effect.forEach(
    namedBy(agents).filter(({ path }) => !isStrange(path)),
    (named) => unpriced(ports, input, named),
    { concurrency: "unbounded" }
  )
  return Effect.map(looks, (issues) => [...strangers, ...issues.flat()])
}
