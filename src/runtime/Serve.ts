/**
 * Serves a runtime to other programs and to people.
 *
 * Owns: what the bridge is given: the console, the language's document, readiness, where failed notifications go.
 * Does not decide: who may come in (bridge/).
 */
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Effect, Option, type Redacted } from "effect"
import { ActorSystem } from "../actor/ActorSystem.ts"
import { previewOf } from "../actor/DeadLetters.ts"
import { paramsOnWire } from "../actor/LetterKeeper.ts"
import { serveBridge } from "../bridge/Bridge.ts"
import { UserDisguise } from "../bridge/UserDisguise.ts"
import { isSignalName, SIGNALS } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import { LedgerStore } from "../tokens/LedgerStore.ts"
import { ActorMetrics } from "./ActorMetrics.ts"
import { ofDoors } from "./DurableRuntime.ts"
import { VERSION } from "./Version.ts"

export interface ServeOptions {
  /** Default: 127.0.0.1. */
  readonly host?: string
  /** 0 picks a free one. Default: 4680. */
  readonly port?: number
  /** The installation's own key. */
  readonly adminKey: Redacted.Redacted<string>
  /** Host names that requests may be addressed to, beside loopback and `host`. */
  readonly allowedHosts?: ReadonlyArray<string>
  /** Whether a proxy in front sets `X-Forwarded-Proto`. */
  readonly trustsProxy?: boolean
  /** Whether the console says that this is a playground. */
  readonly playground?: boolean
}

const CONSOLE_DIRECTORY = fileURLToPath(new URL("../../dist/console", import.meta.url))
const OPENRPC = new URL("../../schemas/openrpc.json", import.meta.url)

/** What a notification fails with whose content nobody could make out. */
const NOT_DECODED: ReadonlySet<SignalError["_tag"]> = new Set([
  "ParseError",
  "InvalidRequest",
  "InvalidParams",
  "UnknownSignal"
])

/** Listens until the scope closes. */
export const serve = Effect.fnUntraced(function* (options: ServeOptions) {
  const { deadLetters } = yield* ActorSystem
  const store = yield* LedgerStore
  const users = yield* UserDisguise
  const actorMetrics = Option.getOrUndefined(yield* Effect.serviceOption(ActorMetrics))
  return yield* serveBridge({
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 4680,
    adminKey: options.adminKey,
    allowedHosts: options.allowedHosts ?? [],
    trustsProxy: options.trustsProxy ?? false,
    consoleDirectory: CONSOLE_DIRECTORY,
    openRpc: existsSync(OPENRPC) ? readFileSync(OPENRPC, "utf8") : undefined,
    about: { version: VERSION, playground: options.playground ?? false },
    beforeMetrics: () => actorMetrics?.look(),
    isReady: Effect.map(store.isReachable, (ready) => ({
      ready,
      why: ready ? "" : "the store does not answer"
    })),
    onDeadLetter: ({ principal, method, params, error, at }) =>
      // Who was to be forgotten is not remembered for having failed to.
      Effect.map(
        method === "forget_user"
          ? Effect.succeed({})
          : users.params(principal.tenant, params, !NOT_DECODED.has(error._tag)),
        (kept) =>
          deadLetters.add({
            address: "bridge",
            signal: method,
            payload: previewOf(kept),
            principal,
            at,
            why: error.message,
            whole: () =>
              NOT_DECODED.has(error._tag) ||
              !isSignalName(method) ||
              ofDoors.has(method) ||
              method === "forget_user"
                ? null
                : paramsOnWire(SIGNALS[method], kept)
          })
      )
  })
})
