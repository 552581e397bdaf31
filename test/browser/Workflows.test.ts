/** What waits for a person, as that person meets it: workflows, overrides and dead letters, on the program itself. */
import { beforeAll, expect, it } from "vitest"
import { ADMIN_KEY } from "../support/Wire.ts"
import { PHONE } from "./support/Browser.ts"
import { Visits } from "./support/Visits.ts"

const visits = new Visits()
const keys = { ada: "", adaDecides: "", grace: "", app: "" }

const agent = (name: string, fields: object = {}) => ({
  name,
  prompt: `Do the part of ${name}.`,
  provider: "simulator",
  model: "sim-fast",
  max_completion_tokens: 60,
  ...fields
})

const DIGEST = {
  name: "digest",
  agents: [agent("collect"), agent("write", { depends_on: ["collect"] })],
  request_override: { reason: "It goes out at six" }
}

/** Starts a workflow that has room for one of its two calls. */
const startDigest = async (feature: string, workflow_id?: string): Promise<string> => {
  await visits.program.call("create_budget", {
    name: `One call of ${feature}`,
    type: "feature",
    entity_id: feature,
    measure: "requests",
    period: "daily",
    limit: "1",
    override_policy: {
      requires_approval: true,
      approvers: ["budget_admin"],
      max_override_percentage: 400,
      notification_required: true
    }
  })
  const started = await visits.program.call(
    "start_workflow",
    { workflow: DIGEST, input: {}, feature, ...(workflow_id === undefined ? {} : { workflow_id }) },
    keys.ada
  )
  return started.workflow_id
}

beforeAll(async () => {
  keys.ada = await visits.keyFor("ada", ["app"])
  keys.adaDecides = await visits.keyFor("ada", ["app", "analyst", "budget_admin"])
  keys.grace = await visits.keyFor("grace", ["analyst", "budget_admin", "operator"])
  keys.app = await visits.keyFor("linus", ["app"])
})

it("says why a workflow is parked, and lets it go on to its end when somebody else approves", async () => {
  const page = await visits.signedIn(keys.grace, "workflows")
  const id = await startDigest("news")
  const row = page.locator("a.workflow", { hasText: "digest" })
  await row.locator(".pill", { hasText: "parked" }).waitFor()
  expect(await row.textContent()).toContain("no room in One call of news")
  await row.click()
  const why = page.getByRole("region", { name: "Why it waits" })
  await why.getByText("write waits for budget: One call of news is short by 1 requests").waitFor()
  expect(await why.locator(".violation-sum").first().innerText()).toMatch(
    /Requested\s+1\s+Remaining\s+− 0\s+Short by\s+1/u
  )
  expect(await why.locator(".why-facts").innerText()).toContain("budget_admin")
  await why.getByText("ada asks for 1 requests more").waitFor()
  await page.getByRole("button", { name: /^collect/u }).click()
  expect((await page.locator(".step-output").innerText()).length).toBeGreaterThan(10)

  await why.getByRole("button", { name: "Decline" }).click()
  await why.getByText("Say why, so that whoever asked knows what to do").waitFor()
  await why.getByLabel("Approve (requests)").fill("1")
  await why.getByRole("button", { name: "Approve" }).click()
  await page.locator(".workflow-head .pill", { hasText: "completed" }).waitFor()
  await page.locator(".agent.is-done", { hasText: "write" }).waitFor()
  expect(await page.locator(".happened").innerText()).toMatch(
    /the workflow parked[\s\S]*goes on[\s\S]*completed/u
  )
  const { workflow } = await visits.program.call("get_workflow", { workflow_id: id })
  expect(workflow).toMatchObject({ state: "completed", steps_done: 2 })
})

