/**
 * Whether a workflow makes sense, before anything of it runs.
 *
 * Owns: names, dependencies, circles, prompts and schemas: everything that is wrong with a definition, at once.
 * Does not decide: the shape (signal/WorkflowDefinition), or when an agent may start (Plan).
 */
import { Result, type Schema } from "effect"
import type { InvalidParams } from "../signal/Errors.ts"
import { nearest } from "../signal/Nearest.ts"
import { byteLength } from "../signal/Text.ts"
import type { AgentDefinition, WorkflowDefinition } from "../signal/WorkflowDefinition.ts"
import { schemaProblem } from "./Output.ts"
import { fieldProblem } from "./SchemaFields.ts"
import { placesOf, valueAt } from "./Template.ts"

type Issue = InvalidParams["issues"][number]

/** It lies in the snapshot, with all that its agents answer. */
const DEFINITION_BYTES_MAX = 524_288

const guessOf = (name: string, names: ReadonlyArray<string>): string => {
  const guess = nearest(name, names)
  return guess === undefined ? "" : `. Did you mean ${JSON.stringify(guess)}?`
}

const namesakes = (agents: ReadonlyArray<AgentDefinition>): ReadonlyArray<Issue> =>
  agents.flatMap(({ name }, index) =>
    agents.findIndex((other) => other.name === name) === index
      ? []
      : [{ path: ["agents", index, "name"], message: `There are two agents ${JSON.stringify(name)}` }]
  )

const strangers = (agents: ReadonlyArray<AgentDefinition>): ReadonlyArray<Issue> => {
  const names = agents.map(({ name }) => name)
  return agents.flatMap(({ name, depends_on }, index) =>
    depends_on.flatMap((dependency, position) => {
      const path = ["agents", index, "depends_on", position]
      if (dependency === name) return [{ path, message: `${name} cannot wait for itself` }]
      if (names.includes(dependency)) return []
      return [
        { path, message: `There is no agent ${JSON.stringify(dependency)}${guessOf(dependency, names)}` }
      ]
    })
  )
}

/** The first circle, as its names; nothing where there is none. */
const circleIn = (agents: ReadonlyArray<AgentDefinition>): ReadonlyArray<string> | undefined => {
  const edges = new Map(agents.map(({ name, depends_on }) => [name, depends_on]))
  const done = new Set<string>()
  const follow = (name: string, trail: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name]
    if (done.has(name)) return undefined
    for (const dependency of edges.get(name) ?? []) {
      const found = follow(dependency, [...trail, name])
      if (found !== undefined) return found
    }
    done.add(name)
    return undefined
  }
  for (const { name } of agents) {
    const found = follow(name, [])
    if (found !== undefined) return found
  }
  return undefined
}

const circles = (agents: ReadonlyArray<AgentDefinition>): ReadonlyArray<Issue> => {
  const circle = circleIn(agents)
  return circle === undefined || circle.length <= 2
    ? []
    : [{ path: ["agents"], message: `These agents wait for each other: ${circle.join(" → ")}` }]
}

const promptIssues = (
  agents: ReadonlyArray<AgentDefinition>,
  agent: AgentDefinition,
  path: ReadonlyArray<string | number>,
  template: string
): ReadonlyArray<Issue> => {
  const places = placesOf(template)
  if (Result.isFailure(places)) {
    return [{ path, message: `${places.failure} is no place: write {{input}}, {{AGENT}} or {{AGENT.field}}` }]
  }
  const known = ["input", ...agent.depends_on]
  return places.success.flatMap(({ name, fields }) => {
    if (!known.includes(name)) {
      const isAgent = agents.some((other) => other.name === name)
      const hint = isAgent ? `. Name it in depends_on` : guessOf(name, known)
      return [{ path, message: `{{${name}}} is neither input nor an agent that this one depends on${hint}` }]
    }
    const source = agents.find((other) => other.name === name)
    if (fields.length === 0 || source === undefined || name === "input") return []
    if (source.output.type === "text")
      return [{ path, message: `${name} answers text, which has no fields: give it an output of type json` }]
    const problem = fieldProblem(source.output.schema, name, fields)
    return problem === undefined ? [] : [{ path, message: problem }]
  })
}

const agentIssues = (agents: ReadonlyArray<AgentDefinition>): ReadonlyArray<Issue> =>
  agents.flatMap((agent, index) => {
    const at = (field: string) => ["agents", index, field]
    const problem = agent.output.type === "json" ? schemaProblem(agent.output.schema) : undefined
    return [
      ...promptIssues(agents, agent, at("prompt"), agent.prompt),
      ...(agent.system === undefined ? [] : promptIssues(agents, agent, at("system"), agent.system)),
      ...(problem === undefined ? [] : [{ path: [...at("output"), "schema"], message: problem }])
    ]
  })

/** Everything that is wrong with a definition whose shape is right. */
export const definitionIssues = (definition: WorkflowDefinition): ReadonlyArray<Issue> => {
  const { agents } = definition
  const size = byteLength(JSON.stringify(agents))
  const tooLarge =
    size > DEFINITION_BYTES_MAX
      ? [
          {
            path: ["agents"],
            message: `Expected at most ${DEFINITION_BYTES_MAX} bytes in all, found ${size}`
          }
        ]
      : []
  return [...tooLarge, ...namesakes(agents), ...strangers(agents), ...circles(agents), ...agentIssues(agents)]
}

/** Fields of the input that prompts name and the input has not. */
export const inputIssues = (definition: WorkflowDefinition, input: Schema.Json): ReadonlyArray<Issue> =>
  definition.agents.flatMap((agent) =>
    [agent.system, agent.prompt].flatMap((template) => {
      const places = template === undefined ? [] : Result.getOrElse(placesOf(template), () => [])
      return places
        .filter(({ name, fields }) => name === "input" && valueAt(input, fields) === undefined)
        .map(({ fields }) => ({ path: ["input", ...fields], message: `The agent ${agent.name} needs this` }))
    })
  )
