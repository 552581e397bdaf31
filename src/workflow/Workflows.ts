/**
 * The workflows of this node, as the composition sees them.
 *
 * Owns: starting one, finding it, listing, cancelling and resuming; that one id is one workflow.
 * Does not decide: how one runs (WorkflowMachine), or on which node (cluster/).
 */
import { createHash, randomUUID } from "node:crypto"
import { Clock, Effect, FiberSet, Result, Schema, type Scope } from "effect"
import type { DurableKind } from "../actor/DurableKind.ts"
import { DurableMachines } from "../actor/DurableMachines.ts"
import { MachineStore } from "../actor/MachineStore.ts"
import { currentTraceparent } from "../actor/TraceContext.ts"
import { type Attribution, attributionOf } from "../signal/Attribution.ts"
import { canonicalJson } from "../signal/Canonical.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { toInvalidParams } from "../signal/Decode.ts"
import { Conflict, InvalidParams, NotFound, type SignalError } from "../signal/Errors.ts"
import { nearestFew } from "../signal/Nearest.ts"
import type { Principal } from "../signal/Principal.ts"
import { WorkflowDefinition } from "../signal/WorkflowDefinition.ts"
import type { WorkflowProgress } from "../signal/Workflows.ts"
import { definitionIssues, inputIssues } from "./Definition.ts"
import { withFiguresOfNow } from "./FiguresOfNow.ts"
import { adjustmentsOf, adjustmentsOfOne } from "./LaterUse.ts"
import { type Callable, modelIssues, strangeModels, strangeProviders } from "./Models.ts"
import { checkOwnBudget } from "./OwnBudgetRights.ts"
import { isOwn, mayChange, type Owned } from "./Ownership.ts"
import type { WorkflowPorts } from "./Ports.ts"
import { preflight } from "./Preflight.ts"
import { wakeBy } from "./RestingWorkflows.ts"
import { RoomLine } from "./RoomLine.ts"
import { atOf, type WorkflowProtocol, workflowActor } from "./WorkflowActor.ts"
import { workflowAddress } from "./WorkflowAddress.ts"
import { planOf, type WorkflowContext, type WorkflowInput } from "./WorkflowContext.ts"
import { listWorkflows } from "./WorkflowList.ts"
import type { WorkflowMachine } from "./WorkflowMachine.ts"
import { decodeProgress, decodeWorkflow, progressAsOf, progressOf, workflowOf } from "./WorkflowView.ts"

type Ask<Name extends WorkflowSignal> = (
  payload: SignalPayload<Name>,
  principal: Principal
) => Effect.Effect<SignalSuccess<Name>, SignalError>

type WorkflowSignal =
  | "start_workflow"
  | "get_workflow"
  | "list_workflows"
  | "cancel_workflow"
  | "resume_workflow"

/** What answers each of their signals. */
export type Workflows = { readonly [Name in WorkflowSignal]: Ask<Name> }

/** A workflow that this host has declared makes no sense. */
export class WorkflowRefused extends Schema.TaggedError<WorkflowRefused>()("WorkflowRefused", {
  message: Schema.String
}) {}

/** By name. */
export type Declared = ReadonlyMap<string, WorkflowDefinition>

