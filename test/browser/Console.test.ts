/** The console on the program itself, as a person uses it. */
import type { Browser, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest"
import { makeFolder, type Program, startProgram } from "../support/Program.ts"
import { ADMIN_KEY } from "../support/Wire.ts"
import { LAPTOP, launchBrowser, openPage, PHONE, type Watched } from "./support/Browser.ts"

const data = makeFolder()
let program: Program
let browser: Browser
let watched: Watched
let page: Page

const start = (port = "0") => startProgram({ data, args: [], env: { BURSAR_PORT: port }, isFromSource: true })

const signIn = async (on: Page) => {
  await on.goto(program.url)
  await on.getByLabel("Key").fill(ADMIN_KEY)
  await on.keyboard.press("Enter")
  await on.getByText("Live", { exact: true }).first().waitFor()
}

beforeAll(async () => {
  browser = await launchBrowser()
  program = await start()
  watched = await openPage(browser)
  page = watched.page
  await signIn(page)
}, 120_000)

afterEach(() => expect(watched.complaints).toEqual([]))

afterAll(async () => {
  await browser?.close()
  await program?.stop()
})

const room = async (hash: string, on: Page = page) => {
  await on.goto(`${program.url}/#/${hash}`)
}

/** Room for `limit` dollars of one agent. */
const limit = (agent: string, dollars: string) =>
  program.call("create_budget", {
    name: `Only ${agent}`,
    type: "agent",
    entity_id: agent,
    period: "daily",
    limit: dollars
  })

const call = (requestId: string, agent: string, model = "sim-slow", tokens = 60) =>
  program.call("complete", {
    request_id: requestId,
    provider: "simulator",
    model,
    messages: [{ role: "user", content: "Count to a hundred, slowly." }],
    max_completion_tokens: tokens,
    agent
  })

describe("the console", () => {
  it("shows a call pass through its states, live", async () => {
    // The first call that is seen brings the chart; from then on it is there before the call is.
    await room("actors")
    await page.locator(".chart-state").first().waitFor()
    await room("actors/call%2Fdefault%2Fwatched-1")
    await page.getByText("This actor is not here any more").waitFor()
    // Long enough that a busy machine sees it on its way.
    const answered = call("watched-1", "watcher", "sim-slow", 150)
    const state = page.locator(".look-head .pill")
    await expect.poll(() => state.textContent(), { timeout: 20_000 }).toBe("calling")
    await page.locator(".chart-state.is-current", { hasText: "calling" }).waitFor()
    const usedSoFar = page.locator(".look-facts dd.pencil").first()
    await expect
      .poll(async () => Number(await usedSoFar.textContent()), { timeout: 20_000 })
      .toBeGreaterThan(0)
    await answered
    await expect.poll(() => state.textContent(), { timeout: 20_000 }).toBe("done")
    const steps = await page.locator(".steps .pill").allTextContents()
    expect(steps).toEqual(["estimating", "awaiting budget", "calling", "reporting", "done"])
    await page.locator(".chart-state.is-current", { hasText: "done" }).waitFor()
    expect(await page.locator(".chart-arrow.is-passed").count()).toBe(4)
  })

  it("says why an agent was refused: which budget, what was asked, what is missing", async () => {
    await limit("pauper", "0.000001")
    await expect(call("refused-1", "pauper")).rejects.toMatchObject({ tag: "BudgetExceeded" })
    await room("signals")
    await page.getByLabel("Filter signals").fill("refused-1 signal:check_budget")
    await page.getByText("Refused", { exact: false }).first().click()
    await page.locator(".log-row.is-refused").first().click()
    const why = page.getByRole("region", { name: "Why it was refused" })
    await why.getByText("Only pauper", { exact: true }).waitFor()
    expect(await why.locator(".violation-short").textContent()).toMatch(/Short by\$0\.000\d+/u)
    await page.keyboard.press("Escape")
    await room("calls")
    const row = page.locator(".call", { hasText: "pauper" }).first()
    expect(await row.locator(".pill").textContent()).toBe("refused")
  })

  it("sends a signal by its form, with what is wrong beside the field, and shows what came of it", async () => {
    await room("send/create_budget")
    await page.getByRole("button", { name: "Send create_budget" }).click()
    expect(await page.locator(".field-problem").allTextContents()).toEqual(
      Array(4).fill("This field is required")
    )
    await page.getByLabel(/^name/u).fill("By hand")
    await page.getByLabel(/^type/u).selectOption({ label: "agent" })
    await page.getByLabel(/^period/u).selectOption({ label: "daily" })
    await page.getByLabel(/^limit/u).fill("12,50")
    await page.locator(".field-problem", { hasText: "Expected a decimal" }).waitFor()
    await page.getByLabel(/^limit/u).fill("12.50")
    // What the schema cannot say, the server does: an agent's budget names its agent.
    await page.getByText("Optional").click()
    await page.getByLabel(/^entity_id/u).fill("typist")
    await page.getByRole("button", { name: "Send create_budget" }).click()
    await page.locator(".answer-status", { hasText: "ok" }).waitFor()
    await room("budgets")
    const card = page.locator(".budget", { hasText: "By hand" })
    await card.waitFor()
    expect(await card.locator(".key-rest dd").textContent()).toBe("$12.50")
  })

  it("streams a call's text into the form's answer", async () => {
    await room("send/complete")
    await page.getByRole("radio", { name: "JSON" }).check({ force: true })
    await page.getByLabel("Params as JSON").fill(
      JSON.stringify({
        provider: "simulator",
        model: "sim-fast",
        stream: true,
        messages: [{ role: "user", content: "Hello" }]
      })
    )
    await page.getByRole("button", { name: "Send complete" }).click()
    await page.locator(".answer-status", { hasText: "ended" }).waitFor()
    expect((await page.locator(".answer-text").textContent())?.length).toBeGreaterThan(10)
  })

  it("can be walked by keyboard alone", async () => {
    await room("")
    await page.locator(".log-row").first().waitFor()
    await page.keyboard.press("?")
    await page.getByRole("dialog", { name: "How to read this page" }).waitFor()
    await page.keyboard.press("Escape")
    await page.keyboard.press("7")
    await expect.poll(() => page.title()).toBe("Signals · Bursar")
    await page.keyboard.press("p")
    expect(await page.getByRole("button", { name: "Go on", exact: true }).getAttribute("aria-pressed")).toBe(
      "true"
    )
    await page.getByRole("listbox").focus()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.getByRole("dialog").getByText("Answered").waitFor()
    await page.keyboard.press("Escape")
    expect(await page.evaluate(() => document.activeElement?.getAttribute("role"))).toBe("listbox")
    await page.keyboard.press("p")
    await page.keyboard.press("/")
    expect(await page.evaluate(() => document.activeElement?.getAttribute("type"))).toBe("search")
    await page.reload()
    await page.getByText("Live", { exact: true }).first().waitFor()
    await page.keyboard.press("Tab")
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe("Skip to the room")
    await page.keyboard.press("Enter")
    expect(await page.evaluate(() => document.activeElement?.id)).toBe("main")
  })

  it("fits a phone: no room scrolls sideways", async () => {
    const phone = await openPage(browser, { viewport: PHONE, colorScheme: "dark" })
    await signIn(phone.page)
    for (const name of [
      "",
      "budgets",
      "actors",
      "calls",
      "signals",
      "send/complete",
      "send/start_workflow"
    ]) {
      await room(name, phone.page)
      await phone.page.locator("main").waitFor()
      const wider = await phone.page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      expect([name, wider]).toEqual([name, 0])
    }
    expect(phone.complaints).toEqual([])
    await phone.context.close()
  })

  it("survives a restart of the server, and counts nothing twice", async () => {
    await room("")
    await page.setViewportSize(LAPTOP)
    await page.locator(".log-row").first().waitFor()
    const { port } = new URL(program.url)
    await program.kill()
    await page.getByText("The server is away.", { exact: false }).waitFor()
    expect(await page.locator(".budget", { hasText: "By hand" }).count()).toBe(1)
    program = await start(port)
    await expect
      .poll(
        () =>
          page
            .getByLabel("Key")
            .or(page.getByText("Live", { exact: true }))
            .first()
            .isVisible(),
        { timeout: 40_000 }
      )
      .toBe(true)
    if (await page.getByLabel("Key").isVisible()) await signIn(page)
    await call("after-restart", "watcher", "sim-fast")
    await page.locator(".call", { hasText: "watcher" }).first().waitFor()
    await room("calls")
    await expect
      .poll(
        async () => {
          const { totals } = await program.call("get_usage", { limit: 1 })
          const shown = await page
            .locator(".figure", { hasText: "Calls" })
            .locator("dd")
            .first()
            .textContent()
          return Number(shown?.replaceAll(",", "")) - totals.requests
        },
        { timeout: 20_000 }
      )
      .toBe(0)
  })
})
