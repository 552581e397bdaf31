/** The fast encoder writes what the schema itself would write, for every answer and every event. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { SIGNALS, type SignalName } from "../../src/signal/Catalogue.ts"
import { encodeEvent } from "../../src/signal/Decode.ts"
import { encoderOf } from "../../src/signal/Encode.ts"
import { Event } from "../../src/signal/Subscriptions.ts"

/**
 * A fixed seed, so that a run says the same every time. A Timestamp of 31 February and a text that is too long are
 * thrown away and made again: an answer with a list of steps has many of both.
 */
const drawn = (runs: number) => ({ arbitrary: { runs, seed: 20_260_101, maxDiscards: 100 * runs } })

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
    it.effect.prop(name, { value: schema }, ({ value }) => same(schema, value), drawn(50))
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
    drawn(300)
  )
})
