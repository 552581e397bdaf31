/** The fast encoder writes what the schema itself would write, for every answer and every event. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { SIGNALS, type SignalName } from "../../src/signal/Catalogue.ts"
import { encodeEvent } from "../../src/signal/Decode.ts"
import { encoderOf } from "../../src/signal/Encode.ts"
import { Event } from "../../src/signal/Subscriptions.ts"

const same = (schema: Schema.Codec<unknown, unknown>, value: unknown) =>
  Effect.sync(() =>
    assert.strictEqual(
      JSON.stringify(encoderOf(schema)(value)),
      JSON.stringify(Schema.encodeUnknownSync(schema)(value))
    )
  )

describe("answers", () => {
  for (const name of Object.keys(SIGNALS) as ReadonlyArray<SignalName>) {
    const schema = SIGNALS[name].successSchema as unknown as Schema.Codec<unknown, unknown>
    it.effect.prop(name, { value: schema }, ({ value }) => same(schema, value), { arbitrary: { runs: 50 } })
  }
})

describe("events", () => {
  it.effect.prop(
    "of every topic",
    { event: Event },
    ({ event }) =>
      Effect.sync(() =>
        assert.strictEqual(
          JSON.stringify(encodeEvent(event)),
          JSON.stringify(Schema.encodeSync(Event)(event))
        )
      ),
    { arbitrary: { runs: 300 } }
  )
})
