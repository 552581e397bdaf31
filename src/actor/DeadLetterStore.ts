/**
 * The port behind which dead letters are kept.
 *
 * Owns: what is kept of one, and how many of a tenant's.
 * Does not decide: which signals are dead letters (ActorRef, the doors), or when one is sent again.
 */
import { Context, type Effect } from "effect"
import type { Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import type { Millis } from "../signal/Text.ts"

/** Letters that are kept of a tenant; the oldest go, and are counted. */
export const LETTERS_KEPT = 1_000

export interface NewLetter {
  /** Where it was sent; a notification that never reached an actor stops at the `bridge`. */
  readonly address: string
  readonly signal: string
  readonly principal: Principal
  readonly at: Millis
  readonly why: string
  /** Its beginning, as text, without what is never shown. */
  readonly preview: string
  /** The whole payload as JSON, as it is on the wire; `null`: it cannot be sent again. */
  readonly params: string | null
}

export interface KeptLetter extends NewLetter {
  /** The tenant's number of it. */
  readonly seq: number
}

export interface LetterPage {
  /** The newest first. */
  readonly letters: ReadonlyArray<KeptLetter>
  /** How many of the tenant's are gone because there were too many. */
  readonly dropped: number
}

export interface LetterFilter {
  readonly address?: string | undefined
  readonly signal?: string | undefined
  /** Only those before this number. */
  readonly before?: number | undefined
  readonly limit: number
}

export interface DeadLetterStore {
  /** Keeps letters of one tenant, in their order; `lost` more could not be kept. */
  readonly add: (
    tenant: string,
    letters: ReadonlyArray<NewLetter>,
    lost: number
  ) => Effect.Effect<void, Unavailable>
  readonly page: (tenant: string, filter: LetterFilter) => Effect.Effect<LetterPage, Unavailable>
  readonly find: (tenant: string, seq: number) => Effect.Effect<KeptLetter | undefined, Unavailable>
  /** Whether nobody else sends it again at this moment; it is ours until then. */
  readonly claim: (
    tenant: string,
    seq: number,
    now: Millis,
    until: Millis
  ) => Effect.Effect<boolean, Unavailable>
  /** It has been sent again, or it was not: then it stays for the next try. */
  readonly settle: (tenant: string, seq: number, isSent: boolean) => Effect.Effect<void, Unavailable>
  /** Other words and payloads in the place of what these letters said; those that are gone stay gone. */
  readonly rewrite: (tenant: string, letters: ReadonlyArray<KeptLetter>) => Effect.Effect<void, Unavailable>
}

export const DeadLetterStore = Context.Service<DeadLetterStore>("bursar/actor/DeadLetterStore")
