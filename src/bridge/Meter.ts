/**
 * What the bridge counts for `/metrics`. No tenant and no key is ever a label.
 *
 * Owns: the names of the bridge's metrics.
 */
import { type Context, Effect, Metric } from "effect"
import { isSignalName } from "../signal/Catalogue.ts"

const signals = Metric.counter("bursar_signals_total", {
  description:
    "Signals answered over the bridge, by name and outcome: ok, or the error's tag. A check_budget that says no is ok: see bursar_refusals_total",
  incremental: true
})
const connections = Metric.gauge("bursar_connections", { description: "Open WebSockets" })
const subscriptions = Metric.gauge("bursar_subscriptions", {
  description: "Open subscriptions and streaming calls"
})

export interface Meter {
  /** `outcome` is `ok` or an error's `_tag`. A method that is no signal counts as `unknown`. */
  readonly answered: (method: string, outcome: string) => void
  readonly open: (connections: number, subscriptions: number) => void
}

export const makeMeter = Effect.map(Effect.context<never>(), (services: Context.Context<never>): Meter => {
  const counters = new Map<string, Metric.Counter<number>>()
  const counterOf = (method: string, outcome: string) => {
    const signal = isSignalName(method) ? method : "unknown"
    const key = `${signal} ${outcome}`
    const known = counters.get(key)
    if (known !== undefined) return known
    const counter = Metric.withAttributes(signals, { signal, outcome })
    counters.set(key, counter)
    return counter
  }
  return {
    answered: (method, outcome) => counterOf(method, outcome).updateUnsafe(1, services),
    open: (sockets, topics) => {
      connections.updateUnsafe(sockets, services)
      subscriptions.updateUnsafe(topics, services)
    }
  }
})
