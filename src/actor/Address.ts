/**
 * Where an actor is, by kind and id: `token_manager/TENANT`, `call/TENANT/REQUEST_ID`, `provider/NAME`.
 *
 * Owns: how an address is written, and which tenant it belongs to.
 * Does not decide: on which node the actor lives.
 */

export interface Address {
  readonly kind: string
  /** `undefined`: shared by all tenants. */
  readonly tenant: string | undefined
  /** The whole address as text. It is unique. */
  readonly text: string
}

/** An address that belongs to a tenant, and is the tenant's only one of its kind. */
export const tenantAddress = (kind: string, tenant: string): Address => ({
  kind,
  tenant,
  text: `${kind}/${tenant}`
})

/** An address inside a tenant. */
export const scopedAddress = (kind: string, tenant: string, id: string): Address => ({
  kind,
  tenant,
  text: `${kind}/${tenant}/${id}`
})

/** An address that all tenants share. */
export const sharedAddress = (kind: string, name: string): Address => ({
  kind,
  tenant: undefined,
  text: `${kind}/${name}`
})

/** The address of a kind that belongs to a tenant, from what stands behind the kind: `TENANT` or `TENANT/ID`. */
export const addressOf = (kind: string, rest: string): Address => {
  const slash = rest.indexOf("/")
  return { kind, tenant: slash === -1 ? rest : rest.slice(0, slash), text: `${kind}/${rest}` }
}

/** The address inside a tenant that this text is. */
export const addressFrom = (text: string): Address => {
  const [kind = "", tenant] = text.split("/", 2)
  return { kind, tenant, text }
}

/** What stands behind the kind of an address. */
export const restOf = ({ kind, text }: Address): string => text.slice(kind.length + 1)

export const isAddress = (value: unknown): value is Address => {
  const { kind, text } = Object(value) as Partial<Address>
  return typeof kind === "string" && typeof text === "string" && text.startsWith(`${kind}/`)
}

/** What is wrong with the address of something of this kind inside a tenant; most often it is its text alone. */
export const addressProblem = (kind: string, value: unknown): string | undefined => {
  const made = `made by scopedAddress(${JSON.stringify(kind)}, TENANT, ID)`
  if (!isAddress(value)) {
    const given = typeof value === "string" ? JSON.stringify(value.slice(0, 200)) : "What was given"
    return `${given} is no address, which is an object with a kind, a tenant and a text, ${made}`
  }
  return value.kind === kind && value.tenant !== undefined
    ? undefined
    : `${value.text} is not an address of a ${kind}: ${kind}/TENANT/ID is, ${made}`
}
