/** The head of the page: where we are, whether it is live, and what it has cost so far. */

import { inFlightOf } from "../model/Calls.ts"
import { count, exactMoney, roundedMoney, shortCount } from "../model/Figures.ts"
import { useConsole, useModel, useNow } from "../parts/Console.ts"
import { Icon } from "../parts/Icon.tsx"
import { type Scheme, useScheme } from "../parts/Scheme.ts"

const SCHEME_SAYS: { readonly [S in Scheme]: string } = {
  auto: "Scheme: as the system. Switch to light",
  light: "Scheme: light. Switch to dark",
  dark: "Scheme: dark. Follow the system"
}
const SCHEME_ICON = { auto: "auto", light: "sun", dark: "moon" } as const

const Reconnecting = ({ retryAt }: { readonly retryAt: number }) => {
  const { connection } = useConsole()
  const seconds = Math.max(0, Math.ceil((retryAt - useNow()) / 1000))
  return (
    <button type="button" className="live is-away" onClick={() => connection.connect()} title="Try now">
      <span className="live-dot" />
      {seconds > 0 ? `Reconnecting in ${seconds} s` : "Reconnecting…"}
    </button>
  )
}

const ConnectionState = () => {
  const connection = useModel((model) => model.connection)
  switch (connection.kind) {
    case "live":
      return (
        <span className="live is-live" title="Everything on this page is as the server told it a moment ago">
          <span className="live-dot" />
          Live
        </span>
      )
    case "reconnecting":
      return <Reconnecting retryAt={connection.retryAt} />
    case "signed_out":
      return (
        <span className="live is-out">
          <span className="live-dot" />
          Signed out
        </span>
      )
    default:
      return (
        <span className="live">
          <span className="live-dot" />
          {connection.kind === "loading" ? "Reading…" : "Connecting…"}
        </span>
      )
  }
}

const Figure = ({ name, title, children, pending }: FigureProps) => (
  <div className="figure" title={title}>
    <dt>{name}</dt>
    <dd>{children}</dd>
    <dd className="figure-pending">{pending}</dd>
  </div>
)

interface FigureProps {
  readonly name: string
  readonly title?: string | undefined
  readonly children: React.ReactNode
  readonly pending: React.ReactNode
}

const Totals = () => {
  const totals = useModel((model) => model.totals)
  const calls = useModel((model) => model.calls)
  const { refused, signals } = useModel((model) => model.counters)
  const inFlight = inFlightOf(calls.values())
  const currency = totals?.currency ?? "USD"
  return (
    <dl className="figures">
      <Figure
        name="Spent"
        title={totals === null ? undefined : `${exactMoney(totals.cost, currency)} since the first record`}
        pending={<span className="pencil">+ {roundedMoney(inFlight.cost, currency, 6)} in flight</span>}
      >
        {totals === null ? "–" : roundedMoney(totals.cost, currency, 4)}
      </Figure>
      <Figure
        name="Tokens"
        title={totals === null ? undefined : `${count(totals.tokens)} since the first record`}
        pending={<span className="pencil">+ {shortCount(inFlight.tokens)} in flight</span>}
      >
        {totals === null ? "–" : shortCount(totals.tokens)}
      </Figure>
      <Figure name="Calls" pending={<span className="pencil">{count(inFlight.calls)} in flight</span>}>
        {totals === null ? "–" : shortCount(totals.requests)}
      </Figure>
      <Figure name="Refused" pending={`of ${shortCount(signals)} signals seen`}>
        <span className={refused > 0 ? "is-bad" : ""}>{count(refused)}</span>
      </Figure>
    </dl>
  )
}

const StoreKind = () => {
  const status = useModel((model) => model.status)
  if (status === null) return null
  const { kind, reachable, durability } = status.store
  return (
    <span className={reachable ? "tag" : "tag is-bad"} title={durability}>
      {kind === "embedded" ? "Embedded store" : "Postgres"}
      {!reachable && " away"}
    </span>
  )
}

export interface HeaderProps {
  readonly onHelp: () => void
  readonly onAlerts: () => void
}

export const Header = ({ onHelp, onAlerts }: HeaderProps) => {
  const identity = useModel((model) => model.identity)
  const status = useModel((model) => model.status)
  const alerts = useModel((model) => model.alerts)
  const [scheme, nextScheme] = useScheme()
  const tenant = identity?.tenant || status?.tenant
  return (
    <header className="head">
      <div className="head-name">
        <a className="wordmark" href="#/" title={identity?.version ? `Bursar ${identity.version}` : "Bursar"}>
          <img src="/mark.svg" alt="" width="26" height="26" />
          <h1>Bursar</h1>
        </a>
        <div className="head-tags">
          {tenant !== undefined && (
            <span className="tag" title="The tenant that your key belongs to">
              {tenant}
            </span>
          )}
          <StoreKind />
          {identity?.playground === true && (
            <span
              className="tag is-play"
              title="Sample agents on the built-in simulator. No provider is called, no money is spent."
            >
              Playground
            </span>
          )}
        </div>
      </div>
      <Totals />
      <div className="head-tools">
        <ConnectionState />
        <button type="button" className="button quiet square" onClick={onAlerts} title="Alerts">
          <Icon name="bell" />
          <span className="unseen">Alerts</span>
          {alerts.length > 0 && <span className="badge">{alerts.length}</span>}
        </button>
        <button
          type="button"
          className="button quiet square"
          onClick={nextScheme}
          title={SCHEME_SAYS[scheme]}
        >
          <Icon name={SCHEME_ICON[scheme]} />
          <span className="unseen">{SCHEME_SAYS[scheme]}</span>
        </button>
        <button
          type="button"
          className="button quiet square help-button"
          onClick={onHelp}
          title="Keyboard and help (?)"
        >
          <Icon name="help" />
          <span className="unseen">Keyboard and help</span>
        </button>
      </div>
    </header>
  )
}
