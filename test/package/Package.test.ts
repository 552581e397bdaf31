/** What `npm pack` makes, in an empty project: what is in it, that it installs, and that it works there. */
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import { afterAll, beforeAll, vi } from "vitest"
import { makeDatabase, makeFolder } from "../support/Program.ts"
import { Installed, type Serving } from "./support/Installed.ts"
import { namedAndNotExported } from "./support/PublicTypes.ts"

vi.setConfig({ testTimeout: 300_000, hookTimeout: 600_000 })

const BIN = fileURLToPath(new URL("../../node_modules/.bin/", import.meta.url))
const SIZE_MAX_BYTES = 2_000_000

let project: Installed
beforeAll(async () => {
  project = await Installed.make()
})
afterAll(() => project?.end())

const ask = (url: string, path: string, user: string, body?: object, signal?: AbortSignal) =>
  fetch(`${url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { "x-user": user, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal })
  })

describe("the package", () => {
  it("holds what it needs, and nothing else", () => {
    const { files, bytes, unpackedBytes } = project.packed
    console.log(
      `the package: ${files.length} files, ${(bytes / 1e6).toFixed(2)} MB packed, ${(unpackedBytes / 1e6).toFixed(2)} MB unpacked`
    )
    const expected =
      /^(package\.json|LICENSE|README\.md|CHANGELOG\.md|schemas\/[\w.-]+|dist\/console\/.+|dist\/.+\.(js|d\.ts))$/u
    assert.deepStrictEqual(
      files.filter((path) => !expected.test(path) || /\.(map|test\.\w+)$/u.test(path)),
      []
    )
    for (const path of [
      "dist/main.js",
      "dist/index.d.ts",
      "dist/effect.d.ts",
      "dist/testing.d.ts",
      "dist/store/embedded/Worker.js",
      "dist/console/index.html",
      "schemas/openrpc.json",
      "LICENSE"
    ]) {
      assert.include(files, path)
    }
    assert.isBelow(bytes, SIZE_MAX_BYTES)
  })

  it("is as packages should be: publint, and are the types wrong", async () => {
    const linted = await project.run(`${BIN}publint`, [project.packed.tarball, "--strict"])
    assert.strictEqual(linted.code, 0, linted.stdout + linted.stderr)
    // Modules only: Node 24, which it needs, requires modules as well.
    const typed = await project.run(`${BIN}attw`, [
      project.packed.tarball,
      "--profile",
      "esm-only",
      "--no-emoji"
    ])
    assert.strictEqual(typed.code, 0, typed.stdout + typed.stderr)
  })

  it("works in plain JavaScript, by import and by require", async () => {
    project.write(
      "plain.js",
      `import { createRequire } from "node:module"
       import * as bursar from "bursar"
       import * as effect from "bursar/effect"
       import * as testing from "bursar/testing"
       const required = createRequire(import.meta.url)("bursar")
       console.log(JSON.stringify([
         typeof bursar.startBursar, typeof effect.layer, typeof testing.startTestBursar, required.startBursar === bursar.startBursar,
         new bursar.NotFound({ kind: "k", id: "i", message: "m" }) instanceof effect.NotFound
       ]))`
    )
    const { stdout, stderr } = await project.run("node", ["plain.js"])
    assert.strictEqual(stderr, "")
    assert.deepStrictEqual(JSON.parse(stdout), ["function", "function", "function", true, true])
  })

  it("keeps what is inside to itself", async () => {
    project.write("inside.js", `import "bursar/dist/tokens/Ledger.js"`)
    const { stderr } = await project.run("node", ["inside.js"])
    assert.include(stderr, "ERR_PACKAGE_PATH_NOT_EXPORTED")
  })

  it("says in an editor what each field is, those too that a definition has from elsewhere", async () => {
    const { stdout } = await project.run("cat", ["node_modules/bursar/dist/signal/Budgeting.d.ts"])
    assert.match(stdout, /\/\*\* How long the money is held[^*]+\*\/\s+hold_ttl_ms: /u)
    assert.match(stdout, /\/\*\* One conversation[^*]+\*\/\s+conversation_id: /u)
  })

  it("exports each type that its signatures name, but those that a host only hands on", () => {
    const entry = join(project.folder, "node_modules/bursar/dist/effect.d.ts")
    assert.deepStrictEqual(
      namedAndNotExported(entry, NAMED_BY_SIGNALS).map((one) => one.split(" ")[0]),
      HANDED_ON
    )
  })

  it("has types that hold in strict mode, its own and those that it brings", async () => {
    for (const name of EXAMPLES) project.addExample(name)
    project.write("tsconfig.json", JSON.stringify({ compilerOptions: STRICT, include: ["*.ts"] }))
    const { code, stdout } = await project.run("npx", ["tsc", "-p", "."])
    assert.strictEqual(code, 0, stdout)
    project.write("wrong.ts", WRONG)
    const wrong = await project.run("npx", ["tsc", "-p", "."])
    assert.deepStrictEqual(
      [...wrong.stdout.matchAll(/^wrong\.ts\((\d+),\d+\): error (TS\d+)/gmu)].map(([, line, code]) => [
        line,
        code
      ]),
      [
        ["3", "TS2551"],
        ["4", "TS2322"],
        ["5", "TS2741"]
      ]
    )
    await project.run("rm", ["wrong.ts"])
  })
})

/** Each signal's definition is a field of these. */
const NAMED_BY_SIGNALS = new Set(["Signals", "ActorSignals"])

/**
 * Services and parts of them that whoever builds on the runtime has in a layer or gets as an argument, and never makes; and names of
 * the wire that are exported under another one (`SignalName`, `SignalParams`, `SignalResult`, `WorkflowDefinition`).
 */
const HANDED_ON = [
  "Admission",
  "InstallationSecret",
  "KeyAudit",
  "KeyStore",
  "Keys",
  "KnownKeys",
  "LedgerStore",
  "ParentSpan",
  "SessionStore",
  "Sessions",
  "SignalName",
  "SignalParams",
  "SignalResult",
  "Tracing",
  "UserDisguise",
  "WorkflowDefinition"
]

/** Those that run to their end, and what they say last. */
const TOLD: ReadonlyArray<readonly [string, RegExp]> = [
  ["06-durable-machine.ts", /^ordered\ncharged: receipt for order\/default\/book:charge:\d+\n$/u],
  ["07-workflow.ts", /\ncompleted: 100 %, \d+ tokens left\n.+\n$/u],
  ["08-own-actor.ts", /^The winner is tea\n$/u],
  ["09-machine-actor.ts", /\nended: done in over\n$/u]
]

const EXAMPLES = [
  "01-embed.ts",
  "02-hono.ts",
  "03-fastify.ts",
  "04-next-route.ts",
  "05-testing.ts",
  ...TOLD.map(([name]) => name)
]

/**
 * `skipLibCheck: false`: what the types of Effect and XState say is checked too. So `lib` is left as it is: Effect's need
 * the DOM's names (`CryptoKey`), as Hono's do. With `exactOptionalPropertyTypes` XState's do not hold.
 */
const STRICT = {
  strict: true,
  skipLibCheck: false,
  noUncheckedIndexedAccess: true,
  target: "es2024",
  module: "nodenext",
  types: ["node"],
  noEmit: true,
  erasableSyntaxOnly: true,
  verbatimModuleSyntax: true
}

const WRONG = `import { startBursar } from "bursar"
const bursar = await startBursar()
await bursar.check_budgets({})
await bursar.create_budget({ name: "n", type: "global", period: "daily", limit: 5 })
await bursar.check_budget({})
`

describe("the program of the package", () => {
  it("says what it takes", async () => {
    const help = await project.run("npx", ["bursar", "--help"])
    assert.strictEqual(help.code, 0)
    assert.include(help.stdout, "bursar audit verify")
    const version = await project.run("node_modules/.bin/bursar", ["--version"])
    assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/u)
    assert.strictEqual((await project.run("node_modules/.bin/bursar", ["serves"])).code, 2)
  })

  it("serves, shows the console and the schemas, ends in order, and its books can be verified", async () => {
    const env = { BURSAR_PORT: "0", BURSAR_DATA: makeFolder(), DATABASE_URL: await makeDatabase() }
    const served = await project.serve("node_modules/.bin/bursar", ["serve"], env)
    const page = await (await fetch(served.url)).text()
    const [, script] = /src="\.?\/?(assets\/[\w.-]+\.js)"/u.exec(page) ?? []
    assert.strictEqual((await fetch(`${served.url}/${script}`)).status, 200)
    const { openrpc } = (await (await fetch(`${served.url}/openrpc.json`)).json()) as { openrpc: string }
    assert.match(openrpc, /^1\./u)
    assert.strictEqual(await served.stop(), 0, served.output())
    const verified = await project.run("node_modules/.bin/bursar", ["audit", "verify"], env)
    assert.strictEqual(verified.code, 0, verified.stdout + verified.stderr)
  })
})

describe("the examples, from the package", () => {
  beforeAll(() => {
    for (const name of EXAMPLES) project.addExample(name)
  })

  const settings = async () => ({ PORT: "0", DATABASE_URL: await makeDatabase() })

  /** Until the answer is another one. */
  const statusesOf = async (send: () => Promise<Response>): Promise<ReadonlyArray<Response>> => {
    const answers: Array<Response> = []
    while (answers.length < 50) {
      const answer = await send()
      answers.push(answer)
      if (answer.status !== 200) return answers
      await answer.text()
    }
    return assert.fail("nothing was ever refused")
  }

  it("01: a script, on the embedded store", async () => {
    const { stdout, stderr } = await project.run("node", ["01-embed.ts"])
    assert.match(stdout, /\n1 request, [1-9]\d* tokens, 0\.\d+ USD\n$/u)
    assert.strictEqual(stderr, "")
  })

  const chats = async (send: (user: string, body: object, signal?: AbortSignal) => Promise<Response>) => {
    const first = await send("ann", { prompt: "Hello" })
    assert.strictEqual(first.status, 200)
    const reader = (first.body ?? assert.fail("it has a body")).getReader()
    const pieces: Array<string> = []
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      pieces.push(new TextDecoder().decode(read.value))
    }
    assert.isAbove(pieces.length, 1, "the text comes piece by piece")
    const answers = await statusesOf(() => send("ann", { prompt: "Hello" }))
    const refused = answers.at(-1) ?? assert.fail("there is one")
    assert.strictEqual(refused.status, 429)
    const retryAfter = Number(refused.headers.get("retry-after"))
    assert.isTrue(retryAfter > 0 && retryAfter <= 86_400, `retry-after ${retryAfter}`)
    assert.strictEqual(((await refused.json()) as { title: string }).title, "BudgetExceeded")
    assert.strictEqual((await send("bob", { prompt: 7 })).status, 400)
    const bob = await send("bob", { prompt: "Hello" })
    assert.strictEqual(bob.status, 200, "what ann has spent is not bob's")
    await bob.body?.cancel()
  }

  it("05: tests of a host, by the testing kit, without Postgres", async () => {
    const { code, stdout, stderr } = await project.run("node", ["--test", "05-testing.ts"])
    assert.strictEqual(code, 0, stdout + stderr)
    assert.match(stdout, /pass 2\n/u)
  })

  for (const [name, said] of TOLD)
    it(`${name.slice(0, 2)}: runs to its end, on the embedded store`, async () => {
      const { code, stdout, stderr } = await project.run("node", [name])
      assert.strictEqual(code, 0, stdout + stderr)
      assert.match(stdout, said)
      assert.strictEqual(stderr, "")
    })

  it("02: Hono streams, and refuses who has spent a day's budget until it begins anew", async () => {
    const served: Serving = await project.serve("node", ["02-hono.ts"], await settings())
    await chats((user, body) => ask(served.url, "/chat", user, body))
    assert.strictEqual(await served.stop(), 0, served.output())
  })

  it("03: Fastify answers JSON, tells of budgets as they change, and refuses for good", async () => {
    const served = await project.serve("node", ["03-fastify.ts"], await settings())
    const events = (await ask(served.url, "/budget", "ann")).body?.getReader() ?? assert.fail("it has a body")
    assert.include(new TextDecoder().decode((await events.read()).value), ": ")
    const answers = await statusesOf(() => ask(served.url, "/summary", "ann", { text: "A long story." }))
    assert.deepStrictEqual(
      answers.map(({ status }) => status),
      [200, 200, 402]
    )
    assert.isFalse(answers.at(-1)?.headers.has("retry-after"))
    const told = new TextDecoder().decode((await events.read()).value)
    assert.include(told, '"entity_id":"ann"')
    const bob = await ask(served.url, "/summary", "bob", { text: "A long story." })
    assert.match(((await bob.json()) as { cost: string }).cost, /^0\.0+[1-9]/u)
    assert.strictEqual(await served.stop(), 0, served.output())
    while (!(await events.read()).done) {
      // the last of the events, and then the end of the answer
    }
  })

  it("04: a route handler streams from Request to Response, and says what is left", async () => {
    project.write(
      "next-server.js",
      `import { createServer } from "node:http"
       import { Readable } from "node:stream"
       import { pipeline } from "node:stream/promises"
       import * as route from "./04-next-route.ts"
       const server = createServer(async (incoming, outgoing) => {
         const hasBody = incoming.method === "POST"
         const request = new Request("http://127.0.0.1/api/chat", {
           method: incoming.method,
           headers: incoming.headers,
           ...(hasBody ? { body: Readable.toWeb(incoming), duplex: "half" } : {})
         })
         const response = await route[incoming.method](request)
         outgoing.writeHead(response.status, Object.fromEntries(response.headers))
         await pipeline(response.body ?? [], outgoing).catch(() => {})
       })
       server.listen(0, "127.0.0.1", () => console.log("http://127.0.0.1:" + server.address().port))
       process.once("SIGTERM", () => server.close())`
    )
    const served = await project.serve("node", ["next-server.js"], await settings())
    await chats((user, body) => ask(served.url, "/api/chat", user, body))
    const [budget] = (await (await ask(served.url, "/api/chat", "ann")).json()) as ReadonlyArray<{
      spent: string
    }>
    assert.match(budget?.spent ?? "", /^0\.0000\d+$/u)
    assert.strictEqual(await served.stop(), 0, served.output())
  })
})
