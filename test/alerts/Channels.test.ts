/**
 * Channels of whole runtimes, as tenants set them: real https and SMTP servers at the other end, both stores beneath.
 * What was raised arrives, also after a kill (lessons 12 and 19); several runtimes send it once (lesson 16).
 */
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { afterAll, afterEach, beforeEach } from "vitest"
import { type Bursar, Conflict, InvalidParams, type StartOptions, startBursar } from "../../src/index.ts"
import { makeDatabase, makeFolder, startProgram } from "../support/Program.ts"
import { ADMIN_KEY, eventually, get, type Json } from "../support/Wire.ts"
import { makeCertificate } from "./support/Certificate.ts"
import { Postbox, textOf } from "./support/Postbox.ts"
import { isSigned, Receiver } from "./support/Receiver.ts"

const SECRET = "s3cret-of-the-receiver"
const OTHER_SECRET = "an0ther-secret-of-it"

const certificate = makeCertificate("127.0.0.1")
const receiver = await Receiver.open(certificate)
const postbox = await Postbox.open()
afterAll(() => Promise.all([receiver.close(), postbox.close()]))
beforeEach(() => {
  receiver.received.length = 0
  receiver.reply = () => 204
  postbox.letters.length = 0
})

const url = (path: string) => `https://127.0.0.1:${receiver.port}${path}`
const webhook = (path: string, secret = SECRET) => ({ type: "webhook" as const, url: url(path), secret })
const email = (...to: ReadonlyArray<string>) => ({ type: "email" as const, to: [...to] })

const ALERTS: StartOptions["alerts"] = {
  privateTargets: true,
  trustedCa: certificate.cert,
  smtp: { url: `smtp://127.0.0.1:${postbox.port}`, from: "bursar@example.com" }
}

const open = new Set<Bursar>()
const start = async (options: StartOptions): Promise<Bursar> => {
  const bursar = await startBursar({ alerts: ALERTS, ...options })
  open.add(bursar)
  return bursar
}
const close = async (bursar: Bursar): Promise<void> => {
  open.delete(bursar)
  await bursar.close()
}
afterEach(async () => {
  await Promise.all([...open].map(close))
})

let users = 0

/** A budget of a user of its own, of 10 requests, with alerts at each of these percents. */
const budgetOf = async (bursar: Bursar, ...alert_thresholds: Array<number>): Promise<string> => {
  const user = `user-${++users}`
  await bursar.send("create_budget", {
    name: user,
    type: "user",
    entity_id: user,
    period: "lifetime",
    limit: "10",
    measure: "requests",
    alert_thresholds
  })
  return user
}

const spend = async (bursar: Bursar, user_id: string, requests: number): Promise<void> => {
  const report = { provider: "simulator", model: "sim-fast", prompt_tokens: 1, completion_tokens: 1, user_id }
  for (let request = 0; request < requests; request++) {
    await bursar.send("track_usage", { ...report, request_id: crypto.randomUUID() })
  }
}

const failureOf = (promise: Promise<unknown>): Promise<Json> =>
  promise.then(
    () => assert.fail("it did not fail"),
    (error: unknown) => error
  )

const owed = async (bursar: Bursar): Promise<Json> => (await bursar.send("get_status", {})).alert_deliveries
const nothingIsOwed = (bursar: Bursar) =>
  eventually(
    () => owed(bursar),
    ({ pending }) => pending === 0
  )

const STORES: { readonly [name: string]: () => Promise<StartOptions> } = {
  "a Postgres server": async () => ({ databaseUrl: await makeDatabase() }),
  "the embedded store": async () => ({ dataDirectory: makeFolder() })
}

