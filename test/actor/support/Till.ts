/** A protocol that no part of the product knows, and an actor that takes it. */
import { Effect, type Layer, Schema } from "effect"
import { type ActorContext, type ActorOptions, layer } from "../../../src/actor/ActorSystem.ts"
import { tenantAddress } from "../../../src/actor/Address.ts"
import { type Behaviour, behave } from "../../../src/actor/Behave.ts"
import { invalidParam } from "../../../src/signal/Errors.ts"
import { installationPrincipal } from "../../../src/signal/Principal.ts"
import { protocol } from "../../../src/signal/Protocol.ts"
import { command, query } from "../../../src/signal/Signal.ts"

const about = { family: "host", roles: ["app"], description: "A signal of a test's own." } as const

const Pay = command("pay", {
  ...about,
  payload: {
    coins: Schema.Int,
    /** Milliseconds that it takes. */
    slowly: Schema.optionalKey(Schema.Int),
    pin: Schema.optionalKey(Schema.String)
  },
  success: Schema.Struct({ total: Schema.Int, receipt: Schema.optionalKey(Schema.String) }),
  sensitive: ["pin", "receipt"]
})
const Total = query("total", { ...about, payload: {}, success: Schema.Struct({ total: Schema.Int }) })
const Break = command("break", {
  ...about,
  payload: { how: Schema.Literals(["throw", "die", "fail", "interrupt"]) },
  success: Schema.Void
})
const Shut = command("shut", { ...about, payload: {}, success: Schema.Struct({ total: Schema.Int }) })

export const TILL = protocol(Pay, Total, Break, Shut)
export type Till = typeof TILL

export const WHO = installationPrincipal()
export const HOME = tenantAddress("till", "default")

const breaking = (how: "throw" | "die" | "fail" | "interrupt") => {
  switch (how) {
    case "throw":
      throw new Error("scripted")
    case "die":
      return Effect.die(new Error("scripted"))
    case "fail":
      return Effect.fail(invalidParam(["how"], "It fails"))
    case "interrupt":
      return Effect.interrupt
  }
}

/** Counts coins. */
export const till = (
  first: (context: ActorContext<Till>) => number | Effect.Effect<number, unknown> = () => 0,
  leave?: () => Effect.Effect<void>
): Behaviour<Till> =>
  behave({
    ...(leave === undefined ? {} : { leave }),
    protocol: TILL,
    initial: first,
    handlers: {
      pay: (total: number, { coins, slowly, pin }) => {
        if (coins < 0) return { error: invalidParam(["coins"], "Nothing is given back") }
        const paid = {
          state: total + coins,
          reply: { total: total + coins, ...(pin ? { receipt: pin } : {}) }
        }
        return slowly === undefined ? paid : Effect.as(Effect.sleep(slowly), paid)
      },
      total: (total) => ({ reply: { total } }),
      break: (_, { how }) => breaking(how),
      shut: (total) => ({ reply: { total }, ends: true })
    },
    show: (total) => ({ total })
  })

export const tillAt = (more: Partial<ActorOptions<Till>> = {}): ActorOptions<Till> => ({
  address: HOME,
  ...till(),
  ...more
})

/** Lets everything run that can run without time passing. */
export const quiet: Effect.Effect<void> = Effect.gen(function* () {
  for (let turn = 0; turn < 60; turn++) yield* Effect.yieldNow
})

/** Runs a test among actors. */
export const told = <A, E>(test: Effect.Effect<A, E, Layer.Success<typeof layer>>): Effect.Effect<A, E> =>
  Effect.provide(test, layer)
