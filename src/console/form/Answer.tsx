/** What came back: the result, the refusal with its budgets, the error with what to do about it, or streaming text. */
import { latency } from "../model/Figures.ts"
import { retryAtIn, violationsIn } from "../model/Log.ts"
import { Json } from "../parts/Json.tsx"
import { Refusal } from "../parts/Refusal.tsx"
import type { Outcome } from "./Sending.ts"

interface AnswerProps {
  readonly outcome: Outcome
  readonly onStop: (subscription: string) => void
}

export const isRefusing = (result: unknown): result is { readonly allowed: false; readonly reason: string } =>
  typeof result === "object" && result !== null && "allowed" in result && result.allowed === false

const Status = ({
  tone,
  says,
  tookMs
}: {
  readonly tone: string
  readonly says: string
  readonly tookMs?: number
}) => (
  <p className="answer-status">
    <span className={`outcome ${tone}`}>{says}</span>
    {tookMs !== undefined && <span>in {latency(tookMs)}</span>}
  </p>
)

export const Answer = ({ outcome, onStop }: AnswerProps) => {
  switch (outcome.kind) {
    case "sending":
      return <Status tone="is-wait" says="sending…" />
    case "answered":
      return (
        <>
          {isRefusing(outcome.result) ? (
            <>
              <Status tone="is-refused" says="refused" tookMs={outcome.tookMs} />
              <Refusal
                reason={outcome.result.reason}
                violations={violationsIn(outcome.result)}
                retryAt={retryAtIn(outcome.result)}
              />
            </>
          ) : (
            <Status tone="is-ok" says="ok" tookMs={outcome.tookMs} />
          )}
          <Json value={outcome.result} label="Result" />
        </>
      )
    case "streaming": {
      const ended = outcome.events.find((event) => "finished" in event || "failed" in event)
      return (
        <>
          <Status
            tone={ended === undefined ? "is-wait" : "is-ok"}
            says={ended === undefined ? "streaming…" : "ended"}
          />
          {outcome.text !== "" && <p className="answer-text">{outcome.text}</p>}
          {ended === undefined && (
            <button type="button" className="button small" onClick={() => onStop(outcome.subscription)}>
              Stop
            </button>
          )}
          {outcome.events.length > 0 && <Json value={outcome.events} label="Events" />}
        </>
      )
    }
    case "failed":
      return (
        <>
          <Status
            tone={outcome.tag === "BudgetExceeded" ? "is-refused" : "is-failed"}
            says={outcome.tag}
            tookMs={outcome.tookMs}
          />
          {outcome.tag === "BudgetExceeded" ? (
            <Refusal
              reason={outcome.message}
              violations={violationsIn(outcome.data)}
              retryAt={retryAtIn(outcome.data)}
            />
          ) : (
            <p className="failure">{outcome.message}</p>
          )}
          {outcome.data !== null && <Json value={outcome.data} label="Error" />}
        </>
      )
  }
}
