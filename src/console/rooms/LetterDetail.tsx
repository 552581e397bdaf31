/** One dead letter in full, and what came of sending it again. */
import { useState } from "react"
import type { SignalResult } from "../../signal/Catalogue.ts"
import { moment } from "../model/Figures.ts"
import { isAlert, payloadOf, type WireLetter } from "../model/Letters.ts"
import { Failure, useAction } from "../parts/Action.tsx"
import { useMay } from "../parts/Console.ts"
import { CopyButton } from "../parts/Copy.tsx"
import { Dialog } from "../parts/Dialog.tsx"
import { Json } from "../parts/Json.tsx"

interface LetterDetailProps {
  readonly letter: WireLetter
  readonly onGone: () => void
  readonly onClose: () => void
}

interface AnswerProps extends Pick<LetterDetailProps, "letter"> {
  readonly answer: SignalResult<"redrive_dead_letter">
}

const Answer = ({ letter, answer }: AnswerProps) =>
  answer.redriven ? (
    <p className="success">
      {isAlert(letter)
        ? "It is on its way to its channel again, with fresh tries. It comes back here if it never arrives."
        : "It was taken this time, and is a dead letter no more."}
    </p>
  ) : (
    <p className="failure">
      <b>It failed again{answer.error === null ? "." : `, ${answer.error._tag}:`}</b> {answer.error?.message}
    </p>
  )

const Redrive = ({ letter, onGone }: Pick<LetterDetailProps, "letter" | "onGone">) => {
  const mayRedrive = useMay("redrive_dead_letter")
  const { isSending, failed, send } = useAction("redrive_dead_letter")
  const [answer, setAnswer] = useState<SignalResult<"redrive_dead_letter"> | null>(null)
  const again = () => {
    setAnswer(null)
    send({ letter_id: letter.letter_id }).then(
      (answered) => {
        if (answered === undefined) return
        setAnswer(answered)
        if (answered.redriven) onGone()
      },
      () => undefined
    )
  }
  if (!letter.redrivable) {
    return (
      <p className="notice">
        It cannot be sent again: what it carried is not kept, or belongs to a connection. Send the signal
        itself again.
      </p>
    )
  }
  if (!mayRedrive) return null
  return (
    <div className="redrive">
      {answer?.redriven !== true && (
        <>
          <button type="button" className="button strong" disabled={isSending} onClick={again}>
            {isSending ? "Sending…" : "Send again"}
          </button>
          <span className="panel-note">
            {isAlert(letter)
              ? "To the channel that it was for."
              : "As the key that sent it first. It stays here if it fails again."}
          </span>
        </>
      )}
      <div role="status">{answer !== null && <Answer letter={letter} answer={answer} />}</div>
      <Failure failed={failed} />
    </div>
  )
}

export const LetterDetail = ({ letter, onGone, onClose }: LetterDetailProps) => {
  const payload = payloadOf(letter)
  return (
    <Dialog
      kind="drawer"
      onClose={onClose}
      title={
        <>
          <code>{letter.signal}</code> <span className="outcome is-failed">dead letter</span>
        </>
      }
    >
      <p className="failure">{letter.why}</p>
      <Redrive letter={letter} onGone={onGone} />
      <dl className="facts">
        <div>
          <dt>To</dt>
          <dd>{letter.address}</dd>
        </div>
        <div>
          <dt>{isAlert(letter) ? "From" : "From the key"}</dt>
          <dd>{letter.principal}</dd>
        </div>
        <div>
          <dt>When</dt>
          <dd title={letter.at}>{moment(Date.parse(letter.at))}</dd>
        </div>
        <div>
          <dt>Letter</dt>
          <dd>{letter.letter_id}</dd>
        </div>
      </dl>
      <h3 className="section-name">
        Carried, without prompt text and secrets <CopyButton text={letter.payload} what="payload" />
      </h3>
      {payload === null ? (
        <pre className="json">{letter.payload === "" ? "nothing that is kept" : letter.payload}</pre>
      ) : (
        <Json value={payload.json} label="Payload" />
      )}
    </Dialog>
  )
}
