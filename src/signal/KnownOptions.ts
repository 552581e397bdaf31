/**
 * Refusing options that there are not, or that are something else: in JavaScript a misspelt one would be ignored, and its
 * default would stand.
 *
 * Owns: comparing what was given with the names there are, at every depth, and with what each has to be; how it is worded.
 * Does not decide: which options there are (whoever takes them), or whether a value of the right kind can be used.
 */
import { Redacted } from "effect"
import { InvalidParams } from "./Errors.ts"
import { nearest } from "./Nearest.ts"

type Plain = string | number | boolean | Date | ReadonlyArray<unknown> | ((...args: never) => unknown)

type Issue = InvalidParams["issues"][number]

/** What a value has to be. */
export class Kind {
  readonly what: string
  readonly isOne: (value: unknown) => boolean
  /** Whether what was given in its place may be shown. */
  readonly isSecret: boolean
  /** The words that it can be, where these are all. */
  readonly words: ReadonlyArray<string>

  constructor(
    what: string,
    isOne: (value: unknown) => boolean,
    {
      isSecret = false,
      words = []
    }: { readonly isSecret?: boolean; readonly words?: ReadonlyArray<string> } = {}
  ) {
    this.what = what
    this.isOne = isOne
    this.isSecret = isSecret
    this.words = words
  }

  /** What is wrong with a value. */
  issues(value: unknown, path: ReadonlyArray<string>): ReadonlyArray<Issue> {
    if (this.isOne(value)) return []
    const guess = typeof value === "string" ? nearest(value, this.words) : undefined
    const hint = guess === undefined ? "" : `. Did you mean ${JSON.stringify(guess)}?`
    const found = this.isSecret ? "something else" : shown(value)
    return [{ path, message: `Expected ${this.what}, found ${found}${hint}` }]
  }
}

/** A list of these. */
class ListKind extends Kind {
  readonly #of: Kind

  constructor(of: Kind) {
    super("a list", Array.isArray)
    this.#of = of
  }

  override issues(value: unknown, path: ReadonlyArray<string>): ReadonlyArray<Issue> {
    return Array.isArray(value)
      ? value.flatMap((item: unknown, index) => this.#of.issues(item, [...path, String(index)]))
      : super.issues(value, path)
  }
}

const isNumber = (value: unknown): value is number => typeof value === "number" && !Number.isNaN(value)

export const TEXT = new Kind("a text", (value) => typeof value === "string")
export const SECRET = new Kind("a text", (value) => typeof value === "string", { isSecret: true })
export const REDACTED = new Kind("a secret made by Redacted.make(…)", Redacted.isRedacted, { isSecret: true })
export const WORD = new Kind("a text that is not empty", (value) => typeof value === "string" && value !== "")
export const SWITCH = new Kind("true or false", (value) => typeof value === "boolean")
export const LIST = new Kind("a list", Array.isArray)
export const FUNCTION = new Kind("a function", (value) => typeof value === "function")
export const OBJECT = new Kind(
  "an object",
  (value) => typeof value === "object" && value !== null && !Array.isArray(value)
)
export const NUMBER = new Kind("a number", isNumber)
export const COUNT = new Kind(
  "a whole number above zero",
  (value) => Number.isSafeInteger(value) && (value as number) > 0
)
export const AT_LEAST_ZERO = new Kind("zero or more", (value) => isNumber(value) && value >= 0)
export const ABOVE_ZERO = new Kind("above zero", (value) => isNumber(value) && value > 0)
export const PORT = new Kind(
  "a whole number from 0 to 65535",
  (value) => Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 65_535
)

/** One of these words. */
export const oneOf = (...words: ReadonlyArray<string>): Kind =>
  new Kind(
    words.map((word) => JSON.stringify(word)).join(" or "),
    (value) => words.includes(value as string),
    {
      words
    }
  )

export const listOf = (kind: Kind): Kind => new ListKind(kind)

/** The names of all options: what each has to be, or the names inside. The compiler asks for a line where an option is new. */
export type Known<Options> = {
  readonly [Name in keyof Options]-?: NonNullable<Options[Name]> extends Plain
    ? Kind
    : string extends keyof NonNullable<Options[Name]>
      ? Kind
      : Known<NonNullable<Options[Name]>> | Kind
}

interface Names {
  readonly [name: string]: Kind | Names
}

const BEGINNING_LENGTH_MIN = 3
const SHOWN_LENGTH_MAX = 40

/** The closest name; where none is close, those that begin so: `data` of `dataDirectory`. */
const hintFor = (name: string, names: ReadonlyArray<string>): string => {
  const closest = nearest(name, names)
  const begun =
    name.length < BEGINNING_LENGTH_MIN ? [] : names.filter((candidate) => candidate.startsWith(name))
  const guesses = closest === undefined ? begun : [closest]
  return guesses.length === 0
    ? `Known are: ${names.join(", ")}`
    : `Did you mean ${guesses.map((guess) => JSON.stringify(guess)).join(" or ")}?`
}

const shown = (value: unknown): string => {
  if (value === null || typeof value === "number" || typeof value === "boolean") return String(value)
  if (typeof value === "string") return value.length > SHOWN_LENGTH_MAX ? "a text" : JSON.stringify(value)
  if (Array.isArray(value)) return "a list"
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}

const unknownIn = (given: unknown, known: Names, path: ReadonlyArray<string>): ReadonlyArray<Issue> => {
  const names = Object.keys(known)
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return [{ path, message: `Expected an object with ${names.join(", ")}` }]
  }
  return Object.entries(given).flatMap(([name, value]): ReadonlyArray<Issue> => {
    const inner = Object.hasOwn(known, name) ? known[name] : undefined
    const place = [...path, name]
    if (inner === undefined) return [{ path: place, message: `Unknown option. ${hintFor(name, names)}` }]
    if (value === undefined) return []
    return inner instanceof Kind ? inner.issues(value, place) : unknownIn(value, inner, place)
  })
}

/** Whether there is nothing to say: most of the time there is not, and nothing is made to find that out. */
const fits = (given: unknown, known: Names): boolean => {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return false
  for (const name of Object.keys(given)) {
    const inner = Object.hasOwn(known, name) ? known[name] : undefined
    const value = (given as { readonly [name: string]: unknown })[name]
    if (inner === undefined) return false
    if (value === undefined) continue
    if (inner instanceof ListKind) {
      if (inner.issues(value, []).length > 0) return false
    } else if (inner instanceof Kind ? !inner.isOne(value) : !fits(value, inner)) return false
  }
  return true
}

/**
 * `InvalidParams` that names every option that there is not, with the name that was probably meant, and each that is
 * something else than it has to be; `undefined` where all are right. `what`: how all of them are called.
 */
export const optionsRefused = <Options extends object>(
  given: Options,
  known: Known<Options>,
  what = "options"
): InvalidParams | undefined => {
  if (fits(given, known as Names)) return undefined
  const issues = unknownIn(given, known as Names, [])
  const [first] = issues
  if (first === undefined) return undefined
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more, see issues)` : ""
  return new InvalidParams({
    message: `${first.path.join(".") || what}: ${first.message}${more}`,
    issues
  })
}

/** Throws what `optionsRefused` finds. */
export const refuseUnknown = <Options extends object>(
  given: Options,
  known: Known<Options>,
  what?: string
): void => {
  const refused = optionsRefused(given, known, what)
  if (refused !== undefined) throw refused
}