const invalid = (issues: InvalidParams["issues"]): InvalidParams => {
  const [first] = issues
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more, see issues)` : ""
  return new InvalidParams({ message: `${first?.path.join(".")}: ${first?.message}${more}`, issues })
}

const decodeDefinition = Schema.decodeUnknownResult(WorkflowDefinition, {
  errors: "all",
  onExcessProperty: "error"
})

/** One definition of a host, or all that is wrong with it. */
const declaredBy = (
  given: typeof WorkflowDefinition.Encoded,
  callable: Callable
): Result.Result<WorkflowDefinition, InvalidParams> =>
  Result.flatMap(
    Result.mapError(decodeDefinition(given), ({ issue }) => toInvalidParams(issue, given)),
    (definition) => {
      const { agents } = definition
      const issues = [
        ...definitionIssues(definition),
        ...strangeProviders(agents, callable),
        ...strangeModels(agents, callable)
      ]
      return issues.length === 0 ? Result.succeed(definition) : Result.fail(invalid(issues))
    }
  )

const SAID_MAX = 5

/** Whoever starts a runtime reads a message, and no list of issues. */
const wordsOf = (issues: InvalidParams["issues"]): string => {
  const said = issues
    .slice(0, SAID_MAX)
    .map(({ path, message }) => `${path.join(".") || "definition"}: ${message}`)
    .join("; ")
  return issues.length > SAID_MAX ? `${said}; and ${issues.length - SAID_MAX} more` : said
}

/** Checks what the host declares, as strictly as what comes over the wire, and whether it can be called here. */
export const declare = (
  definitions: ReadonlyArray<typeof WorkflowDefinition.Encoded>,
  callable: Callable
): Effect.Effect<Declared, WorkflowRefused> =>
  Effect.gen(function* () {
    const declared = new Map<string, WorkflowDefinition>()
    for (const [index, given] of definitions.entries()) {
      const { name } = Object(given) as Partial<WorkflowDefinition>
      const which = `Workflow ${typeof name === "string" ? JSON.stringify(name) : `${index + 1} of the list`}`
      const definition = yield* Effect.fromResult(declaredBy(given, callable)).pipe(
        Effect.mapError(({ issues }) => new WorkflowRefused({ message: `${which}: ${wordsOf(issues)}` }))
      )
      if (declared.has(definition.name))
        return yield* new WorkflowRefused({ message: `There are two workflows ${JSON.stringify(name)}` })
      declared.set(definition.name, definition)
    }
    return declared
  })

const notFound = (kind: string, id: string, message: string): NotFound => new NotFound({ kind, id, message })

const unknownWorkflow = (workflowId: string): NotFound =>
  notFound(
    "workflow",
    workflowId,
    `There is no workflow ${workflowId}: none was started, or it had ended and was removed by cleanup_old_data; list_workflows shows those that there are`
  )

/** A repeat would run it, and charge it, a second time. */
const removedWorkflow = (workflowId: string): NotFound =>
  notFound(
    "workflow",
    workflowId,
    `The workflow ${workflowId} had ended, and was removed by cleanup_old_data: it is not started again. Take another request_id, or another workflow_id`
  )

const undeclared = (name: string, declared: Declared): NotFound => {
  const names = nearestFew(name, [...declared.keys()], 3)
  const hint =
    names.length === 0
      ? "none is declared: give its definition"
      : `nearest ${names.length === 1 ? "is" : "are"} ${names.join(", ")}`
  return notFound("workflow", name, `No workflow is declared as ${JSON.stringify(name)}; ${hint}`)
}

const digestOf = (value: unknown): string =>
  createHash("sha256").update(canonicalJson(value)).digest("base64url")

/** The same request id of the same owner is the same workflow. */
const idOf = ({ workflow_id, request_id }: SignalPayload<"start_workflow">, { owner }: Principal): string =>
  workflow_id ??
  `wf_${request_id === undefined ? randomUUID() : digestOf(["start", owner, request_id]).slice(0, 24)}`

const ownedOf = ({ principal, attribution }: WorkflowContext): Owned => ({
  owner: principal.owner,
  attribution
})

const withoutWorkflow = ({ workflow_id: _, ...attribution }: Attribution): Attribution => attribution

const idInUse = (id: string, isChosen: boolean): Conflict =>
  isChosen
    ? new Conflict({
        reason: "workflow_id_in_use",
        message: `The workflow ${id} is somebody else's, or was started with something else; take another workflow_id`
      })
    : new Conflict({
        reason: "request_reused_with_different_content",
        message: "This request_id was used for another start_workflow; take a new one"
      })

/** Of a page, workflows whose calls were adjusted or tried again are read whole. */
const READ_AT_ONCE = 8

class Desk implements Workflows {
  readonly #kind: DurableKind<WorkflowMachine, WorkflowProtocol>
  readonly #machines: DurableMachines
  readonly #store: MachineStore
  readonly #ports: WorkflowPorts
  readonly #declared: Declared

