/** The signal by which another part of the runtime raises an alert. It is kept, and told, like those of the ledger. */
import { Schema } from "effect"
import { Alert } from "./Budget.ts"
import { command } from "./Signal.ts"
import { Id } from "./Text.ts"

const { id: _id, at: _at, ...told } = Alert.fields

/** Under the same `request_id` it is raised once. */
export const RaiseAlert = command("raise_alert", {
  family: "management",
  roles: [],
  description: "Raises an alert of another part of the runtime.",
  payload: { request_id: Id, ...told },
  success: Schema.Struct({ alert: Alert })
})
