/** The form of a signal says of each field what its schema says. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { definitionOf, SIGNAL_NAMES } from "../../src/console/form/Definitions.ts"

type Node = { readonly [name: string]: unknown }

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null

/** What is said of each field, by its path. */
const textsIn = (node: Node, path = ""): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(node).flatMap(([name, inner]) => {
    const own = name === "description" && typeof inner === "string" ? [[path, inner] as const] : []
    return isNode(inner) ? [...own, ...textsIn(inner, `${path}/${name}`)] : own
  })

const schemaOf = (name: string): Node =>
  JSON.parse(readFileSync(new URL(`../../schemas/${name}.json`, import.meta.url), "utf8"))

describe("a form", () => {
  it.each(SIGNAL_NAMES)("of %s says what each field is", (name) => {
    const { schema } = definitionOf(name)
    const shown = new Map(textsIn(schema as Node))
    for (const [field, inner] of Object.entries((schema.properties ?? {}) as Node)) {
      assert.isString((inner as Node).description, `${name}.${field}`)
    }
    const known = Object.keys(schema.properties ?? {})
    for (const [path, text] of textsIn(schemaOf(name))) {
      const [, place, field] = path.split("/")
      // What this version refuses is not in the form.
      if (place === "properties" && !known.includes(field ?? "")) continue
      assert.strictEqual(shown.get(path), text, `${name}${path}`)
    }
  })
})
