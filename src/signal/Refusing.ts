/**
 * An error that is answered in place of a result.
 *
 * Owns: telling one from a result, and when to send again what a process cannot take at this moment.
 * Does not decide: which errors there are (Errors), or what is refused.
 */
import type { SignalError } from "./Errors.ts"

/** Whether a rule has answered an error in place of what it would answer: a result is never one. */
export const isRefusal = (answer: unknown): answer is SignalError => answer instanceof Error

/** When to send again what this process can take in a moment: it moves, stops, or has too much to do. */
export const SOON_MS = 100
