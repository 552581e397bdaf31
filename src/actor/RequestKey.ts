/**
 * Request ids that are made of an address.
 *
 * Owns: that they are as long as an id may be.
 */
import { createHash } from "node:crypto"
import { byteLength } from "../signal/Text.ts"

const BYTES_MAX = 200

/** The text itself where it is short enough for an id with something to spare; else its digest. */
export const requestIdOf = (text: string): string =>
  byteLength(text) <= BYTES_MAX ? text : createHash("sha256").update(text).digest("hex")
