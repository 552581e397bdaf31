/**
 * The one machine that runs every workflow.
 *
 * Owns: the order of things: its budget is made, calls run beside each other, refusals park it, what is on its way is
 * settled and its budget is ended before it ends.
 * Does not decide: which agent starts (Plan), what an end means (StepEnd), what is waited for (Refused).
 *
 * A call is a child of the machine, `call.AGENT`: it is run again under the same key after a crash, and interrupted when
 * it is stopped.
 */
import { Cause, type Context, Effect, type Scope } from "effect"
import { assign, enqueueActions, type PromiseActorLogic, setup } from "xstate"
import { durably } from "../actor/DurableLogic.ts"
import type { Millis } from "../signal/Text.ts"
import { callAgent } from "./AgentCall.ts"
import { type AgentOrder, orderOf } from "./AgentOrder.ts"
import {
  afterBudget,
  type BudgetEndOrder,
  budgetEndOrderOf,
  endOwnBudget,
  makeOwnBudget,
  type OwnBudgetMade,
  type OwnBudgetOrder,
  ownBudgetOrderOf
} from "./OwnBudget.ts"
import { goOn, type LookedAt, lookedAt, lookedInVain } from "./Parking.ts"
import { isAllDone, runningAgents, start, startable } from "./Plan.ts"
import type { WorkflowPorts } from "./Ports.ts"
import { awaitRoom, lookAtRefusals, type RefusedOrder, type RoomFound, refusedOrderOf } from "./Refused.ts"
import type { RoomLine } from "./RoomLine.ts"
import { afterSettling, cancel, type Settled, settle, settlingOf } from "./Settling.ts"
import { endStep, type StepEnd } from "./StepEnd.ts"
import { type Failure, newContext, type WorkflowContext, type WorkflowInput } from "./WorkflowContext.ts"

export type WorkflowEvent =
  | { readonly type: "CANCEL"; readonly at: Millis; readonly reason: string | null }
  | { readonly type: "RESUME"; readonly at: Millis }

const outputOf = <Output>(event: unknown): Output => (event as { readonly output: Output }).output

/** Effects of this machine do not fail: what comes here is a defect of ours. */
const defectOf = (event: unknown): { readonly error: string; readonly message: string } => {
  const { error } = event as { readonly error?: { readonly message?: string } }
  return { error: "InternalError", message: `It failed by a defect of ours: ${error?.message ?? "unknown"}` }
}

const CALL = "call."

/** The agent whose call has ended. */
const agentOf = (event: unknown): string => (event as { readonly actorId: string }).actorId.slice(CALL.length)

const failWith = (context: WorkflowContext, failure: Failure): WorkflowContext => ({
  ...context,
  failure: { agent: null, ...failure },
  ending: "failed"
})

/** What the states do and ask, by name: the names are what a graph of the machine shows. */
const rules = setup({
  types: {
    context: {} as WorkflowContext,
    input: {} as WorkflowInput,
    events: {} as WorkflowEvent
  },
  actors: {} as {
    makeBudget: PromiseActorLogic<OwnBudgetMade, OwnBudgetOrder>
    callAgent: PromiseActorLogic<StepEnd, AgentOrder>
    lookAtRefusals: PromiseActorLogic<LookedAt, RefusedOrder>
    awaitRoom: PromiseActorLogic<RoomFound, RefusedOrder>
    settle: PromiseActorLogic<Settled, ReadonlyArray<AgentOrder>>
    endBudget: PromiseActorLogic<{ readonly at: Millis }, BudgetEndOrder>
  },
  guards: {
    isEnding: ({ context }) => context.ending !== null,
    isAllDone: ({ context }) => isAllDone(context),
    hasBudget: ({ context }) => context.plan.budget !== null,
    isRefused: ({ context }) => context.parked !== null,
    isRefusedAnew: ({ context }) =>
      context.parked !== null && context.parked.round !== context.parked.lookedAtRound,
    hasFoundNoRoom: ({ event }) => !outputOf<RoomFound>(event).hasRoom,
    wasRefusedMeanwhile: ({ context, event }) => context.parked?.round !== outputOf<LookedAt>(event).round,
    hasFailed: ({ context }) => context.ending === "failed",
    isCancelled: ({ context }) => context.ending === "cancelled"
  },
  actions: {
    keepBudget: assign(({ context, event }) => afterBudget(context, outputOf<OwnBudgetMade>(event))),
    failOnDefect: assign(({ context, event }) => failWith(context, defectOf(event))),
    cancel: assign(({ context, event }) =>
      event.type === "CANCEL" ? cancel(context, event.at, event.reason) : context
    ),
    /** Starts every agent that may start now. */
    start: enqueueActions(({ context, enqueue }) => {
      const names = startable(context)
      enqueue.assign(({ context }) => start(context, names))
      for (const name of names) {
        enqueue.spawnChild("callAgent", { id: `${CALL}${name}`, input: orderOf(context, name) })
      }
    }),
    end: enqueueActions(({ event, enqueue }) => {
      enqueue.stopChild(`${CALL}${agentOf(event)}`)
      enqueue.assign(({ context, event }) => endStep(context, agentOf(event), outputOf<StepEnd>(event)))
    }),
    endOnDefect: enqueueActions(({ event, enqueue }) => {
      enqueue.stopChild(`${CALL}${agentOf(event)}`)
      enqueue.assign(({ context, event }) =>
        endStep(context, agentOf(event), {
          kind: "failed",
          isRetryable: true,
          at: context.now,
          ...defectOf(event)
        })
      )
    }),
    stopCalls: enqueueActions(({ context, enqueue }) => {
      for (const name of runningAgents(context)) enqueue.stopChild(`${CALL}${name}`)
    }),
    lookedAt: assign(({ context, event }) => lookedAt(context, outputOf<LookedAt>(event))),
    lookedInVain: assign(({ context, event }) => {
      const { at, seen } = outputOf<RoomFound>(event)
      return lookedInVain(context, at, seen)
    }),
    goOn: assign(({ context, event }) =>
      goOn(context, event.type === "RESUME" ? event.at : outputOf<{ readonly at: Millis }>(event).at)
    ),
    ended: assign(({ context, event }) => ({
      ...context,
      now: Math.max(context.now, outputOf<{ readonly at: Millis }>(event).at)
    })),
    settled: assign(({ context, event }) => afterSettling(context, outputOf<Settled>(event)))
  }
})

