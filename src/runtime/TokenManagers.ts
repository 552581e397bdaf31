/**
 * Finds the TokenManager of a tenant, and starts it when it is asked for the first time.
 *
 * Owns: which actor answers for a tenant on this node. Does not decide: anything about money.
 */
import { Effect } from "effect"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import type { ActorSignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { type SignalError, Unavailable } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { SOON_MS } from "../signal/Refusing.ts"
import {
  TOKEN_MANAGER,
  type TokenManagerOptions,
  tokenManager,
  tokenManagerAddress
} from "../tokens/TokenManager.ts"

export interface TokenManagers {
  /** Asks the TokenManager of the principal's tenant. */
  readonly ask: <Name extends ActorSignalName>(
    name: Name,
    payload: SignalPayload<Name>,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<Name>, SignalError>
}

const stopping: Effect.Effect<never, Unavailable> = Effect.fail(
  new Unavailable({ message: "The runtime is stopping; send it again", retry_after_ms: SOON_MS })
)

/** They start when they are asked, and leave memory when they are idle. */
export const makeTokenManagers = (
  system: ActorSystem,
  options: Omit<TokenManagerOptions, "tenant">
): TokenManagers => {
  system.register({
    kind: TOKEN_MANAGER,
    make: ({ tenant }) => (tenant === undefined ? undefined : tokenManager({ ...options, tenant }))
  })
  return {
    ask: (name, payload, principal) => {
      const address = tokenManagerAddress(principal.tenant)
      const known = system.find(address)
      if (known !== undefined && !known.isClosed) return known.ask(name, payload, principal)
      return system.refOf(address)?.ask(name, payload, principal) ?? stopping
    }
  }
}
