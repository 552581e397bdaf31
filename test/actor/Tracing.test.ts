/** Whose child a span is, which traces are kept, and how a trace travels. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, type Context, Effect, Layer, Option, Schema, Tracer } from "effect"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { tenantAddress } from "../../src/actor/Address.ts"
import { behave } from "../../src/actor/Behave.ts"
import {
  currentTraceparent,
  readTraceparent,
  within,
  writeTraceparent
} from "../../src/actor/TraceContext.ts"
import { CurrentTracing, Tracing, type TracingOptions } from "../../src/actor/Tracing.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { command } from "../../src/signal/Signal.ts"

const WHO = installationPrincipal()
const TRACE = "0af7651916cd43dd8448eb211c80319c"
const SPAN = "b7ad6b7169203331"

const spans: Array<Tracer.NativeSpan> = []
const tracer = Tracer.make({
  span: (options) => {
    const span = new Tracer.NativeSpan(options)
    spans.push(span)
    return span
  }
})

const tracingWith = (options: Partial<TracingOptions> = {}) =>
  Effect.map(
    Clock.Clock,
    (clock) =>
      new Tracing({
        tracer,
        clock,
        content: false,
        ratio: 1,
        followsParent: true,
        random: () => 0.5,
        ...options
      })
  )

const traced = layer.pipe(Layer.provide(Layer.effect(CurrentTracing, tracingWith())))

const pathOf = (span: Tracer.Span): string =>
  Option.match(span.parent, {
    onNone: () => span.name,
    onSome: (parent) => `${parent._tag === "Span" ? pathOf(parent) : parent.spanId} > ${span.name}`
  })

const Step = command("step", {
  family: "actors",
  roles: ["admin"],
  description: "Asks the next actor.",
  payload: {},
  success: Schema.Struct({ actors: Schema.Int })
})
const PROTOCOL = protocol(Step)

describe("an actor that asks another one while it answers", () => {
  it.effect("has that as a part of the same trace, and its own life has none", () =>
    Effect.gen(function* () {
      spans.length = 0
      const system = yield* ActorSystem
      let lives: Context.Context<never> | undefined
      const last = yield* system.spawn({
        address: tenantAddress("last", "t"),
        ...behave({
          protocol: PROTOCOL,
          initial: () => 0,
          handlers: { step: () => ({ reply: { actors: 1 } }) }
        })
      })
      const first = system.spawn({
        address: tenantAddress("first", "t"),
        ...behave({
          protocol: PROTOCOL,
          initial: () =>
            Effect.map(Effect.context<never>(), (context) => {
              lives = context
              return 0
            }),
          handlers: {
            step: () =>
              Effect.map(last.ask("step", {}, WHO), ({ actors }) => ({ reply: { actors: actors + 1 } }))
          }
        })
      })
      const parent = readTraceparent(`00-${TRACE}-${SPAN}-01`)
      const answer = yield* within(
        parent,
        Effect.flatMap(first, (ref) => ref.ask("step", {}, WHO))
      )
      assert.deepStrictEqual(answer, { actors: 2 })
      assert.deepStrictEqual(spans.map(pathOf), [`${SPAN} > step first`, `${SPAN} > step first > step last`])
      assert.deepStrictEqual([...new Set(spans.map(({ traceId }) => traceId))], [TRACE])
      assert.isTrue(spans.every(({ status }) => status._tag === "Ended"))
      if (lives === undefined) return assert.fail("it never lived")
      assert.isUndefined(yield* Effect.provideContext(currentTraceparent, lives))
    }).pipe(Effect.provide(traced))
  )
})

describe("traceparent", () => {
  for (const [header, what] of [
    [`00-${TRACE}-${SPAN}-01`, "kept"],
    [`00-${TRACE}-${SPAN}-00`, "not kept"],
    [`00-${TRACE}-${SPAN}-03`, "kept"],
    [` 00-${TRACE}-${SPAN}-01 `, "kept"],
    [`cc-${TRACE}-${SPAN}-01-what-will-be`, "kept"],
    [`00-${TRACE}-${SPAN}-01-what-will-be`, "no trace"],
    [`ff-${TRACE}-${SPAN}-01`, "no trace"],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, "no trace"],
    [`00-${"0".repeat(32)}-${SPAN}-01`, "no trace"],
    [`00-${TRACE}-${"0".repeat(16)}-01`, "no trace"],
    [`00-${TRACE}-${SPAN}`, "no trace"],
    ["", "no trace"],
    [undefined, "no trace"]
  ] as const) {
    it(`${header}: ${what}`, () => {
      const span = readTraceparent(header)
      assert.strictEqual(span === undefined ? "no trace" : span.sampled ? "kept" : "not kept", what)
      if (span !== undefined) assert.deepInclude(span, { traceId: TRACE, spanId: SPAN })
    })
  }

  it("is written as it is read", () => {
    const header = `00-${TRACE}-${SPAN}-01`
    const span = readTraceparent(header)
    if (span === undefined) return assert.fail("it was not read")
    assert.strictEqual(writeTraceparent(span), header)
  })
})

describe("a trace is kept", () => {
  const kept = Tracer.externalSpan({ traceId: TRACE, spanId: SPAN, sampled: true })
  const dropped = Tracer.externalSpan({ traceId: TRACE, spanId: SPAN, sampled: false })
  for (const [what, options, parent, isKept] of [
    ["that begins here, of all", {}, undefined, true],
    ["that begins here, of none", { ratio: 0 }, undefined, false],
    ["that begins here, of the lower share", { ratio: 0.6 }, undefined, true],
    ["that begins here, beyond the share", { ratio: 0.5 }, undefined, false],
    ["of a caller who keeps it, of none", { ratio: 0 }, kept, true],
    ["of a caller who does not, of all", {}, dropped, false],
    ["of a caller who is not followed, of none", { ratio: 0, followsParent: false }, kept, false],
    ["of a caller who is not followed, of all", { followsParent: false }, dropped, true]
  ] as const) {
    it.effect(`${what}: ${isKept}`, () =>
      Effect.gen(function* () {
        const tracing = yield* tracingWith(options)
        const span = tracing.begin("outer", "server", parent, {})
        assert.strictEqual(span.sampled, isKept)
        assert.strictEqual(tracing.begin("inner", "internal", span, {}).sampled, isKept)
      })
    )
  }
})
