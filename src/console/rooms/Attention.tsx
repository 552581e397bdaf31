/** What waits for a person, above everything else on the overview. Nothing waits, nothing is shown. */
import { count } from "../model/Figures.ts"
import { openCount } from "../model/Overrides.ts"
import { countsOf, whyShort } from "../model/Workflows.ts"
import { useModel, useNow } from "../parts/Console.ts"
import { hrefTo } from "../parts/Route.ts"

const many = (number: number, one: string, more: string): string =>
  `${count(number)} ${number === 1 ? one : more}`

/** The reason of the one that waits longest. */
const useParked = (): { readonly number: number; readonly why: string; readonly id: string } | null => {
  const workflows = useModel((model) => model.workflows)
  const { parked: number } = countsOf(workflows.values())
  if (number === 0) return null
  let longest: { readonly since: string; readonly why: string; readonly id: string } | undefined
  for (const { progress } of workflows.values()) {
    if (progress.state !== "parked" || progress.parked === null) continue
    const { since } = progress.parked
    if (longest !== undefined && longest.since <= since) continue
    longest = { since, why: `${progress.name}: ${whyShort(progress) ?? ""}`, id: progress.workflow_id }
  }
  return { number, why: longest?.why ?? "", id: longest?.id ?? "" }
}

export const Attention = () => {
  const now = useNow()
  const overrides = useModel((model) => model.overrides)
  const letters = useModel((model) => model.lettersTold)
  const open = openCount(overrides.values(), now)
  const parked = useParked()
  if (parked === null && open === 0 && letters === 0) return null
  return (
    <section className="attention" aria-label="What waits for a person">
      {parked !== null && (
        <a
          className="attention-one tone-warn"
          href={hrefTo("workflows", parked.number === 1 ? parked.id : undefined)}
        >
          <b>{many(parked.number, "workflow waits", "workflows wait")} for budget</b>
          <span>{parked.why}</span>
        </a>
      )}
      {open > 0 && (
        <a className="attention-one tone-hold" href={hrefTo("overrides")}>
          <b>{many(open, "override", "overrides")} to decide</b>
        </a>
      )}
      {letters > 0 && (
        <a className="attention-one tone-bad" href={hrefTo("letters")}>
          <b>{many(letters, "dead letter", "dead letters")} since this page was opened</b>
        </a>
      )}
    </section>
  )
}
