/**
 * Time zones by their names in the IANA database.
 *
 * Owns: which names are taken, and the one form in which a zone is kept and shown.
 * Does not decide: what the clocks of a zone show (tokens/ZoneClock).
 */
import { Effect, Schema, SchemaTransformation } from "effect"

/** ICU keeps the name that a zone had first; where the database has renamed it since, its name of today. */
const RENAMED: ReadonlyMap<string, string> = new Map([
  ["Africa/Asmera", "Africa/Asmara"],
  ["America/Buenos_Aires", "America/Argentina/Buenos_Aires"],
  ["America/Catamarca", "America/Argentina/Catamarca"],
  ["America/Coral_Harbour", "America/Atikokan"],
  ["America/Cordoba", "America/Argentina/Cordoba"],
  ["America/Godthab", "America/Nuuk"],
  ["America/Indianapolis", "America/Indiana/Indianapolis"],
  ["America/Jujuy", "America/Argentina/Jujuy"],
  ["America/Louisville", "America/Kentucky/Louisville"],
  ["America/Mendoza", "America/Argentina/Mendoza"],
  ["Asia/Calcutta", "Asia/Kolkata"],
  ["Asia/Katmandu", "Asia/Kathmandu"],
  ["Asia/Rangoon", "Asia/Yangon"],
  ["Asia/Saigon", "Asia/Ho_Chi_Minh"],
  ["Atlantic/Faeroe", "Atlantic/Faroe"],
  ["Europe/Kiev", "Europe/Kyiv"],
  ["Pacific/Enderbury", "Pacific/Kanton"],
  ["Pacific/Ponape", "Pacific/Pohnpei"],
  ["Pacific/Truk", "Pacific/Chuuk"]
])

/** Names this short are taken where the database has them; ICU knows more ("ACT" is Darwin to it, and Acre to others). */
const SHORT_NAMES = /^(?:UTC|UCT|GMT|CET|EET|MET|WET|EST|HST|MST|PRC|ROC|ROK|GB|NZ)$/iu
const SHORT_LENGTH = 3
const NAME = /^[A-Za-z][A-Za-z0-9_+/-]{1,63}$/u

/** The zone's name of today, or `undefined` where there is no such zone. An offset like "+01:00" is none. */
export const canonicalTimeZone = (name: string): string | undefined => {
  if (!NAME.test(name) || /^systemv\//iu.test(name)) return undefined
  if (name.length <= SHORT_LENGTH && !SHORT_NAMES.test(name)) return undefined
  try {
    const { timeZone } = new Intl.DateTimeFormat("en-US", { timeZone: name }).resolvedOptions()
    return RENAMED.get(timeZone) ?? timeZone
  } catch {
    return undefined
  }
}

const zoneProblem = (name: string): string | undefined =>
  canonicalTimeZone(name) === undefined
    ? 'Expected a time zone of the IANA database like "Europe/Berlin", "America/New_York" or "UTC"'
    : undefined

const DEFAULT = "UTC"

/** A time zone, whatever its spelling; in memory by the name under which it is shown. UTC where none is given. */
export const TimeZoneOrUtc = Schema.String.check(
  Schema.makeFilter((name: string) => zoneProblem(name) ?? true, { toJsonSchema: () => ({ maxLength: 64 }) })
)
  .annotate({
    examples: ["Europe/Berlin"],
    default: DEFAULT
  })
  .pipe(
    Schema.decodeTo(
      Schema.String,
      SchemaTransformation.transform({
        decode: (name: string) => canonicalTimeZone(name) ?? name,
        encode: (name: string) => name
      })
    ),
    Schema.withDecodingDefaultKey(Effect.succeed(DEFAULT))
  )
