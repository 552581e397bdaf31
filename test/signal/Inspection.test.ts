/** The inspection protocol is documented: each event has an example that its schemas take, and there is no other. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { readRecording } from "../../src/runtime/RecordingReader.ts"
import { INSPECTION_EVENTS, INSPECTION_VERSION, InspectionEvent } from "../../src/signal/Inspection.ts"
import { schemaFiles } from "../../src/signal/JsonSchemas.ts"
import { readSource } from "../house/Sources.ts"
import { problemsOf } from "./support/JsonSchema.ts"

const page = readSource("docs/inspection.md").text
const all = Array.from(
  page.matchAll(/^```json\n(.*?)^```$/gmsu),
  ([, text]) => JSON.parse(text ?? "") as { readonly [kind: string]: { readonly version: number } }
)
const isLine = (example: object) => "recording" in example || "seq" in example
const examples = all.filter((example) => !isLine(example))

const kindOf = (value: object): string => Object.keys(value)[0] ?? ""
const kinds = INSPECTION_EVENTS.map(({ fields }) => kindOf(fields))
const schema = schemaFiles()["inspection.json"] ?? {}

describe("the page of the inspection protocol", () => {
  it("has an example of each event, once, in the version that there is", () => {
    assert.deepStrictEqual(examples.map(kindOf).sort(), [...kinds].sort())
    for (const example of examples) assert.strictEqual(example[kindOf(example)]?.version, INSPECTION_VERSION)
  })

  for (const example of examples) {
    it(`${kindOf(example)}: its example is what both schemas take, to the last field`, () => {
      const strict = { onExcessProperty: "error" } as const
      const decoded = Schema.decodeUnknownSync(InspectionEvent, strict)(example)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(Schema.encodeSync(InspectionEvent)(decoded))), example)
      assert.deepStrictEqual(problemsOf(schema, example), [])
    })

    it(`${kindOf(example)}: a field that is missing is noticed by both`, () => {
      const kind = kindOf(example)
      const { at: _, ...rest } = example[kind] as { readonly at?: string }
      assert.throws(() => Schema.decodeUnknownSync(InspectionEvent)({ [kind]: rest }))
      assert.isNotEmpty(problemsOf(schema, { [kind]: rest }))
    })
  }
})

it("the page has an example of each line of a recording, in an order in which they can stand in a file", async () => {
  const lines = all.filter(isLine)
  const folder = mkdtempSync(join(tmpdir(), "bursar-test-"))
  const file = join(folder, "page.jsonl")
  writeFileSync(file, `${lines.map((line) => JSON.stringify(line)).join("\n")}\n`)
  const kinds: Array<string> = []
  for await (const { kind } of readRecording(file)) kinds.push(kind)
  rmSync(folder, { recursive: true })
  assert.deepStrictEqual(kinds, ["begun", "event", "gap", "ended"])
  for (const line of lines)
    assert.deepStrictEqual(problemsOf(schemaFiles()["recording.json"] ?? {}, line), [])
})
