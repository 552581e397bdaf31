/**
 * How a store can fail.
 *
 * Owns: what each failure says about what was written. Does not decide: what is done about it (Commit, Quarantine).
 */
import { Schema } from "effect"

/** Another owner has the tenant: nothing was written, and this owner must forget what it knows. */
export class Fenced extends Schema.TaggedError<Fenced>()("Fenced", { tenant: Schema.String }) {}

/** The data itself was refused (SQL classes 22 and 23): nothing was written, and the same batch would fail again. */
export class BatchRefused extends Schema.TaggedError<BatchRefused>()("BatchRefused", {
  tenant: Schema.String,
  message: Schema.String
}) {}

/** Nothing was written; the same batch can be sent again. */
export class NotWritten extends Schema.TaggedError<NotWritten>()("NotWritten", {
  tenant: Schema.String,
  message: Schema.String
}) {}

/** The connection was lost: whether the batch was written is not known. Ask with `resolve`. */
export class OutcomeUnknown extends Schema.TaggedError<OutcomeUnknown>()("OutcomeUnknown", {
  tenant: Schema.String,
  message: Schema.String
}) {}

/** The store cannot be reached, or did not answer. */
export class StoreUnreachable extends Schema.TaggedError<StoreUnreachable>()("StoreUnreachable", {
  message: Schema.String
}) {}

export type CommitError = Fenced | BatchRefused | NotWritten | OutcomeUnknown
