/**
 * A chat endpoint that no user can overspend, with Hono. Needs `hono` and `@hono/node-server`. (In your project, import
 * from "bursar" where this says "../src/index.ts".)
 *
 *   node examples/02-hono.ts
 *   curl -iN http://127.0.0.1:3000/chat -H 'x-user: ann' -H 'content-type: application/json' -d '{"prompt":"Hello"}'
 *
 * Ask long enough, and the answer is 429 with `Retry-After`: ann has spent what she has for today.
 */
import { serve } from "@hono/node-server"
import { Hono } from "hono"
import { httpProblem, startBursar } from "../src/index.ts"

const { DATABASE_URL, BURSAR_DATA, PORT = "3000" } = process.env

// Without DATABASE_URL everything is kept in a directory of this machine: ./.bursar, if nothing else is said.
const bursar = await startBursar({ databaseUrl: DATABASE_URL, dataDirectory: BURSAR_DATA })

// Everybody has the same budget of their own. The request_id makes this safe to run at each start: it is made once.
await bursar.create_budget({
  request_id: "setup/each-user",
  name: "Each user",
  type: "user",
  entity_id: "*",
  period: "daily",
  limit: "0.0001"
})

const app = new Hono()

app.post("/chat", async (context) => {
  // In your service: from a verified session or token, never from a header that anybody can write.
  const user = context.req.header("x-user") ?? "nobody"
  const { prompt } = await context.req.json<{ prompt: string }>()

  // All that is sent by this client is ann's money, whatever the params say. It costs nothing to make one.
  const client = bursar.as({ roles: ["app"], owner: user, attribution: { user_id: user } })

  // Fulfilled once the call's money is held: a refusal throws here, before a byte of a 200 has left.
  const answer = await client.stream(
    {
      provider: "simulator",
      model: "sim-fast",
      messages: [{ role: "user", content: prompt }],
      max_completion_tokens: 100
    },
    // Whoever closes the tab ends the call; it is charged for what it used.
    { signal: context.req.raw.signal }
  )
  return new Response(answer.body(), { headers: { "content-type": "text/plain; charset=utf-8" } })
})

// 429 with Retry-After where a budget begins anew, 402 where it does not, 400 for a prompt that is none, and so on.
app.onError((error) => {
  const problem = httpProblem(error)
  return Response.json(problem.body, problem)
})

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(PORT) }, ({ port }) => {
  console.log(`listening on http://127.0.0.1:${port}`)
})

// First the door, then what is behind it: requests end, calls that still run get ten seconds.
process.once("SIGTERM", () => {
  server.close(() => void bursar.close({ graceMs: 10_000 }))
})
