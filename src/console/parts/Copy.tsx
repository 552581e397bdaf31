/** A button that copies a text, and says that it did. */
import { useEffect, useState } from "react"
import { Icon } from "./Icon.tsx"

const SAID_MS = 1_800

export const CopyButton = ({ text, what }: { readonly text: string; readonly what: string }) => {
  const [said, setSaid] = useState("")
  useEffect(() => {
    if (said === "") return
    const timer = setTimeout(() => setSaid(""), SAID_MS)
    return () => clearTimeout(timer)
  }, [said])
  const copy = () => {
    if (navigator.clipboard === undefined) return setSaid("Select the text to copy it")
    navigator.clipboard.writeText(text).then(
      () => setSaid("Copied"),
      () => setSaid("Select the text to copy it")
    )
  }
  return (
    <button type="button" className="button small" onClick={copy}>
      <Icon name="copy" />
      <span aria-live="polite">{said === "" ? `Copy ${what}` : said}</span>
    </button>
  )
}
