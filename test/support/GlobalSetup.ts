/** Vitest calls this once for a run; a Postgres that cannot be started fails the run. */
import { prepareEmbedded } from "./EmbeddedData.ts"
import { prepareServer } from "./Postgres.ts"

export default async (): Promise<() => Promise<void>> => {
  const stopServer = await prepareServer()
  const deleteTemplate = prepareEmbedded()
  return async () => {
    deleteTemplate()
    await stopServer()
  }
}
