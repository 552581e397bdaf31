/**
 * How the form library's parts look here: plain labelled fields, with what is wrong right below them.
 *
 * Owns: the templates and the one widget that differ from the library's own.
 */
import {
  ADDITIONAL_PROPERTY_FLAG,
  type ArrayFieldItemTemplateProps,
  type ArrayFieldTemplateProps,
  buttonId,
  canExpand,
  descriptionId,
  errorId,
  type FieldErrorProps,
  type FieldTemplateProps,
  type IconButtonProps,
  type MultiSchemaFieldTemplateProps,
  type ObjectFieldTemplateProps,
  type RegistryWidgetsType,
  type TemplatesType,
  type UnsupportedFieldProps,
  type WidgetProps,
  type WrapIfAdditionalTemplateProps
} from "@rjsf/utils"
import { type ReactNode, useEffect, useState } from "react"
import { ATTRIBUTION_FIELDS } from "../../signal/Attribution.ts"
import { Icon } from "../parts/Icon.tsx"
import { DEFAULT_HINT, type Params } from "./Definitions.ts"

const labelText = (label: string): string =>
  label.replace(/-\d+$/u, (number) => ` ${Number(number.slice(1))}`)

const FieldTemplate = (props: FieldTemplateProps<Params>) => {
  const { id, label, required, displayLabel, schema, children, errors, rawErrors, hidden, registry } = props
  if (hidden) return <div hidden>{children}</div>
  const { WrapIfAdditionalTemplate } = registry.templates
  const isWrong = (rawErrors?.length ?? 0) > 0
  const isAdditional = ADDITIONAL_PROPERTY_FLAG in schema
  return (
    <WrapIfAdditionalTemplate {...props}>
      <div className={isWrong ? "field is-wrong" : "field"}>
        {displayLabel && !isAdditional && (
          <label htmlFor={id}>
            {labelText(label)}
            {required && <em title="required">required</em>}
            <Hint schema={schema} />
          </label>
        )}
        {displayLabel && !isAdditional && schema.description !== undefined && (
          <p id={descriptionId(id)} className="field-text">
            {prose(schema.description)}
          </p>
        )}
        {children}
        {errors}
      </div>
    </WrapIfAdditionalTemplate>
  )
}

/** A field's text, with what stands between backticks as code. */
const prose = (text: string): ReactNode =>
  text.split("`").map((part, index) =>
    // biome-ignore lint/suspicious/noArrayIndexKey: the parts of one text never move.
    index % 2 === 1 ? <code key={index}>{part}</code> : part
  )

const hintText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value))

/** What kind of value is wanted, as far as the schema says more than the input does. */
const Hint = ({ schema }: Pick<FieldTemplateProps<Params>, "schema">) => {
  const [example] = Array.isArray(schema.examples) ? schema.examples : []
  const parts = [
    schema[DEFAULT_HINT] === undefined ? undefined : `else ${hintText(schema[DEFAULT_HINT])}`,
    typeof example === "string" ? `like ${example}` : undefined,
    schema.type === "integer" ? "whole number" : undefined
  ].filter((part) => part !== undefined)
  return parts.length === 0 ? null : <small>{parts.join(", ")}</small>
}

const FieldErrorTemplate = ({ errors, fieldPathId }: FieldErrorProps<Params>) =>
  errors === undefined || errors.length === 0 ? null : (
    <p id={errorId(fieldPathId)} className="field-problem">
      {errors.map((error) => (
        <span key={String(error)}>{error}</span>
      ))}
    </p>
  )

const WHO = new Set<string>([...ATTRIBUTION_FIELDS, "tags"])
const OPTIONAL_OPEN_MAX = 6

interface MoreProps {
  readonly title: string
  readonly fields: ObjectFieldTemplateProps<Params>["properties"]
  readonly isOpenAtFirst: boolean
  readonly isWrong: boolean
}

/** Fields that fold away. What is wrong opens them; nothing but a person closes them, who may be typing there. */
const More = ({ title, fields, isOpenAtFirst, isWrong }: MoreProps) => {
  const [isOpen, setOpen] = useState(isOpenAtFirst || isWrong)
  useEffect(() => {
    if (isWrong) setOpen(true)
  }, [isWrong])
  return (
    <details className="more" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {title} <span>{fields.length}</span>
      </summary>
      {fields.map(({ content }) => content)}
    </details>
  )
}

