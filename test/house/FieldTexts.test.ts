import { deepStrictEqual } from "node:assert"
import { SignatureKind } from "typescript/unstable/sync"
import { describe, expect, it } from "vitest"
import { at, type Json, type Types, textOf, withTexts, withTypes } from "../../scripts/FieldTexts.ts"
import { generatedFiles } from "../../scripts/Generated.ts"
import { HOST_SIGNALS, type HostSignal } from "../../src/host/HostSignals.ts"
import { SIGNALS } from "../../src/signal/Catalogue.ts"
import { schemaFiles } from "../../src/signal/JsonSchemas.ts"
import { traitsOf } from "../../src/signal/Signal.ts"
import { readSource } from "./Sources.ts"

const schemaOf = (file: string): Json => JSON.parse(readSource(`schemas/${file}`).text)

const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null

/** A schema as it was before its fields were described. */
const withoutTexts = (node: unknown, isProperties = false): unknown => {
  if (Array.isArray(node)) return node.map((inner) => withoutTexts(inner))
  if (!isJson(node)) return node
  return Object.fromEntries(
    Object.entries(node)
      .filter(([name]) => isProperties || name !== "description")
      .map(([name, inner]) => [name, withoutTexts(inner, name === "properties")])
  )
}

const clientIn = (types: Types) => types.declared("src/host/Client.ts", "Client")

/** The type of what a method takes, and of what it is fulfilled with. */
const signatureOf = (types: Types, name: HostSignal) => {
  const { checker } = types
  const [signature] = checker.getSignaturesOfType(at(types, clientIn(types), name), SignatureKind.Call)
  const params = signature && checker.getParameterType(signature, 0)
  const promise = signature && checker.getReturnTypeOfSignature(signature)
  const result = promise?.isObjectType() && promise.isTypeReference() && checker.getTypeArguments(promise)[0]
  if (!params || !result) throw new Error(`${name} is no method`)
  return { params: checker.getNonNullableType(params) ?? params, result }
}

describe("what is generated", () => {
  it("is what src says today", () => {
    for (const [path, text] of Object.entries(generatedFiles())) {
      expect(text === readSource(path).text, `${path}: npm run generate`).toBe(true)
    }
  })

  it("describes every field of every signal, and changes nothing else", () => {
    for (const [file, plain] of Object.entries(schemaFiles())) {
      if (file === "openrpc.json") continue
      const written = schemaOf(file)
      deepStrictEqual(withoutTexts(written), withoutTexts(JSON.parse(JSON.stringify(plain))), file)
      const fields = (written.properties ?? {}) as { readonly [name: string]: Json }
      const silent = Object.keys(fields).filter((name) => !String(fields[name]?.description ?? "").trim())
      expect(silent, file).toEqual([])
    }
  })

  it("says in openrpc.json what each param is, and which errors a method has", () => {
    const { methods } = schemaOf("openrpc.json") as {
      methods: ReadonlyArray<{ params: ReadonlyArray<Json>; errors: ReadonlyArray<Json> }>
    }
    for (const { params, errors } of methods) {
      expect(params.filter(({ description }) => typeof description !== "string")).toEqual([])
      expect(errors.length).toBeGreaterThan(0)
    }
  })

  it("would not be without a text: an internal signal has fields of which nothing is said", () => {
    const missing: Array<string> = []
    withTypes((types) => {
      const named = types.constant("src/signal/Forgetting.ts", "ForgetNamed")
      const type = at(types, named, "payloadSchema", "Encoded")
      const fields = ["request_id", "user_id", "pseudonym", "user_key", "fresh"]
      const schema = { properties: Object.fromEntries(fields.map((name) => [name, {}])) }
      withTexts(types, schema, type, "forget_named", (path) => missing.push(path))
      expect(() =>
        withTexts(types, { properties: { no_such_field: {} } }, type, "forget_named", () => {})
      ).toThrow("no type of its own")
    })
    expect(missing).toEqual(["forget_named.pseudonym", "forget_named.user_key", "forget_named.fresh"])
  })
})

describe("an editor shows", () => {
  it("of every method of a client what it does; of a signal its description, its roles and its errors", () => {
    withTypes((types) => {
      const client = clientIn(types)
      const names = types.checker.getPropertiesOfType(client).map(({ name }) => name)
      expect(names.filter((name) => textOf(types, client, name) === "")).toEqual([])
      for (const name of HOST_SIGNALS) {
        const { description, roles, fails } = traitsOf(SIGNALS[name])
        const text = textOf(types, client, name)
        expect(text).toContain(description)
        for (const said of [...roles, "admin", ...fails]) expect(text).toContain(`\`${said}\``)
      }
    })
  })

  it("of every field that a method takes or answers what the schemas say of it", () => {
    withTypes((types) => {
      for (const name of HOST_SIGNALS) {
        const { params, result } = signatureOf(types, name)
        const [taken, answered] = [schemaOf(`${name}.json`), schemaOf(`${name}.result.json`)]
        const told = Object.entries((taken.properties ?? {}) as { readonly [field: string]: Json })
        for (const [field, { description }] of told) {
          // A call's text is read by `stream`.
          if (name === "complete" && field === "stream") continue
          expect(textOf(types, params, field), `${name}.${field}`).toBe(description)
        }
        for (const [field, inner] of Object.entries(
          (answered.properties ?? {}) as { readonly [field: string]: Json }
        )) {
          expect(textOf(types, result, field), `${name}.${field}`).toBe(inner.description)
        }
      }
    })
  })
})
