/**
 * What is shown of a durable machine that is inspected.
 *
 * Owns: which facts. Of its context only what the definition says is worth showing: it may hold prompts.
 */
import type { Schema } from "effect"
import type { AnyStateMachine } from "xstate"
import type { Protocol } from "../signal/Protocol.ts"
import type { ActorInsight } from "./ActorSystem.ts"
import type { Standing } from "./DurableDraft.ts"
import type { Registered } from "./DurableReading.ts"
import { graphOf, marksOf } from "./Machine.ts"
import type { MachineRow } from "./MachineStore.ts"
import { messageOf } from "./PlainJson.ts"

export interface DurableFigures {
  readonly standing: Standing | undefined
  readonly unreadable: MachineRow | undefined
  /** Signals that nobody has confirmed yet. */
  readonly undelivered: number
  /** Signals and actions that failed since the actor was started. */
  readonly failures: number
  readonly childrenNotShown: number
}

export const durableInsight = <Machine extends AnyStateMachine, P extends Protocol>(
  { definition, machine }: Registered<Machine, P>,
  { standing, unreadable, undelivered, failures, childrenNotShown }: DurableFigures
): ActorInsight => {
  const graph = graphOf(machine)
  if (unreadable !== undefined) {
    const { status, reason, version, revision } = unreadable
    return { machine: graph, context: { status, reason, version, revision, undelivered } }
  }
  if (standing === undefined) return { machine: graph, context: {} }
  const { state, status, reason } = standing
  return {
    machine: graph,
    ...marksOf(standing.snapshot),
    context: {
      status,
      reason,
      version: definition.version,
      revision: state.revision,
      invocations: Object.entries(state.invocations).map(([id, { revision, hasEnded }]) => ({
        id,
        entered_at: revision,
        has_ended: hasEnded
      })),
      timers: state.timers.map(({ id, at, from }) => ({
        id,
        at,
        ...(from === undefined ? {} : { of: from })
      })),
      undelivered,
      failures,
      ...(childrenNotShown > 0 ? { children_not_shown: childrenNotShown } : {}),
      about: aboutOf(() => definition.about?.(standing.snapshot as never))
    }
  }
}

const aboutOf = (about: () => Schema.Json | undefined): Schema.Json => {
  try {
    return about() ?? null
  } catch (cause) {
    return { problem: messageOf(cause) }
  }
}
