/**
 * Where a child is inside a durable machine, as text: the ids on the way to it, `child/grandchild`.
 *
 * Owns: how a path is written. The machine itself is at the empty path. No two children have one path, and no path has one
 * of the characters that keys are put together with.
 */
import type { AnyActorRef, AnyMachineSnapshot } from "xstate"

const SPECIAL = /[%/#:]/gu

const written = (id: string): string =>
  id.replace(SPECIAL, (character) => `%${character.charCodeAt(0).toString(16)}`)

const read = (part: string): string =>
  part.replace(/%([0-9a-f]{2})/gu, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))

/** The path of a child of whoever is at `parent`. */
export const childPath = (parent: string, id: string): string =>
  parent === "" ? written(id) : `${parent}/${written(id)}`

export const parentPath = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")))

/** The ids on the way, the outermost first. */
export const idsOf = (path: string): ReadonlyArray<string> => (path === "" ? [] : path.split("/").map(read))

/** The child at a path, whoever of its parents runs it. */
export const childAt = (snapshot: AnyMachineSnapshot, path: string): AnyActorRef | undefined => {
  let inside: AnyMachineSnapshot | undefined = snapshot
  let found: AnyActorRef | undefined
  for (const id of idsOf(path)) {
    const children = inside?.children as { readonly [id: string]: AnyActorRef | undefined } | undefined
    found = children?.[id]
    inside = found?.getSnapshot() as AnyMachineSnapshot | undefined
  }
  return found
}
