/** One actor: its state, its statechart with the path it took, its mailbox, and what it knows. */
import { lazy, Suspense, useEffect, useState } from "react"
import type { MachineGraph } from "../../signal/Actors.ts"
import { requestIdOf } from "../model/Calls.ts"
import { clock, count, duration, roundedMoney } from "../model/Figures.ts"
import { retryAtIn, violationsIn } from "../model/Log.ts"
import type { ActorRow, PathStep } from "../model/Model.ts"
import { CallState, EndedState } from "../parts/CallState.tsx"
import { useConsole, useMedia, useModel, useNow } from "../parts/Console.ts"
import { Json } from "../parts/Json.tsx"
import { Refusal } from "../parts/Refusal.tsx"
import { goTo, hrefTo, useRoute } from "../parts/Route.ts"

const Statechart = lazy(() => import("../chart/Statechart.tsx"))

/**
 * Machines of one kind share a chart, so a call that ended is drawn from the one that was read before. A child machine has
 * its parent's kind, and a chart of its own.
 */
const chartOf = ({ kind, parent, address }: ActorRow["info"]): string =>
  parent?.startsWith(`${kind}/`) === true ? address : kind

const graphs = new Map<string, MachineGraph | null>()
const reading = new Set<string>()

const useGraph = (row: ActorRow): MachineGraph | null | undefined => {
  const { connection } = useConsole()
  const isLive = useModel((model) => model.connection.kind === "live")
  const [, setRead] = useState(0)
  const { kind, address } = row.info
  const chart = chartOf(row.info)
  const isAlive = row.endedAt === null
  useEffect(() => {
    const { client } = connection
    if (!isLive || client === null || !isAlive || graphs.has(chart) || reading.has(chart)) return
    reading.add(chart)
    client
      .request("inspect_actor", { address })
      .then(({ machine }) => {
        // A call that ended while it was asked about has no chart to give: the next one is asked.
        if (machine !== null || kind !== "call") graphs.set(chart, machine)
      })
      .catch(() => undefined)
      .finally(() => {
        reading.delete(chart)
        setRead((times) => times + 1)
      })
  }, [connection, isLive, isAlive, kind, chart, address])
  return graphs.get(chart)
}

const Steps = ({
  path,
  endedAt
}: {
  readonly path: ReadonlyArray<PathStep>
  readonly endedAt: number | null
}) => {
  const now = useNow()
  return (
    <ol className="steps" aria-label="The path it took">
      {path.map((step, index) => {
        const until = path[index + 1]?.at ?? endedAt ?? now
        return (
          <li key={`${step.at} ${step.state}`} title={step.event ?? "first seen in this state"}>
            <CallState state={step.state} />
            <time dateTime={new Date(step.at).toISOString()}>{clock(step.at)}</time>
            <span>
              {index === path.length - 1 && endedAt !== null ? "" : duration(Math.max(0, until - step.at))}
            </span>
          </li>
        )
      })}
    </ol>
  )
}

const Spending = ({ address }: { readonly address: string }) => {
  const requestId = requestIdOf(address)
  const call = useModel((model) => (requestId === null ? undefined : model.calls.get(requestId)))
  if (call === undefined) return null
  let { tokensInFlight: tokens, costInFlight: cost } = call
  for (const attempt of call.attempts) {
    tokens += attempt.tokens
    cost += attempt.cost
  }
  return (
    <>
      <div>
        <dt>Model</dt>
        <dd>{call.provider === "" ? "…" : `${call.provider} / ${call.model}`}</dd>
      </div>
      <div>
        <dt>Tokens</dt>
        <dd className={call.isOpen ? "pencil" : ""}>{count(tokens)}</dd>
      </div>
      <div>
        <dt>Cost</dt>
        <dd className={call.isOpen ? "pencil" : ""}>{roundedMoney(cost, call.currency, 6)}</dd>
      </div>
    </>
  )
}

