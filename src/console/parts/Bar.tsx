/** How far something is, as a bar with its words beside it. */
interface BarProps {
  readonly percent: number
  readonly label: string
  readonly says: string
  /** Whether a full bar is good news (steps), or bad (a budget). */
  readonly isBudget?: boolean
}

const toneOf = (percent: number): string => (percent >= 100 ? "bad" : percent >= 80 ? "warn" : "good")

export const Bar = ({ percent, label, says, isBudget = false }: BarProps) => {
  const shown = Math.max(0, Math.min(100, percent))
  return (
    <div className={`bar tone-${isBudget ? toneOf(percent) : "live"}`}>
      <div
        className="bar-track"
        role="progressbar"
        aria-label={label}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(shown)}
        aria-valuetext={says}
      >
        <div className="bar-fill" style={{ inlineSize: `${shown}%` }} />
      </div>
      <span className="bar-says">{says}</span>
    </div>
  )
}
