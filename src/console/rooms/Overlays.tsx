/** What lies over the page: help, alerts. */
import { clock } from "../model/Figures.ts"
import { useConsole, useModel } from "../parts/Console.ts"
import { Dialog } from "../parts/Dialog.tsx"
import { Empty } from "../parts/Panel.tsx"
import { keyTo, ROOM_TITLES } from "../parts/Route.ts"
import { signOut } from "../wire/Browser.ts"
import { useRooms } from "./Nav.tsx"

interface OverlayProps {
  readonly onClose: () => void
}

export const Alerts = ({ onClose }: OverlayProps) => {
  const alerts = useModel((model) => model.alerts)
  return (
    <Dialog kind="drawer" title="Alerts" onClose={onClose}>
      {alerts.length === 0 ? (
        <Empty title="No alerts since this page was opened">
          Thresholds, exceeded budgets, unpriced models and unsettled holds show up here.
        </Empty>
      ) : (
        <ul className="alerts">
          {alerts.map((alert) => (
            <li key={alert.id} className={`alert is-${alert.severity}`}>
              <p>{alert.message}</p>
              <span className="alert-foot">
                {alert.severity} · {alert.kind.replaceAll("_", " ")} ·{" "}
                {clock(Date.parse(alert.at)).slice(0, 8)}
              </span>
            </li>
          ))}
        </ul>
      )}
    </Dialog>
  )
}

const KEYS: ReadonlyArray<readonly [string, string]> = [
  ["/", "Filter"],
  ["p", "Pause the log, or go on"],
  ["a", "Alerts"],
  ["n", "New signal"],
  ["↑ ↓", "Walk through a list"],
  ["Enter", "Open what is marked"],
  ["Esc", "Close"],
  ["?", "This page"]
]

const Session = () => {
  const { connection } = useConsole()
  const identity = useModel((model) => model.identity)
  const leave = () => {
    signOut().then(
      () => connection.connect(),
      () => undefined
    )
  }
  return (
    <p className="session">
      <span>
        {identity?.owner !== undefined && `Signed in with the key of ${identity.owner}`}
        {identity?.roles !== undefined && ` (${identity.roles.join(", ")})`}
      </span>
      <button type="button" className="button small" onClick={leave}>
        Sign out
      </button>
    </p>
  )
}

const Keys = () => {
  const keys = [...useRooms().map((room) => [keyTo(room), ROOM_TITLES[room]] as const), ...KEYS]
  return (
    <dl className="keys">
      {keys.map(([key, says]) => (
        <div key={key}>
          <dt>
            {key.split(" ").map((one) => (
              <kbd key={one}>{one}</kbd>
            ))}
          </dt>
          <dd>{says}</dd>
        </div>
      ))}
    </dl>
  )
}

export const Help = ({ onClose }: OverlayProps) => (
  <Dialog kind="overlay" title="How to read this page" onClose={onClose}>
    <div className="help-read">
      <p>
        <span className="swatch swatch-spent" /> <b>Solid is spent:</b> reported by a provider, priced,
        booked.
      </p>
      <p>
        <span className="swatch swatch-held" /> <b>Hatched is pencilled in:</b> held for a call in flight. It
        becomes spent, or is given back.
      </p>
      <p>
        <span className="swatch" /> <b>Empty remains.</b> A call starts only if every budget that applies has
        room for it.
      </p>
    </div>
    <Keys />
    <Session />
  </Dialog>
)
