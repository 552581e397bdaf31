/**
 * A modal drawer or overlay on the browser's own dialog: it keeps the focus, closes on Escape and gives the focus
 * back where it was.
 */
import { type ReactNode, useEffect, useId, useRef } from "react"
import { Icon } from "./Icon.tsx"

interface DialogProps {
  readonly title: ReactNode
  readonly kind: "drawer" | "overlay"
  readonly onClose: () => void
  readonly children: ReactNode
}

export const Dialog = ({ title, kind, onClose, children }: DialogProps) => {
  const dialog = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  useEffect(() => {
    const element = dialog.current
    if (element === null || element.open) return
    element.showModal()
    return () => element.close()
  }, [])
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes a modal dialog; the click on the backdrop is extra.
    <dialog
      ref={dialog}
      className={`dialog ${kind}`}
      aria-labelledby={titleId}
      onClose={onClose}
      onClick={(event) => {
        if (event.target === event.currentTarget) event.currentTarget.close()
      }}
    >
      <div className="dialog-inner">
        <header className="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <button type="button" className="button quiet square" onClick={() => dialog.current?.close()}>
            <Icon name="close" />
            <span className="unseen">Close</span>
          </button>
        </header>
        <div className="dialog-body">{children}</div>
      </div>
    </dialog>
  )
}
