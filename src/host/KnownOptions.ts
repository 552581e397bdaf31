/**
 * Refusing options that there are not: in JavaScript a misspelt one would be ignored, and its default would stand.
 *
 * Owns: comparing what was given with the names there are, at every depth, and how it is worded.
 * Does not decide: which options there are (index.ts, testing/), or whether a value can be used.
 */
import { InvalidParams } from "../signal/Errors.ts"
import { nearest } from "../signal/Nearest.ts"

type Plain = string | number | boolean | Date | ReadonlyArray<unknown> | ((...args: never) => unknown)

/** The names of all options: `true`, or the names inside. The compiler asks for a line where an option is new. */
export type Known<Options> = {
  readonly [Name in keyof Options]-?: NonNullable<Options[Name]> extends Plain
    ? true
    : string extends keyof NonNullable<Options[Name]>
      ? true
      : Known<NonNullable<Options[Name]>>
}

interface Names {
  readonly [name: string]: true | Names
}

type Issue = InvalidParams["issues"][number]

const BEGINNING_LENGTH_MIN = 3

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

const unknownIn = (given: unknown, known: Names, path: ReadonlyArray<string>): ReadonlyArray<Issue> => {
  const names = Object.keys(known)
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return [{ path, message: `Expected an object with ${names.join(", ")}` }]
  }
  return Object.entries(given).flatMap(([name, value]): ReadonlyArray<Issue> => {
    const inner = Object.hasOwn(known, name) ? known[name] : undefined
    if (inner === undefined) {
      return [{ path: [...path, name], message: `Unknown option. ${hintFor(name, names)}` }]
    }
    return inner === true || value === undefined ? [] : unknownIn(value, inner, [...path, name])
  })
}

/** Throws `InvalidParams` that names every option that there is not, and the name that was probably meant. */
export const refuseUnknown = <Options extends object>(given: Options, known: Known<Options>): void => {
  const issues = unknownIn(given, known as Names, [])
  const [first] = issues
  if (first === undefined) return
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more, see issues)` : ""
  throw new InvalidParams({
    message: `${first.path.join(".") || "options"}: ${first.message}${more}`,
    issues
  })
}