describe.each(Object.entries(STORES))("on %s", (_, options) => {
  it("an alert goes once per threshold to subscribers, to the webhook and to each address, and outlives a restart", async () => {
    const given = await options()
    let bursar = await start(given)
    const { config } = await bursar.send("configure_manager", {
      alert_channels: [webhook("/in?token=1"), email("a@example.com", "b@example.com")]
    })
    assert.deepStrictEqual(config.alert_channels, [
      { type: "webhook", url: `${url("/in")}?…` },
      email("a@example.com", "b@example.com")
    ])
    const alerts = (await bursar.subscribe("alerts"))[Symbol.asyncIterator]()
    const next = async (): Promise<Json> => (await alerts.next()).value?.event
    const first = next()
    const user = await budgetOf(bursar, 50, 80)
    await spend(bursar, user, 9)
    const told = [(await first).alert, (await next()).alert]
    await receiver.until(2)
    await postbox.until(4)
    assert.deepStrictEqual(
      receiver.received.map(({ body }) => JSON.parse(body)),
      told
    )
    for (const received of receiver.received) assert.isTrue(isSigned(received, SECRET))
    const ids = receiver.received.map(({ headers }) => headers["webhook-id"])
    assert.strictEqual(new Set(ids).size, 2)
    for (const address of ["a@example.com", "b@example.com"]) {
      const letters = postbox.letters.filter(({ to }) => to.includes(address))
      assert.deepStrictEqual(
        letters.map((letter) => textOf(letter).split("\r\n")[0]),
        told.map(({ message }) => message)
      )
      for (const { to, headers } of letters)
        assert.deepStrictEqual([to, headers.get("to")], [[address], [address]])
    }
    await nothingIsOwed(bursar)

    // It hangs while the next one is on its way, and the process ends.
    receiver.reply = () => () => {}
    await spend(bursar, user, 1)
    await receiver.until(3)
    await postbox.until(6)
    await eventually(
      () => owed(bursar),
      ({ pending }) => pending === 1
    )
    await close(bursar)
    receiver.reply = () => 204
    bursar = await start(given)
    await receiver.until(4)
    const [, , tried, again] = receiver.received
    assert.strictEqual(again?.body, tried?.body)
    assert.strictEqual(again?.headers["webhook-id"], tried?.headers["webhook-id"], "a repeat can be told")
    assert.isTrue(again !== undefined && isSigned(again, SECRET))
    await nothingIsOwed(bursar)
    assert.deepStrictEqual((await bursar.send("get_status", {})).config, config)
  })
})

describe("channels", () => {
  it("that are added get what is raised from then on; what waits for one that is removed is dropped", async () => {
    const bursar = await start({ databaseUrl: await makeDatabase() })
    const user = await budgetOf(bursar, 10, 20, 30, 40)
    await spend(bursar, user, 1)
    await bursar.send("configure_manager", { alert_channels: [webhook("/a")] })
    await spend(bursar, user, 1)
    await receiver.until(1)
    await bursar.send("configure_manager", { alert_channels: [webhook("/a"), webhook("/b")] })
    receiver.reply = ({ path }) => (path === "/a" ? 500 : 204)
    await spend(bursar, user, 1)
    await receiver.until(3)
    await eventually(
      () => owed(bursar),
      ({ pending }) => pending === 1
    )
    await bursar.send("configure_manager", { alert_channels: [{ type: "webhook", url: url("/b") }] })
    await nothingIsOwed(bursar)
    await spend(bursar, user, 1)
    await receiver.until(4)
    const seen = receiver.received.map(({ path, body }) => `${path} ${JSON.parse(body).data.threshold}`)
    assert.deepStrictEqual(seen.slice(0, 1), ["/a 20"])
    assert.deepStrictEqual(seen.slice(1, 3).sort(), ["/a 30", "/b 30"])
    assert.deepStrictEqual(seen.slice(3), ["/b 40"])
    const last = receiver.received[3]
    assert.isTrue(last !== undefined && isSigned(last, SECRET), "a secret that is left out stays")
    await bursar.send("configure_manager", { alert_channels: [] })
    assert.deepStrictEqual((await bursar.send("get_status", {})).config.alert_channels, [])
  })

  it("are signed with the newest secret, and a secret of the standard's form counts as its bytes", async () => {
    const bursar = await start({ databaseUrl: await makeDatabase() })
    const key = Buffer.from("a key of thirty-two bytes, as is")
    const user = await budgetOf(bursar, 10, 20)
    await bursar.send("configure_manager", { alert_channels: [webhook("/a")] })
    await spend(bursar, user, 1)
    await receiver.until(1)
    const standard = `whsec_${key.toString("base64")}`
    await bursar.send("configure_manager", { alert_channels: [webhook("/a", standard)] })
    await spend(bursar, user, 1)
    await receiver.until(2)
    const [first, second] = receiver.received
    assert.isTrue(first !== undefined && isSigned(first, SECRET))
    assert.isTrue(second !== undefined && isSigned(second, key) && !isSigned(second, SECRET))
  })

  it("of one tenant get nothing of another's, and two runtimes on one database deliver each alert once", async () => {
    const databaseUrl = await makeDatabase()
    const tenants = ["red", "blue"]
    const runtimes = await Promise.all(tenants.map((tenant) => start({ databaseUrl, tenant })))
    // A little while for each delivery, so that the other runtime comes across it.
    receiver.reply = () => (response) => setTimeout(() => response.writeHead(204).end(), 10)
    const thresholds = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]
    await Promise.all(
      runtimes.map(async (bursar, index) => {
        const paths = ["a", "b", "c"].map((name) => `/${tenants[index]}/${name}`)
        await bursar.send("configure_manager", { alert_channels: paths.map((path) => webhook(path)) })
        await spend(bursar, await budgetOf(bursar, ...thresholds), 10)
      })
    )
    await Promise.all(runtimes.map(nothingIsOwed))
    assert.lengthOf(receiver.received, 2 * 3 * 10)
    const seen = receiver.received.map(({ path, body }) => `${path} ${JSON.parse(body).data.threshold}`)
    assert.strictEqual(new Set(seen).size, 60)
    assert.strictEqual(new Set(receiver.received.map(({ headers }) => headers["webhook-id"])).size, 60)
  })

  it("that hang delay no answer and no other channel", async () => {
    const bursar = await start({ databaseUrl: await makeDatabase() })
    receiver.reply = ({ path }) => (path === "/dead" ? () => {} : 204)
    await bursar.send("configure_manager", { alert_channels: [webhook("/dead"), webhook("/well")] })
    await spend(bursar, await budgetOf(bursar, 10, 20, 30, 40, 50, 60, 70, 80, 90), 10)
    const count = (path: string) => receiver.received.filter((received) => received.path === path).length
    await eventually(
      async () => count("/well"),
      (well) => well === 10
    )
    assert.strictEqual(count("/dead"), 1)
  })
})

