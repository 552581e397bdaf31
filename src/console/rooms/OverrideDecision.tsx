/**
 * Deciding one override: approve it with an amount, or decline it with a reason.
 *
 * Owns: what is asked before it is sent. Does not decide: who may decide (the server says so in its own words).
 */
import { type FormEvent, useId, useRef, useState } from "react"
import { isDecimal } from "../../signal/Money.ts"
import type { WireOverride } from "../model/Model.ts"
import { Failure, useAction } from "../parts/Action.tsx"
import { useConsole, useMay, useModel } from "../parts/Console.ts"

const unitOf = ({ measure, currency }: WireOverride): string => (measure === "cost" ? currency : measure)

/** Four eyes are a rule of the server; whoever asked is told before pressing. */
const OwnRequest = ({ owner }: { readonly owner: string }) => (
  <p className="decide-own">
    You are signed in as <b>{owner}</b>, who asked for it. Somebody with a key of another owner decides.
  </p>
)

export const OverrideDecision = ({ override }: { readonly override: WireOverride }) => {
  const { store } = useConsole()
  const owner = useModel((model) => model.identity?.owner)
  const { isSending, failed, send } = useAction("decide_override")
  const [problem, setProblem] = useState<{ readonly field: "amount" | "note"; readonly says: string } | null>(
    null
  )
  const id = useId()
  const amount = useRef<HTMLInputElement>(null)
  const note = useRef<HTMLInputElement>(null)
  const mayDecide = useMay("decide_override")
  if (!mayDecide) return null

  const refuse = (field: "amount" | "note", says: string) => {
    setProblem({ field, says })
    const input = field === "amount" ? amount : note
    input.current?.focus()
  }
  const decide = (decision: "approve" | "deny") => {
    const asked = amount.current?.value.trim() ?? ""
    const words = note.current?.value.trim() ?? ""
    if (decision === "approve" && !isDecimal(asked))
      return refuse("amount", `Expected a number such as ${override.amount}`)
    if (decision === "deny" && words === "")
      return refuse("note", "Say why, so that whoever asked knows what to do")
    setProblem(null)
    send({
      override_id: override.id,
      decision,
      ...(decision === "approve" ? { amount: asked } : {}),
      ...(words === "" ? {} : { note: words })
    }).then(
      (answer) => {
        if (answer !== undefined) store.push({ kind: "overrides", overrides: [answer.override] })
      },
      () => undefined
    )
  }
  const approve = (event: FormEvent) => {
    event.preventDefault()
    decide("approve")
  }
  return (
    <form className="decide" onSubmit={approve} aria-label="Decide this override">
      {owner === override.requested_by && <OwnRequest owner={owner} />}
      <div className="decide-fields">
        <label className="decide-amount">
          <span>Approve ({unitOf(override)})</span>
          <input
            ref={amount}
            defaultValue={override.amount}
            inputMode="decimal"
            autoComplete="off"
            spellCheck={false}
            aria-invalid={problem?.field === "amount"}
            aria-describedby={problem === null ? undefined : id}
          />
        </label>
        <label className="decide-note">
          <span>Why</span>
          <input
            ref={note}
            maxLength={1000}
            placeholder="needed to decline"
            autoComplete="off"
            aria-invalid={problem?.field === "note"}
            aria-describedby={problem === null ? undefined : id}
          />
        </label>
        <button type="submit" className="button strong" disabled={isSending}>
          Approve
        </button>
        <button type="button" className="button" disabled={isSending} onClick={() => decide("deny")}>
          Decline
        </button>
      </div>
      <p id={id} className="field-problem" role="alert">
        {problem?.says}
      </p>
      <Failure failed={failed} />
    </form>
  )
}
