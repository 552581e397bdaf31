/**
 * An actor that answers what it is asked: ours, and those of others.
 *
 * Owns: each in its own idiom, made by its public interface: a signal with a handler; `xstate`, whose actor is sent an
 * event with a callback in it; `nact`, whose actor is queried.
 */
import { Effect, ManagedRuntime, Schema } from "effect"
import * as nact from "nact"
import { createActor, createMachine } from "xstate"
import type { ActorRef } from "../../src/actor/ActorRef.ts"
import { ActorSystem, layer as actorLayer } from "../../src/actor/ActorSystem.ts"
import { scopedAddress } from "../../src/actor/Address.ts"
import { behave } from "../../src/actor/Behave.ts"
import { protocol } from "../../src/signal/Protocol.ts"
import { query } from "../../src/signal/Signal.ts"
import { TENANT } from "./Workload.ts"

const about = { family: "host", roles: ["app"], description: "Answers the text" } as const
const Echoes = protocol(query("echo", { ...about, payload: { text: Schema.String }, success: Schema.String }))
export type EchoRef = ActorRef<typeof Echoes>

const echoing = behave({
  protocol: Echoes,
  initial: () => null,
  handlers: { echo: (_, { text }) => ({ reply: text }) }
})

/** A system of ours, and how one more echoing actor is spawned in it. */
export const startSystem = () => {
  const runtime = ManagedRuntime.make(actorLayer)
  const spawn = (name: string): Effect.Effect<EchoRef, never, ActorSystem> =>
    Effect.flatMap(ActorSystem, (system) =>
      system.spawn({ address: scopedAddress("echo", TENANT, name), ...echoing })
    )
  return {
    spawn,
    run: <A>(effect: Effect.Effect<A, never, ActorSystem>) => runtime.runPromise(effect),
    stop: () => runtime.dispose()
  }
}

interface XstateQuestion {
  readonly type: "ask"
  readonly text: string
  readonly answer: (text: string) => void
}

const echoMachine = createMachine({
  types: {} as { events: XstateQuestion },
  initial: "ready",
  states: { ready: { on: { ask: { actions: ({ event }) => event.answer(event.text) } } } }
})

export const spawnXstate = () => createActor(echoMachine).start()

export const askXstate = (actor: ReturnType<typeof spawnXstate>, text: string): Promise<string> =>
  new Promise((answer) => actor.send({ type: "ask", text, answer }))

interface NactQuestion {
  readonly text: string
  readonly sender: nact.Ref<string>
}

export type NactRef = nact.Ref<NactQuestion>
const NACT_TIMEOUT_MS = 60_000

export const startNact = () => {
  const system = nact.start()
  return {
    spawn: (name: string): NactRef =>
      nact.spawnStateless(
        system,
        ({ text, sender }: NactQuestion) => {
          nact.dispatch(sender, text)
        },
        name
      ),
    stop: () => nact.stop(system)
  }
}

export const askNact = (actor: NactRef, text: string): Promise<string> =>
  nact.query(actor, (sender: nact.Ref<string>) => ({ text, sender }), NACT_TIMEOUT_MS)