/** Runs one statement beside the runtimes. */
const run = (databaseUrl: string, statement: string): Promise<Json> =>
  Effect.runPromise(
    Effect.flatMap(PgClient.PgClient, (sql) => sql.unsafe(statement)).pipe(
      Effect.provide(PgClient.layer({ url: Redacted.make(databaseUrl) }))
    )
  )

it("what was under way when the program was killed arrives when its lease has ended, under the same id", async () => {
  const databaseUrl = await makeDatabase()
  const plain = await Receiver.open()
  plain.reply = () => () => {}
  const options = { databaseUrl, env: { BURSAR_WEBHOOK_PRIVATE_TARGETS: "on" } }
  const program = await startProgram(options)
  const channel = { type: "webhook", url: `http://127.0.0.1:${plain.port}/`, secret: SECRET }
  await program.call("configure_manager", { alert_channels: [channel] })
  const report = { provider: "p", prompt_tokens: 1, completion_tokens: 1 }
  await program.call("track_usage", { ...report, request_id: "1", model: "one" })
  await program.call("track_usage", { ...report, request_id: "2", model: "two" })
  await plain.until(1)
  await program.kill()
  plain.reply = () => 204
  const [{ ms }] = await run(
    databaseUrl,
    "SELECT extract(epoch FROM max(due_at) - now())::float8 * 1000 AS ms FROM alert_delivery"
  )
  assert.isAbove(ms, 5_000, "until the lease ends, whoever took it may still be at work")
  await run(databaseUrl, "UPDATE alert_delivery SET due_at = now()")
  const heir = await startProgram(options)
  await plain.until(3)
  const [first, ...others] = plain.received
  const again = others.find(({ body }) => body === first?.body)
  assert.strictEqual(again?.headers["webhook-id"], first?.headers["webhook-id"])
  assert.strictEqual(new Set(plain.received.map(({ body }) => body)).size, 2)
  await eventually(
    () => heir.call("get_status"),
    ({ alert_deliveries }) => alert_deliveries.pending === 0
  )
  await heir.stop()
  await plain.close()
})

