/** One refusal in full: which budgets had no room, what was asked, for whom, and what would have been possible. */
import { parseAmount } from "../../signal/Money.ts"
import { count, exactMoney, moment } from "../model/Figures.ts"
import {
  filterText,
  forWhomParts,
  KIND_SAYS,
  type RefusalFilter,
  type WireRefusal
} from "../model/Refusals.ts"
import { Dialog } from "../parts/Dialog.tsx"
import { isTooLargeEver, Refusal } from "../parts/Refusal.tsx"
import { hrefTo } from "../parts/Route.ts"
import { When } from "../parts/When.tsx"

interface RefusalDetailProps {
  readonly refusal: WireRefusal
  readonly onClose: () => void
}

interface OthersProps {
  readonly filter: RefusalFilter
  readonly text: string
  readonly onClose: () => void
}

/** A value that leads to all that were refused with the same one. */
const Others = ({ filter, text, onClose }: OthersProps) => (
  <a href={hrefTo("refusals", filterText(filter))} title="All refusals of this one" onClick={onClose}>
    {text}
  </a>
)

const Moments = ({ refusal: { count: times, first_at, last_at } }: Pick<RefusalDetailProps, "refusal">) => (
  <>
    <div>
      <dt>{times === 1 ? "When" : "Last"}</dt>
      <dd title={last_at}>
        {moment(Date.parse(last_at))}, <When at={last_at} />
      </dd>
    </div>
    {times > 1 && (
      <>
        <div>
          <dt>First</dt>
          <dd title={first_at}>{moment(Date.parse(first_at))}</dd>
        </div>
        <div>
          <dt>How often</dt>
          <dd>{count(times)} times</dd>
        </div>
      </>
    )}
  </>
)

const Facts = ({ refusal, onClose }: RefusalDetailProps) => (
  <dl className="facts">
    <Moments refusal={refusal} />
    <div>
      <dt>Asked for</dt>
      <dd>
        {exactMoney(parseAmount(refusal.estimated_cost), refusal.currency)}, {count(refusal.estimated_tokens)}{" "}
        tokens
      </dd>
    </div>
    <div>
      <dt>Of</dt>
      <dd>
        {refusal.provider ?? "any provider"}
        {refusal.model !== null && ` / ${refusal.model}`}
      </dd>
    </div>
    <div>
      <dt>Request</dt>
      <dd>
        <Others filter={{ request_id: refusal.request_id }} text={refusal.request_id} onClose={onClose} />
      </dd>
    </div>
    <div>
      <dt>By the key</dt>
      <dd>
        {refusal.principal}, of {refusal.owner}
      </dd>
    </div>
  </dl>
)

const ForWhom = ({ refusal, onClose }: RefusalDetailProps) => {
  const parts = forWhomParts(refusal)
  if (parts.length === 0) return <p className="panel-note">Nobody was named.</p>
  return (
    <dl className="facts">
      {parts.map(([name, value, filter]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{filter === null ? value : <Others filter={filter} text={value} onClose={onClose} />}</dd>
        </div>
      ))}
    </dl>
  )
}

const Alternatives = ({ refusal: { alternatives, currency } }: Pick<RefusalDetailProps, "refusal">) =>
  alternatives.length === 0 ? null : (
    <section aria-label="What had room">
      <h3 className="section-name">Cheaper models that had room at that moment</h3>
      <ul>
        {alternatives.map(({ provider, model, estimated_cost }) => (
          <li key={`${provider}/${model}`} className="refused-else">
            <code>
              {provider} / {model}
            </code>
            <span>{exactMoney(parseAmount(estimated_cost), currency)}</span>
          </li>
        ))}
      </ul>
    </section>
  )

/** Whether no later moment would have changed the answer, and nothing else on the page says so. */
const isForGood = ({ violations, retry_at }: WireRefusal): boolean =>
  retry_at === null && !violations.some(isTooLargeEver)

export const RefusalDetail = ({ refusal, onClose }: RefusalDetailProps) => {
  const budgets = new Map(refusal.violations.map(({ budget_id, name }) => [budget_id, name]))
  return (
    <Dialog
      kind="drawer"
      onClose={onClose}
      title={
        <>
          <code>{refusal.signal}</code> <span className="outcome is-refused">{KIND_SAYS[refusal.kind]}</span>
        </>
      }
    >
      <Refusal reason={refusal.reason} violations={refusal.violations} retryAt={refusal.retry_at} />
      {refusal.more_violations > 0 && (
        <p className="panel-note">{count(refusal.more_violations)} more budgets had no room, either.</p>
      )}
      {isForGood(refusal) && (
        <p className="notice">
          <span>
            Waiting does not help:{" "}
            {refusal.kind === "unknown_price"
              ? "it needs a price for this model."
              : "it needs an override, or a higher limit."}
          </span>
        </p>
      )}
      <Facts refusal={refusal} onClose={onClose} />
      <h3 className="section-name">For whom</h3>
      <ForWhom refusal={refusal} onClose={onClose} />
      <Alternatives refusal={refusal} />
      {budgets.size > 0 && (
        <p className="panel-note">
          All refusals by{" "}
          {[...budgets].map(([budget_id, name], index) => (
            <span key={budget_id}>
              {index > 0 && ", "}
              <Others filter={{ budget_id }} text={name} onClose={onClose} />
            </span>
          ))}
          .
        </p>
      )}
    </Dialog>
  )
}
