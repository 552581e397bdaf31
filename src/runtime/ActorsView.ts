/**
 * Shows the actors of this node.
 *
 * Owns: list_actors and inspect_actor, and what of a shared actor a tenant may see.
 */
import { Effect } from "effect"
import type { ActorEntry, ActorSystem } from "../actor/ActorSystem.ts"
import type { ActorInfo } from "../signal/Actors.ts"
import type { SignalPayload, SignalSuccess } from "../signal/Catalogue.ts"
import { invalidParam, NotFound, type SignalError } from "../signal/Errors.ts"
import type { Principal } from "../signal/Principal.ts"
import { isVisible, shownInfo } from "./Topics.ts"

const byAddress = (a: ActorEntry, b: ActorEntry): number => (a.address.text < b.address.text ? -1 : 1)

/** The next page begins after this address. */
export const cursorAfter = (address: string): string => Buffer.from(address).toString("base64url")

/** Pages go by address, so that an actor that comes or goes shifts nothing. */
export const listActors = (
  system: ActorSystem,
  payload: SignalPayload<"list_actors">,
  principal: Principal
): Effect.Effect<SignalSuccess<"list_actors">, SignalError> => {
  const after = payload.cursor === undefined ? "" : Buffer.from(payload.cursor, "base64url").toString()
  if (payload.cursor !== undefined && !after.includes("/")) {
    return Effect.fail(invalidParam(["cursor"], "This is not a cursor of list_actors"))
  }
  const visible = system
    .entries()
    .filter(({ address }) => isVisible(address, principal))
    .filter(({ address }) => payload.kind === undefined || address.kind === payload.kind)
    .filter(({ address }) => address.text > after)
    .sort(byAddress)
  const page = visible.slice(0, payload.limit)
  const last = page.at(-1)
  const hasMore = visible.length > page.length && last !== undefined
  return Effect.succeed({
    items: page.map(({ info, address }) => shownInfo(info, address, principal)),
    next_cursor: hasMore ? cursorAfter(last.address.text) : null
  })
}

type Inside = Omit<SignalSuccess<"inspect_actor">, keyof ActorInfo>

const insideOf = (entry: ActorEntry): Inside => {
  const { children, supervision, mailbox } = entry.details()
  const { waiting, ...counts } = mailbox
  return {
    tags: [],
    meta: {},
    ...entry.insight(),
    children,
    supervision: supervision.map(({ pauseMs, ...decided }) => ({ ...decided, pause_ms: pauseMs })),
    mailbox: { ...counts, senders_waiting: waiting }
  }
}

/** Of a shared actor, what goes on inside is nobody's business but the installation's. */
const HIDDEN: Inside = {
  machine: null,
  tags: [],
  meta: {},
  context: {},
  children: [],
  supervision: [],
  mailbox: { policy: "refuse", refused: 0, dropped: 0, waited: 0, senders_waiting: 0, stashed: 0 }
}

export const noSuchActor = (address: string): NotFound =>
  new NotFound({
    kind: "actor",
    id: address,
    message: `No actor lives at ${address}; list_actors shows those that do`
  })

export const inspectActor = (
  system: ActorSystem,
  payload: SignalPayload<"inspect_actor">,
  principal: Principal
): Effect.Effect<SignalSuccess<"inspect_actor">, SignalError> => {
  const entry = system.entry(payload.address)
  if (entry === undefined || !isVisible(entry.address, principal)) {
    return Effect.fail(noSuchActor(payload.address))
  }
  const isHidden = entry.address.tenant === undefined && !principal.isInstallation
  return Effect.succeed({
    ...shownInfo(entry.info, entry.address, principal),
    ...(isHidden ? HIDDEN : insideOf(entry))
  })
}
