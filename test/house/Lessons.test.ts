/** The table of lessons names tests that exist (test/README.md), and every lesson that a test's name has is in it. */
import { describe, expect, it } from "vitest"
import { readSource, repositoryFiles } from "./Sources.ts"

interface Row {
  readonly lesson: number
  readonly path: string
  readonly name: string
}

/** Rows like "| 3 | what must hold | `file`: the name of a test |"; a row without a number goes on with the one before. */
const rowsOf = (table: string): ReadonlyArray<Row> => {
  let lesson = 0
  return table.split("\n").flatMap((line) => {
    const [, number, path, name] = /^\| (\d*) ?\|.*\| `([^`]+)`: (.+) \|$/u.exec(line) ?? []
    if (path === undefined || name === undefined) return []
    if (number !== "") lesson = Number(number)
    return [{ lesson, path, name }]
  })
}

const rows = rowsOf(readSource("test/README.md").text)

describe("the table of lessons", () => {
  it("has a test for most of them", () => {
    expect(rows.length).toBeGreaterThan(40)
  })

  it.each(rows)("lesson $lesson: $path has the test: $name", ({ path, name }) => {
    expect(repositoryFiles()).toContain(path)
    expect(readSource(path).text).toContain(name)
  })

  it("has every lesson that a test is named after", () => {
    const named = repositoryFiles()
      .filter((path) => path.startsWith("test/") && path.endsWith(".test.ts"))
      .flatMap((path) =>
        Array.from(readSource(path).text.matchAll(/"lesson (\d+):/gu), ([, number]) => Number(number))
      )
    const known = new Set(rows.map(({ lesson }) => lesson))
    expect(named.filter((lesson) => !known.has(lesson))).toEqual([])
  })
})
