/** The state of a machine (a call's, a provider's circuit) as a pill. The colour repeats what the word says. */
import { isFinalState } from "../model/Calls.ts"

const TONES: { readonly [state: string]: string } = {
  closed: "good",
  half_open: "warn",
  open: "bad",
  estimating: "move",
  awaiting_budget: "hold",
  calling: "live",
  reporting: "live",
  cutting_short: "warn",
  backing_off: "warn",
  falling_back: "warn",
  running: "live",
  parked: "warn",
  cancelling: "warn",
  pending: "move",
  preparing: "move",
  working: "live",
  "working.open": "live",
  "working.asking": "warn",
  "working.parked": "warn",
  ending: "warn",
  done: "good",
  completed: "good",
  refused: "bad",
  failed: "bad",
  cancelled: "off",
  ended: "off"
}

export const toneOf = (state: string): string => TONES[state] ?? TONES[state.split(".")[0] ?? state] ?? "move"

/** A machine that ended, whatever it was doing when it did. */
export const EndedState = ({ state }: { readonly state: string }) =>
  isFinalState(state) ? (
    <CallState state={state} />
  ) : (
    <span className="pill tone-off">ended in {state.replaceAll("_", " ")}</span>
  )

export const CallState = ({ state }: { readonly state: string }) => (
  <span className={`pill tone-${toneOf(state)}`}>{state.replaceAll("_", " ")}</span>
)
