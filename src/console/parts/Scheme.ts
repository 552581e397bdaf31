/** Light or dark: follows the system until somebody chooses. */
import { useState } from "react"

export type Scheme = "auto" | "light" | "dark"

const KEY = "bursar.scheme"
const NEXT: { readonly [S in Scheme]: Scheme } = { auto: "light", light: "dark", dark: "auto" }

const read = (): Scheme => {
  const set = document.documentElement.dataset.scheme
  return set === "light" || set === "dark" ? set : "auto"
}

const write = (scheme: Scheme): void => {
  if (scheme === "auto") delete document.documentElement.dataset.scheme
  else document.documentElement.dataset.scheme = scheme
  try {
    if (scheme === "auto") localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, scheme)
  } catch {
    // Without storage the choice holds until the page is closed.
  }
}

export const useScheme = (): readonly [Scheme, () => void] => {
  const [scheme, setScheme] = useState(read)
  const next = () => {
    write(NEXT[scheme])
    setScheme(NEXT[scheme])
  }
  return [scheme, next]
}
