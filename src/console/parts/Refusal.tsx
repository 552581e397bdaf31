/** Why an agent was refused: which budget had how much left, what was asked of it, and what is missing. */
import { parseAmount } from "../../signal/Money.ts"
import { scopeOf } from "../model/Budgets.ts"
import { inMeasure, moment } from "../model/Figures.ts"
import type { WireViolation } from "../model/Log.ts"
import { useMay } from "./Console.ts"
import { hrefTo } from "./Route.ts"

interface RefusalProps {
  readonly reason: string | null
  readonly violations: ReadonlyArray<WireViolation>
  readonly retryAt: string | null
}

const unitOf = (violation: WireViolation): string =>
  violation.measure === "cost" ? "" : ` ${violation.measure}`

/** Even an untouched period has no room for it. */
export const isTooLargeEver = ({ requested, limit }: WireViolation): boolean =>
  parseAmount(requested) > parseAmount(limit)

/** What an override would have to add. */
const overrideOf = ({ budget_id, entity_id, shortfall }: WireViolation): string =>
  String(new URLSearchParams({ budget_id, ...(entity_id === null ? {} : { entity_id }), amount: shortfall }))

const Override = ({ violations }: Pick<RefusalProps, "violations">) => {
  const mayAsk = useMay("request_override")
  const askable = violations.find(({ override }) => override === "available")
  if (askable !== undefined) {
    if (!mayAsk) return null
    return (
      <a className="button small" href={hrefTo("send", `request_override?${overrideOf(askable)}`)}>
        Ask for an override
      </a>
    )
  }
  const isAsked = violations.some(({ override }) => override === "pending")
  return isAsked ? <span>An override is asked for, and waits for a decision.</span> : null
}

export const Violations = ({ violations }: Pick<RefusalProps, "violations">) => (
  <>
    {violations.map((violation) => (
      <div key={violation.budget_id} className="violation">
        <p className="violation-name">
          <b>{violation.name}</b>
          <span className="violation-scope">
            {scopeOf(violation)} · limit {inMeasure(violation.limit, violation)}
            {unitOf(violation)}
          </span>
        </p>
        <dl className="violation-sum">
          <div>
            <dt>Requested</dt>
            <dd>{inMeasure(violation.requested, violation)}</dd>
          </div>
          {violation.remaining.startsWith("-") ? (
            <div>
              <dt>Over already</dt>
              <dd>+ {inMeasure(violation.remaining.slice(1), violation)}</dd>
            </div>
          ) : (
            <div>
              <dt>Remaining</dt>
              <dd>− {inMeasure(violation.remaining, violation)}</dd>
            </div>
          )}
          <div className="violation-short">
            <dt>Short by</dt>
            <dd>{inMeasure(violation.shortfall, violation)}</dd>
          </div>
        </dl>
        <p className="violation-foot">
          {inMeasure(violation.spent, violation)} spent and {inMeasure(violation.held, violation)} held at
          that moment.
          {violation.resets_at !== null && ` Resets ${moment(Date.parse(violation.resets_at))}.`}
        </p>
      </div>
    ))}
  </>
)

interface RemediesProps extends Pick<RefusalProps, "violations"> {
  /** Whether an override stands beside it that waits for a decision. */
  readonly isAsked?: boolean
}

/** What can be done about it, as far as this key may. */
export const Remedies = ({ violations, isAsked = false }: RemediesProps) => {
  const mayRaise = useMay("update_budget")
  return (
    <>
      <a className="button small" href={hrefTo("budgets")}>
        All budgets
      </a>
      {!isAsked && <Override violations={violations} />}
      {mayRaise && violations[0] !== undefined && (
        <a
          className="button small"
          href={hrefTo("send", `update_budget?budget_id=${encodeURIComponent(violations[0].budget_id)}`)}
        >
          Raise the limit
        </a>
      )}
    </>
  )
}

export const Refusal = ({ reason, violations, retryAt }: RefusalProps) => (
  <section className="refusal" aria-label="Why it was refused">
    <p className="refusal-reason">{reason ?? "Refused, without a reason."}</p>
    <Violations violations={violations} />
    <p className="refusal-next">
      {violations.some(isTooLargeEver) ? (
        <span>This call asks for more than the whole limit: waiting does not help.</span>
      ) : (
        retryAt !== null && <span>Asking again can work from {moment(Date.parse(retryAt))}.</span>
      )}
      <Remedies violations={violations} />
    </p>
  </section>
)
