/**
 * The life of one call, as a statechart.
 *
 *     estimating → awaiting_budget → calling → reporting → done
 *                        │ refused               │ failed, worth a try → backing_off → awaiting_budget
 *                        ▼                       │ exhausted → falling_back → estimating (the next model)
 *                     refused                    ▼ given up, or stopped → releasing → failed | cancelled
 *
 * `cutting_short` stands between `calling` and `reporting` where the call was stopped.
 *
 * Owns: which step follows which, the deadline over all, and that every ending passes `reporting` (something was
 * sent) or `releasing` (something may be held).
 * Does not decide: what a step does (Call), whether another try is worth it (Retry).
 */
import type { Context, Effect } from "effect"
import { assign, fromCallback, raise, setup } from "xstate"
import { invoked } from "../actor/Machine.ts"
import type { Approval } from "../signal/Budgeting.ts"
import type { ModelRef } from "../signal/Providers.ts"
import type { TokenUsage } from "../signal/Usage.ts"
import type { Refused } from "./Admission.ts"
import type { AttemptEnd } from "./Attempt.ts"
import type { Plan } from "./Retry.ts"

export type StopReason = "caller_gone" | "deadline"

/** The steps of a call. Leaving a state interrupts its step; steps with money in them go on nevertheless. */
export interface CallSteps {
  readonly estimate: (target: ModelRef) => Effect.Effect<void, unknown>
  /** `isRetry`: the hold is there and is brought back up to its estimate. */
  readonly askBudget: (target: ModelRef, isRetry: boolean) => Effect.Effect<Approval, unknown>
  readonly call: (target: ModelRef) => Effect.Effect<AttemptEnd>
  /** Ends an attempt that was interrupted, or takes the end it had come to just before. */
  readonly cutShort: (target: ModelRef, why: StopReason) => Effect.Effect<AttemptEnd>
  readonly report: (end: AttemptEnd, settle: boolean) => Effect.Effect<TokenUsage | undefined, unknown>
  readonly release: (reason: string) => Effect.Effect<void>
  readonly planAfter: (end: AttemptEnd, tries: number, hasFallback: boolean) => Plan
  readonly onStop: (stop: (why: StopReason) => void) => () => void
}

export interface CallInput {
  readonly steps: CallSteps
  readonly targets: readonly [ModelRef, ...Array<ModelRef>]
  readonly deadlineMs: number
}

export interface CallContext extends CallInput {
  readonly target: ModelRef
  readonly targetIndex: number
  /** Attempts on this model. */
  readonly tries: number
  readonly end: AttemptEnd | undefined
  readonly plan: Plan
  readonly stop: StopReason | undefined
  readonly refused: Refused | undefined
  readonly error: unknown
  readonly usage: TokenUsage | undefined
}

export type CallEnding = Pick<CallContext, "end" | "stop" | "refused" | "error" | "usage" | "target"> & {
  readonly state: "done" | "refused" | "failed" | "cancelled"
}

const FINISH: Plan = { kind: "finish" }

const stopWatch = fromCallback<{ type: "STOP"; why: StopReason }, { readonly steps: CallSteps }>(
  ({ input, sendBack }) => input.steps.onStop((why) => sendBack({ type: "STOP", why }))
)

/** How a call ended, from the facts that it left behind. */
const stateOf = ({ refused, error, stop, end }: CallContext): CallEnding["state"] => {
  if (refused !== undefined) return "refused"
  if (error !== undefined) return "failed"
  if (end?.kind === "answered") return "done"
  return stop === "caller_gone" ? "cancelled" : "failed"
}