it("shows who asked why they cannot decide, in the server's words, and lets others decline with a reason", async () => {
  const id = await startDigest("weather")
  const own = await visits.signedIn(keys.adaDecides, "overrides")
  const card = own.locator(".override", { hasText: "One call of weather" })
  await card.getByText("You are signed in as ada, who asked for it.").waitFor()
  await card.getByRole("button", { name: "Approve" }).click()
  await card.getByText("cannot decide it: it needs a key of another owner").waitFor()

  const other = await visits.signedIn(keys.grace, "overrides")
  const open = other.locator(".override", { hasText: "One call of weather" })
  await open.getByLabel("Why").fill("The forecast can wait")
  await open.getByRole("button", { name: "Decline" }).click()
  await other.getByText("Nothing waits for a decision").waitFor()
  // Whoever asked sees the decision without reading anything again.
  await card.waitFor({ state: "detached" })
  await own.locator("label", { hasText: "Declined" }).click()
  await own.getByText("The forecast can wait").waitFor()

  await other.goto(`${visits.program.url}/#/workflows/${id}`)
  await other.getByText("Its override was declined by grace").waitFor()
  await other.getByRole("button", { name: "Cancel…" }).click()
  await other.getByRole("button", { name: "End it for good" }).click()
  await other.locator(".workflow-head .pill", { hasText: "cancelled" }).waitFor()
})

it("sends a dead letter again: told when it fails again, gone when it is taken", async () => {
  const page = await visits.signedIn(keys.grace, "letters")
  await page.getByText("No dead letters").waitFor()
  await fetch(`${visits.program.url}/signals`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${ADMIN_KEY}` },
    body: JSON.stringify({ jsonrpc: "2.0", method: "resume_workflow", params: { workflow_id: "later-1" } })
  })
  // The page was told that there is one, and reads it when somebody wants to see it.
  await page.getByRole("button", { name: "Show it" }).click()
  await page.locator(".letter", { hasText: "resume_workflow" }).click()
  const drawer = page.getByRole("dialog")
  await drawer.getByText("There is no workflow later-1").first().waitFor()
  await drawer.getByRole("button", { name: "Send again" }).click()
  await drawer.getByText("It failed again, NotFound:").waitFor()
  // One that does not end by itself: what has ended does not go on, and the letter would fail again.
  await startDigest("later", "later-1")
  await drawer.getByRole("button", { name: "Send again" }).click()
  await drawer.getByText("It was taken this time").waitFor()
  await page.keyboard.press("Escape")
  await page.getByText("No dead letters").waitFor()
})

it("says what a role may not see, and offers nothing that it may not send", async () => {
  const id = await startDigest("sports")
  const page = await visits.signedIn(keys.app, "overrides")
  await page.getByText("The signal list_overrides needs the role analyst or budget_admin").waitFor()
  await page.goto(`${visits.program.url}/#/letters`)
  await page.getByText("Dead letters are for the role operator or admin").waitFor()
  // Somebody else's workflow is none of an app's.
  await page.goto(`${visits.program.url}/#/workflows`)
  await page.getByText("No workflows yet").waitFor()
  await page.goto(`${visits.program.url}/#/workflows/${id}`)
  await page.getByText("This workflow cannot be shown").waitFor()
})

it("fits a phone, and has every room within two touches", async () => {
  const id = await startDigest("tides")
  const page = await visits.signedIn(keys.grace, `workflows/${id}`, { viewport: PHONE })
  await page.getByRole("region", { name: "Why it waits" }).waitFor()
  await page.locator(".agent.is-parked").waitFor()
  for (const room of ["workflows", `workflows/${id}`, "overrides", "letters"]) {
    await page.goto(`${visits.program.url}/#/${room}`)
    await page.locator("main").waitFor()
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    expect([room, wider]).toEqual([room, 0])
  }
  await page.getByRole("button", { name: "Dead letters" }).click()
  await page.getByRole("dialog", { name: "Rooms" }).getByRole("link", { name: "Budgets" }).click()
  await expect.poll(() => page.title()).toBe("Budgets · Bursar")
})
