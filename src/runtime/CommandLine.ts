/**
 * What somebody who starts the program asks for.
 *
 * Owns: the words of the command line. Does not decide: how any of it is done (main.ts).
 */

export type CommandLine =
  | { readonly _tag: "serve"; readonly mayPlay: boolean; readonly inCluster: boolean }
  | { readonly _tag: "verify"; readonly tenant: string | undefined }
  | {
      readonly _tag: "recording"
      readonly file: string
      readonly actor: string | undefined
      readonly signal: string | undefined
      readonly isSummary: boolean
    }
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

const recordingOf = (words: ReadonlyArray<string>): CommandLine => {
  let file: string | undefined
  let isSummary = false
  const named: { actor: string | undefined; signal: string | undefined } = {
    actor: undefined,
    signal: undefined
  }
  const rest = words.flatMap((word) => /^(--(?:actor|signal))=(.*)$/su.exec(word)?.slice(1) ?? [word])
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index] ?? ""
    if (word === "--summary") isSummary = true
    else if (word === "--actor" || word === "--signal") {
      const value = rest[++index]
      if (value === undefined || value === "") return { _tag: "wrong", what: `${word} without a name` }
      named[word === "--actor" ? "actor" : "signal"] = value
    } else if (word.startsWith("--") || file !== undefined) return { _tag: "wrong", what: word }
    else file = word
  }
  return file === undefined
    ? { _tag: "wrong", what: "recording show without a file" }
    : { _tag: "recording", file, ...named, isSummary }
}

/** Reads the words after the program's name. */
export const readCommandLine = (words: ReadonlyArray<string>): CommandLine => {
  if (words.includes("--help")) return { _tag: "help" }
  if (words.includes("--version")) return { _tag: "version" }
  const [first, second, ...others] = words
  if (first === "audit")
    return second === "verify" ? verifyOf(others) : { _tag: "wrong", what: words.join(" ") }
  if (first === "recording")
    return second === "show" ? recordingOf(others) : { _tag: "wrong", what: words.join(" ") }
  const options = first === "serve" ? words.slice(1) : words
  const unknown = options.filter((word) => word !== "--no-playground" && word !== "--cluster")
  const inCluster = options.includes("--cluster")
  return unknown.length > 0
    ? { _tag: "wrong", what: unknown.join(" ") }
    : { _tag: "serve", mayPlay: options.length === 0, inCluster }
}
