/** Vitest calls this once for a run; a Postgres that cannot be started fails the run. */
import { prepareServer } from "./Postgres.ts"

export default prepareServer
