/**
 * What is kept of a refusal.
 *
 * Owns: which answers are refusals that are kept, what is said of them, and which of them are the same. Pure.
 * Does not decide: how many are kept (RefusalStore), or when they are written (RefusalKeeper).
 */
import type { Envelope } from "../actor/Envelope.ts"
import { type Attribution, attributionOf } from "../signal/Attribution.ts"
import type { Refused } from "../signal/Budgeting.ts"
import { canonicalJson } from "../signal/Canonical.ts"
import type { RefusedRequest } from "../signal/KeptRefusals.ts"
import type { LedgerSignal } from "./Decide.ts"
import { contentDigest } from "./Digest.ts"
import { requestIdOfHold } from "./HoldLife.ts"
import type { Ledger } from "./Ledger.ts"

/** Of the budgets that said no. A hundred may apply to one call. */
export const VIOLATIONS_KEPT = 16

interface Subject {
  readonly requestId: string
  readonly provider: string | null
  readonly model: string | null
  readonly attribution: Attribution
}

/** What an extension is for is what its hold is for. */
const subjectOf = (ledger: Ledger, envelope: Envelope<"check_budget" | "extend_hold">): Subject => {
  if (envelope.name === "check_budget") {
    const { payload } = envelope
    return {
      requestId: payload.request_id,
      provider: payload.provider ?? null,
      model: payload.model ?? null,
      attribution: attributionOf(payload)
    }
  }
  const requestId = requestIdOfHold((envelope as Envelope<"extend_hold">).payload.hold_id)
  const hold = ledger.request(requestId)?.hold
  return {
    requestId,
    provider: hold?.provider ?? null,
    model: hold?.model ?? null,
    attribution: hold?.attribution ?? envelope.principal.attribution
  }
}

/** The refusal that an answer is, or `undefined`. Who only looks is refused nothing. */
export const refusedIn = (envelope: Envelope<LedgerSignal>, answer: object): Refused | undefined => {
  if ((answer as { readonly allowed?: boolean }).allowed !== false) return undefined
  const isLook = envelope.name === "check_budget" && !envelope.payload.hold
  return isLook ? undefined : (answer as Refused)
}

export interface Told {
  readonly digest: string
  readonly request: RefusedRequest
}

/** What is said of a refusal. */
export const toldOf = (ledger: Ledger, envelope: Envelope<LedgerSignal>, refused: Refused): Told => {
  const asked = envelope as Envelope<"check_budget" | "extend_hold">
  const { requestId, provider, model, attribution } = subjectOf(ledger, asked)
  const { allowed: _, violations, ...said } = refused
  const { keyId, owner } = envelope.principal
  const budgets = violations.map(({ budget_id, entity_id }) => `${budget_id} ${entity_id}`)
  const what = [asked.name, keyId, provider, model, said.kind, budgets, attribution]
  return {
    digest: contentDigest(canonicalJson(what)),
    request: {
      request_id: requestId,
      signal: asked.name,
      principal: keyId,
      owner,
      attribution,
      provider,
      model,
      ...said,
      violations: violations.slice(0, VIOLATIONS_KEPT),
      more_violations: Math.max(0, violations.length - VIOLATIONS_KEPT)
    }
  }
}
