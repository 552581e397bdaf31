/** Workflows to test with: small graphs written as lines, `draft < research` being "draft waits for research". */
import { Result, Schema } from "effect"
import { WorkflowDefinition } from "../../../src/signal/WorkflowDefinition.ts"
import { definitionIssues } from "../../../src/workflow/Definition.ts"
import {
  newContext,
  planOf,
  type WorkflowContext,
  type WorkflowInput
} from "../../../src/workflow/WorkflowContext.ts"

type Encoded = typeof WorkflowDefinition.Encoded
type Agent = Encoded["agents"][number]

const decode = Schema.decodeUnknownResult(WorkflowDefinition, { errors: "all", onExcessProperty: "error" })

/** An agent that asks with the outputs of everything that it waits for. */
export const agent = (
  name: string,
  depends_on: ReadonlyArray<string> = [],
  more: Partial<Agent> = {}
): Agent => ({
  name,
  prompt: ["{{input}}", ...depends_on.map((other) => `{{${other}}}`)].join(" "),
  provider: "simulator",
  model: "sim-fast",
  depends_on: [...depends_on],
  ...more
})

export const graph = (text: string, more: Partial<Encoded> = {}): Encoded => ({
  name: "graph",
  agents: text.split(",").map((line) => {
    const [name = "", dependencies = ""] = line.trim().split("<")
    return agent(name.trim(), dependencies.trim() === "" ? [] : dependencies.trim().split(" "))
  }),
  ...more
})

export const definitionOf = (encoded: Encoded): WorkflowDefinition => {
  const definition = decode(encoded)
  if (Result.isFailure(definition)) throw new Error(definition.failure.message)
  return definition.success
}

/** Everything that is wrong with it, as lines. */
export const problemsOf = (encoded: Encoded): ReadonlyArray<string> =>
  definitionIssues(definitionOf(encoded)).map(({ path, message }) => `${path.join(".")}: ${message}`)

export const START = Date.UTC(2026, 10, 25, 12)

export const inputOf = (encoded: Encoded, more: Partial<WorkflowInput> = {}): WorkflowInput => ({
  id: "wf",
  principal: {
    keyId: "key",
    owner: "ann",
    tenant: "acme",
    roles: ["app"],
    attribution: {},
    isInstallation: false
  },
  attribution: {},
  plan: planOf(definitionOf(encoded)),
  input: "tides",
  onDenied: "park",
  digest: "digest",
  startedAt: START,
  ...more
})

export const contextOf = (encoded: Encoded, more: Partial<WorkflowInput> = {}): WorkflowContext =>
  newContext(inputOf(encoded, more))