const machine = rules.createMachine({
  id: "workflow",
  context: ({ input }) => newContext(input),
  initial: "preparing",
  states: {
    preparing: {
      on: { CANCEL: { target: "ending", actions: "cancel" } },
      invoke: {
        id: "budget",
        src: "makeBudget",
        input: ({ context }) => ownBudgetOrderOf(context),
        onDone: { target: "working", actions: "keepBudget" },
        onError: { target: "ending", actions: "failOnDefect" }
      }
    },
    working: {
      initial: "open",
      entry: "start",
      on: {
        CANCEL: { target: "ending", actions: "cancel" },
        "xstate.done.actor.call.*": { actions: ["end", "start"] },
        "xstate.error.actor.call.*": { actions: ["endOnDefect", "start"] }
      },
      always: [
        { guard: "isEnding", target: "ending" },
        { guard: "isAllDone", target: "closing" }
      ],
      states: {
        open: { always: { guard: "isRefused", target: "asking" } },
        asking: {
          on: { RESUME: { target: "open", actions: ["goOn", "start"] } },
          invoke: {
            id: "refused",
            src: "lookAtRefusals",
            input: ({ context }) => refusedOrderOf(context),
            onDone: [
              { guard: "wasRefusedMeanwhile", target: "asking", reenter: true, actions: "lookedAt" },
              { target: "parked", actions: "lookedAt" }
            ],
            onError: { target: "parked" }
          }
        },
        parked: {
          on: { RESUME: { target: "open", actions: ["goOn", "start"] } },
          always: { guard: "isRefusedAnew", target: "asking" },
          invoke: {
            id: "room",
            src: "awaitRoom",
            input: ({ context }) => refusedOrderOf(context),
            onDone: [
              { guard: "hasFoundNoRoom", target: "parked", reenter: true, actions: "lookedInVain" },
              { target: "open", actions: ["goOn", "start"] }
            ],
            onError: { target: "parked", reenter: true }
          }
        }
      }
    },
    ending: {
      entry: "stopCalls",
      invoke: {
        id: "settle",
        src: "settle",
        input: ({ context }) => settlingOf(context),
        onDone: { target: "closing", actions: "settled" },
        onError: { target: "closing" }
      }
    },
    closing: {
      initial: "deciding",
      states: {
        deciding: { always: [{ guard: "hasBudget", target: "endingBudget" }, { target: "over" }] },
        endingBudget: {
          invoke: {
            id: "budgetEnd",
            src: "endBudget",
            input: ({ context }) => budgetEndOrderOf(context),
            onDone: { target: "over", actions: "ended" },
            onError: { target: "over" }
          }
        },
        over: {
          always: [
            { guard: "hasFailed", target: "#workflow.failed" },
            { guard: "isCancelled", target: "#workflow.cancelled" },
            { target: "#workflow.completed" }
          ]
        }
      }
    },
    completed: { type: "final" },
    failed: { type: "final" },
    cancelled: { type: "final" }
  }
})

export type WorkflowMachine = typeof machine

/** Until what a defect has ended is tried again. */
const AGAIN_MS = 5_000

/** A parked workflow asks and waits again after a defect, and one that comes each time must not be asked for without end. */
const calmly = <A, R>(work: Effect.Effect<A, never, R>): Effect.Effect<A, never, R> =>
  Effect.catchCause(work, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.failCause(cause)
      : Effect.logError(`A parked workflow could not wait for room; again in ${AGAIN_MS} ms`, cause).pipe(
          Effect.andThen(Effect.sleep(AGAIN_MS)),
          Effect.andThen(Effect.failCause(cause))
        )
  )

/** The machine with what its states invoke: the runtime's services and ports come in. */
export const makeWorkflowMachine = (
  services: Context.Context<Scope.Scope>,
  ports: WorkflowPorts,
  line: RoomLine
): WorkflowMachine =>
  machine.provide({
    actors: {
      makeBudget: durably(services, ({ input }: { readonly input: OwnBudgetOrder }) =>
        makeOwnBudget(ports, input)
      ),
      callAgent: durably(
        services,
        ({ input }: { readonly input: AgentOrder }) =>
          Effect.ensuring(
            callAgent(ports, input),
            Effect.sync(() => line.end(input.principal.tenant, input.workflowId))
          ),
        { waitsUntil: ({ notBefore }) => notBefore ?? 0 }
      ),
      lookAtRefusals: durably(services, ({ input }: { readonly input: RefusedOrder }) =>
        calmly(lookAtRefusals(ports, input))
      ),
      awaitRoom: durably(
        services,
        ({ input, isOver }: { readonly input: RefusedOrder; readonly isOver: () => boolean }) =>
          calmly(awaitRoom(ports, line, input, isOver)),
        { waitsUntil: ({ lookAt }) => lookAt }
      ),
      endBudget: durably(services, ({ input }: { readonly input: BudgetEndOrder }) =>
        endOwnBudget(ports, input)
      ),
      settle: durably(services, ({ input }: { readonly input: ReadonlyArray<AgentOrder> }) =>
        settle(ports, input)
      )
    }
  })
