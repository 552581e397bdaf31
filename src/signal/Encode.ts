/**
 * Writes what the runtime has made as it is on the wire, fast.
 *
 * Owns: an encoder compiled from a schema's structure. It only touches what looks different on the wire: amounts and
 * times; and it leaves out what is absent. It checks nothing: the values are ours, not a client's.
 * Does not decide: the shapes. A test holds that it writes what the schema itself would write.
 */
import { type Schema, SchemaAST } from "effect"
import { formatAmount } from "./Money.ts"
import { formatTimestamp } from "./Text.ts"

type Encode = (value: unknown) => unknown
type Fields = { readonly [name: string]: unknown }

const same: Encode = (value) => value
const decimal: Encode = (value) => formatAmount(value as bigint)
const timestamp: Encode = (value) => formatTimestamp(value as number)

const objectOf = (ast: SchemaAST.Objects): Encode => {
  const fields = ast.propertySignatures.map(({ name, type }) => [String(name), compile(type)] as const)
  const [record] = ast.indexSignatures
  if (record !== undefined) {
    const encode = compile(record.type)
    if (encode === same) return same
    return (value) =>
      Object.fromEntries(Object.entries(value as Fields).map(([name, inner]) => [name, encode(inner)]))
  }
  return (value) => {
    const written: Record<string, unknown> = {}
    for (const [name, encode] of fields) {
      const inner = (value as Fields)[name]
      if (inner !== undefined) written[name] = encode(inner)
    }
    return written
  }
}

const arrayOf = (ast: SchemaAST.Arrays): Encode => {
  const [rest] = ast.rest
  if (rest === undefined || ast.elements.length > 0) throw new Error("only plain arrays are on the wire")
  const encode = compile(rest)
  return encode === same ? same : (value) => (value as ReadonlyArray<unknown>).map(encode)
}

/** Whether a value is of this member: its literals agree, and its required fields are there. */
const recognizer = (ast: SchemaAST.AST): ((value: unknown) => boolean) => {
  if (SchemaAST.isNull(ast)) return (value) => value === null
  if (!SchemaAST.isObjects(ast)) return (value) => value !== null
  const tests = ast.propertySignatures
    .filter(({ type }) => type.context?.isOptional !== true)
    .map(({ name, type }): ((value: Fields) => boolean) => {
      const key = String(name)
      if (SchemaAST.isLiteral(type)) return (value) => value[key] === type.literal
      return (value) => value[key] !== undefined
    })
  return (value) =>
    typeof value === "object" && value !== null && tests.every((test) => test(value as Fields))
}

const unionOf = (ast: SchemaAST.Union): Encode => {
  const members = ast.types.map((type) => ({ is: recognizer(type), encode: compile(type) }))
  if (members.every(({ encode }) => encode === same)) return same
  return (value) => {
    const member = members.find(({ is }) => is(value))
    if (member === undefined) throw new Error("a value of ours fits no member of its union")
    return member.encode(value)
  }
}

const compile = (ast: SchemaAST.AST): Encode => {
  if (ast.encoding !== undefined) {
    if (SchemaAST.isBigInt(ast)) return decimal
    if (SchemaAST.isNumber(ast)) return timestamp
    throw new Error(`no encoder for a transformed ${ast._tag}`)
  }
  if (SchemaAST.isObjects(ast)) return objectOf(ast)
  if (SchemaAST.isArrays(ast)) return arrayOf(ast)
  return SchemaAST.isUnion(ast) ? unionOf(ast) : same
}

/** The encoder of a schema of answers or events. */
export const encoderOf = (schema: Schema.Top): Encode => compile(schema.ast)
