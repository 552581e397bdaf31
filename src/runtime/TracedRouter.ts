/**
 * The span of a signal, from the door until it is answered.
 *
 * Owns: what a signal's first span is called, by OpenTelemetry's conventions for JSON-RPC; that a streaming call's lasts as
 * long as its text; that what a door refused, or answered by itself, has one as well.
 * Does not decide: what happens under it (actor/Tracing, provider/AttemptTrace).
 */
import { Context, Effect, Exit, Stream, Tracer } from "effect"
import { describe, factsOf, type SpanFacts, type Tracing } from "../actor/Tracing.ts"
import { isSignalName } from "../signal/Catalogue.ts"
import type { Principal } from "../signal/Principal.ts"
import type { SignalRouter } from "../signal/SignalRouter.ts"

/** A signal that is not in the language, as the conventions have it: names of spans must not come from outside. */
const UNKNOWN = { span: "jsonrpc", method: "_OTHER" }
const ORIGINAL_LENGTH_MAX = 100

const refusedFacts = (method: string, principal: Principal): SpanFacts => {
  const isKnown = isSignalName(method)
  return {
    ...rpcFacts(isKnown ? method : UNKNOWN.method, {}, principal),
    "rpc.method_original":
      isKnown || method === "" ? undefined : method.slice(0, ORIGINAL_LENGTH_MAX).toWellFormed()
  }
}

const rpcFacts = (name: string, payload: unknown, principal: Principal): SpanFacts => ({
  ...factsOf(payload, principal),
  "rpc.system.name": "jsonrpc",
  "jsonrpc.protocol.version": "2.0",
  "rpc.method": name
})

/** The same router, whose signals leave spans. Subscriptions have none: they are not answered, they go on. */
export const tracedRouter = (router: SignalRouter, tracing: Tracing): SignalRouter => ({
  ...router,
  ask: (name, payload, principal) =>
    tracing.inSpan(name, "server", rpcFacts(name, payload, principal), () =>
      router.ask(name, payload, principal)
    ),
  traced: (name, payload, principal, answered) =>
    tracing.inSpan(name, "server", rpcFacts(name, payload, principal), () => answered),
  refused: (method, principal, error) =>
    Effect.withFiber((fiber) => {
      const name = isSignalName(method) ? method : UNKNOWN.span
      const parent = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
      const span = tracing.begin(name, "server", parent, refusedFacts(method, principal))
      return tracing.answered(span, Exit.fail(error))
    }),
  stream: (payload, principal) =>
    Effect.withFiber((fiber) => {
      const parent = Context.getOrUndefined(fiber.context, Tracer.ParentSpan)
      const span = tracing.begin("complete", "server", parent, rpcFacts("complete", payload, principal))
      return tracing.under(span, router.stream(payload, principal)).pipe(
        Effect.map(({ cursor, events }) => ({
          cursor,
          events: Stream.onExit(
            Stream.tap(events, ({ event }) =>
              Effect.sync(() => {
                if ("failed" in event) describe(span, { "error.type": typeOf(event.failed) })
              })
            ),
            (exit) => Effect.sync(() => tracing.end(span, exit))
          )
        })),
        Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : tracing.answered(span, exit)))
      )
    })
})

const typeOf = (failed: unknown): string | undefined =>
  (failed as { readonly data?: { readonly _tag?: string } }).data?._tag
