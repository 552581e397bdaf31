/**
 * A button that sends one signal.
 *
 * Owns: that it is sent once at a time, and that what the server says against it is shown where it was pressed.
 * Does not decide: whether it is taken.
 */
import { type ReactNode, useState } from "react"
import type { SignalName, SignalParams, SignalResult } from "../../signal/Catalogue.ts"
import { RpcFailure } from "../wire/RpcClient.ts"
import { useConsole } from "./Console.ts"

export interface Failed {
  readonly tag: string
  readonly message: string
}

const failedBy = (error: unknown): Failed =>
  error instanceof RpcFailure
    ? { tag: error.tag, message: error.message }
    : { tag: "No answer", message: error instanceof Error ? error.message : String(error) }

const AWAY: Failed = {
  tag: "Not connected",
  message: "There is no connection now; it is being made again. Press once more when the page is live."
}

interface Action<Name extends SignalName> {
  readonly isSending: boolean
  readonly failed: Failed | null
  /** Answers what was answered, or `undefined` where it failed: then `failed` says why. */
  readonly send: (params: SignalParams<Name>) => Promise<SignalResult<Name> | undefined>
  readonly forget: () => void
}

export const useAction = <Name extends SignalName>(name: Name): Action<Name> => {
  const { connection } = useConsole()
  const [isSending, setSending] = useState(false)
  const [failed, setFailed] = useState<Failed | null>(null)
  const send = async (params: SignalParams<Name>) => {
    const { client } = connection
    if (client === null) {
      setFailed(AWAY)
      return undefined
    }
    setSending(true)
    setFailed(null)
    try {
      return await client.request(name, params)
    } catch (error) {
      setFailed(failedBy(error))
      return undefined
    } finally {
      setSending(false)
    }
  }
  return { isSending, failed, send, forget: () => setFailed(null) }
}

/** The server's own words, and their name for whoever looks it up. */
export const Failure = ({
  failed,
  children
}: {
  readonly failed: Failed | null
  readonly children?: ReactNode
}) => (
  <div role="alert">
    {failed !== null && (
      <p className="failure">
        <b>{failed.tag}:</b> {failed.message}
        {children}
      </p>
    )}
  </div>
)
