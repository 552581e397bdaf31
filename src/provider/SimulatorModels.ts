/**
 * The simulator's models: how fast they are, how they fail, what they cost.
 *
 * Owns: these settings and prices. They are made up, small and not zero, so that budgets can be tried on them.
 */
import { parseAmount } from "../signal/Money.ts"
import type { Price } from "../signal/Price.ts"

/** What goes wrong with one call. `cut` breaks off a stream in the middle; a plain call answers 500 instead. */
export type SimulatorFault =
  | { readonly kind: "status"; readonly status: number; readonly retryAfterMs?: number }
  | { readonly kind: "cut" }

export interface SimulatorModel {
  readonly firstTokenMs: number
  readonly chunkMs: number
  /** The n-th call of the model meets the n-th entry, round and round; `undefined` is a call that works. */
  readonly faults: ReadonlyArray<SimulatorFault | undefined>
  readonly reasoningTokens: number
  /** Long prompts are half cached. */
  readonly cachesPrompts: boolean
}

const STEADY = { faults: [], reasoningTokens: 0, cachesPrompts: true } as const

const FAULTS: ReadonlyArray<SimulatorFault | undefined> = [
  { kind: "status", status: 429, retryAfterMs: 1_000 },
  undefined,
  { kind: "status", status: 500 },
  undefined,
  { kind: "cut" },
  undefined
]

export const SIMULATOR_MODELS: { readonly [model: string]: SimulatorModel } = {
  "sim-fast": { ...STEADY, firstTokenMs: 60, chunkMs: 15 },
  "sim-slow": { ...STEADY, firstTokenMs: 800, chunkMs: 120, reasoningTokens: 24 },
  "sim-flaky": { ...STEADY, firstTokenMs: 100, chunkMs: 30, faults: FAULTS }
}

const priceOf = (model: string, prompt: string, completion: string, cached: string): Price => ({
  id: `simulator:${model}`,
  provider: "simulator",
  model,
  currency: "USD",
  prompt_per_million: parseAmount(prompt),
  completion_per_million: parseAmount(completion),
  cached_per_million: parseAmount(cached),
  effective_from: null,
  effective_to: null,
  source: "catalogue"
})

/** For the price book: usage of the simulator is priced like any other. */
export const SIMULATOR_PRICES: ReadonlyArray<Price> = [
  priceOf("sim-fast", "0.10", "0.40", "0.01"),
  priceOf("sim-slow", "1.00", "5.00", "0.10"),
  priceOf("sim-flaky", "0.20", "0.80", "0.02")
]