  constructor(
    kind: DurableKind<WorkflowMachine, WorkflowProtocol>,
    machines: DurableMachines,
    store: MachineStore,
    ports: WorkflowPorts,
    declared: Declared
  ) {
    this.#kind = kind
    this.#machines = machines
    this.#store = store
    this.#ports = ports
    this.#declared = declared
  }

  readonly start_workflow: Ask<"start_workflow"> = (payload, principal) =>
    Effect.gen({ self: this }, function* () {
      const definition = yield* this.#definitionFor(payload)
      const input = yield* this.#inputFor(payload, definition, principal)
      const address = workflowAddress(principal.tenant, input.id)
      const before = yield* this.#kind.view(address)
      if (before === undefined) {
        const issues = yield* modelIssues(this.#ports, input)
        const at = typeof payload.workflow === "string" ? [] : ["workflow"]
        if (issues.length > 0)
          return yield* invalid(issues.map(({ path, message }) => ({ path: [...at, ...path], message })))
        yield* checkOwnBudget(this.#ports, payload, input, principal)
        if (payload.on_denied === "fail") yield* preflight(this.#ports, input)
        yield* Effect.catchTag(this.#kind.start(address, input), "NotFound", () =>
          Effect.fail(removedWorkflow(input.id))
        )
      }
      // Somebody else may have started it meanwhile.
      const view = before ?? (yield* this.#kind.view(address))
      if (view === undefined) return yield* removedWorkflow(input.id)
      if (!this.#isSame(view.snapshot.context, input, principal))
        return yield* idInUse(input.id, payload.workflow_id !== undefined)
      return { workflow_id: input.id, workflow: decodeProgress(progressOf(atOf(view))) }
    })

  readonly get_workflow: Ask<"get_workflow"> = ({ workflow_id }, principal) =>
    Effect.gen({ self: this }, function* () {
      const at = atOf(yield* this.#own(workflow_id, principal))
      const adjustments = yield* adjustmentsOfOne(this.#ports, workflow_id, at.context.principal)
      const workflow = decodeWorkflow(workflowOf(yield* withFiguresOfNow(this.#ports, at, adjustments)))
      return { workflow: progressAsOf(workflow, yield* Clock.currentTimeMillis) }
    })

  readonly list_workflows: Ask<"list_workflows"> = (payload, principal) =>
    Effect.gen({ self: this }, function* () {
      const { items, next_cursor } = yield* listWorkflows(this.#store, payload, principal)
      const shown = yield* this.#withFiguresOfNow(items, principal)
      const now = yield* Clock.currentTimeMillis
      return { items: shown.map((item) => progressAsOf(item, now)), next_cursor }
    })

  /** Few workflows have calls that were adjusted or tried again: what a list knows of the others is right as it is. */
  #withFiguresOfNow(items: ReadonlyArray<WorkflowProgress>, principal: Principal) {
    const { tenant } = principal
    const ids = items.map(({ workflow_id }) => workflow_id)
    return Effect.flatMap(adjustmentsOf(this.#ports, ids, principal), (adjusted) =>
      Effect.forEach(
        items,
        (item) => {
          const adjustments = adjusted.get(item.workflow_id)
          if (adjustments === undefined) return Effect.succeed(item)
          return Effect.flatMap(this.#kind.view(workflowAddress(tenant, item.workflow_id)), (view) =>
            view === undefined
              ? Effect.succeed(item)
              : Effect.map(withFiguresOfNow(this.#ports, atOf(view), adjustments), (at) =>
                  decodeProgress(progressOf(at))
                )
          )
        },
        { concurrency: READ_AT_ONCE }
      )
    )
  }

  readonly cancel_workflow: Ask<"cancel_workflow"> = (payload, principal) =>
    Effect.andThen(
      this.#own(payload.workflow_id, principal, mayChange),
      Effect.flatMap(this.#find(payload.workflow_id, principal), (ref) =>
        ref.ask("cancel_workflow", payload, principal)
      )
    )

  readonly resume_workflow: Ask<"resume_workflow"> = (payload, principal) =>
    Effect.gen({ self: this }, function* () {
      const view = yield* this.#own(payload.workflow_id, principal, mayChange)
      // It stopped because its code had changed, and may fit by now.
      if (view.status === "parked") yield* this.#machines.restart(view.address)
      const ref = yield* this.#find(payload.workflow_id, principal)
      return yield* ref.ask("resume_workflow", payload, principal)
    })

  /** A workflow of somebody else is no repeat of this one, whatever it was started with. */
  #isSame(found: WorkflowContext, input: WorkflowInput, principal: Principal): boolean {
    if (found.digest !== input.digest) return false
    return found.principal.owner === principal.owner || isOwn(ownedOf(found), found.id, principal)
  }

  /** A workflow of somebody else answers like one that there never was. */
  #own(workflowId: string, principal: Principal, allows: typeof isOwn = isOwn) {
    return Effect.flatMap(this.#kind.view(workflowAddress(principal.tenant, workflowId)), (view) => {
      const context = view?.snapshot.context
      const isVisible = context !== undefined && allows(ownedOf(context), context.id, principal)
      return view !== undefined && isVisible ? Effect.succeed(view) : Effect.fail(unknownWorkflow(workflowId))
    })
  }

  #find(workflowId: string, principal: Principal) {
    return Effect.flatMap(this.#kind.find(workflowAddress(principal.tenant, workflowId)), (ref) =>
      ref === undefined ? Effect.fail(unknownWorkflow(workflowId)) : Effect.succeed(ref)
    )
  }

  #definitionFor({
    workflow,
    input
  }: SignalPayload<"start_workflow">): Effect.Effect<WorkflowDefinition, SignalError> {
    const declared = typeof workflow === "string" ? this.#declared.get(workflow) : undefined
    if (typeof workflow === "string" && declared === undefined)
      return Effect.fail(undeclared(workflow, this.#declared))
    const definition = declared ?? (workflow as WorkflowDefinition)
    const isInline = typeof workflow !== "string"
    const issues = [
      ...(isInline
        ? [...definitionIssues(definition), ...strangeProviders(definition.agents, this.#ports.calls)]
        : []
      ).map(({ path, message }) => ({ path: ["workflow", ...path], message })),
      ...inputIssues(definition, input)
    ]
    return issues.length === 0 ? Effect.succeed(definition) : Effect.fail(invalid(issues))
  }

  #inputFor(
    payload: SignalPayload<"start_workflow">,
    definition: WorkflowDefinition,
    principal: Principal
  ): Effect.Effect<WorkflowInput> {
    const { keyId, owner, tenant, roles, attribution: forced, isInstallation } = principal
    const attribution = withoutWorkflow(attributionOf(payload))
    const { workflow, input, on_denied } = payload
    return Effect.zipWith(Clock.currentTimeMillis, currentTraceparent, (startedAt, traceparent) => ({
      id: idOf(payload, principal),
      principal: { keyId, owner, tenant, roles, attribution: forced, isInstallation },
      attribution,
      plan: planOf(definition),
      input,
      onDenied: on_denied,
      digest: digestOf({ workflow, input, on_denied, attribution, forced }),
      startedAt,
      ...(traceparent === undefined ? {} : { traceparent })
    }))
  }
}

/** Makes the kind known: what was left unfinished can be started again from here on. */
export const makeWorkflows = (
  ports: WorkflowPorts,
  declared: Declared,
  openMax?: number
): Effect.Effect<Workflows, never, DurableMachines | MachineStore | Scope.Scope> =>
  Effect.gen(function* () {
    const machines = yield* DurableMachines
    const store = yield* MachineStore
    const run = yield* FiberSet.runtime(yield* FiberSet.make<void>())()
    let known: DurableKind<WorkflowMachine, WorkflowProtocol> | undefined
    const line = new RoomLine(
      ports,
      wakeBy(() => known, run)
    )
    const kind = yield* machines.register(
      workflowActor(yield* Effect.context<Scope.Scope>(), ports, line, openMax)
    )
    known = kind
    yield* Effect.addFinalizer(() => Effect.sync(() => line.gone(() => true)))
    return new Desk(kind, machines, store, ports, declared)
  })
