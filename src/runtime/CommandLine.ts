/**
 * What somebody who starts the program asks for.
 *
 * Owns: the words of the command line. Does not decide: how any of it is done (main.ts).
 */

export type CommandLine =
  | { readonly _tag: "serve"; readonly mayPlay: boolean; readonly inCluster: boolean }
  | { readonly _tag: "verify"; readonly tenant: string | undefined }
  | { readonly _tag: "help" }
  | { readonly _tag: "version" }
  | { readonly _tag: "wrong"; readonly what: string }

const verifyOf = (words: ReadonlyArray<string>): CommandLine => {
  const [option, tenant, ...others] = words
  if (option === undefined) return { _tag: "verify", tenant: undefined }
  if (option.startsWith("--tenant=") && tenant === undefined)
    return verifyOf(["--tenant", option.slice("--tenant=".length)])
  if (option !== "--tenant") return { _tag: "wrong", what: option }
  if (tenant === undefined || tenant === "") return { _tag: "wrong", what: "--tenant without a name" }
  return others.length > 0 ? { _tag: "wrong", what: others.join(" ") } : { _tag: "verify", tenant }
}

/** Reads the words after the program's name. */
export const readCommandLine = (words: ReadonlyArray<string>): CommandLine => {
  if (words.includes("--help")) return { _tag: "help" }
  if (words.includes("--version")) return { _tag: "version" }
  const [first, second, ...others] = words
  if (first === "audit")
    return second === "verify" ? verifyOf(others) : { _tag: "wrong", what: words.join(" ") }
  const options = first === "serve" ? words.slice(1) : words
  const unknown = options.filter((word) => word !== "--no-playground" && word !== "--cluster")
  const inCluster = options.includes("--cluster")
  return unknown.length > 0
    ? { _tag: "wrong", what: unknown.join(" ") }
    : { _tag: "serve", mayPlay: options.length === 0, inCluster }
}