const WhyRefused = ({ address }: { readonly address: string }) => {
  const requestId = requestIdOf(address)
  const record = useModel((model) =>
    requestId === null ? null : (model.calls.get(requestId)?.refusal ?? null)
  )
  if (record === null) return null
  return (
    <Refusal
      reason={record.reason}
      violations={violationsIn(record.answer)}
      retryAt={retryAtIn(record.answer)}
    />
  )
}

const Context = ({ address }: { readonly address: string }) => {
  const { connection } = useConsole()
  const [answer, setAnswer] = useState<{ readonly value: unknown } | { readonly why: string } | null>(null)
  const read = () => {
    const { client } = connection
    if (client === null) return setAnswer({ why: "There is no connection" })
    client.request("inspect_actor", { address }).then(
      (info) => setAnswer({ value: info.context }),
      (error: unknown) => setAnswer({ why: error instanceof Error ? error.message : String(error) })
    )
  }
  return (
    <details className="context" onToggle={(event) => event.currentTarget.open && read()}>
      <summary>What it knows (redacted)</summary>
      {answer === null ? null : "why" in answer ? (
        <p className="failure">{answer.why}</p>
      ) : (
        <Json value={answer.value} label="Context" />
      )}
    </details>
  )
}

interface ActorDetailProps {
  readonly row: ActorRow
  readonly isFollowing: boolean
}

export const ActorDetail = ({ row, isFollowing }: ActorDetailProps) => {
  const graph = useGraph(row)
  const isPhone = useMedia("(width < 560px)")
  const { room } = useRoute()
  const shape = isPhone ? "tall" : room === "overview" ? "narrow" : "wide"
  const { info, path, endedAt } = row
  return (
    <article className="look" aria-label={info.address}>
      <header className="look-head">
        <h3 title={info.address}>
          <code>{info.address}</code>
        </h3>
        {info.state !== null &&
          (endedAt === null ? <CallState state={info.state} /> : <EndedState state={info.state} />)}
        {isFollowing ? (
          <span className="look-mode">
            Following calls · <a href={hrefTo("actors", info.address)}>stay here</a>
          </span>
        ) : (
          <button type="button" className="button small" onClick={() => goTo("actors")}>
            Follow calls
          </button>
        )}
      </header>
      {/* A call that was over before it could be asked has no chart; the next one brings it. */}
      {graph !== null && (graph !== undefined || endedAt === null) && (
        <div className="look-chart">
          {graph === undefined ? (
            <div className="chart chart-wait" />
          ) : (
            <Suspense fallback={<div className="chart chart-wait" />}>
              <Statechart key={info.address} graph={graph} state={info.state} path={path} shape={shape} />
            </Suspense>
          )}
        </div>
      )}
      {info.kind === "workflow" && (
        <p>
          <a className="button small" href={hrefTo("workflows", info.address.split("/").slice(2).join("/"))}>
            Its agents, steps and budget
          </a>
        </p>
      )}
      <WhyRefused address={info.address} />
      <dl className="facts look-facts">
        <Spending address={info.address} />
        <div className="fact-extra">
          <dt>Status</dt>
          <dd>{endedAt === null ? info.status : "ended"}</dd>
        </div>
        <div className={info.kind === "call" ? "fact-extra" : ""}>
          <dt>Mailbox</dt>
          <dd>
            {count(info.mailbox_depth)} of {count(info.mailbox_capacity)}
          </dd>
        </div>
        <div className="fact-extra">
          <dt>Handled</dt>
          <dd>{count(info.signals_handled)}</dd>
        </div>
        <div className={info.restarts === 0 ? "fact-extra" : ""}>
          <dt>Restarts</dt>
          <dd className={info.restarts > 0 ? "is-warn" : ""}>{count(info.restarts)}</dd>
        </div>
      </dl>
      {path.length > 0 && <Steps path={path} endedAt={endedAt} />}
      {endedAt === null && <Context key={info.address} address={info.address} />}
    </article>
  )
}
