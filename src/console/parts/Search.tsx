/** The box that what stands below is filtered by, as it is typed. The key "/" leads to it where `isReached` says so. */
export const Search = ({
  label,
  placeholder,
  value,
  onChange,
  isReached = true
}: {
  readonly label: string
  readonly placeholder: string
  readonly value: string
  readonly onChange: (text: string) => void
  readonly isReached?: boolean
}) => (
  <label className="search">
    <span className="unseen">{label}</span>
    <input
      type="search"
      value={value}
      placeholder={placeholder}
      data-shortcut={isReached ? "filter" : undefined}
      onChange={(event) => onChange(event.target.value)}
    />
  </label>
)
