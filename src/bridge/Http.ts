/**
 * Everything that is served over plain HTTP.
 *
 * Owns: which path and method is answered by whom, and what a failure looks like.
 * Does not decide: what the answers hold (HttpSignals, HttpSession, StaticFiles).
 *
 * On node:http, not on Effect's router: `ws` needs the raw upgrade, and the exact statuses, limits and header
 * checks of the contract would each be written around a router. The table below is all the routing there is.
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import { Cause, type Context, Effect, Exit, type Fiber } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { InvalidRequest } from "../signal/Errors.ts"
import {
  type AccessOptions,
  authenticate,
  hostNameOf,
  hostProblem,
  isLoopback,
  type Refused
} from "./Access.ts"
import type { Door } from "./Door.ts"
import { type Answer, jsonAnswer, notFound, pathOf, refusal, sendAnswer, textAnswer } from "./HttpAnswer.ts"
import type { makeHttpSession } from "./HttpSession.ts"
import type { StaticFiles } from "./StaticFiles.ts"

/** Whether the server can do its work, and if not, why. */
export interface Readiness {
  readonly ready: boolean
  readonly why: string
}

export interface HttpOptions {
  readonly access: AccessOptions
  readonly door: Door
  readonly signals: (request: IncomingMessage) => Effect.Effect<Answer, Refused>
  readonly session: ReturnType<typeof makeHttpSession>
  readonly files: StaticFiles
  /** The text of schemas/openrpc.json, when there is one. */
  readonly openRpc: string | undefined
  readonly isReady: Effect.Effect<Readiness>
  /** Whether the server listens on loopback only. */
  readonly listensOnLoopback: boolean
  readonly beforeMetrics: () => void
  readonly services: Context.Context<never>
  readonly runFork: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
}

type Route = (request: IncomingMessage) => Effect.Effect<Answer, Refused>
type Methods = Readonly<Record<string, Route>>

const wrongMethod = (methods: ReadonlyArray<string>): Answer => {
  const allowed = methods.join(", ")
  const error = new InvalidRequest({ message: `Expected the method ${allowed}` })
  const answer = refusal({ status: 405, error })
  return { ...answer, headers: { ...answer.headers, Allow: allowed } }
}

const upgradeRequired = () => {
  const message = "Expected POST with a JSON-RPC body, or a WebSocket upgrade"
  const answer = refusal({ status: 426, error: new InvalidRequest({ message }) })
  return Effect.succeed({ ...answer, headers: { ...answer.headers, Upgrade: "websocket", Allow: "POST" } })
}

const makeRoutes = (options: HttpOptions): ReadonlyMap<string, Methods> => {
  const metrics: Route = (request) => {
    const isOpen = options.listensOnLoopback && isLoopback(hostNameOf(request.headers.host ?? ""))
    const text = Effect.sync(() => {
      options.beforeMetrics()
      return {
        status: 200,
        headers: { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store" },
        body: PrometheusMetrics.formatUnsafe(options.services)
      }
    })
    return isOpen ? text : Effect.andThen(authenticate(request, options.access), text)
  }
  const openRpc: Route = () =>
    options.openRpc === undefined
      ? Effect.fail(notFound())
      : Effect.succeed({ ...jsonAnswer(200, null), body: options.openRpc })
  return new Map<string, Methods>([
    ["/signals", { POST: options.signals, GET: upgradeRequired }],
    ["/session", { POST: options.session.signIn, DELETE: options.session.signOut }],
    // Also by POST: only then does a page send its `Origin`, which a cookie needs, whatever the browser.
    ["/console.json", { GET: options.session.identity, POST: options.session.identity }],
    ["/metrics", { GET: metrics }],
    ["/openrpc.json", { GET: openRpc }]
  ])
}

/** Health has no `Host` check: a probe comes by address, and learns nothing that is anybody's. */
const makeHealth = (options: HttpOptions): ReadonlyMap<string, Methods> =>
  new Map<string, Methods>([
    ["/healthz", { GET: () => Effect.succeed(textAnswer(200, "ok\n")) }],
    [
      "/readyz",
      {
        GET: () =>
          Effect.map(options.isReady, (readiness) => jsonAnswer(readiness.ready ? 200 : 503, readiness))
      }
    ]
  ])

const byMethod = (methods: Methods, request: IncomingMessage): Effect.Effect<Answer, Refused> => {
  const method = request.method === "HEAD" ? "GET" : (request.method ?? "GET")
  const route = Object.hasOwn(methods, method) ? methods[method] : undefined
  return route === undefined ? Effect.succeed(wrongMethod(Object.keys(methods))) : route(request)
}

export const makeHttp = (options: HttpOptions) => {
  const routes = makeRoutes(options)
  const health = makeHealth(options)

  const answerFile: Route = (request) => {
    const path = pathOf(request)
    const linked = path === "/" ? options.session.byLink(request) : undefined
    if (linked !== undefined) return linked
    const file = options.files(path, request)
    return file === undefined ? Effect.fail(notFound()) : Effect.succeed(file)
  }

  const answerTo: Route = (request) => {
    const path = pathOf(request)
    const probe = health.get(path)
    if (probe !== undefined) return byMethod(probe, request)
    const problem = hostProblem(request, options.access)
    if (problem !== undefined) return Effect.fail(problem)
    const route = routes.get(path)
    if (route !== undefined) return byMethod(route, request)
    return request.method === "GET" || request.method === "HEAD"
      ? answerFile(request)
      : Effect.fail(notFound())
  }

  const answerOfCause = (cause: Cause.Cause<Refused>, request: IncomingMessage): Answer => {
    const refused = cause.reasons.find(Cause.isFailReason)
    if (refused !== undefined) return refusal(refused.error)
    const error = options.door.errorOf(cause as Cause.Cause<never>, `${request.method} ${pathOf(request)}`)
    return refusal({ status: error._tag === "InternalError" ? 500 : 503, error })
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    options.runFork(Effect.suspend(() => answerTo(request))).addObserver((exit) => {
      sendAnswer(request, response, Exit.isSuccess(exit) ? exit.value : answerOfCause(exit.cause, request))
    })
  }
}
