/**
 * Starts the console.
 *
 * Owns: putting the store, the connection and the page together.
 */
import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import { App } from "./App.tsx"
import { onFrame, Store } from "./model/Store.ts"
import { ConsoleContext } from "./parts/Console.ts"
import "./style/base.css"
import "./style/nav.css"
import "./style/parts.css"
import "./style/actors.css"
import "./style/budgets.css"
import "./style/overlays.css"
import "./style/signals.css"
import "./style/workflows.css"
import "./style/workflow.css"
import "./style/waiting.css"
import { browserSurroundings } from "./wire/Browser.ts"
import { Connection } from "./wire/Connection.ts"

const store = new Store(onFrame)
const connection = new Connection(store, browserSurroundings)
connection.connect()
addEventListener("online", () => connection.connect())
addEventListener("pagehide", () => connection.stop())
addEventListener("pageshow", (event) => {
  if (event.persisted) connection.connect()
})

const TICK_MS = 5_000
setInterval(() => store.push({ kind: "tick", now: Date.now() }), TICK_MS)

const root = document.getElementById("root")
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <ConsoleContext value={{ store, connection }}>
        <App />
      </ConsoleContext>
    </StrictMode>
  )
}
