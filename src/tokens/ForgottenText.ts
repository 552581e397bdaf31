/**
 * A user who is forgotten, in what others than the ledger keep: machines, what they have told, dead letters.
 *
 * Owns: telling that something is about the user; which of its texts are somebody's wording, where the name is taken out
 * of the words. What else happens to be called like the user (an agent, a model, a state) is left alone.
 * Does not decide: how rows are found (store/), or what names a user in a field of its own (Forgetting).
 */
import type { Schema } from "effect"
import { type Names, renamedJson } from "./Forgetting.ts"

type Naming = Pick<Names, "from" | "to">

const NO_BUDGETS: ReadonlySet<string> = new Set()

/** What people and models have written, and what is shown of a refusal. */
const WORDING: ReadonlySet<string> = new Set([
  "input",
  "output",
  "values",
  "prompt",
  "system",
  "content",
  "messages",
  "metadata",
  "message",
  "reason",
  "note",
  "detail",
  "description",
  "violations"
])

const SPECIAL = /[.*+?^${}()|[\]\\]/gu

/** The user where the id stands as a word of its own. */
const wordOf = (id: string): RegExp =>
  new RegExp(`(?<![\\p{L}\\p{N}_])${id.replace(SPECIAL, "\\$&")}(?![\\p{L}\\p{N}_])`, "gu")

export const wordsWithout = (words: string, { from, to }: Naming): string =>
  words.includes(from) ? words.replace(wordOf(from), () => to) : words

const inWords = (json: Schema.Json, names: Naming, isWording: boolean): Schema.Json => {
  if (typeof json === "string") return isWording ? wordsWithout(json, names) : json
  if (typeof json !== "object" || json === null) return json
  if (Array.isArray(json)) return json.map((item) => inWords(item, names, isWording))
  return Object.fromEntries(
    Object.entries(json).map(([field, value]) => [
      isWording ? wordsWithout(field, names) : field,
      inWords(value as Schema.Json, names, isWording || WORDING.has(field))
    ])
  )
}

const namesOf = ({ from, to }: Naming): Names => ({ from, to, budgets: NO_BUDGETS })

/** Whether a field of it says that it is about the user. */
export const isAbout = (json: Schema.Json, names: Naming): boolean =>
  renamedJson(json, namesOf(names)) !== json

/** What is about the user, under the new name. */
export const renamedTexts = (json: Schema.Json, names: Naming): Schema.Json =>
  inWords(renamedJson(json, namesOf(names)), names, false)
