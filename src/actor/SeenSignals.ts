/**
 * What a durable machine has taken, so that it takes it once.
 *
 * Owns: how a signal is recognised, and how much is remembered.
 *
 * Signals of another durable machine come one after the other under growing numbers: the highest of each sender says of
 * all of them whether they were taken. Others are recognised by their `request_id`; of these the last thousand are
 * remembered.
 */
import { installationPrincipal, type Principal } from "../signal/Principal.ts"
import type { Address } from "./Address.ts"
import type { OutgoingSignal, SeenSignal } from "./MachineStore.ts"

/** Requests that are remembered, and senders. */
export const SEEN_MAX = 1_000

const SENDER = "durable:"

/**
 * As whom a durable machine sends one signal: the key's id names it and the number. No door gives such an id to anybody, so
 * a receiver can trust it.
 */
export const senderOf = (from: Address, { seq }: OutgoingSignal): Principal =>
  installationPrincipal(from.tenant, `${SENDER}${from.text}#${seq}`)

/** What is remembered of a signal: by its sender's number, else by its request id; `undefined`: nothing tells it. */
export const markOf = (principal: Principal, signal: string, payload: unknown): SeenSignal | undefined => {
  const { keyId } = principal
  const hash = keyId.lastIndexOf("#")
  if (principal.isInstallation && keyId.startsWith(SENDER) && hash > 0)
    return { id: keyId.slice(0, hash), mark: Number(keyId.slice(hash + 1)) }
  const { request_id: requestId } = payload as { readonly request_id?: unknown }
  return typeof requestId === "string" ? { id: `${signal} ${requestId}`, mark: 0 } : undefined
}

/** What was taken, the longest ago first. */
export class SeenSignals {
  readonly #marks: Map<string, number>

  constructor(seen: ReadonlyArray<SeenSignal>) {
    this.#marks = new Map(seen.map(({ id, mark }) => [id, mark]))
  }

  has({ id, mark }: SeenSignal): boolean {
    const seen = this.#marks.get(id)
    return seen !== undefined && seen >= mark
  }

  /** What to forget, so that no more is remembered than may be; besides what is added now. */
  surplus(added: ReadonlyMap<string, number>): ReadonlyArray<string> {
    let known = 0
    for (const id of added.keys()) if (!this.#marks.has(id)) known += 1
    const surplus: Array<string> = []
    let over = this.#marks.size + known - SEEN_MAX
    for (const id of this.#marks.keys()) {
      if (over <= 0) break
      if (added.has(id)) continue
      surplus.push(id)
      over -= 1
    }
    return surplus
  }

  commit(added: ReadonlyMap<string, number>, forgotten: ReadonlyArray<string>): void {
    for (const id of forgotten) this.#marks.delete(id)
    for (const [id, mark] of added) {
      this.#marks.delete(id)
      this.#marks.set(id, mark)
    }
  }
}
