/**
 * What a signal is: an Effect `Rpc` with a family, the roles that may send it, and whether it changes anything.
 *
 * Owns: the one way to define a signal. Everything else is derived from the definition: the typed ask, the
 * JSON-RPC method, the role check, the JSON Schema, the OpenRPC document, the console's form.
 */
import { Context, Schema } from "effect"
import { Rpc } from "effect/rpc"
import { type OwnError, SignalError } from "./Errors.ts"
import { Id, optional } from "./Text.ts"

export const Role = Schema.Literals(["app", "analyst", "budget_admin", "operator", "admin"])
export type Role = typeof Role.Type

export type Family =
  | "tracking"
  | "budgets"
  | "cost"
  | "management"
  | "providers"
  | "workflows"
  | "actors"
  | "keys"
  | "bridge"
  /** Of whoever builds on the runtime. */
  | "host"

/** What is known of a signal beside its schemas. */
export interface SignalTraits {
  readonly family: Family
  readonly kind: "command" | "query"
  /** Roles that may send it; `admin` may send every signal. */
  readonly roles: ReadonlyArray<Role>
  readonly description: string
  /** What it can fail with, beside what every signal can: `ALWAYS_POSSIBLE` of Errors. */
  readonly fails: ReadonlyArray<OwnError>
  /** The payload carries attribution, so a key's forced attribution joins it. */
  readonly isAttributed: boolean
  /** Fields that are never shown, at whatever depth; beside those that are never shown of any signal. */
  readonly sensitive: ReadonlyArray<string>
}

const Traits = Context.Service<SignalTraits>("bursar/signal/Traits")

interface SignalOptions<Fields extends Schema.Struct.Fields, Success extends Schema.Top> {
  readonly family: Family
  readonly roles: ReadonlyArray<Role>
  readonly description: string
  /** What it can fail with, beside what every signal can, and beside `Conflict` where it is a command. */
  readonly fails?: ReadonlyArray<OwnError>
  readonly payload: Fields
  /** A rule between fields: says which field is wrong and why. */
  readonly rule?: (payload: never) => RuleIssue | undefined
  readonly success: Success
  /** Names of fields, of the payload and of the answer, that hold secrets or text that is nobody else's business. */
  readonly sensitive?: ReadonlyArray<string>
}

interface RuleIssue {
  readonly path: ReadonlyArray<string | number>
  readonly message: string
}

/** A struct without fields takes everything, so this has to be said. */
const nothing = Schema.makeFilter(
  (payload: object) => {
    const isObject = typeof payload === "object" && !Array.isArray(payload)
    const [field] = isObject ? Object.keys(payload) : []
    if (isObject && field === undefined) return undefined
    return field === undefined
      ? "Expected object"
      : { path: [field], issue: "Unknown field. This signal has no fields" }
  },
  { toJsonSchema: () => ({ type: "object", additionalProperties: false }) }
)

/** A command has a `request_id`, under which it may have been sent with other content. */
const errorsOf = (kind: SignalTraits["kind"], own: ReadonlyArray<OwnError>): ReadonlyArray<OwnError> =>
  kind === "query" || own.includes("Conflict") ? own : ["Conflict", ...own]

const define = <const Tag extends string, Fields extends Schema.Struct.Fields, Success extends Schema.Top>(
  tag: Tag,
  kind: SignalTraits["kind"],
  options: SignalOptions<Fields, Success>
) =>
  Rpc.make(tag, {
    payload: Schema.Struct(options.payload).check(
      Object.keys(options.payload).length === 0
        ? nothing
        : Schema.makeFilter((payload) => {
            const issue = options.rule?.(payload as never)
            return issue === undefined ? undefined : { path: issue.path, issue: issue.message }
          })
    ),
    success: options.success,
    error: SignalError
  }).annotate(Traits, {
    family: options.family,
    kind,
    roles: options.roles,
    description: options.description,
    fails: errorsOf(kind, options.fails ?? []),
    isAttributed: "conversation_id" in options.payload,
    sensitive: options.sensitive ?? []
  })

/** A signal that only reads. */
export const query = <
  const Tag extends string,
  Fields extends Schema.Struct.Fields,
  Success extends Schema.Top
>(
  tag: Tag,
  options: SignalOptions<Fields, Success>
) => define(tag, "query", options)

/** The id under which a command can safely be sent again. */
const requestId = {
  /**
   * Under it the command can safely be sent again: the same content answers the first result, other content is a
   * `Conflict`. Left out, sending it again does it again.
   */
  request_id: optional(Id)
}
type CommandFields<Fields> = Omit<typeof requestId, keyof Fields> & Fields

/** A signal that changes something. It takes a `request_id`, unless its payload requires one of its own. */
export const command = <
  const Tag extends string,
  Fields extends Schema.Struct.Fields,
  Success extends Schema.Top
>(
  tag: Tag,
  options: SignalOptions<Fields, Success>
) =>
  define(tag, "command", {
    ...options,
    payload: { ...requestId, ...options.payload }
  } as SignalOptions<CommandFields<Fields>, Success>)

/** The family, kind, roles and description of a signal. */
export const traitsOf = (signal: { readonly annotations: Context.Context<never> }): SignalTraits =>
  Context.getUnsafe(signal.annotations as Context.Context<SignalTraits>, Traits)
