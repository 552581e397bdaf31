/**
 * What was said of a workflow's calls after they had been counted: late reports, corrections, late prices.
 *
 * Owns: that each such row is counted once, whoever counted the call before or after it. The ledger is the truth: each
 * sum says up to which row of it it goes, and what came after that is added.
 * Does not decide: what a row adds (the TokenManager), or when a workflow's sums are written down (StepEnd, Settling).
 */
import { Effect } from "effect"
import type { SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import { formatAmount, parseAmount } from "../signal/Money.ts"
import { insiderOf } from "./AgentOrder.ts"
import type { WorkflowPorts } from "./Ports.ts"
import { type Spent, type StoredPrincipal, stepRequestId, type WorkflowContext } from "./WorkflowContext.ts"

type Row = SignalSuccess<"find_adjustments">["items"][number]

/** A row that adjusts a call, or is another attempt of it: one that comes late may be either. */
export interface Adjustment {
  readonly seq: number
  readonly requestId: string
  readonly promptTokens: number
  readonly completionTokens: number
  /** In the tenant's currency. */
  readonly cost: string
}

const adjustmentOf = ({
  usage_seq,
  request_id,
  prompt_tokens,
  completion_tokens,
  cost
}: Row): Adjustment => ({
  seq: usage_seq,
  requestId: request_id,
  promptTokens: prompt_tokens,
  completionTokens: completion_tokens,
  cost: formatAmount(cost)
})

/** All that adjusts the usage of these workflows, by workflow, each in the order of the ledger. */
export const adjustmentsOf = (
  ports: Pick<WorkflowPorts, "money">,
  workflowIds: ReadonlyArray<string>,
  principal: StoredPrincipal
): Effect.Effect<ReadonlyMap<string, ReadonlyArray<Adjustment>>, SignalError> =>
  Effect.gen(function* () {
    const found = new Map<string, Array<Adjustment>>()
    if (workflowIds.length === 0) return found
    for (let after_seq: number | null = 0; after_seq !== null; ) {
      const page: SignalSuccess<"find_adjustments"> = yield* ports.money.ask(
        "find_adjustments",
        { workflow_ids: workflowIds, after_seq },
        insiderOf(principal)
      )
      for (const row of page.items) {
        const rows = found.get(row.workflow_id) ?? []
        rows.push(adjustmentOf(row))
        found.set(row.workflow_id, rows)
      }
      after_seq = page.next_seq
    }
    return found
  })

const NONE: ReadonlyArray<Adjustment> = []

export const adjustmentsOfOne = (
  ports: Pick<WorkflowPorts, "money">,
  workflowId: string,
  principal: StoredPrincipal
): Effect.Effect<ReadonlyArray<Adjustment>, SignalError> =>
  Effect.map(adjustmentsOf(ports, [workflowId], principal), (found) => found.get(workflowId) ?? NONE)

const adjusted = (spent: Spent, { seq, promptTokens, completionTokens, cost }: Adjustment): Spent => ({
  promptTokens: spent.promptTokens + promptTokens,
  completionTokens: spent.completionTokens + completionTokens,
  cost: formatAmount(parseAmount(spent.cost) + parseAmount(cost)),
  lastSeq: seq
})

/**
 * The workflow with what came after its calls had been counted; the same one where nothing did. A call that is not
 * counted yet is not adjusted: whoever counts it sees these rows.
 */
export const withLaterUse = (
  context: WorkflowContext,
  adjustments: ReadonlyArray<Adjustment>
): WorkflowContext => {
  if (adjustments.length === 0) return context
  const byRequest = new Map<string, Array<Adjustment>>()
  for (const one of adjustments) byRequest.set(one.requestId, [...(byRequest.get(one.requestId) ?? []), one])
  let steps = context.steps
  for (const [agent, step] of Object.entries(context.steps)) {
    for (const [tryNumber, counted] of Object.entries(step.spent)) {
      const rows = byRequest.get(stepRequestId(context.id, agent, Number(tryNumber))) ?? NONE
      const later = rows.filter(({ seq }) => seq > counted.lastSeq)
      if (later.length === 0) continue
      const { spent } = steps[agent] ?? step
      const now = later.reduce(adjusted, counted)
      steps = { ...steps, [agent]: { ...step, spent: { ...spent, [tryNumber]: now } } }
    }
  }
  return steps === context.steps ? context : { ...context, steps }
}
