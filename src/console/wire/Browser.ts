/**
 * The browser's side of the wire: same origin, session cookie.
 *
 * Owns: the addresses of the server that the page knows.
 */
import type { Identity } from "../model/Model.ts"
import type { Surroundings } from "./Connection.ts"
import type { Socket } from "./RpcClient.ts"

const UNKNOWN: Identity = { tenant: "", version: "", playground: false }

const identify = async (): Promise<Identity | null> => {
  const response = await fetch("/console.json", {
    method: "POST",
    headers: { accept: "application/json" },
    cache: "no-store"
  })
  if (response.status === 401 || response.status === 403) return null
  if (response.status === 404) return UNKNOWN
  if (!response.ok) throw new Error(`console.json: ${response.status}`)
  return { ...UNKNOWN, ...((await response.json()) as Partial<Identity>) }
}

/** Exchanges a key for a session cookie. Answers what went wrong, or `null`. */
export const signIn = async (key: string): Promise<string | null> => {
  const response = await fetch("/session", { method: "POST", headers: { authorization: `Bearer ${key}` } })
  if (response.ok) return null
  if (response.status === 401) return "This key is not known here, or it was revoked."
  if (response.status === 429) return "Too many tries. Wait a little, then try again."
  return `The server answered ${response.status}.`
}

/** Ends the session of this browser. */
export const signOut = async (): Promise<void> => {
  await fetch("/session", { method: "DELETE" })
}

export const browserSurroundings: Surroundings = {
  openSocket: () => {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:"
    return new WebSocket(`${scheme}//${location.host}/signals`, "bursar.v1") as Socket
  },
  identify,
  random: Math.random
}
