/** One of a few, side by side, with how many there are of each where that is known. */
import { count } from "../model/Figures.ts"

interface ChoiceProps<Value extends string> {
  readonly name: string
  readonly legend: string
  readonly options: ReadonlyArray<readonly [Value, string]>
  readonly counts?: { readonly [V in Value]?: number | null }
  readonly value: Value
  readonly onChange: (value: Value) => void
}

export const Choice = <Value extends string>({
  name,
  legend,
  options,
  counts = {},
  value,
  onChange
}: ChoiceProps<Value>) => (
  <fieldset className="choice">
    <legend className="unseen">{legend}</legend>
    {options.map(([option, label]) => (
      <label key={option} className={counts[option] ? `choice-${option}` : ""}>
        <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
        <span>
          {label}
          {counts[option] != null && <b>{count(counts[option])}</b>}
        </span>
      </label>
    ))}
  </fieldset>
)
