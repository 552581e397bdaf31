/** The JSON tree itself, dressed in our own styles. */
import type { ComponentProps } from "react"
import { JsonView } from "react-json-view-lite"

type StyleProps = NonNullable<ComponentProps<typeof JsonView>["style"]>

const STYLES: Partial<StyleProps> = {
  container: "json-tree",
  basicChildStyle: "json-child",
  childFieldsContainer: "json-children",
  label: "json-label",
  clickableLabel: "json-label json-clickable",
  nullValue: "json-null",
  undefinedValue: "json-null",
  stringValue: "json-string",
  booleanValue: "json-boolean",
  numberValue: "json-number",
  otherValue: "json-null",
  punctuation: "json-mark",
  expandIcon: "json-expand",
  collapseIcon: "json-collapse",
  collapsedContent: "json-collapsed",
  noQuotesForStringValues: false,
  quotesForFieldNames: false
}

const LEVELS_OPEN = 4

export default function JsonTree({ value }: { readonly value: unknown }) {
  const tree = typeof value === "object" && value !== null ? value : { value }
  return (
    <JsonView data={tree} style={STYLES as StyleProps} shouldExpandNode={(level) => level < LEVELS_OPEN} />
  )
}