describe("a channel is refused", () => {
  const issuesOf = async (bursar: Bursar, alert_channels: Json): Promise<ReadonlyArray<string>> => {
    const failure = await failureOf(bursar.send("configure_manager", { alert_channels }))
    assert.instanceOf(failure, InvalidParams)
    assert.notInclude(JSON.stringify(failure), SECRET.slice(0, 8))
    return failure.issues.map(({ path }: Json) => path.join("."))
  }

  it("that this installation cannot deliver to, and says what to do", async () => {
    const bursar = await start({ databaseUrl: await makeDatabase(), alerts: {} })
    const channels = [
      email("a@example.com"),
      { type: "webhook", url: "http://example.com/", secret: SECRET },
      { type: "webhook", url: "https://10.0.0.1/", secret: SECRET },
      { type: "webhook", url: "https://[::ffff:169.254.169.254]/", secret: SECRET }
    ]
    assert.deepStrictEqual(await issuesOf(bursar, channels), [
      "alert_channels.0.type",
      "alert_channels.1.url",
      "alert_channels.2.url",
      "alert_channels.3.url"
    ])
    const failure = await failureOf(
      bursar.send("configure_manager", { alert_channels: [email("a@example.com")] })
    )
    assert.include(failure.message, "BURSAR_SMTP_URL")
    assert.deepStrictEqual((await bursar.send("get_status", {})).config.alert_channels, [])
  })

  it("that is not well formed, is named twice, or has no secret; nothing of the signal is done", async () => {
    const bursar = await start({ databaseUrl: await makeDatabase() })
    const table: ReadonlyArray<readonly [Json, string]> = [
      [{ type: "webhook", url: url("/a"), secret: SECRET.slice(0, 15) }, "alert_channels.0.secret"],
      [{ type: "webhook", url: url("/a"), secret: `whsec_${SECRET}` }, "alert_channels.0.secret"],
      [{ type: "webhook", url: url("/a"), secret: `${SECRET}\u0000` }, "alert_channels.0.secret"],
      [{ type: "webhook", url: url("/a"), secret: 5 }, "alert_channels.0.secret"],
      [{ type: "webhook", url: url("/a") }, "alert_channels.0.secret"],
      [{ type: "webhook", url: "ftp://a/", secret: SECRET }, "alert_channels.0.url"],
      [{ type: "webhook", url: "https://u:p@a/", secret: SECRET }, "alert_channels.0.url"],
      [{ type: "webhook", url: "https://a/#b", secret: SECRET }, "alert_channels.0.url"],
      [{ type: "webhook", url: "https://a/\r\nx: y", secret: SECRET }, "alert_channels.0.url"],
      [{ type: "webhook", url: "not a url", secret: SECRET }, "alert_channels.0.url"],
      [{ type: "webhook", url: url("/a"), secret: SECRET, secrt: SECRET }, "alert_channels.0.secrt"],
      [{ type: "email", to: [] }, "alert_channels.0.to"],
      [{ type: "email", to: ["a@b.c", "a@B.c"] }, "alert_channels.0.to.1"],
      [{ type: "email", to: ["a@b.c\r\nBcc: d@e.f"] }, "alert_channels.0.to.0"],
      [{ type: "email", to: ["Ada <a@b.c>"] }, "alert_channels.0.to.0"],
      [{ type: "email", to: ["a@b.c, d@e.f"] }, "alert_channels.0.to.0"],
      [{ type: "fax" }, "alert_channels.0"]
    ]
    for (const [channel, path] of table) {
      assert.deepStrictEqual(await issuesOf(bursar, [channel]), [path], JSON.stringify(channel))
    }
    const twice = [webhook("/a"), webhook("/b"), { ...webhook("/a"), secret: OTHER_SECRET }]
    assert.deepStrictEqual(await issuesOf(bursar, twice), ["alert_channels.2"])
    const many = Array.from({ length: 9 }, (_, index) => webhook(`/${index}`))
    assert.deepStrictEqual(await issuesOf(bursar, many), ["alert_channels"])
    const people = [0, 1].map((channel) =>
      email(...Array.from({ length: 9 }, (_, n) => `a${channel}${n}@b.c`))
    )
    assert.deepStrictEqual(await issuesOf(bursar, people), ["alert_channels"])
    const failure = await failureOf(
      bursar.send("configure_manager", {
        default_completion_tokens: 7,
        alert_channels: [{ type: "webhook", url: url("/a") }]
      })
    )
    assert.instanceOf(failure, InvalidParams)
    const { config } = await bursar.send("get_status", {})
    assert.deepInclude(config, { default_completion_tokens: 4096, alert_channels: [] })
  })

  it("with settings for e-mail that cannot work, the runtime does not start", async () => {
    const smtp = { url: "https://u:hunter2@example.com", from: "a@b.c" }
    const failure = await failureOf(startBursar({ dataDirectory: makeFolder(), alerts: { smtp } }))
    assert.include(failure.message, "BURSAR_SMTP_URL")
    assert.notInclude(failure.message, "hunter2")
  })
})

