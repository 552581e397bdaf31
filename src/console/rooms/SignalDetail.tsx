/** One signal in full: who sent it to whom, what it asked, what was answered, and why it was refused. */
import { foundNoRoom, isFailure } from "../../signal/Refusals.ts"
import { clock, latency } from "../model/Figures.ts"
import { retryAtIn, violationsIn } from "../model/Log.ts"
import type { WireRecord } from "../model/Model.ts"
import { CopyButton } from "../parts/Copy.tsx"
import { Dialog } from "../parts/Dialog.tsx"
import { Json } from "../parts/Json.tsx"
import { Refusal } from "../parts/Refusal.tsx"
import { hrefTo } from "../parts/Route.ts"

interface SignalDetailProps {
  readonly record: WireRecord
  readonly onClose: () => void
}

export const SignalDetail = ({ record, onClose }: SignalDetailProps) => {
  const isRefused = record.outcome !== "ok" && !isFailure(record)
  return (
    <Dialog
      kind="drawer"
      onClose={onClose}
      title={
        <>
          <code>{record.signal}</code>{" "}
          <span className={`outcome ${outcomeTone(record)}`}>
            {foundNoRoom(record) ? "no room" : record.outcome}
          </span>
        </>
      }
    >
      {isRefused && (
        <Refusal
          reason={record.reason}
          violations={violationsIn(record.answer)}
          retryAt={retryAtIn(record.answer)}
        />
      )}
      {!isRefused && record.reason !== null && <p className="failure">{record.reason}</p>}
      <dl className="facts">
        <div>
          <dt>To</dt>
          <dd>
            <a href={hrefTo("actors", record.address)}>{record.address}</a>
          </dd>
        </div>
        <div>
          <dt>By key</dt>
          <dd>{record.principal}</dd>
        </div>
        <div>
          <dt>Request</dt>
          <dd>{record.request_id ?? "–"}</dd>
        </div>
        <div>
          <dt>Sent</dt>
          <dd title={record.at}>{clock(Date.parse(record.at))}</dd>
        </div>
        <div>
          <dt>Took</dt>
          <dd>{latency(record.duration_ms)}</dd>
        </div>
      </dl>
      <h3 className="section-name">
        Asked <CopyButton text={JSON.stringify(record.payload, null, 2)} what="payload" />
      </h3>
      <Json value={record.payload} label="Payload" />
      <h3 className="section-name">Answered</h3>
      <Json value={record.answer} label="Answer" />
    </Dialog>
  )
}

export const outcomeTone = (record: WireRecord): string =>
  isFailure(record) ? "is-failed" : record.outcome === "ok" || foundNoRoom(record) ? "is-ok" : "is-refused"
