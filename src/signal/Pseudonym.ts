/**
 * What stands for a user where a tenant anonymises its users.
 *
 * Owns: how a pseudonym looks, and what is said where a user's own id came to where only pseudonyms may.
 * Does not decide: whose pseudonym it is, or whether it was made here (runtime/Pseudonyms).
 */
import { type SignalError, Unavailable } from "./Errors.ts"
import { SOON_MS } from "./Refusing.ts"

const PREFIX = "anon_"
const DIGITS = 48
const FORM = /^anon_[0-9a-f]{48}$/u

/** Whether a text has the form of a pseudonym: nobody is called like that. */
export const isPseudonym = (text: string): boolean =>
  text.length === PREFIX.length + DIGITS && text.startsWith(PREFIX) && FORM.test(text)

/** `digits`: 48 hexadecimal digits. */
export const pseudonymOf = (digits: string): string => `${PREFIX}${digits}`

const NAMED =
  "This tenant anonymises its users, and a user was named: send it again, and it is named by its pseudonym"
/** What a signal that names a user is refused with behind the doors: no door lets it leave as it is, but once more. */
export const notAnonymised = (): Unavailable => new Unavailable({ message: NAMED, retry_after_ms: SOON_MS })

export const isNotAnonymised = (error: SignalError): boolean =>
  error._tag === "Unavailable" && error.message === NAMED
