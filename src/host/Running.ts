/**
 * A runtime behind promises, from whatever layers make one.
 *
 * Owns: opening its doors once it is ready, and closing them before what is behind them.
 * Does not decide: what the runtime is made of (index.ts, testing/).
 */
import { type Context, Effect, Exit, type Layer, ManagedRuntime, Scope, type Scope as Scopes } from "effect"
import type { Bridge } from "../bridge/Bridge.ts"
import { type Client, makeClient } from "./Client.ts"
import { type DoorServices, makeDoor } from "./Door.ts"
import { type CloseOptions, Life } from "./Life.ts"

/** A runtime in this process: a client of it with all rights, and its end. */
export interface Bursar extends Client, AsyncDisposable {
  /** The bridge's address, where it listens. */
  readonly url: string | undefined
  /**
   * Takes nothing more; lets signals on their way be answered; closes the bridge, settles calls, finishes commits, closes
   * the store. Asked for again, it is the same closing. `await using bursar = await startBursar()` does it by itself.
   */
  readonly close: (options?: CloseOptions) => Promise<void>
}

interface RunningOptions<More, E> {
  readonly layer: Layer.Layer<DoorServices | More, E>
  readonly tenant: string | undefined
  /** The bridge, where one shall listen: it closes with the scope. */
  readonly listen: Effect.Effect<Bridge, unknown, DoorServices | More | Scopes.Scope> | undefined
}

/** Builds it, and is fulfilled when it is ready. */
export const startRunning = async <More, E>({
  layer,
  tenant,
  listen
}: RunningOptions<More, E>): Promise<{
  readonly bursar: Bursar
  readonly services: Context.Context<DoorServices | More>
}> => {
  const runtime = ManagedRuntime.make(layer)
  const doors = Scope.makeUnsafe()
  try {
    const services = await runtime.context()
    const bridge = listen && (await runtime.runPromise(Scope.provide(listen, doors)))
    const credentials = bridge === undefined ? {} : { credentials: bridge.credentials }
    const door = await runtime.runPromise(
      makeDoor({ ...(tenant === undefined ? {} : { tenant }), ...credentials })
    )
    const life = new Life()
    const subscriptions = new Set<{ readonly close: () => Promise<void> }>()
    const close = (given: CloseOptions = {}) =>
      life.close(given, {
        endReadings: () => Promise.all([...subscriptions].map((subscription) => subscription.close())),
        end: async () => {
          await runtime.runPromise(Scope.close(doors, Exit.void))
          await runtime.dispose()
        }
      })
    const bursar = {
      ...makeClient({ door, services, life, subscriptions }),
      url: bridge?.url,
      close,
      [Symbol.asyncDispose]: () => close()
    }
    return { bursar, services }
  } catch (error) {
    await Effect.runPromise(Scope.close(doors, Exit.void))
    await runtime.dispose()
    throw error
  }
}
