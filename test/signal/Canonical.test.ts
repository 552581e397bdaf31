/** A digest is made of this text: what is the same content is one text, what is other content is another. */
import { assert, describe, it } from "@effect/vitest"
import { canonicalJson } from "../../src/signal/Canonical.ts"

const SAME: ReadonlyArray<readonly [string, unknown, unknown]> = [
  ["fields in another order", { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
  ["a field that is not set", { a: 1, b: undefined }, { a: 1 }],
  ["deep in a list", [{ a: 1, b: 2 }], [{ b: 2, a: 1 }]]
]

const OTHER: ReadonlyArray<readonly [string, unknown, unknown]> = [
  ["an object and a list of its entries", { a: 1 }, [["a", 1]]],
  ["an empty object and an empty list", { a: {} }, { a: [] }],
  ["a list in another order", [1, 2], [2, 1]],
  ["null and not set", { a: null }, {}],
  ["a number and its text", { a: 1 }, { a: "1" }],
  ["an amount and a number", { a: 1n }, { a: 1 }]
]

describe("the same content", () => {
  it.each(SAME)("%s", (_, left, right) => {
    assert.strictEqual(canonicalJson(left), canonicalJson(right))
  })
})

describe("other content", () => {
  it.each(OTHER)("%s", (_, left, right) => {
    assert.notStrictEqual(canonicalJson(left), canonicalJson(right))
  })
})
