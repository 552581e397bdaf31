/**
 * A summary as JSON, and a page's live view of what its user has left, with Fastify. Needs `fastify`. (In your project,
 * import from "bursar" where this says "../src/index.ts".)
 *
 *   node examples/03-fastify.ts
 *   curl -i http://127.0.0.1:3000/summary -H 'x-user: ann' -H 'content-type: application/json' -d '{"text":"…"}'
 *   curl -N http://127.0.0.1:3000/budget -H 'x-user: ann'       # server-sent events, as they happen
 *
 * Ann has two summaries in all; then the answer is 402: nothing that she could wait for gives her more.
 */
import { Readable } from "node:stream"
import fastify, { type FastifyRequest } from "fastify"
import { type Client, httpProblem, startBursar } from "../src/index.ts"

const { DATABASE_URL, BURSAR_DATA, PORT = "3000" } = process.env
const bursar = await startBursar({ databaseUrl: DATABASE_URL, dataDirectory: BURSAR_DATA })

// A budget may count requests or tokens too, and need not begin anew.
await bursar.create_budget({
  request_id: "setup/trial",
  name: "Trial",
  type: "user",
  entity_id: "*",
  measure: "requests",
  period: "lifetime",
  limit: "2"
})

/** In your service: whoever your session says. */
const userOf = (request: FastifyRequest): string => String(request.headers["x-user"] ?? "nobody")

const clientOf = (user: string): Client =>
  bursar.as({ roles: ["app"], owner: user, attribution: { user_id: user, feature: "summaries" } })

const app = fastify()

app.post<{ Body: { text: string } }>("/summary", async (request) => {
  const { content, usage } = await clientOf(userOf(request)).complete({
    provider: "simulator",
    model: "sim-fast",
    system: "Summarise in one sentence.",
    messages: [{ role: "user", content: request.body.text }],
    max_completion_tokens: 60
  })
  return { summary: content, cost: usage.cost, currency: usage.currency }
})

app.get("/budget", async (request, reply) => {
  // A client sees the budgets that its attribution covers, and no others.
  const changes = await clientOf(userOf(request)).subscribe("budgets")
  const events = async function* () {
    yield ": the next change comes here\n\n"
    for await (const { event } of changes) {
      if ("budget" in event) yield `data: ${JSON.stringify(event.budget)}\n\n`
    }
  }
  // The page that goes away ends the loop, and with it the subscription. The stream is the last of its connection, so that
  // a server that is told to stop does not wait for what else might come on it.
  reply.headers({ "content-type": "text/event-stream", connection: "close" })
  return reply.send(Readable.from(events()))
})

app.setErrorHandler((error, _request, reply) => {
  const { status, headers, body } = httpProblem(error)
  return reply.code(status).headers(headers).send(body)
})

console.log(`listening on ${await app.listen({ host: "127.0.0.1", port: Number(PORT) })}`)

process.once("SIGTERM", async () => {
  // Subscriptions end with the runtime, so that their pages do not keep the server open.
  await Promise.all([app.close(), bursar.close({ graceMs: 10_000 })])
})
