/** A host that runs Bursar in its own process. `node examples/01-embed.ts` */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startBursar } from "../src/index.ts"

const bursar = await startBursar({ dataDirectory: mkdtempSync(join(tmpdir(), "bursar-")) })

// Under the same request_id it is made once, however often the script is started on the same data.
await bursar.create_budget({
  request_id: "setup/research",
  name: "Research",
  type: "team",
  entity_id: "research",
  period: "daily",
  limit: "5.00"
})

const answer = await bursar.complete({
  provider: "simulator",
  model: "sim-fast",
  messages: [{ role: "user", content: "Say hello to the people who count." }],
  team_id: "research"
})
console.log(answer.content)

const { totals } = await bursar.get_usage({ team_id: "research" })
console.log(
  `${totals?.requests} request, ${totals?.total_tokens} tokens, ${totals?.cost} ${totals?.currency}`
)

await bursar.close()
