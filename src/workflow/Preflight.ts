/**
 * Whether a workflow that is to fail where it is refused would be refused at once.
 *
 * Owns: looking, before anything is started or kept.
 * Does not decide: whether there is room (the TokenManager); between this look and the first call it may go.
 */
import { Effect, Result } from "effect"
import { BudgetExceeded, type SignalError } from "../signal/Errors.ts"
import { type Amount, amountOfCount, formatAmount, parseAmount } from "../signal/Money.ts"
import { byteLength } from "../signal/Text.ts"
import { type AgentOrder, callerOf, orderOf, payloadOf } from "./AgentOrder.ts"
import { startable } from "./Plan.ts"
import type { WorkflowPorts } from "./Ports.ts"
import { newContext, type Plan, type WorkflowInput } from "./WorkflowContext.ts"

/** Where the definition estimates nothing, a prompt is taken at this many bytes a token. */
const BYTES_PER_TOKEN = 3

const refused = ({
  reason,
  violations,
  retry_at
}: Pick<BudgetExceeded, "reason" | "violations" | "retry_at">): BudgetExceeded =>
  new BudgetExceeded({
    message: `${reason}. Nothing was started: raise the budget, or start it with on_denied "park"`,
    reason,
    violations,
    retry_at
  })

/** What a first call is expected to take of the workflow's own budget. */
const sharesOf = (
  budget: NonNullable<Plan["budget"]>,
  { estimated_tokens, estimated_cost }: { readonly estimated_tokens: number; readonly estimated_cost: Amount }
): Amount => {
  if (budget.measure === "requests") return amountOfCount(1)
  return budget.measure === "tokens" ? amountOfCount(estimated_tokens) : estimated_cost
}

const look = (ports: WorkflowPorts, plan: Plan, order: AgentOrder): Effect.Effect<void, SignalError> =>
  Effect.gen(function* () {
    const payload = payloadOf(order)
    if (Result.isFailure(payload)) return
    const {
      request_id: _,
      provider,
      model,
      messages,
      system,
      max_completion_tokens,
      ...rest
    } = payload.success
    const bytes = messages.reduce((sum, { content }) => sum + byteLength(content), byteLength(system ?? ""))
    const { fallback: _f, max_attempts: _m, stream: _s, on_overrun: _o, ...attribution } = rest
    const { temperature: _t, deadline_ms: _d, ...subject } = attribution
    const approval = yield* ports.money.ask(
      "check_budget",
      {
        ...subject,
        request_id: `${order.workflowId}/${order.agent.name}/look`,
        provider,
        model,
        estimated_prompt_tokens: order.agent.estimate?.prompt_tokens ?? Math.ceil(bytes / BYTES_PER_TOKEN),
        ...(max_completion_tokens === undefined ? {} : { max_completion_tokens }),
        hold: false,
        hold_ttl_ms: 1
      },
      callerOf(order.principal)
    )
    if (!approval.allowed) return yield* refused(approval)
    const { budget } = plan
    if (budget === null || budget.enforcement === "soft") return
    const asked = sharesOf(budget, approval)
    if (asked > parseAmount(budget.limit)) {
      return yield* refused({
        reason: `Refused: ${order.agent.name} is expected to take ${formatAmount(asked)} of the workflow's own budget, which is ${budget.limit}`,
        violations: [],
        retry_at: null
      })
    }
  })

/** Fails with `BudgetExceeded` where one of the first calls would be refused now. */
export const preflight = (ports: WorkflowPorts, input: WorkflowInput): Effect.Effect<void, SignalError> => {
  const context = newContext(input)
  return Effect.forEach(startable(context), (name) => look(ports, input.plan, orderOf(context, name)), {
    discard: true
  })
}
