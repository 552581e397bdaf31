/**
 * What src/signal says of each field in its JSDoc, as an editor shows it, put into JSON Schemas as `description`s.
 *
 * Owns: following a JSON Schema and the TypeScript type of the same value side by side. The text is asked of the compiler
 * as an editor asks for it, through every type in between: what arrives here is seen when hovering over the field.
 * Does not decide: what a schema is (src/signal/JsonSchemas).
 */
import { fileURLToPath } from "node:url"
import { API, type Checker, type Symbol as Member, type Type } from "typescript/unstable/sync"

export interface Json {
  readonly [name: string]: unknown
}

/** The types of the project, while they are open. */
export interface Types {
  readonly checker: Checker
  /** A constant that a file exports. */
  readonly constant: (file: string, name: string) => Type
  /** What an interface or a class of a file says of its members. */
  readonly declared: (file: string, name: string) => Type
}

const root = fileURLToPath(new URL("../", import.meta.url))

/** Opens the compiler; it is a process of its own, so it is closed whatever happens. */
export const withTypes = <A>(use: (types: Types) => A, configFile = "scripts/texts.tsconfig.json"): A => {
  const api = new API({ cwd: root })
  try {
    const config = `${root}${configFile}`
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config)
    if (project === undefined) throw new Error(`${config} could not be opened`)
    const { program, checker } = project
    const exported = (path: string, name: string): Member => {
      const file = program.getSourceFile(`${root}${path}`)
      const module = file && checker.getSymbolAtLocation(file)
      const found = module && checker.getMemberInModuleExports(module, name)
      if (found === undefined) throw new Error(`${path} exports no ${name}`)
      return found
    }
    return use({
      checker,
      constant: (file, name) => typeOf(checker, exported(file, name)),
      declared: (file, name) => checker.getDeclaredTypeOfSymbol(exported(file, name))
    })
  } finally {
    api.close()
  }
}

const typeOf = (checker: Checker, member: Member): Type => {
  const type = checker.getTypeOfSymbol(member)
  if (type === undefined) throw new Error(`${member.name} has no type`)
  return type
}

/** The type under these names: `at(types, signals, "check_budget", "payloadSchema", "Encoded")`. */
export const at = ({ checker }: Types, type: Type, ...names: ReadonlyArray<string>): Type =>
  names.reduce((inner, name) => {
    const member = checker.getPropertyOfType(inner, name)
    if (member === undefined) throw new Error(`There is no ${name} in ${checker.typeToString(inner)}`)
    return typeOf(checker, member)
  }, type)

/** What an editor shows of a member, in one line. */
export const textOf = ({ checker }: Types, type: Type, name: string): string => {
  const member = checker.getPropertyOfType(type, name)
  return member === undefined
    ? ""
    : checker.getDocumentationCommentOfSymbol(member).replaceAll(/\s+/gu, " ").trim()
}

type Fields = ReadonlyMap<string, Type>

/** The objects that a type can be; of a list, its items; of a record, its values. `Json` has itself inside. */
export const objectsIn = ({ checker }: Types, type: Type): ReadonlyArray<Type> => {
  const seen = new Map<number, Type>()
  const look = (inner: Type): void => {
    if (seen.has(inner.id)) return
    seen.set(inner.id, inner)
    if (inner.isUnionType()) inner.getTypes().forEach(look)
    else if (checker.isArrayType(inner) && inner.isTypeReference())
      checker.getTypeArguments(inner).forEach(look)
    else if (inner.isObjectType()) {
      for (const { valueType } of checker.getIndexInfosOfType(inner)) look(valueType)
    }
  }
  look(type)
  return [...seen.values()].filter((inner) => inner.isObjectType() && !checker.isArrayType(inner))
}

export const isJson = (value: unknown): value is Json => typeof value === "object" && value !== null

/** Fields that say nothing of themselves, each by its path. */
export type Missing = (path: string) => void

/** A schema with a description at each field. */
export const withTexts = (types: Types, schema: Json, type: Type, title: string, missing: Missing): Json => {
  const definitions = isJson(schema.$defs) ? schema.$defs : {}
  const written = new Map<string, unknown>()
  const known = new Map<number, Fields>()

  const fieldsOf = (object: Type): Fields => {
    const seen = known.get(object.id)
    if (seen !== undefined) return seen
    const members = types.checker.getPropertiesOfType(object)
    const fields = new Map(members.map((member) => [member.name, typeOf(types.checker, member)]))
    known.set(object.id, fields)
    return fields
  }

  const propertiesOf = (properties: Json, candidates: ReadonlyArray<Type>, path: string): Json => {
    const names = Object.keys(properties)
    const object = candidates.find((candidate) => {
      const fields = fieldsOf(candidate)
      return fields.size === names.length && names.every((name) => fields.has(name))
    })
    if (object === undefined) throw new Error(`${path} has no type of its own: ${names.join(", ")}`)
    return Object.fromEntries(
      names.map((name) => {
        const place = `${path}.${name}`
        const text = textOf(types, object, name)
        const inner = described(
          properties[name] as Json,
          objectsIn(types, fieldsOf(object).get(name) as Type),
          place
        )
        if (text === "") missing(place)
        else if (inner.description !== undefined) throw new Error(`${place} is described twice`)
        return [name, text === "" ? inner : { ...inner, description: text }]
      })
    )
  }

  const described = (node: Json, candidates: ReadonlyArray<Type>, path: string): Json => {
    if (typeof node.$ref === "string") {
      const name = node.$ref.slice("#/$defs/".length)
      if (!written.has(name)) {
        written.set(name, undefined)
        written.set(name, described(definitions[name] as Json, candidates, name))
      }
      return node
    }
    const each = (value: unknown) => (isJson(value) ? described(value, candidates, path) : value)
    const copy: Record<string, unknown> = { ...node }
    if (isJson(node.properties)) copy.properties = propertiesOf(node.properties, candidates, path)
    for (const key of ["items", "additionalProperties"]) if (key in copy) copy[key] = each(copy[key])
    for (const key of ["anyOf", "oneOf", "allOf"]) {
      if (Array.isArray(copy[key])) copy[key] = copy[key].map(each)
    }
    return copy
  }

  const { $defs: _, ...plain } = schema
  const top = described(plain, objectsIn(types, type), title)
  const names = Object.keys(definitions)
  return names.length === 0
    ? top
    : { ...top, $defs: Object.fromEntries(names.map((name) => [name, written.get(name)])) }
}
