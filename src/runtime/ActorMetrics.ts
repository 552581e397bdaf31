/**
 * What is counted of actors where metrics are exported.
 *
 * Owns: the names of these metrics. Their labels are kinds of actors and names of signals, never an address or a tenant.
 * Does not decide: what is told (actor/Inspection), or where metrics go (Telemetry).
 */
import { Effect, Metric } from "effect"
import { ActorSystem } from "../actor/ActorSystem.ts"
import type { InspectionListener } from "../actor/Inspection.ts"

const DEPTHS_EVERY_MS = 5_000

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

/** Counts until the scope closes. */
export const countActors = Effect.gen(function* () {
  const system = yield* ActorSystem
  const services = yield* Effect.context<never>()
  const add = (counter: Metric.Counter<number>, labels: { readonly [name: string]: string }): void =>
    Metric.withAttributes(counter, labels).updateUnsafe(1, services)
  const listener: InspectionListener = {
    onFact: ({ fact, actor }) => {
      if (fact === "restarted") add(restarts, { kind: actor.kind })
      else if (fact === "failed") add(failures, { kind: actor.kind })
    },
    onSignal: ({ answer, name, address }) => {
      if ("error" in answer && answer.error._tag === "Overloaded")
        add(refused, { kind: address.kind, signal: name })
    },
    onDeadLetter: ({ signal }) => add(deadLetters, { signal })
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => system.inspection.listen(listener)),
    (stop) => Effect.sync(stop)
  )
  // A kind of which none is left is nought, and not what it was last.
  const kinds = new Map<string, KindFigures>()
  const look = Effect.sync(() => {
    for (const figures of kinds.values()) Object.assign(figures, { actors: 0, depth: 0 })
    for (const { info } of system.entries()) {
      const figures = kinds.get(info.kind) ?? { actors: 0, depth: 0 }
      figures.actors += 1
      figures.depth = Math.max(figures.depth, info.mailbox_depth)
      kinds.set(info.kind, figures)
    }
    for (const [kind, figures] of kinds) {
      Metric.withAttributes(living, { kind }).updateUnsafe(figures.actors, services)
      Metric.withAttributes(depth, { kind }).updateUnsafe(figures.depth, services)
    }
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(look, Effect.sleep(DEPTHS_EVERY_MS))))
})
