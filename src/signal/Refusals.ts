/**
 * What counts as a refusal among inspected signals.
 *
 * Owns: that budget has said no to somebody who meant to spend. Who only looks (`check_budget` with `hold: false`, as a
 * parked workflow does) was told that there is no room, and was refused nothing.
 */
import type { SignalRecord } from "./Inspection.ts"

type Told = Pick<typeof SignalRecord.Encoded, "signal" | "outcome" | "payload">

const isLook = ({ signal, payload }: Told): boolean =>
  signal === "check_budget" &&
  typeof payload === "object" &&
  payload !== null &&
  (payload as { readonly hold?: unknown }).hold === false

/** Somebody has looked, and found no room. */
export const foundNoRoom = (record: Told): boolean => record.outcome === "refused" && isLook(record)

/** Budget said no: to a check, or to a signal that spends by itself. */
export const isRefusal = (record: Told): boolean =>
  record.outcome === "BudgetExceeded" || (record.outcome === "refused" && !isLook(record))

/** It was answered with an error: no refusal, and no look at what has no room. */
export const isFailure = (record: Told): boolean =>
  record.outcome !== "ok" && record.outcome !== "refused" && record.outcome !== "BudgetExceeded"
