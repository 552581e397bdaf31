/** One signal's form: by fields, or as JSON. Both edit the same params. */
// Not from the package itself: that also loads a validator which compiles code from strings.
import withTheme from "@rjsf/core/lib/withTheme.js"
import type { ErrorSchema } from "@rjsf/utils"
import { type FormEvent, useId, useMemo, useState } from "react"
import { CopyButton } from "../parts/Copy.tsx"
import { curlOf, type Definition, type Issue, type Params, withoutEmpty } from "./Definitions.ts"
import { templates, widgets } from "./Templates.tsx"
import { validator } from "./Validator.ts"

const Form = withTheme<Params>({ templates, widgets })

interface ErrorTree {
  __errors?: Array<string>
  [field: string]: ErrorTree | Array<string> | undefined
}

/** Issues as the tree that the form library hangs beside its fields. */
const treeOf = (issues: ReadonlyArray<Issue>): ErrorSchema<Params> => {
  const root: ErrorTree = {}
  for (const { path, message } of issues) {
    let node = root
    for (const segment of path) {
      const inner = (node[segment] as ErrorTree | undefined) ?? {}
      node[segment] = inner
      node = inner
    }
    node.__errors = [...(node.__errors ?? []), message]
  }
  return root as ErrorSchema<Params>
}

interface SignalFormProps {
  readonly definition: Definition
  readonly params: Params
  readonly issues: ReadonlyArray<Issue>
  readonly isSending: boolean
  readonly onChange: (params: Params) => void
  readonly onSend: (params: Params) => void
}

const JsonField = ({ params, onChange, onProblem }: JsonFieldProps) => {
  const id = useId()
  const [text, setText] = useState(() => JSON.stringify(params, null, 2))
  const edit = (edited: string) => {
    setText(edited)
    try {
      const parsed: unknown = JSON.parse(edited)
      if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
        onProblem("Params are a JSON object.")
      else {
        onProblem(null)
        onChange(parsed as Params)
      }
    } catch (error) {
      onProblem(error instanceof Error ? error.message : "This is not JSON.")
    }
  }
  return (
    <div className="field">
      <label htmlFor={id}>Params as JSON</label>
      <textarea
        id={id}
        className="json-edit"
        rows={14}
        spellCheck={false}
        value={text}
        onChange={(event) => edit(event.target.value)}
      />
    </div>
  )
}

interface JsonFieldProps {
  readonly params: Params
  readonly onChange: (params: Params) => void
  readonly onProblem: (problem: string | null) => void
}

export const SignalForm = ({ definition, params, issues, isSending, onChange, onSend }: SignalFormProps) => {
  const { name, traits, schema, uiSchema } = definition
  const [isJson, setJson] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  const extraErrors = useMemo(() => treeOf(issues), [issues])
  const sent = withoutEmpty(params)
  const submit = () => {
    if (problem === null) onSend(sent)
  }
  const known = new Set(Object.keys(schema.properties ?? {}))
  const elsewhere = issues.filter(({ path }) => isJson || path.length === 0 || !known.has(String(path[0])))
  const footer = (
    <>
      {(problem !== null || elsewhere.length > 0) && (
        <ul className="form-problems" role="alert">
          {problem !== null && <li>{problem}</li>}
          {elsewhere.map(({ path, message }) => (
            <li key={`${path.join(".")} ${message}`}>
              <code>{path.join(".") || "params"}</code> {message}
            </li>
          ))}
        </ul>
      )}
      <div className="form-foot">
        <button type="submit" className="button strong" disabled={isSending || problem !== null}>
          {isSending ? "Sending…" : `Send ${name}`}
        </button>
        <CopyButton text={curlOf(location.origin, name, sent)} what="curl" />
        {issues.length > 0 && (
          <span className="is-bad" role="status">
            {issues.length === 1 ? "One field needs a look" : `${issues.length} fields need a look`}
          </span>
        )}
      </div>
    </>
  )
  return (
    <div className="signal-form">
      <header>
        <h2>
          <code>{name}</code>
        </h2>
        <p>
          {traits.description}{" "}
          <span className={`tag kind-${traits.kind}`}>
            {traits.kind === "query" ? "only reads" : "changes things"}
          </span>
        </p>
        <fieldset className="choice">
          <legend className="unseen">Edit by</legend>
          {[false, true].map((wantsJson) => (
            <label key={String(wantsJson)}>
              <input
                type="radio"
                name="edit-by"
                checked={isJson === wantsJson}
                onChange={() => {
                  setJson(wantsJson)
                  setProblem(null)
                }}
              />
              <span>{wantsJson ? "JSON" : "Fields"}</span>
            </label>
          ))}
        </fieldset>
      </header>
      {isJson ? (
        <form
          onSubmit={(event: FormEvent) => {
            event.preventDefault()
            submit()
          }}
        >
          <JsonField params={sent} onChange={onChange} onProblem={setProblem} />
          {footer}
        </form>
      ) : (
        <Form
          idPrefix="field"
          schema={schema}
          uiSchema={{ ...uiSchema, "ui:globalOptions": { orderable: false, copyable: false } }}
          validator={validator}
          formData={params}
          extraErrors={extraErrors}
          showErrorList={false}
          noHtml5Validate
          noValidate
          experimental_defaultFormStateBehavior={{
            emptyObjectFields: "skipDefaults",
            arrayMinItems: { populate: "never" }
          }}
          onChange={({ formData }) => onChange(formData ?? {})}
          onSubmit={submit}
        >
          {footer}
        </Form>
      )}
    </div>
  )
}
