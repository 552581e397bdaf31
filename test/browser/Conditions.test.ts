/** What the real server cannot be made to do on demand: floods, sessions that end, a policy stricter than ours. */
import { fileURLToPath } from "node:url"
import type { Browser } from "playwright-core"
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest"
import { launchBrowser, openPage, type Watched } from "./support/Browser.ts"
import { FakeServer } from "./support/FakeServer.ts"

const CONSOLE = fileURLToPath(new URL("../../dist/console", import.meta.url))
let browser: Browser
let server: FakeServer
let base: string
let watched: Watched

beforeAll(async () => {
  browser = await launchBrowser()
})

beforeEach(async () => {
  server = new FakeServer(CONSOLE)
  base = `http://127.0.0.1:${await server.listen()}/`
  watched = await openPage(browser)
})

afterEach(async () => {
  expect(watched.complaints).toEqual([])
  await watched.context.close()
  await server.close()
})

afterAll(() => browser.close())

const isLive = (text = "Live") => watched.page.getByText(text, { exact: true }).first().waitFor()

it("stays quick under a flood of signals, and keeps a bounded log", async () => {
  const { page } = watched
  await page.goto(base)
  await isLive()
  const event = (index: number) => ({
    signal: {
      signal: "check_budget",
      address: "token_manager/default",
      principal: "k",
      request_id: `flood-${index}`,
      at: new Date().toISOString(),
      version: 1 as const,
      signal_id: 1,
      trace_id: null,
      duration_ms: 1,
      outcome: "ok",
      reason: null,
      payload: {},
      answer: {}
    }
  })
  for (let index = 0; index < 10_000; index++) server.tell("signals", event(index))
  await page.locator(".log-row", { hasText: "check_budget" }).first().waitFor()
  await page.keyboard.press("7")
  await page.getByLabel("Filter signals").fill("flood-9999")
  // The rows of before are there until the filter has been applied.
  await expect.poll(() => page.locator(".log-row").count(), { timeout: 30_000 }).toBe(1)
  await page.getByLabel("Filter signals").fill("flood-1")
  await page.getByText("Nothing matches").or(page.locator(".log-row").first()).first().waitFor()
  expect(await page.getByRole("listbox").locator(".log-row").count()).toBeLessThan(80)
})

it("works with no exception from the strictest policy: no eval, no inline styles, nothing from elsewhere", async () => {
  const { page } = watched
  server.ledger.play(300)
  await page.goto(base)
  await isLive()
  await page.locator(".chart-state.is-current").first().waitFor()
  await page.goto(`${base}#/send/complete`)
  await page.getByRole("button", { name: "Send complete" }).click()
  await page.locator(".field-problem").first().waitFor()
})

it("tells a person who is signed out from a server that is away, and lets them in again", async () => {
  const { page } = watched
  server.isSignedIn = false
  await page.goto(base)
  await page.getByLabel("Key").fill("wrong")
  await page.keyboard.press("Enter")
  await page.getByText("This key is not known here").waitFor()
  await page.getByLabel("Key").fill("right")
  await page.keyboard.press("Enter")
  await isLive()
  server.isSignedIn = false
  server.dropConnections(4001)
  await page.getByText("The key of this session was revoked.").waitFor()
})

it("never polls: a quiet page asks nothing", async () => {
  await watched.page.goto(base)
  await isLive()
  const before = [...server.asked.entries()]
  server.ledger.call("quiet-1")
  await watched.page
    .locator(".call", { hasText: "done" })
    .or(watched.page.locator(".call", { hasText: "refused" }))
    .first()
    .waitFor()
  const asked = new Map(server.asked)
  asked.delete("inspect_actor")
  expect([...asked.entries()]).toEqual(before)
})
