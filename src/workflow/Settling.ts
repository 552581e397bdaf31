/**
 * The end of a workflow that is cancelled or has failed while calls of it were on their way.
 *
 * Owns: that each of them is settled and gives back what it holds, also where the process that made it has died.
 * Does not decide: how a call is settled (provider/).
 */
import { Clock, Effect, Result } from "effect"
import type { Millis } from "../signal/Text.ts"
import { laterUse, ownBudgetOf, spentBy, untilTaken } from "./AgentCall.ts"
import { type AgentOrder, callerOf, orderOf, payloadOf } from "./AgentOrder.ts"
import { type Adjustment, withLaterUse } from "./LaterUse.ts"
import { runningAgents } from "./Plan.ts"
import type { WorkflowPorts } from "./Ports.ts"
import { type OwnBudget, type Spent, stepOf, type WorkflowContext, withStep } from "./WorkflowContext.ts"

const AT_ONCE = 4

export interface Settled {
  readonly at: Millis
  readonly spent: { readonly [agent: string]: Spent }
  readonly ownBudget?: OwnBudget
  /** All that adjusts calls of the workflow; absent where nothing does. */
  readonly adjustments?: ReadonlyArray<Adjustment>
}

export const settlingOf = (context: WorkflowContext): ReadonlyArray<AgentOrder> =>
  runningAgents(context).map((name) => orderOf(context, name))

const settleOne = (ports: WorkflowPorts, order: AgentOrder) =>
  Effect.gen(function* () {
    const payload = payloadOf(order)
    if (Result.isSuccess(payload))
      yield* untilTaken(ports.calls.settle(payload.success, callerOf(order.principal)))
    const { spent } = yield* spentBy(ports, order)
    return [order.agent.name, spent] as const
  })

/** Settles every call that was on its way. */
export const settle = (ports: WorkflowPorts, orders: ReadonlyArray<AgentOrder>): Effect.Effect<Settled> =>
  Effect.gen(function* () {
    const settled = yield* Effect.forEach(
      orders,
      (order) =>
        settleOne(ports, order).pipe(
          Effect.catch((error) =>
            Effect.as(
              Effect.logWarning(
                `What ${order.workflowId}/${order.agent.name} has used is not known: ${error.message}`
              ),
              undefined
            )
          )
        ),
      { concurrency: AT_ONCE }
    )
    const [first] = orders
    const later = first === undefined ? {} : yield* Effect.orElseSucceed(laterUse(ports, first), () => ({}))
    const ownBudget =
      first === undefined || first.budgetId === null
        ? undefined
        : yield* Effect.orElseSucceed(ownBudgetOf(ports, first.budgetId, first.principal), () => undefined)
    return {
      at: yield* Clock.currentTimeMillis,
      spent: Object.fromEntries(settled.filter((one) => one !== undefined)),
      ...later,
      ...(ownBudget === undefined ? {} : { ownBudget })
    }
  })

/** Nothing runs any more: what was not done is cancelled. */
export const afterSettling = (before: WorkflowContext, settled: Settled): WorkflowContext => {
  let context: WorkflowContext = {
    ...before,
    now: Math.max(before.now, settled.at),
    parked: null,
    ownBudget: settled.ownBudget ?? before.ownBudget
  }
  for (const { name } of context.plan.agents) {
    const step = stepOf(context, name)
    const spent = Object.hasOwn(settled.spent, name) ? settled.spent[name] : undefined
    if (step.state === "done" || step.state === "failed") continue
    context = withStep(context, name, {
      state: "cancelled",
      spent: spent === undefined ? step.spent : { ...step.spent, [step.tryNumber]: spent },
      endedAt: step.startedAt === null ? null : context.now
    })
  }
  return withLaterUse(context, settled.adjustments ?? [])
}

/** It ends as cancelled, whatever it was about to do. */
export const cancel = (context: WorkflowContext, now: Millis, reason: string | null): WorkflowContext =>
  context.ending !== null
    ? context
    : {
        ...context,
        now: Math.max(context.now, now),
        ending: "cancelled",
        failure: reason === null ? null : { agent: null, error: "cancelled", message: reason }
      }
