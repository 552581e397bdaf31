/**
 * A runtime at play: agents work on the simulator, against budgets that one can watch running out.
 *
 * Owns: the pace. Everything it does is an ordinary signal of an ordinary principal.
 */
import { Effect, Random, Result, Schedule, Stream } from "effect"
import type { SignalName, SignalParams } from "../signal/Catalogue.ts"
import { decodePayload } from "../signal/Decode.ts"
import type { SignalError } from "../signal/Errors.ts"
import { DEFAULT_TENANT, installationPrincipal, type Principal } from "../signal/Principal.ts"
import { type RoutedSignal, SignalRouter } from "../signal/SignalRouter.ts"
import { AGENTS, type Agent, BUDGETS, PEOPLE, type Person, SUBJECTS } from "./Script.ts"

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

/** Lets an agent work, and reads its text as it comes. */
const runAgent = (agent: Agent, person: Person, workflowId: string, notes: string) =>
  Effect.gen(function* () {
    const router = yield* SignalRouter
    const payload = yield* payloadOf("complete", {
      provider: "simulator",
      model: agent.model,
      messages: [{ role: "user", content: `${agent.task}: ${notes}` }],
      max_completion_tokens: agent.max_completion_tokens,
      stream: true,
      ...person,
      agent: agent.agent,
      operation: "playground",
      workflow_id: workflowId
    })
    const { events } = yield* router.stream(payload, PRINCIPAL)
    const texts = yield* Stream.runCollect(events)
    return texts.map(({ event }) => ("text" in event ? event.text : "")).join("")
  })

const pick = <A>(items: ReadonlyArray<A>): Effect.Effect<A> =>
  Effect.map(Random.nextIntBetween(0, items.length), (index) => items[index % items.length] as A)

/** One workflow: three agents in a row. A refusal or a failure ends it, as it would for anybody. */
const runWorkflow = Effect.gen(function* () {
  const person = yield* pick(PEOPLE)
  const subject = yield* pick(SUBJECTS)
  const workflowId = `play-${(yield* Random.nextInt).toString(36)}`
  let notes = subject
  for (const agent of AGENTS) {
    const written: Result.Result<string, SignalError> = yield* Effect.result(
      runAgent(agent, person, workflowId, notes)
    )
    if (Result.isFailure(written)) return
    notes = `${subject}. ${written.success.slice(0, 1_500)}`
    yield* Effect.sleep(yield* Random.nextIntBetween(200, 1_200))
  }
})

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
