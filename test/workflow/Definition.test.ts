/** What is wrong with a workflow is said when it is declared: names, circles, prompts, schemas, sizes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { decodePayload } from "../../src/signal/Decode.ts"
import { inputIssues } from "../../src/workflow/Definition.ts"
import { declare } from "../../src/workflow/Workflows.ts"
import { agent, definitionOf, graph, problemsOf } from "./support/Graphs.ts"

const ARTICLE = {
  type: "json",
  schema: {
    type: "object",
    properties: {
      title: { type: "string" },
      by: { $ref: "#/$defs/Name" },
      parts: { type: "array", items: { $ref: "#/$defs/Name" } },
      more: { type: "object", properties: { x: { type: "string" } }, additionalProperties: true }
    },
    $defs: { Name: { type: "object", properties: { name: { type: "string" } } } }
  }
} as const

const CASES: ReadonlyArray<readonly [string, Parameters<typeof problemsOf>[0], ReadonlyArray<string>]> = [
  ["a row", graph("a, b < a, c < b"), []],
  ["a diamond", graph("a, b < a, c < a, d < b c"), []],
  ["two of a name", graph("a, a"), ['agents.1.name: There are two agents "a"']],
  [
    "a dependency that there is not",
    graph("research, draft", {
      agents: [agent("research"), agent("draft", [], { depends_on: ["reserch"] })]
    }),
    ['agents.1.depends_on.0: There is no agent "reserch". Did you mean "research"?']
  ],
  [
    "one that waits for itself",
    { name: "n", agents: [agent("a", [], { depends_on: ["a"] })] },
    ["agents.0.depends_on.0: a cannot wait for itself"]
  ],
  ["a circle", graph("a < c, b < a, c < b"), ["agents: These agents wait for each other: a → c → b → a"]],
  [
    "a prompt that names an agent which it does not wait for",
    { name: "n", agents: [agent("a"), agent("b", [], { prompt: "{{a}}" })] },
    ["agents.1.prompt: {{a}} is neither input nor an agent that this one depends on. Name it in depends_on"]
  ],
  [
    "a prompt with a misspelt name",
    { name: "n", agents: [agent("a", [], { prompt: "{{inputs}}" })] },
    [
      'agents.0.prompt: {{inputs}} is neither input nor an agent that this one depends on. Did you mean "input"?'
    ]
  ],
  [
    "a place that is none",
    { name: "n", agents: [agent("a", [], { prompt: "{{ what is this }}" })] },
    ["agents.0.prompt: {{ what is this }} is no place: write {{input}}, {{AGENT}} or {{AGENT.field}}"]
  ],
  [
    "a field of a text",
    { name: "n", agents: [agent("a"), agent("b", ["a"], { prompt: "{{a.title}}" })] },
    ["agents.1.prompt: a answers text, which has no fields: give it an output of type json"]
  ],
  ...(
    [
      ["a field that its schema has", "{{a.title}} {{a.by.name}} {{a.parts.0.name}}", []],
      ["a field that may be there: additional ones are", "{{a.more.anything}}", []],
      [
        "a misspelt field of an answer",
        "{{a.titel}}",
        [
          'agents.1.prompt: a has no field "titel" by its schema, which has title, by, parts, more. Did you mean "title"?'
        ]
      ],
      [
        "a field of a field",
        "{{a.by.nope}} {{a.title.length}}",
        [
          'agents.1.prompt: a.by has no field "nope" by its schema, which has name. Did you mean "name"?',
          "agents.1.prompt: a.title is string by its schema, which has no fields"
        ]
      ]
    ] as const
  ).map(
    ([name, prompt, problems]) =>
      [
        name,
        { name: "n", agents: [agent("a", [], { output: ARTICLE }), agent("b", ["a"], { prompt })] },
        problems
      ] as const
  ),
  [
    "a schema with a type that there is not",
    {
      name: "n",
      agents: [
        agent("a", [], {
          output: { type: "json", schema: { type: "object", properties: { x: { type: "text" } } } }
        })
      ]
    },
    ['agents.0.output.schema: There is no type "text" in JSON Schema']
  ],
  [
    "a schema with a rule that cannot be held",
    {
      name: "n",
      agents: [agent("a", [], { output: { type: "json", schema: { $ref: "https://elsewhere" } } })]
    },
    [
      'agents.0.output.schema: Unsupported $ref "https://elsewhere". Use "#/$defs/Name". at ["schema"]["$ref"]'
    ]
  ],
  [
    "more than fits",
    {
      name: "n",
      agents: Array.from({ length: 20 }, (_, n) => agent(`a${n}`, [], { prompt: "x".repeat(32_000) }))
    },
    [/^agents: Expected at most 524288 bytes in all/u.source]
  ]
]

describe("a definition", () => {
  for (const [name, definition, expected] of CASES) {
    it(name, () => {
      const problems = problemsOf(definition)
      if (name !== "more than fits") return assert.deepStrictEqual(problems, expected)
      assert.match(problems[0] ?? "", /^agents: Expected at most 524288 bytes in all/u)
    })
  }

  it.each([
    ["no agents", { name: "n", agents: [] }],
    ["65 agents", { name: "n", agents: Array.from({ length: 65 }, (_, n) => agent(`a${n}`)) }],
    ["a name that a request id cannot carry", { name: "n", agents: [agent("a/b")] }],
    ["an agent called input", { name: "n", agents: [agent("input")] }],
    ["an agent called constructor", { name: "n", agents: [agent("constructor")] }],
    ["more at once than anybody may", { ...graph("a"), concurrency: 17 }],
    ["a field that there is not", { ...graph("a"), paralel: 3 }],
    ["a prompt that is too long", { name: "n", agents: [agent("a", [], { prompt: "x".repeat(32_769) })] }]
  ])("is refused by its shape: %s", (_, workflow) => {
    assert.strictEqual(decodePayload("start_workflow", { workflow, input: "x" })._tag, "Failure")
  })

  it("needs the fields of the input that its prompts name", () => {
    const definition = definitionOf({
      name: "n",
      agents: [agent("a", [], { prompt: "{{input.topic}} {{input.who.name}}" })]
    })
    assert.deepStrictEqual(inputIssues(definition, { topic: "tides" }), [
      { path: ["input", "who", "name"], message: "The agent a needs this" }
    ])
    assert.deepStrictEqual(inputIssues(definition, { topic: "tides", who: { name: "ann" } }), [])
  })

  const CALLABLE = {
    providers: ["simulator", "anthropic"],
    models: (provider: string) => (provider === "simulator" ? ["sim-fast", "sim-slow"] : undefined)
  }
  const one = (more: object) => [{ name: "graph", agents: [agent("a", [], more)] }]
  const REFUSED: ReadonlyArray<readonly [ReadonlyArray<unknown>, string]> = [
    [[graph("a < b, b < a")], 'Workflow "graph": agents: These agents wait for each other: a → b → a'],
    [[graph("a"), graph("b")], 'There are two workflows "graph"'],
    [
      one({ provider: "anthropc" }),
      'Workflow "graph": agents.0.provider: There is no provider "anthropc". Configured are: simulator, anthropic. Did you mean "anthropic"?'
    ],
    [
      one({ model: "sim-fst" }),
      'Workflow "graph": agents.0.model: simulator has no model "sim-fst". Nearest are: sim-fast, sim-slow'
    ],
    [
      one({ fallback: [{ provider: "openai", model: "m" }], model: "sim-fst" }),
      'Workflow "graph": agents.0.fallback.0.provider: There is no provider "openai". Configured are: simulator, anthropic; agents.0.model: simulator has no model "sim-fst". Nearest are:'
    ],
    [one({ promt: "x" }), 'Workflow "graph": agents.0.promt: Unknown field. Did you mean "prompt"?'],
    [[null], "Workflow 1 of the list: definition: Expected an object with name, agents"]
  ]
  it.effect.each(REFUSED.map((row) => [...row] as const))(
    "of a host is checked when the runtime starts: %j",
    ([definitions, message]) =>
      Effect.gen(function* () {
        const refused = yield* Effect.flip(declare(definitions as ReturnType<typeof one>, CALLABLE))
        assert.include(refused.message, message)
      })
  )

  it.effect(
    "of a host that can be called is taken, also where its provider does not say which models it has",
    () =>
      Effect.gen(function* () {
        const anything = {
          name: "other",
          agents: [agent("a", [], { provider: "anthropic", model: "claude-9" })]
        }
        const taken = yield* declare([graph("a"), anything], CALLABLE)
        assert.deepStrictEqual([...taken.keys()], ["graph", "other"])
      })
  )
})
