/**
 * A runtime at play: agents work on the simulator, against budgets that one can watch running out.
 *
 * Owns: the pace. Everything it does is an ordinary signal of an ordinary principal.
 */
import { Effect, Random, Schedule } from "effect"
import type { SignalName, SignalParams } from "../signal/Catalogue.ts"
import { decodePayload } from "../signal/Decode.ts"
import { DEFAULT_TENANT, installationPrincipal, type Principal } from "../signal/Principal.ts"
import { type RoutedSignal, SignalRouter } from "../signal/SignalRouter.ts"
import { BUDGETS, PEOPLE, REPORT, SUBJECTS } from "./Script.ts"

const PRINCIPAL: Principal = { ...installationPrincipal(DEFAULT_TENANT, "playground"), isInstallation: false }
const WORKFLOWS_AT_ONCE = 3

const payloadOf = <Name extends SignalName>(name: Name, params: SignalParams<Name>) =>
  Effect.fromResult(decodePayload(name, params))

const send = <Name extends RoutedSignal>(name: Name, params: SignalParams<Name>) =>
  Effect.gen(function* () {
    const router = yield* SignalRouter
    return yield* router.ask(name, yield* payloadOf(name, params), PRINCIPAL)
  })

/** The same request ids at every start: a playground that was there before keeps the budgets it has. */
const makeBudgets = Effect.forEach(
  BUDGETS,
  (budget) =>
    Effect.catchTag(
      send("create_budget", { ...budget, request_id: `playground ${budget.name}` }),
      "Conflict",
      () => Effect.void
    ),
  { discard: true }
)

const pick = <A>(items: ReadonlyArray<A>): Effect.Effect<A> =>
  Effect.map(Random.nextIntBetween(0, items.length), (index) => items[index % items.length] as A)

const PATIENCE_MS = 15_000
const LOOK_MS = 500

/** Waits until it has ended; one that is parked for long is cancelled, so that others come to be seen. */
const watch = (workflowId: string) =>
  Effect.gen(function* () {
    let parkedForMs = 0
    while (true) {
      yield* Effect.sleep(LOOK_MS)
      const { workflow } = yield* send("get_workflow", { workflow_id: workflowId })
      if (workflow.ended_at !== null) return
      parkedForMs = workflow.state === "parked" ? parkedForMs + LOOK_MS : 0
      if (parkedForMs >= PATIENCE_MS) {
        yield* send("cancel_workflow", { workflow_id: workflowId, reason: "the playground goes on" })
        parkedForMs = 0
      }
    }
  })

/** One workflow, for somebody. A refusal parks it, as it would for anybody. */
const runWorkflow = Effect.gen(function* () {
  const person = yield* pick(PEOPLE)
  const subject = yield* pick(SUBJECTS)
  const { workflow_id } = yield* send("start_workflow", {
    workflow: REPORT.name,
    input: { subject },
    ...person
  })
  yield* watch(workflow_id)
}).pipe(Effect.ignore)

const player = runWorkflow.pipe(
  Effect.andThen(Effect.flatMap(Random.nextIntBetween(400, 2_500), Effect.sleep)),
  Effect.repeat(Schedule.forever)
)

/** Plays until it is interrupted. */
export const runPlayground: Effect.Effect<void, never, SignalRouter> = makeBudgets.pipe(
  Effect.andThen(
    Effect.forEach(Array.from({ length: WORKFLOWS_AT_ONCE }), () => player, {
      concurrency: "unbounded",
      discard: true
    })
  ),
  Effect.catch((error) => Effect.logWarning("the playground stopped", error))
)