const ObjectFieldTemplate = (props: ObjectFieldTemplateProps<Params>) => {
  const {
    properties,
    schema,
    title,
    fieldPathId,
    description,
    errorSchema,
    uiSchema,
    formData,
    onAddProperty
  } = props
  const { AddButton } = props.registry.templates.ButtonTemplates
  const add = canExpand(schema, uiSchema ?? {}, formData) && (
    <AddButton
      id={buttonId(fieldPathId, "add")}
      onClick={onAddProperty}
      registry={props.registry}
      uiSchema={uiSchema ?? {}}
    />
  )
  if (fieldPathId.path.length > 0) {
    return (
      <fieldset id={fieldPathId.$id} className="group">
        {title !== undefined && title !== "" && <legend>{labelText(title)}</legend>}
        {typeof description === "string" && (
          <p id={descriptionId(fieldPathId)} className="field-text">
            {prose(description)}
          </p>
        )}
        {properties.map(({ content }) => content)}
        {add}
      </fieldset>
    )
  }
  const required = new Set(schema.required ?? [])
  const first = properties.filter(({ name }) => required.has(name))
  const who = properties.filter(({ name }) => WHO.has(name) && !required.has(name))
  const others = properties.filter(({ name }) => !WHO.has(name) && !required.has(name))
  const isWrong = (fields: typeof properties) =>
    fields.some(({ name }) => Object.hasOwn(errorSchema ?? {}, name))
  return (
    <div id={fieldPathId.$id}>
      {first.map(({ content }) => content)}
      {others.length > 0 && (
        <More
          title="Optional"
          fields={others}
          isOpenAtFirst={first.length === 0 || others.length <= OPTIONAL_OPEN_MAX}
          isWrong={isWrong(others)}
        />
      )}
      {who.length > 0 && (
        <More title="Who it is for" fields={who} isOpenAtFirst={false} isWrong={isWrong(who)} />
      )}
      {properties.length === 0 && !add && (
        <p className="no-fields">This signal takes nothing. Just send it.</p>
      )}
      {add}
    </div>
  )
}

const ArrayFieldTemplate = ({
  schema,
  items,
  canAdd,
  onAddClick,
  title,
  fieldPathId,
  registry,
  uiSchema,
  required
}: ArrayFieldTemplateProps<Params>) => {
  const { AddButton } = registry.templates.ButtonTemplates
  return (
    <fieldset id={fieldPathId.$id} className="group">
      <legend>
        {labelText(title)}
        {required === true && <em>required</em>}
        <Hint schema={schema} />
      </legend>
      {schema.description !== undefined && (
        <p id={descriptionId(fieldPathId)} className="field-text">
          {prose(schema.description)}
        </p>
      )}
      {items}
      {canAdd && (
        <AddButton
          id={buttonId(fieldPathId, "add")}
          onClick={onAddClick}
          registry={registry}
          uiSchema={uiSchema ?? {}}
        />
      )}
    </fieldset>
  )
}

const ArrayFieldItemTemplate = ({
  children,
  buttonsProps,
  hasToolbar,
  registry,
  index
}: ArrayFieldItemTemplateProps<Params>) => {
  const { RemoveButton } = registry.templates.ButtonTemplates
  return (
    <div className="array-item">
      <div className="array-item-body">{children}</div>
      {hasToolbar && buttonsProps.hasRemove && (
        <RemoveButton
          id={buttonId(buttonsProps.fieldPathId, "remove")}
          onClick={buttonsProps.onRemoveItem}
          registry={registry}
          title={`Remove item ${index + 1}`}
        />
      )}
    </div>
  )
}

const WrapIfAdditionalTemplate = (props: WrapIfAdditionalTemplateProps<Params>) => {
  const { id, label, schema, children, onKeyRenameBlur, onRemoveProperty, registry } = props
  if (!(ADDITIONAL_PROPERTY_FLAG in schema)) return <>{children}</>
  const { RemoveButton } = registry.templates.ButtonTemplates
  return (
    <div className="pair">
      <input id={`${id}-key`} aria-label="Name" type="text" defaultValue={label} onBlur={onKeyRenameBlur} />
      {children}
      <RemoveButton
        id={buttonId(id, "remove")}
        onClick={onRemoveProperty}
        registry={registry}
        title={`Remove ${label}`}
      />
    </div>
  )
}

const MultiSchemaFieldTemplate = ({ selector, optionSchemaField }: MultiSchemaFieldTemplateProps<Params>) => (
  <div className="group">
    {selector}
    {optionSchemaField}
  </div>
)

const UnsupportedFieldTemplate = ({ reason }: UnsupportedFieldProps<Params>) => (
  <p className="no-fields">Fill this in as JSON: {reason}</p>
)

const AddButton = ({ onClick, id }: IconButtonProps<Params>) => (
  <button type="button" id={id} className="button small" onClick={onClick}>
    <Icon name="plus" />
    Add
  </button>
)

const RemoveButton = ({ onClick, id, title }: IconButtonProps<Params>) => (
  <button type="button" id={id} className="button small quiet square" onClick={onClick} title={title}>
    <Icon name="close" />
    <span className="unseen">{title ?? "Remove"}</span>
  </button>
)

export const templates: Partial<Omit<TemplatesType<Params>, "ButtonTemplates">> & {
  ButtonTemplates: Partial<TemplatesType<Params>["ButtonTemplates"]>
} = {
  FieldTemplate,
  FieldErrorTemplate,
  ObjectFieldTemplate,
  ArrayFieldTemplate,
  ArrayFieldItemTemplate,
  WrapIfAdditionalTemplate,
  MultiSchemaFieldTemplate,
  UnsupportedFieldTemplate,
  ButtonTemplates: { AddButton, RemoveButton }
}

/** Yes, no, or left out: a box that is not ticked could not say which of the last two it means. */
const CheckboxWidget = ({ id, label, value, onChange }: WidgetProps<Params>) => (
  <>
    <label htmlFor={id}>{label}</label>
    <select
      id={id}
      value={value === undefined ? "" : String(value)}
      onChange={(event) => onChange(event.target.value === "" ? undefined : event.target.value === "true")}
    >
      <option value="">left out</option>
      <option value="true">yes</option>
      <option value="false">no</option>
    </select>
  </>
)

export const widgets: RegistryWidgetsType<Params> = { CheckboxWidget }
