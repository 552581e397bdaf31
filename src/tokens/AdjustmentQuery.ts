/**
 * Answers find_adjustments from the store.
 *
 * Owns: which page comes next. Does not decide: what has counted which row already (workflow/).
 */
import { Effect } from "effect"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { LedgerStore, StoreUnreachable } from "./LedgerStore.ts"

const PAGE = 1_000

export const findAdjustments = (
  store: Pick<LedgerStore, "adjustmentsOf">,
  tenant: string,
  { workflow_ids, after_seq }: SignalPayload<"find_adjustments">
): Effect.Effect<SignalSuccess<"find_adjustments">, StoreUnreachable> =>
  Effect.map(store.adjustmentsOf(tenant, workflow_ids, after_seq, PAGE), (rows) => ({
    items: rows.map(
      ({ usage_seq, workflow_id = "", request_id, prompt_tokens, completion_tokens, cost }) => ({
        usage_seq,
        workflow_id,
        request_id,
        prompt_tokens,
        completion_tokens,
        cost
      })
    ),
    next_seq: rows.length < PAGE ? null : (rows.at(-1)?.usage_seq ?? null)
  }))
