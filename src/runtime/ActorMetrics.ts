/**
 * What is counted of actors, for `/metrics` and for metrics that are sent.
 *
 * Owns: the names of these metrics. Their labels are kinds of actors and names of signals, never an address or a tenant.
 * Does not decide: what is told (actor/Inspection), or where metrics go (Telemetry).
 */
import { Context, Effect, Layer, Metric } from "effect"
import { ActorSystem } from "../actor/ActorSystem.ts"
import type { InspectionListener } from "../actor/Inspection.ts"

const ACTORS_MEASURED_EVERY_MS = 5_000

const restarts = Metric.counter("bursar.actor.restarts", {
  description: "Actors that crashed and began another life",
  incremental: true
})
const failures = Metric.counter("bursar.actor.failures", {
  description: "Actors that crashed too often and were given up",
  incremental: true
})
const refused = Metric.counter("bursar.actor.refused", {
  description: "Signals that a full mailbox refused",
  incremental: true
})
const deadLetters = Metric.counter("bursar.actor.dead_letters", {
  description: "Signals that nobody could take",
  incremental: true
})
const depth = Metric.gauge("bursar.actor.mailbox.depth", {
  description: "Signals that wait in the fullest mailbox of a kind of actor"
})
const living = Metric.gauge("bursar.actors", { description: "Actors in memory" })

interface KindFigures {
  actors: number
  depth: number
}

/** What is counted of actors; where they stand is looked at before somebody reads it. */
export interface ActorMetrics {
  readonly look: () => void
}

export const ActorMetrics = Context.Service<ActorMetrics>("bursar/runtime/ActorMetrics")

const listenerOf = (services: Context.Context<never>): InspectionListener => {
  const add = (counter: Metric.Counter<number>, labels: { readonly [name: string]: string }): void =>
    Metric.withAttributes(counter, labels).updateUnsafe(1, services)
  return {
    facts: ["restarted", "failed"],
    onFact: ({ fact, actor }) => add(fact === "restarted" ? restarts : failures, { kind: actor.kind }),
    onSignal: ({ answer, name, address }) => {
      if ("error" in answer && answer.error._tag === "Overloaded")
        add(refused, { kind: address.kind, signal: name })
    },
    onDeadLetter: ({ signal }) => add(deadLetters, { signal })
  }
}

const lookAt = (system: ActorSystem, services: Context.Context<never>): (() => void) => {
  // A kind of which none is left is nought, and not what it was last.
  const kinds = new Map<string, KindFigures>()
  return () => {
    for (const figures of kinds.values()) Object.assign(figures, { actors: 0, depth: 0 })
    for (const { address, mailboxDepth } of system.living()) {
      const figures = kinds.get(address.kind) ?? { actors: 0, depth: 0 }
      figures.actors += 1
      figures.depth = Math.max(figures.depth, mailboxDepth)
      kinds.set(address.kind, figures)
    }
    for (const [kind, figures] of kinds) {
      Metric.withAttributes(living, { kind }).updateUnsafe(figures.actors, services)
      Metric.withAttributes(depth, { kind }).updateUnsafe(figures.depth, services)
    }
  }
}

/** Counts until the scope closes. `isExported`: they are also sent, and looked at again and again. */
export const actorMetricsLayer = ({ isExported }: { readonly isExported: boolean }) =>
  Layer.effect(
    ActorMetrics,
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const services = yield* Effect.context<never>()
      yield* Effect.acquireRelease(
        Effect.sync(() => system.inspection.listen(listenerOf(services))),
        (stop) => Effect.sync(stop)
      )
      const look = lookAt(system, services)
      const again = Effect.andThen(Effect.sync(look), Effect.sleep(ACTORS_MEASURED_EVERY_MS))
      if (isExported) yield* Effect.forkScoped(Effect.forever(again))
      return { look }
    })
  )
