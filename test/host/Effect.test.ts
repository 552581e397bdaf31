/** The layers door: the same signals as Effects, actors and providers of the host's own. */
import { assert, it } from "@effect/vitest"
import { Effect, Redacted, Result, Stream } from "effect"
import {
  ActorSystem,
  type Adapter,
  type BursarOptions,
  Forbidden,
  layer,
  type ModelRequest,
  makeDoor,
  scopedAddress,
  tenantAddress
} from "../../src/effect.ts"
import { makeDatabase } from "../support/Program.ts"

const asked: Array<ModelRequest> = []
const usage = { counts: { prompt_tokens: 3, completion_tokens: 2 } }

/** A provider of the host's own. */
const parrot: Adapter = {
  name: "parrot",
  tokenFactor: 1,
  call: (request) =>
    Effect.sync(() => {
      asked.push(request)
      return { content: request.messages[0]?.content ?? "", toolCalls: [], finishReason: "stop", usage }
    }),
  stream: () =>
    Stream.make(
      { _tag: "Text", text: "po" } as const,
      { _tag: "Text", text: "lly" } as const,
      { _tag: "Usage", usage } as const,
      { _tag: "Finished", finishReason: "stop" } as const
    )
}

it.live(
  "sends signals, streams and subscribes; rights narrow; own actors and providers are among the others",
  () =>
    Effect.gen(function* () {
      const databaseUrl = Redacted.make(yield* Effect.promise(() => makeDatabase()))
      yield* Effect.gen(function* () {
        const bursar = yield* makeDoor()
        yield* bursar.send("update_pricing", {
          provider: "parrot",
          model: "grey",
          pricing: { prompt_per_million: "1", completion_per_million: "2" }
        })
        const call = {
          provider: "parrot",
          model: "grey",
          messages: [{ role: "user" as const, content: "polly" }]
        }
        const events = yield* bursar.subscribe("usage", { filter: { user_id: "ann" } })
        const ann = yield* Effect.fromResult(bursar.as({ roles: ["app"], attribution: { user_id: "ann" } }))
        const answer = yield* ann.send("complete", call)
        assert.strictEqual(answer.content, "polly")
        assert.strictEqual(answer.usage.cost, "0.000007")
        assert.isAbove(asked[0]?.maxCompletionTokens ?? 0, 0)
        const told = yield* events.events.pipe(
          Stream.filter(({ event }) => "usage" in event),
          Stream.take(1),
          Stream.runCollect
        )
        assert.strictEqual(told.length, 1)
        const parts = yield* Stream.runCollect(yield* ann.stream(call))
        assert.deepStrictEqual(
          parts.map((part) => ("text" in part ? part.text : part.finished.content)),
          ["po", "lly", "polly"]
        )
        const refused = yield* Effect.flip(ann.send("list_actors", {}))
        assert.instanceOf(refused, Forbidden)
        assert.isTrue(Result.isFailure(ann.as({ roles: ["operator"] })))

        const system = yield* ActorSystem
        yield* system.spawn({
          address: scopedAddress("greeter", "default", "one"),
          parent: tenantAddress("token_manager", "default"),
          behaviour: () => Effect.never,
          insight: () => ({ machine: null, context: { greeted: 0 } })
        })
        const shown = yield* bursar.send("inspect_actor", { address: "greeter/default/one" })
        assert.deepInclude(shown, { kind: "greeter", status: "running", context: { greeted: 0 } })
      }).pipe(Effect.provide(layer({ dataDirectory: "unused", databaseUrl, adapters: [parrot] })))
    })
)

// As plain JavaScript gives them: a key that is not `Redacted` would be in every log of the options.
const UNFIT: ReadonlyArray<readonly [object, string]> = [
  [{ dataDirectory: "unused", adapter: [] }, 'adapter: Unknown option. Did you mean "adapters"?'],
  [
    { dataDirectory: "unused", anthropic: { apiKey: "sk-secret" } },
    "anthropic.apiKey: Expected a secret made by Redacted.make(…), found something else"
  ],
  [{ dataDirectory: "" }, 'dataDirectory: Expected a text that is not empty, found ""']
]
it.effect.each(UNFIT.map((row) => [...row] as const))(
  "refuses options that cannot be: %j",
  ([options, message]) =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(Effect.provide(Effect.void, layer(options as BursarOptions)))
      assert.strictEqual(failure.message, message)
    })
)
