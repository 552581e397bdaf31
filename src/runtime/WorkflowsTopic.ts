/**
 * The topic `workflows`: what happened to workflows, as their machines committed it.
 *
 * Owns: resuming from a cursor, also after a restart.
 * Does not decide: what a fact is (workflow/), or how many are kept (the machines' store).
 */
import { Effect, Stream } from "effect"
import type { DurableMachines } from "../actor/DurableMachines.ts"
import type { MachineStore, StoredFact } from "../actor/MachineStore.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { OpenTopic } from "../signal/SignalRouter.ts"
import type { EventFilter } from "../signal/Subscriptions.ts"
import type { WorkflowFact } from "../signal/Workflows.ts"
import { isOwn } from "../workflow/Ownership.ts"
import { WORKFLOW } from "../workflow/WorkflowAddress.ts"
import { WORKFLOW_FILTER } from "../workflow/WorkflowList.ts"
import { decodeFact } from "../workflow/WorkflowView.ts"
import { Outbox } from "./Outbox.ts"
import { PAGE, startAt, stored } from "./StoredTopic.ts"

export interface WorkflowFeed {
  readonly store: MachineStore
  readonly machines: DurableMachines
  /** Other nodes commit facts, too, and nobody tells of those: they are looked for. */
  readonly isShared: boolean
}

const OTHERS_FACTS_READ_EVERY_MS = 1_000

const isShown = (fact: WorkflowFact, filter: EventFilter, principal: Principal): boolean =>
  isOwn(fact, fact.workflow_id, principal) &&
  (filter.workflow_id === undefined || filter.workflow_id === fact.workflow_id) &&
  WORKFLOW_FILTER.every((field) => filter[field] === undefined || filter[field] === fact.attribution[field])

/** Facts of other machines stand between them: they move the cursor, and are not told. */
const factOf = ({ address, body }: StoredFact): WorkflowFact | undefined =>
  address.startsWith(`${WORKFLOW}/`) ? decodeFact(body) : undefined

export const workflowsTopic = (
  { store, machines, isShared }: WorkflowFeed,
  filter: EventFilter,
  from: number | undefined,
  principal: Principal
): Effect.Effect<OpenTopic, SignalError> =>
  Effect.gen(function* () {
    const { tenant } = principal
    const start = yield* startAt(from, store.lastFactSeq(tenant))
    const outbox = new Outbox()
    const stop = machines.onFacts((of) => {
      if (of === tenant) outbox.wake()
    })
    const events = stored<StoredFact>({
      from: start,
      outbox,
      read: (after) =>
        Effect.map(store.facts(tenant, after, PAGE), ({ facts, removedTo }) => ({ rows: facts, removedTo })),
      seqOf: ({ seq }) => seq,
      eventOf: (row) => {
        const fact = factOf(row)
        return fact !== undefined && isShown(fact, filter, principal) ? { workflow: fact } : undefined
      },
      newest: store.lastFactSeq(tenant),
      ...(isShared ? { lookEveryMs: OTHERS_FACTS_READ_EVERY_MS } : {})
    })
    return {
      cursor: String(start),
      events: Stream.ensuring(events, Effect.sync(stop))
    }
  })