/** The machine; `context` carries the clock and the services that its steps run with. */
export const makeCallMachine = (context: Context.Context<never>) =>
  setup({
    types: {
      context: {} as CallContext,
      input: {} as CallInput,
      output: {} as CallEnding,
      events: {} as { type: "STOP"; why: StopReason }
    },
    actors: {
      stopWatch,
      estimate: invoked(context, (input: { steps: CallSteps; target: ModelRef }) =>
        input.steps.estimate(input.target)
      ),
      askBudget: invoked(context, (input: { steps: CallSteps; target: ModelRef; isRetry: boolean }) =>
        input.steps.askBudget(input.target, input.isRetry)
      ),
      call: invoked(context, (input: { steps: CallSteps; target: ModelRef }) =>
        input.steps.call(input.target)
      ),
      report: invoked(context, (input: { steps: CallSteps; end: AttemptEnd; settle: boolean }) =>
        input.steps.report(input.end, input.settle)
      ),
      cutShort: invoked(context, (input: { steps: CallSteps; target: ModelRef; why: StopReason }) =>
        input.steps.cutShort(input.target, input.why)
      ),
      release: invoked(context, (input: { steps: CallSteps; reason: string }) =>
        input.steps.release(input.reason)
      )
    },
    delays: {
      deadline: ({ context: { deadlineMs } }) => deadlineMs,
      backoff: ({ context: { plan } }) => (plan.kind === "retry" ? plan.delayMs : 0)
    },
    guards: {
      isStopped: ({ context: { stop } }) => stop !== undefined,
      isAnswered: ({ context: { end } }) => end?.kind === "answered",
      isRetried: ({ context: { plan, stop } }) => stop === undefined && plan.kind === "retry",
      fallsBack: ({ context: { plan, stop } }) => stop === undefined && plan.kind === "fallback",
      hasFallback: ({ context: { targets, targetIndex } }) => targetIndex + 1 < targets.length,
      isRefused: ({ context: call }) => stateOf(call) === "refused",
      isCancelled: ({ context: call }) => stateOf(call) === "cancelled"
    },
    actions: {
      noteStop: assign({ stop: ({ context: { stop }, event }) => stop ?? event.why }),
      nextTarget: assign(({ context: { targets, targetIndex } }) => ({
        targetIndex: targetIndex + 1,
        target: targets[targetIndex + 1] ?? targets[0],
        tries: 0,
        end: undefined,
        error: undefined,
        plan: FINISH
      }))
    }
  }).createMachine({
    id: "call",
    context: ({ input }) => ({
      ...input,
      target: input.targets[0],
      targetIndex: 0,
      tries: 0,
      end: undefined,
      plan: FINISH,
      stop: undefined,
      refused: undefined,
      error: undefined,
      usage: undefined
    }),
    output: ({ context: call }) => ({
      state: stateOf(call),
      end: call.end,
      stop: call.stop,
      refused: call.refused,
      error: call.error,
      usage: call.usage,
      target: call.target
    }),
    invoke: { src: "stopWatch", input: ({ context: { steps } }) => ({ steps }) },
    after: { deadline: { actions: raise({ type: "STOP", why: "deadline" }) } },
    initial: "estimating",
    states: {
      estimating: {
        invoke: {
          src: "estimate",
          input: ({ context: { steps, target } }) => ({ steps, target }),
          onDone: "awaiting_budget",
          onError: [
            { guard: "hasFallback", target: "falling_back" },
            { target: "releasing", actions: assign({ error: ({ event }) => event.error }) }
          ]
        },
        on: { STOP: { target: "releasing", actions: "noteStop" } }
      },
      // The question is not taken back when the caller goes away: the hold it may make has to be known.
      awaiting_budget: {
        invoke: {
          src: "askBudget",
          input: ({ context: { steps, target, tries } }) => ({ steps, target, isRetry: tries > 0 }),
          onDone: [
            {
              guard: ({ event }) => !event.output.allowed,
              target: "releasing",
              actions: assign({ refused: ({ event }) => (event.output.allowed ? undefined : event.output) })
            },
            { guard: "isStopped", target: "releasing" },
            { target: "calling" }
          ],
          onError: { target: "releasing", actions: assign({ error: ({ event }) => event.error }) }
        },
        on: { STOP: { actions: "noteStop" } }
      },
      calling: {
        entry: assign({ tries: ({ context: { tries } }) => tries + 1, end: undefined }),
        invoke: {
          src: "call",
          input: ({ context: { steps, target } }) => ({ steps, target }),
          onDone: {
            target: "reporting",
            actions: assign(({ context: call, event }) => ({
              end: event.output,
              plan: call.steps.planAfter(event.output, call.tries, call.targetIndex + 1 < call.targets.length)
            }))
          },
          onError: { target: "releasing", actions: assign({ error: ({ event }) => event.error }) }
        },
        on: { STOP: { target: "cutting_short", actions: "noteStop" } }
      },
      cutting_short: {
        invoke: {
          src: "cutShort",
          input: ({ context: { steps, target, stop } }) => ({ steps, target, why: stop ?? "caller_gone" }),
          onDone: {
            target: "reporting",
            actions: assign({ end: ({ event }) => event.output, plan: FINISH })
          },
          onError: { target: "releasing", actions: assign({ error: ({ event }) => event.error }) }
        }
      },
      reporting: {
        invoke: {
          src: "report",
          // Both ways here have noted how the attempt ended.
          input: ({ context: { steps, end, plan } }) => ({
            steps,
            end: end as AttemptEnd,
            settle: plan.kind === "finish"
          }),
          onDone: [
            { guard: "isAnswered", target: "done", actions: assign({ usage: ({ event }) => event.output }) },
            {
              guard: "isRetried",
              target: "backing_off",
              actions: assign({ usage: ({ event }) => event.output })
            },
            {
              guard: "fallsBack",
              target: "falling_back",
              actions: assign({ usage: ({ event }) => event.output })
            },
            { target: "releasing", actions: assign({ usage: ({ event }) => event.output }) }
          ],
          // What was used could not be recorded. The hold stays: it is money that is spent.
          onError: { target: "failed", actions: assign({ error: ({ event }) => event.error }) }
        },
        on: { STOP: { actions: "noteStop" } }
      },
      backing_off: {
        after: { backoff: "awaiting_budget" },
        on: { STOP: { target: "releasing", actions: "noteStop" } }
      },
      falling_back: {
        invoke: {
          src: "release",
          input: ({ context: { steps } }) => ({ steps, reason: "the next model is tried" }),
          onDone: [
            { guard: "isStopped", target: "releasing" },
            { target: "estimating", actions: "nextTarget" }
          ]
        },
        on: { STOP: { actions: "noteStop" } }
      },
      releasing: {
        invoke: {
          src: "release",
          input: ({ context: { steps, stop } }) => ({ steps, reason: stop ?? "the call was not made" }),
          onDone: [
            { guard: "isRefused", target: "refused" },
            { guard: "isCancelled", target: "cancelled" },
            { target: "failed" }
          ]
        },
        on: { STOP: { actions: "noteStop" } }
      },
      done: { type: "final" },
      refused: { type: "final" },
      failed: { type: "final" },
      cancelled: { type: "final" }
    }
  })

export type CallMachine = ReturnType<typeof makeCallMachine>
