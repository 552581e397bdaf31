/**
 * The texts of fields for the console's forms, taken from the described schemas.
 *
 * Owns: their shape: for each signal, and once for what several have in common (`$defs`), each text by the path of its field.
 * Does not decide: what is said of a field (its JSDoc in src/signal).
 */
import type { Json } from "./FieldTexts.ts"

type Texts = Record<string, string>

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null

/** Every `description` below a node, by the names on the way to it. */
const collect = (node: unknown, path: ReadonlyArray<string>, texts: Texts): Texts => {
  if (!isJson(node)) return texts
  if (path.length > 0 && typeof node.description === "string") texts[path.join("/")] = node.description
  for (const [name, inner] of Object.entries(node)) if (isJson(inner)) collect(inner, [...path, name], texts)
  return texts
}

/** By the path of a definition inside `$defs`, or by a signal's name. */
export const formTexts = (schemas: { readonly [name: string]: Json }): string => {
  const shared: Texts = {}
  const signals: Record<string, Texts> = {}
  for (const [name, { $defs, ...schema }] of Object.entries(schemas)) {
    signals[name] = collect(schema, [], {})
    for (const [path, text] of Object.entries(collect($defs, [], {}))) {
      if ((shared[path] ?? text) !== text) throw new Error(`${path} of ${name} has two texts`)
      shared[path] = text
    }
  }
  return `${JSON.stringify({ shared, signals }, null, 2)}\n`
}
