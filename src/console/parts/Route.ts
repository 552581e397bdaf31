/**
 * Which room is shown. It stands in the address, so that a link leads back to it.
 *
 * Owns: `#/ROOM` and `#/ROOM/SUBJECT`; the subject is an actor's address, a workflow's id, a signal's name or
 * a filter of refusals.
 */
import { useSyncExternalStore } from "react"

export const ROOMS = [
  "overview",
  "workflows",
  "budgets",
  "overrides",
  "actors",
  "calls",
  "signals",
  "letters",
  "refusals",
  "send"
] as const
export type Room = (typeof ROOMS)[number]

export const ROOM_TITLES: { readonly [R in Room]: string } = {
  overview: "Overview",
  workflows: "Workflows",
  budgets: "Budgets",
  overrides: "Overrides",
  actors: "Actors",
  calls: "Calls",
  signals: "Signals",
  letters: "Dead letters",
  refusals: "Refusals",
  send: "Send"
}

const KEYS = "1234567890"

/** The key that leads to a room. */
export const keyTo = (room: Room): string => KEYS[ROOMS.indexOf(room)] ?? ""

export const roomOfKey = (key: string): Room | undefined => ROOMS.find((room) => keyTo(room) === key)

export interface Route {
  readonly room: Room
  readonly subject: string | null
}

export const hrefTo = (room: Room, subject?: string): string => {
  const path = room === "overview" ? "" : room
  return subject === undefined ? `#/${path}` : `#/${path}/${encodeURIComponent(subject)}`
}

export const goTo = (room: Room, subject?: string): void => {
  location.hash = hrefTo(room, subject)
}

const decode = (text: string): string | null => {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

export const routeOf = (hash: string): Route => {
  const [, name = "", subject] = /^#\/?([^/]*)(?:\/(.*))?$/su.exec(hash) ?? []
  const room = ROOMS.find((known) => known === name) ?? "overview"
  return { room, subject: subject === undefined || subject === "" ? null : decode(subject) }
}

const subscribe = (tell: () => void): (() => void) => {
  addEventListener("hashchange", tell)
  return () => removeEventListener("hashchange", tell)
}

export const useRoute = (): Route => routeOf(useSyncExternalStore(subscribe, () => location.hash))
