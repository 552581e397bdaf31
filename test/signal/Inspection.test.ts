/** The inspection protocol is documented: each event has an example that its schemas take, and there is no other. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { INSPECTION_EVENTS, INSPECTION_VERSION, InspectionEvent } from "../../src/signal/Inspection.ts"
import { schemaFiles } from "../../src/signal/JsonSchemas.ts"
import { readSource } from "../house/Sources.ts"
import { problemsOf } from "./support/JsonSchema.ts"

const page = readSource("docs/inspection.md").text
const examples = Array.from(
  page.matchAll(/^```json\n(.*?)^```$/gmsu),
  ([, text]) => JSON.parse(text ?? "") as { readonly [kind: string]: { readonly version: number } }
).filter((example) => !("recording" in example) && !("seq" in example))

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
