/** A node whose store goes away and comes back, for real: what its log says of it, and what who asks is told. */
import { assert, it } from "@effect/vitest"
import { type LogEntry, startBursar } from "../../src/index.ts"
import { startProxy } from "../durability/support/TcpProxy.ts"
import { makeDatabase, makeFolder } from "../support/Program.ts"
import { eventually } from "../support/Wire.ts"

it("says so once, without stacks; who asks is told since when; and that it is back", async () => {
  const proxy = await startProxy(await makeDatabase())
  const entries: Array<LogEntry> = []
  await using bursar = await startBursar({
    databaseUrl: proxy.url,
    dataDirectory: makeFolder(),
    cluster: { port: 0 },
    log: { level: "warn", write: (entry) => void entries.push(entry) }
  })
  const told = () =>
    bursar.get_status().then(
      ({ store }) => `reachable: ${store.reachable}`,
      (error: Error) => error.message
    )
  const saying = (words: string) => entries.filter(({ message }) => message.includes(words))
  assert.strictEqual(await told(), "reachable: true")
  proxy.refuse()
  const refusal = await eventually(told, (message) =>
    message.startsWith("The store cannot be reached from this node since ")
  )
  assert.include(
    refusal,
    "nothing is recorded and no figures can be told; what was acknowledged is in the store"
  )
  assert.lengthOf(saying("The store cannot be reached ("), 1)
  assert.lengthOf(saying("durable machines could not be looked for"), 1)
  assert.deepStrictEqual(
    entries.filter(({ cause }) => cause !== undefined).map(({ message }) => message),
    []
  )
  proxy.accept()
  await eventually(told, (message) => message === "reachable: true")
  assert.lengthOf(saying("The store is back after "), 1)
  await proxy.close()
})
