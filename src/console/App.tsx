/**
 * The page.
 *
 * Owns: which room is shown, the shortcuts, what is announced to screen readers.
 */
import { lazy, Suspense, useEffect, useRef, useState } from "react"
import { useModel } from "./parts/Console.ts"
import { Loading } from "./parts/Panel.tsx"
import { goTo, ROOM_TITLES, type Route, roomOfKey, useRoute } from "./parts/Route.ts"
import { Actors } from "./rooms/Actors.tsx"
import { Attention } from "./rooms/Attention.tsx"
import { Budgets } from "./rooms/Budgets.tsx"
import { Calls } from "./rooms/Calls.tsx"
import { DeadLetters } from "./rooms/DeadLetters.tsx"
import { Header } from "./rooms/Header.tsx"
import { Nav } from "./rooms/Nav.tsx"
import { Alerts, Help } from "./rooms/Overlays.tsx"
import { Overrides } from "./rooms/Overrides.tsx"
import { Refusals } from "./rooms/Refusals.tsx"
import { Signals } from "./rooms/Signals.tsx"
import { SignIn } from "./rooms/SignIn.tsx"
import { Workflows } from "./rooms/Workflows.tsx"

const Send = lazy(() => import("./form/Send.tsx"))

const RoomView = ({ route }: { readonly route: Route }) => {
  switch (route.room) {
    case "overview":
      return (
        <>
          <Attention />
          <Budgets isAlone={false} />
          <Actors isAlone={false} />
          <Calls isAlone={false} />
          <Signals isAlone={false} />
        </>
      )
    case "workflows":
      return <Workflows />
    case "overrides":
      return <Overrides />
    case "letters":
      return <DeadLetters />
    case "refusals":
      return <Refusals subject={route.subject} />
    case "budgets":
      return <Budgets isAlone />
    case "actors":
      return <Actors isAlone />
    case "calls":
      return <Calls isAlone />
    case "signals":
      return <Signals isAlone />
    case "send":
      return (
        <Suspense fallback={<Loading />}>
          <Send subject={route.subject} />
        </Suspense>
      )
  }
}

type Overlay = "help" | "alerts" | null

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName))

const press = (name: string): boolean => {
  const element = document.querySelector<HTMLElement>(`[data-shortcut="${name}"]`)
  if (element === null) return false
  if (element instanceof HTMLInputElement) element.focus()
  else element.click()
  return true
}

const useShortcuts = (open: (overlay: Overlay) => void): void => {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
      if (document.querySelector("dialog[open]") !== null) return
      const room = roomOfKey(event.key)
      if (room !== undefined) goTo(room)
      else if (event.key === "?") open("help")
      else if (event.key === "a") open("alerts")
      else if (event.key === "n") goTo("send")
      else if (event.key === "p") press("pause")
      else if (event.key === "/") {
        if (!press("filter")) goTo("signals")
      } else return
      event.preventDefault()
    }
    addEventListener("keydown", onKey)
    return () => removeEventListener("keydown", onKey)
  }, [open])
}

/** Only what somebody who cannot see the page must know at once: the connection, and critical alerts. */
const Announcer = () => {
  const kind = useModel((model) => model.connection.kind)
  const alert = useModel((model) => model.alerts[0])
  const says = {
    live: "Live",
    reconnecting: "The connection is away. Reconnecting.",
    signed_out: "Signed out",
    connecting: "",
    loading: ""
  }[kind]
  return (
    <div className="unseen">
      <p aria-live="polite">{says}</p>
      <p aria-live="polite">{alert?.severity === "critical" ? alert.message : ""}</p>
    </div>
  )
}

const Stale = () => {
  const connection = useModel((model) => model.connection)
  if (connection.kind !== "reconnecting") return null
  return (
    <p className="stale" role="status">
      The server is away. What you see is as it was when the connection ended; it goes on by itself.
    </p>
  )
}

export const App = () => {
  const route = useRoute()
  const connection = useModel((model) => model.connection)
  const isLoaded = useModel((model) => model.isLoaded)
  const [overlay, setOverlay] = useState<Overlay>(null)
  const main = useRef<HTMLElement>(null)
  useShortcuts(setOverlay)
  useEffect(() => {
    document.title = route.room === "overview" ? "Bursar" : `${ROOM_TITLES[route.room]} · Bursar`
  }, [route.room])
  if (connection.kind === "signed_out") return <SignIn reason={connection.reason} />
  return (
    <div className="page">
      {/* biome-ignore lint/a11y/useValidAnchor: it is a link by nature, but the address's hash names the room. */}
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault()
          main.current?.focus()
        }}
      >
        Skip to the room
      </a>
      <Header onHelp={() => setOverlay("help")} onAlerts={() => setOverlay("alerts")} />
      <Nav room={route.room} />
      {isLoaded && <Stale />}
      <main ref={main} id="main" tabIndex={-1} className={`room room-${route.room}`}>
        <RoomView route={route} />
      </main>
      <Announcer />
      {overlay === "help" && <Help onClose={() => setOverlay(null)} />}
      {overlay === "alerts" && <Alerts onClose={() => setOverlay(null)} />}
    </div>
  )
}