describe("a secret", () => {
  const inDatabase = (databaseUrl: string, text: string): Promise<ReadonlyArray<string>> =>
    Effect.runPromise(
      Effect.gen(function* () {
        const sql = yield* PgClient.PgClient
        const tables = yield* sql<{ readonly name: string }>`
          SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace`
        assert.isAbove(tables.length, 10)
        const found = yield* Effect.forEach(tables, ({ name }) =>
          sql.unsafe<{ readonly name: string }>(
            `SELECT '${name}' AS name FROM ${name} t WHERE strpos(t::text, $1) > 0`,
            [text]
          )
        )
        return found.flat().map(({ name }) => name)
      }).pipe(Effect.provide(PgClient.layer({ url: Redacted.make(databaseUrl) })))
    )

  it("can be sent again, and another one under the same request_id is a Conflict", async () => {
    const bursar = await start({ databaseUrl: await makeDatabase() })
    const params = { request_id: "r1", alert_channels: [webhook("/a")] }
    const first = await bursar.send("configure_manager", params)
    assert.deepStrictEqual(await bursar.send("configure_manager", params), first)
    const other = { ...params, alert_channels: [webhook("/a", OTHER_SECRET)] }
    assert.instanceOf(await failureOf(bursar.send("configure_manager", other)), Conflict)
  })

  it("is never told again: not in answers, errors, events, insight, logs or metrics, and not in the database", async () => {
    const databaseUrl = await makeDatabase()
    const plain = await Receiver.open()
    plain.reply = () => 500
    const webhook = (path: string) => ({
      type: "webhook",
      url: `http://127.0.0.1:${plain.port}${path}`,
      secret: SECRET
    })
    const program = await startProgram({
      databaseUrl,
      env: {
        BURSAR_LOG_LEVEL: "debug",
        BURSAR_WEBHOOK_PRIVATE_TARGETS: "on",
        BURSAR_SMTP_URL: `smtp://user:hunter2@127.0.0.1:${postbox.port}`,
        BURSAR_SMTP_FROM: "bursar@example.com"
      }
    })
    const wire = await program.connect()
    const signals = await wire.subscribe("signals")
    const channels = [webhook("/a?token=hidden-token"), email("a@example.com")]
    const told: Array<unknown> = [
      await program.call("configure_manager", { request_id: "r", alert_channels: channels }),
      await program.call("configure_manager", { request_id: "r", alert_channels: channels }),
      (
        await failureOf(
          program.call("configure_manager", { request_id: "r", alert_channels: [webhook("/b")] })
        )
      ).data,
      (
        await failureOf(
          program.call("configure_manager", {
            alert_channels: [...channels, webhook("/a?token=hidden-token")]
          })
        )
      ).data
    ]
    // Notifications that fail, before they are decoded and after: they become dead letters.
    const tell = (params: Json) =>
      wire.ws.send(JSON.stringify({ jsonrpc: "2.0", method: "configure_manager", params }))
    tell({ alert_channels: [webhook("/b")], max_pending: -1 })
    tell({ alert_channels: [{ type: "webhook", url: "gopher://a", secret: SECRET }] })
    const report = { provider: "p", model: "unpriced", prompt_tokens: 1, completion_tokens: 1 }
    await program.call("track_usage", { ...report, request_id: "1" })
    await plain.until(1)
    await eventually(
      async () => program.log(),
      (log) => /tried again in/u.test(log)
    )
    told.push(await program.call("get_status"))
    told.push(await program.call("list_actors"))
    told.push(await program.call("inspect_actor", { address: "token_manager/default" }))
    told.push((await get(program.url, "/metrics", { authorization: `Bearer ${ADMIN_KEY}` })).text)
    told.push(await signals.until((event) => event.signal?.signal === "track_usage"))
    const everything = JSON.stringify(told) + program.log() + program.output()
    assert.include(everything, "bursar_alert_deliveries_total")
    assert.match(everything, /channel=\\"webhook\\",outcome=\\"failed\\"/u)
    assert.include(JSON.stringify(told.at(-1)), "configure_manager")
    // The URL's query is shown neither; of the other end's answers, only what they were.
    for (const hidden of [SECRET, "hidden-token", "hunter2"]) assert.notInclude(everything, hidden)
    assert.deepStrictEqual(await inDatabase(databaseUrl, SECRET), [])
    assert.deepStrictEqual(await inDatabase(databaseUrl, "sealed.v1."), ["alert_recipient"])
    await program.stop()
    await plain.close()
  })

  it("that cannot be opened any more fails its deliveries, and says so where dead letters are counted", async () => {
    const databaseUrl = await makeDatabase()
    const bursar = await start({ databaseUrl })
    await bursar.send("configure_manager", { alert_channels: [webhook("/a?t0ken")] })
    await run(databaseUrl, "UPDATE alert_recipient SET secret = 'sealed.v1.' || repeat('A', 60)")
    await spend(bursar, await budgetOf(bursar, 10), 1)
    const [row] = await eventually(
      () => run(databaseUrl, "SELECT attempts, failure FROM alert_delivery WHERE failure IS NOT NULL"),
      (rows) => rows.length === 1
    )
    assert.deepInclude(row, { attempts: 1 })
    assert.include(row.failure, "no secret to sign with")
    await run(databaseUrl, "UPDATE alert_delivery SET due_at = now(), attempts = 7")
    // What is raised now wakes the courier, which takes what has been due for longer first.
    await spend(bursar, await budgetOf(bursar, 10), 1)
    const letters = await eventually(
      async () => (await bursar.list_dead_letters({ address: "alerts" })).items,
      ({ length }) => length === 1
    )
    assert.strictEqual((await owed(bursar)).dead_letters, 1)
    assert.lengthOf(receiver.received, 0)
    const [letter] = letters
    assert.deepInclude(letter, { signal: "deliver_alert", principal: "alerts", redrivable: true })
    assert.match(letter?.why ?? "", /^It did not arrive in 8 tries: .*no secret to sign with/u)
    assert.include(letter?.payload, `to:"${url("/a")}?…"`)
    for (const hidden of [SECRET, "sealed.v1.", "t0ken"]) assert.notInclude(JSON.stringify(letters), hidden)
    const letter_id = letter?.letter_id ?? ""
    await bursar.send("configure_manager", { alert_channels: [webhook("/a?t0ken")] })
    assert.deepInclude(await bursar.redrive_dead_letter({ letter_id }), { redriven: true, error: null })
    const alertId = /alert:"([^"]+)"/u.exec(letter?.payload ?? "")?.[1]
    const told = await eventually(
      async () => receiver.received.find(({ body }) => JSON.parse(body).id === alertId),
      (received) => received !== undefined
    )
    assert.isTrue(told !== undefined && isSigned(told, SECRET))
    assert.strictEqual((await owed(bursar)).dead_letters, 0)
    assert.deepStrictEqual((await bursar.list_dead_letters()).items, [])
  })

  it("that has gone leaves its dead letters, which go to no other one", async () => {
    const databaseUrl = await makeDatabase()
    const bursar = await start({ databaseUrl })
    await bursar.send("configure_manager", { alert_channels: [webhook("/a")] })
    receiver.reply = () => 500
    const user = await budgetOf(bursar, 10)
    await spend(bursar, user, 1)
    await eventually(
      () => run(databaseUrl, "SELECT 1 FROM alert_delivery WHERE failure IS NOT NULL"),
      (rows) => rows.length === 1
    )
    await run(databaseUrl, "UPDATE alert_delivery SET due_at = now(), attempts = 7")
    await spend(bursar, await budgetOf(bursar, 10), 1)
    const items = await eventually(
      async () => (await bursar.list_dead_letters()).items,
      ({ length }) => length === 1
    )
    await bursar.send("configure_manager", { alert_channels: [webhook("/b")] })
    const { redriven, error } = await bursar.redrive_dead_letter({ letter_id: items[0]?.letter_id ?? "" })
    assert.isFalse(redriven)
    assert.include(error?.message, "its channel is not configured any more")
    await bursar.send("forget_user", { user_id: user })
    const [kept] = (await bursar.list_dead_letters()).items
    assert.include(items[0]?.payload, user)
    assert.notInclude(JSON.stringify(kept), user, "who is forgotten is forgotten here, too")
  })
})
