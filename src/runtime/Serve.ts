/**
 * Serves a runtime to other programs and to people.
 *
 * Owns: what the bridge is given: the console, the language's document, readiness, where failed notifications go.
 * Does not decide: who may come in (bridge/).
 */
import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Effect, Option, type Redacted, Result } from "effect"
import { ActorSystem } from "../actor/ActorSystem.ts"
import { previewOf } from "../actor/DeadLetters.ts"
import { paramsOnWire } from "../actor/LetterKeeper.ts"
import { serveBridge } from "../bridge/Bridge.ts"
import { type LetterUse, UserDisguise } from "../bridge/UserDisguise.ts"
import { isSignalName, SIGNALS } from "../signal/Catalogue.ts"
import { decodePayload } from "../signal/Decode.ts"
import { traitsOf } from "../signal/Signal.ts"
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

/** What a notification that failed is good for. Whether it was read is found out anew: a limit refuses it unread. */
const letterUseOf = (method: string, params: unknown): LetterUse => {
  if (!isSignalName(method) || Result.isFailure(decodePayload(method, params))) return "unread"
  return ofDoors.has(method) ? "shown" : traitsOf(SIGNALS[method]).kind
}

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
    onDeadLetter: ({ principal, method, params, error, at }) => {
      // Who was to be forgotten is not remembered for having failed to.
      const isForgetting = method === "forget_user"
      const given = isForgetting ? {} : params
      const use = isForgetting ? "shown" : letterUseOf(method, params)
      return Effect.map(users.letter(principal, given, use), (kept) =>
        deadLetters.add({
          address: "bridge",
          signal: method,
          payload: previewOf(kept.params),
          principal: kept.principal,
          at,
          why: error.message,
          whole: () =>
            kept.isWhole && isSignalName(method) ? paramsOnWire(SIGNALS[method], kept.params) : null
        })
      )
    }
  })
})
