/**
 * Finds the TokenManager of a tenant, and starts it when it is asked for the first time.
 *
 * Owns: which actor answers for a tenant on this node. Does not decide: anything about money.
 */
import { Effect } from "effect"
import type { ActorRef } from "../actor/ActorRef.ts"
import type { ActorSystem } from "../actor/ActorSystem.ts"
import { tenantAddress } from "../actor/Address.ts"
import type { ActorSignalName, SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import type { SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { type TokenManagerOptions, tokenManager } from "../tokens/TokenManager.ts"

export interface TokenManagers {
  readonly of: (tenant: string) => Effect.Effect<ActorRef>
  /** Asks the TokenManager of the principal's tenant. */
  readonly ask: <Name extends ActorSignalName>(
    name: Name,
    payload: SignalPayload<Name>,
    principal: Principal
  ) => Effect.Effect<SignalSuccess<Name>, SignalError>
}

export const makeTokenManagers = (
  system: ActorSystem,
  options: Omit<TokenManagerOptions, "tenant">
): TokenManagers => {
  const refOf = (tenant: string): Effect.Effect<ActorRef> => {
    const known = system.find(tenantAddress("token_manager", tenant))
    if (known !== undefined && !known.isClosed) return Effect.succeed(known)
    return system.spawn(tokenManager({ ...options, tenant }))
  }
  return {
    of: refOf,
    ask: (name, payload, principal) => {
      const known = system.find(tenantAddress("token_manager", principal.tenant))
      if (known !== undefined && !known.isClosed) return known.ask(name, payload, principal)
      return Effect.flatMap(refOf(principal.tenant), (ref) => ref.ask(name, payload, principal))
    }
  }
}
