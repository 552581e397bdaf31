/**
 * What a durable machine has taken, so that it takes it once.
 *
 * Owns: how a signal is recognised, how much is remembered, and what there is no room to remember.
 * Does not decide: who still owes something (the store knows), or what a repeat is answered (DurableDraft).
 *
 * Signals of another durable machine come one after the other under growing numbers: the highest of each sender says of
 * all of them whether they were taken. A sender is forgotten where there is no more room for others, and then only one whose
 * signals have all been confirmed: it sends none of them again. Others are recognised by whose they are, their name and their
 * `request_id`; of these the last thousand are remembered, each with what it said.
 */
import { createHash } from "node:crypto"
import { canonicalJson } from "../signal/Canonical.ts"
import { installationPrincipal, type Principal } from "../signal/Principal.ts"
import type { Address } from "./Address.ts"
import type { OutgoingSignal, SeenSignal } from "./MachineStore.ts"

/** Requests that are remembered. */
export const REQUESTS_MAX = 1_000
/** Senders that are remembered. Where all of them may still send something again, nobody else is heard. */
export const SENDERS_MAX = 1_000

const SENDER = "durable:"
const NUMBERED = /^(durable:.+)#([1-9][0-9]*)$/su
const UNDELIVERED = "undelivered:"

const isSender = (id: string): boolean => id.startsWith(SENDER)

/**
 * As whom a durable machine sends one signal: the key's id names it and the number. No door gives such an id to anybody, so
 * a receiver can trust it.
 */
export const senderOf = (from: Address, { seq }: OutgoingSignal): Principal =>
  installationPrincipal(from.tenant, `${SENDER}${from.text}#${seq}`)

/** As whom a signal goes that its receiver had refused for good: later ones have arrived since, so its number says nothing. */
export const undeliveredOf = (from: Address, { seq }: OutgoingSignal): Principal =>
  installationPrincipal(from.tenant, `${UNDELIVERED}${from.text}#${seq}`)

/** The content of a request. The same words of keys that are forced to different attributions are different requests. */
const digestOf = (payload: unknown, { attribution }: Principal): string => {
  const content = Object.keys(attribution).length === 0 ? payload : { payload, attribution }
  return createHash("sha256").update(canonicalJson(content)).digest("base64url")
}

/** What is remembered of a signal: by its sender's number, else by its request id; `undefined`: nothing tells it. */
export const markOf = (principal: Principal, signal: string, payload: unknown): SeenSignal | undefined => {
  const { keyId, owner } = principal
  const [, sender, seq] = (principal.isInstallation ? NUMBERED.exec(keyId) : null) ?? []
  if (sender !== undefined) return { id: sender, mark: Number(seq), digest: null }
  const { request_id: requestId } = payload as { readonly request_id?: unknown }
  return typeof requestId === "string"
    ? { id: JSON.stringify([signal, owner, requestId]), mark: 0, digest: digestOf(payload, principal) }
    : undefined
}

/** What a mark says of a signal that comes: it is new, it is the same again, or its id was used for something else. */
export const repeats = (seen: SeenSignal | undefined, mark: SeenSignal): "new" | "same" | "other" =>
  seen === undefined || seen.mark < mark.mark ? "new" : seen.digest === mark.digest ? "same" : "other"

type Marks = ReadonlyMap<string, SeenSignal>

/** How many more there would be with those that are added. */
const more = (known: Marks, added: Marks, isOfThese: (id: string) => boolean): number => {
  let count = 0
  for (const id of added.keys()) if (isOfThese(id) && !known.has(id)) count += 1
  return count
}

/** The first so many that may go. */
const first = (known: Marks, count: number, mayGo: (id: string) => boolean): ReadonlyArray<string> => {
  const going: Array<string> = []
  for (const id of known.keys()) {
    if (going.length >= count) break
    if (mayGo(id)) going.push(id)
  }
  return going
}

/** What was taken, the longest ago first. */
export class SeenSignals {
  readonly #requests = new Map<string, SeenSignal>()
  readonly #senders = new Map<string, SeenSignal>()
  /** Senders that send nothing again of what was taken of them. */
  readonly #settled = new Set<string>()

  constructor(seen: ReadonlyArray<SeenSignal>) {
    for (const mark of seen) this.#of(mark.id).set(mark.id, mark)
  }

  #of(id: string): Map<string, SeenSignal> {
    return isSender(id) ? this.#senders : this.#requests
  }

  get(id: string): SeenSignal | undefined {
    return this.#of(id).get(id)
  }

  /** What to forget, so that no more is remembered than may be; besides what is added now. */
  surplus(added: Marks): ReadonlyArray<string> {
    const requests = this.#requests.size + more(this.#requests, added, (id) => !isSender(id))
    const senders = this.#senders.size + more(this.#senders, added, isSender)
    return [
      ...first(this.#requests, requests - REQUESTS_MAX, (id) => !added.has(id)),
      ...first(this.#senders, senders - SENDERS_MAX, (id) => this.#settled.has(id) && !added.has(id))
    ]
  }

  /** Whether it can be remembered beside what is added now. */
  hasRoomFor({ id }: SeenSignal, added: Marks): boolean {
    if (!isSender(id) || this.#senders.has(id) || added.has(id)) return true
    const staying = this.#unsettled.filter((known) => !added.has(known)).length
    return staying + [...added.keys()].filter(isSender).length < SENDERS_MAX
  }

  get #unsettled(): ReadonlyArray<string> {
    return [...this.#senders.keys()].filter((id) => !this.#settled.has(id))
  }

  /** Whose it is to be found out whether they owe anything, as addresses; none while there is room for so many more. */
  unsettled(room: number): ReadonlyArray<string> {
    if (this.#senders.size - this.#settled.size + room <= SENDERS_MAX) return []
    return this.#unsettled.map((id) => id.slice(SENDER.length))
  }

  /** All that was taken of these senders is confirmed. */
  settle(addresses: Iterable<string>): void {
    for (const address of addresses) this.#settled.add(`${SENDER}${address}`)
  }

  commit(added: Marks, forgotten: ReadonlyArray<string>): void {
    for (const id of forgotten) {
      this.#of(id).delete(id)
      this.#settled.delete(id)
    }
    for (const [id, mark] of added) {
      const marks = this.#of(id)
      marks.delete(id)
      marks.set(id, mark)
      this.#settled.delete(id)
    }
  }
}
