/**
 * `workflow/TENANT/ID`: the machine as a durable actor.
 *
 * Owns: what each signal is to it, what lists show of it, and what watchers are told of each of its steps.
 * Does not decide: whose it is (Ownership), or how a step is committed (actor/).
 */
import type { Context, Scope } from "effect"
import type { SnapshotFrom } from "xstate"
import { type DurableMachine, durableMachine, type MachineView } from "../actor/DurableMachine.ts"
import { Conflict } from "../signal/Errors.ts"
import { protocol } from "../signal/Protocol.ts"
import { CancelWorkflow, ResumeWorkflow } from "../signal/Workflows.ts"
import type { WorkflowPorts } from "./Ports.ts"
import { restingWorkflows } from "./RestingWorkflows.ts"
import type { RoomLine } from "./RoomLine.ts"
import { WORKFLOW } from "./WorkflowAddress.ts"
import { makeWorkflowMachine, type WorkflowMachine } from "./WorkflowMachine.ts"
import {
  aboutOf,
  decodeProgress,
  factsBetween,
  hasEnded,
  progressOf,
  stateOf,
  type WorkflowAt
} from "./WorkflowView.ts"

/** It changes when a snapshot of before would not fit the machine any more. */
const VERSION = "1"

const PROTOCOL = protocol(CancelWorkflow, ResumeWorkflow)
export type WorkflowProtocol = typeof PROTOCOL

const topState = ({ value }: SnapshotFrom<WorkflowMachine>): string =>
  typeof value === "string" ? value : (Object.keys(value)[0] ?? "")

export const atOf = (
  view: Pick<MachineView<WorkflowMachine>, "snapshot" | "status" | "reason">
): WorkflowAt => {
  const { snapshot, status, reason } = view
  const isStopped = status === "parked" || status === "failed"
  return {
    state: topState(snapshot),
    context: snapshot.context,
    stopped: isStopped ? { isOver: status === "failed", reason: reason ?? "It was stopped" } : null
  }
}

const alreadyEnded = (at: WorkflowAt): Conflict =>
  new Conflict({
    reason: "workflow_already_ended",
    message: `The workflow ${at.context.id} is ${stateOf(at)}: start another one`
  })

const answer = (view: MachineView<WorkflowMachine>) => ({ workflow: decodeProgress(progressOf(atOf(view))) })

/** Workflows of a tenant that may be open (running or parked) at once. */
export const OPEN_WORKFLOWS_MAX = 10_000

export const workflowActor = (
  services: Context.Context<Scope.Scope>,
  ports: WorkflowPorts,
  line: RoomLine,
  openMax = OPEN_WORKFLOWS_MAX
): DurableMachine<WorkflowMachine, WorkflowProtocol> =>
  durableMachine<WorkflowMachine, WorkflowProtocol>({
    protocol: PROTOCOL,
    kind: WORKFLOW,
    machine: makeWorkflowMachine(services, ports, line),
    version: VERSION,
    openMax,
    resting: restingWorkflows(ports, line),
    signals: {
      cancel_workflow: {
        event: ({ reason }, view, { now }) => {
          const at = atOf(view)
          const state = stateOf(at)
          if (state === "cancelled" || at.context.ending !== null) return undefined
          return hasEnded(state) ? alreadyEnded(at) : { type: "CANCEL", at: now, reason: reason ?? null }
        },
        answer
      },
      resume_workflow: {
        event: (_, view, { now }) => {
          const at = atOf(view)
          if (hasEnded(stateOf(at))) return alreadyEnded(at)
          return at.context.parked === null ? undefined : { type: "RESUME", at: now }
        },
        answer
      }
    },
    about: (snapshot) => aboutOf(atOf({ snapshot, status: "active", reason: null })),
    facts: (after, before) =>
      factsBetween(before === undefined ? undefined : atOf(before), atOf(after)).map((fact) => ({
        kind: fact.what,
        body: fact
      }))
  })
