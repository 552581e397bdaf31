/**
 * Who sends a signal.
 *
 * Owns: the facts that a credential carries. They never come from a payload.
 */
import type { Attribution } from "./Attribution.ts"
import type { Role } from "./Signal.ts"

export interface Principal {
  /** The key's id; `installation` for BURSAR_ADMIN_KEY, `host` for the process that embeds the runtime. */
  readonly keyId: string
  readonly owner: string
  readonly tenant: string
  readonly roles: ReadonlyArray<Role>
  /** Forced attribution: added to every payload; a contradiction is `Forbidden`. */
  readonly attribution: Attribution
  /** True for the installation's own key and for the embedding host: it may act for every tenant. */
  readonly isInstallation: boolean
}

export const DEFAULT_TENANT = "default"

/** The installation's own principal in one tenant. */
export const installationPrincipal = (
  tenant: string = DEFAULT_TENANT,
  keyId = "installation"
): Principal => ({
  keyId,
  owner: keyId,
  tenant,
  roles: ["admin"],
  attribution: {},
  isInstallation: true
})

export const hasRole = (principal: Principal, role: Role): boolean =>
  principal.roles.includes("admin") || principal.roles.includes(role)
