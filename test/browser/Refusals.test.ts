/** Why a call was refused, as somebody finds it out: from the call, from the budget, and as far as the role allows. */
import { beforeAll, expect, it } from "vitest"
import { PHONE } from "./support/Browser.ts"
import { Visits } from "./support/Visits.ts"

const visits = new Visits()
const keys = { grace: "", oscar: "" }

const ask = async (request_id: string, fields: object = {}): Promise<void> => {
  const answer = await visits.program.call("check_budget", {
    request_id,
    provider: "simulator",
    model: "sim-fast",
    estimated_tokens: 10,
    estimated_cost: "5",
    agent: "scout",
    ...fields
  })
  expect(answer.allowed).toBe(false)
}

beforeAll(async () => {
  keys.grace = await visits.keyFor("grace", ["analyst", "operator"])
  keys.oscar = await visits.keyFor("oscar", ["operator"])
  await visits.program.call("create_budget", {
    name: "Pocket money of scout",
    type: "agent",
    entity_id: "scout",
    period: "monthly",
    limit: "2"
  })
})

it("leads from a refused call to its refusal, with the budget, what is short, and for whom it was", async () => {
  const page = await visits.signedIn(keys.grace, "calls")
  await page.getByText("No calls yet").waitFor()
  await ask("other-1", { user_id: "ann" })
  await ask("user:7", { user_id: "bob", tags: { env: "prod" } })
  await ask("user:7", { user_id: "bob", tags: { env: "prod" } })
  await page.locator(".call", { hasText: "bob" }).getByRole("link").click()

  const row = page.locator(".refused")
  await row.getByText("Pocket money of scout").waitFor()
  expect(await row.count()).toBe(1)
  expect(await row.innerText()).toMatch(/2 times, first[\s\S]*scout · bob[\s\S]*no room/u)
  await row.click()
  const drawer = page.getByRole("dialog")
  await drawer.locator(".violation-name", { hasText: "Pocket money of scout" }).waitFor()
  expect(await drawer.locator(".violation-sum").innerText()).toMatch(
    /Requested\s+\$5\.00\s+Remaining\s+− \$2\.00\s+Short by\s+\$3\.00/u
  )
  const facts = (await drawer.locator(".facts").allInnerTexts()).join("\n")
  expect(facts).toMatch(/2 times[\s\S]*sim-fast[\s\S]*user:7[\s\S]*user_id\s+bob[\s\S]*tag env\s+prod/u)

  // What it was for leads to its like.
  await drawer.getByRole("link", { name: "Pocket money of scout" }).click()
  await page.locator(".refused", { hasText: "ann" }).waitFor()
  await page.getByText("Only of budget Pocket money of scout.").waitFor()
  expect(await page.locator(".refused").count()).toBe(2)
  await page.getByLabel("Find refusals").fill("user:carol")
  await page.keyboard.press("Enter")
  await page.getByText("Looked for user_id carol").waitFor()
  await page.getByLabel("Find refusals").fill("usr: ann")
  await page.keyboard.press("Enter")
  await page.getByRole("alert").getByText("There is no field usr").waitFor()
  await page.getByRole("button", { name: "Show all" }).click()
  await page.locator(".refused", { hasText: "bob" }).waitFor()

  await page.goto(`${visits.program.url}/#/budgets`)
  await page.getByRole("link", { name: "Refusals by Pocket money of scout" }).click()
  await page.locator(".refused", { hasText: "bob" }).waitFor()
})

it("is for those who may list refusals: others have no such room, and are told whom to ask", async () => {
  const page = await visits.signedIn(keys.oscar, "refusals")
  await page.getByText("Refusals are for the role app or analyst or admin").waitFor()
  const rooms = page.getByRole("navigation", { name: "Rooms" })
  expect(await rooms.getByRole("link", { name: "Dead letters" }).count()).toBe(1)
  expect(await rooms.getByRole("link", { name: "Refusals" }).count()).toBe(0)
})

it("fits a phone", async () => {
  const page = await visits.signedIn(keys.grace, "refusals", { viewport: PHONE })
  await page.locator(".refused", { hasText: "bob" }).click()
  await page.getByRole("dialog").locator(".violation").waitFor()
  expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)).toBe(0)
})
