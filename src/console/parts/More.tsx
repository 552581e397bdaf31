/** The end of a list that has more in the store: read another page, or say that this is where the page stops. */
import { useState } from "react"
import type { Change } from "../model/Model.ts"
import type { RpcClient } from "../wire/RpcClient.ts"
import { useConsole } from "./Console.ts"

interface MoreProps {
  /** Where older ones begin; `null` where there are none. */
  readonly cursor: string | null
  /** Whether the page keeps no more of them. */
  readonly isFull: boolean
  readonly read: (client: RpcClient, cursor: string) => Promise<Change>
  readonly what: string
  readonly full: string
}

export const More = ({ cursor, isFull, read, what, full }: MoreProps) => {
  const { store, connection } = useConsole()
  const [isReading, setReading] = useState(false)
  const [problem, setProblem] = useState<string | null>(null)
  if (cursor === null) return null
  if (isFull) return <p className="more panel-note">{full}</p>
  const readMore = () => {
    const { client } = connection
    if (client === null) return setProblem("There is no connection now.")
    setReading(true)
    setProblem(null)
    read(client, cursor)
      .then(
        (change) => store.push(change),
        (error: unknown) => setProblem(error instanceof Error ? error.message : String(error))
      )
      .finally(() => setReading(false))
  }
  return (
    <p className="more">
      <button type="button" className="button" disabled={isReading} onClick={readMore}>
        {isReading ? "Reading…" : `Read older ${what}`}
      </button>
      <span role="alert" className="field-problem">
        {problem}
      </span>
    </p>
  )
}
