/**
 * A route handler from `Request` to `Response`, as Next.js (app/api/chat/route.ts), SvelteKit, Remix and others take it.
 * It needs Node, not an edge runtime. (In your project, import from "bursar" where this says "../src/index.ts", and leave
 * `BURSAR_DATA` out or set it.)
 *
 *   curl -iN http://127.0.0.1:3000/api/chat -H 'x-user: ann' -H 'content-type: application/json' -d '{"prompt":"Hello"}'
 */
import { type Bursar, httpProblem, startBursar } from "../src/index.ts"

/** What Next.js reads: this needs Node's modules, and no answer is the same twice. */
export const runtime = "nodejs"
export const dynamic = "force-dynamic"

// A development server loads this module again whenever it changes, and a directory has one runtime at a time: so it is
// kept where a reload does not reach, and started once, with the first request.
const kept = globalThis as typeof globalThis & { bursar?: Promise<Bursar> }

const start = async (): Promise<Bursar> => {
  const { DATABASE_URL, BURSAR_DATA } = process.env
  const bursar = await startBursar({ databaseUrl: DATABASE_URL, dataDirectory: BURSAR_DATA })
  await bursar.create_budget({
    request_id: "setup/each-user",
    name: "Each user",
    type: "user",
    entity_id: "*",
    period: "daily",
    limit: "0.0001"
  })
  // Next.js ends by itself when it is told to; this goes along.
  process.once("SIGTERM", () => void bursar.close())
  return bursar
}

/** A start that failed is tried again by the next request. */
const started = (): Promise<Bursar> => {
  kept.bursar ??= start().catch((error) => {
    delete kept.bursar
    throw error
  })
  return kept.bursar
}

const clientOf = async (request: Request) => {
  const bursar = await started()
  // In your service: `await auth()`, or whatever says who this is.
  const user = request.headers.get("x-user") ?? "nobody"
  return bursar.as({ roles: ["app"], owner: user, attribution: { user_id: user } })
}

/** Every error of a signal has its HTTP answer; see httpProblem. */
const answering = async (answer: () => Promise<Response>): Promise<Response> => {
  try {
    return await answer()
  } catch (error) {
    const problem = httpProblem(error)
    return Response.json(problem.body, problem)
  }
}

/** Streams an answer. */
export const POST = (request: Request): Promise<Response> =>
  answering(async () => {
    const client = await clientOf(request)
    const { prompt } = (await request.json()) as { prompt: string }
    const answer = await client.stream(
      {
        provider: "simulator",
        model: "sim-fast",
        messages: [{ role: "user", content: prompt }],
        max_completion_tokens: 100
      },
      { signal: request.signal }
    )
    return new Response(answer.body(), { headers: { "content-type": "text/plain; charset=utf-8" } })
  })

/** What this user has spent today and has left. */
export const GET = (request: Request): Promise<Response> =>
  answering(async () => {
    const client = await clientOf(request)
    const { budgets } = await client.get_budget_status({})
    return Response.json(
      budgets.map(({ name, spent, remaining, currency }) => ({ name, spent, remaining, currency }))
    )
  })
