/**
 * A runtime at play: agents work on the simulator, against budgets that one can watch running out.
 *
 * Owns: the pace. Everything it does is an ordinary signal of an ordinary principal.
 */
import { Effect, Random, Schedule } from "effect"
import type { SignalName, SignalParams } from "../signal/Catalogue.ts"
import { decodePayload } from "../signal/Decode.ts"
import type { Violation } from "../signal/Errors.ts"
import { formatAmount, UNIT } from "../signal/Money.ts"
import { DEFAULT_TENANT, installationPrincipal, type Principal } from "../signal/Principal.ts"
import { type RoutedSignal, SignalRouter } from "../signal/SignalRouter.ts"
import { BUDGETS, PEOPLE, REPORT, SUBJECTS } from "./Script.ts"

const PRINCIPAL: Principal = { ...installationPrincipal(DEFAULT_TENANT, "playground"), isInstallation: false }

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
/** Of the one player who waits for somebody to decide. */
const LONG_PATIENCE_MS = 180_000
const LOOK_MS = 500

/** Half as much again, as whole as what is counted. That is what a budget's policy lets somebody approve in a period. */
const halfOf = ({ limit, measure }: Violation): string =>
  formatAmount(measure === "cost" ? limit / 2n : (limit / 2n / UNIT) * UNIT)

/** Once for each budget and period: approved in the console, it lets the workflow go on. */
const askForMore = (violation: Violation) =>
  send("request_override", {
    request_id: `playground ${violation.budget_id} ${violation.resets_at}`,
    budget_id: violation.budget_id,
    amount: halfOf(violation),
    reason: "A workflow of the playground waits. Approve this in the console, and it goes on."
  }).pipe(Effect.ignore)

/** Waits until it has ended; one that is parked for long is cancelled, so that others come to be seen. */
const watch = (workflowId: string, patienceMs: number) =>
  Effect.gen(function* () {
    let parkedForMs = 0
    while (true) {
      yield* Effect.sleep(LOOK_MS)
      const { workflow } = yield* send("get_workflow", { workflow_id: workflowId })
      if (workflow.ended_at !== null) return
      if (workflow.parked !== null && parkedForMs === 0 && patienceMs === LONG_PATIENCE_MS)
        yield* Effect.forEach(workflow.parked.violations, askForMore, { discard: true })
      parkedForMs = workflow.state === "parked" ? parkedForMs + LOOK_MS : 0
      if (parkedForMs >= patienceMs) {
        yield* send("cancel_workflow", { workflow_id: workflowId, reason: "the playground goes on" })
        parkedForMs = 0
      }
    }
  })

/** One workflow, for somebody. A refusal parks it, as it would for anybody. */
const runWorkflow = Effect.fnUntraced(
  function* (patienceMs: number) {
    const person = yield* pick(PEOPLE)
    const subject = yield* pick(SUBJECTS)
    const { workflow_id } = yield* send("start_workflow", {
      workflow: REPORT.name,
      input: { subject },
      ...person
    })
    yield* watch(workflow_id, patienceMs)
  },
  (run) => Effect.ignore(run)
)

const player = (patienceMs: number) =>
  runWorkflow(patienceMs).pipe(
    Effect.andThen(Effect.flatMap(Random.nextIntBetween(400, 2_500), Effect.sleep)),
    Effect.repeat(Schedule.forever)
  )

/** Plays until it is interrupted. */
export const runPlayground: Effect.Effect<void, never, SignalRouter> = makeBudgets.pipe(
  Effect.andThen(
    Effect.forEach([LONG_PATIENCE_MS, PATIENCE_MS, PATIENCE_MS], player, {
      concurrency: "unbounded",
      discard: true
    })
  ),
  Effect.catch((error) => Effect.logWarning("the playground stopped", error))
)
