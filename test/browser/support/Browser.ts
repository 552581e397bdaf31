/**
 * A Chromium for the tests of a page.
 *
 * Owns: where it is and how it is started; that a page which complains fails its test; how somebody signs in.
 */
import { existsSync } from "node:fs"
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page
} from "playwright-core"

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
const FLAGS = [
  "--no-sandbox",
  "--headless",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

export const LAPTOP = { width: 1440, height: 900 }
export const PHONE = { width: 390, height: 844 }

export const launchBrowser = (): Promise<Browser> => {
  const executablePath = process.env.CHROMIUM_PATH ?? PLACES.find(existsSync)
  if (executablePath === undefined) throw new Error("These tests need a Chromium: apt-get install chromium")
  return chromium.launch({ executablePath, args: FLAGS })
}

/** What a page complained about: exceptions, violated policies. A server that is away is none of its faults. */
export interface Watched {
  readonly page: Page
  readonly context: BrowserContext
  readonly complaints: ReadonlyArray<string>
}

const IS_NETWORK = /Failed to load resource|WebSocket connection to/u

export const openPage = async (browser: Browser, options: BrowserContextOptions = {}): Promise<Watched> => {
  const context = await browser.newContext({ viewport: LAPTOP, ...options })
  const page = await context.newPage()
  // Against what never comes. On a machine with much else to do, what a person sees at once takes a while.
  page.setDefaultTimeout(90_000)
  const complaints: Array<string> = []
  page.on("pageerror", (error) => complaints.push(error.message))
  page.on("console", (message) => {
    if (message.type() === "error" && !IS_NETWORK.test(message.text())) complaints.push(message.text())
  })
  return { page, context, complaints }
}

/** A page of the console at `url`, in a room, of whoever holds the key. */
export const signIn = async (
  browser: Browser,
  url: string,
  key: string,
  room: string,
  options: BrowserContextOptions = {}
): Promise<Watched> => {
  const watched = await openPage(browser, options)
  const { page } = watched
  await page.goto(`${url}/#/${room}`)
  await page.getByLabel("Key").fill(key)
  await page.keyboard.press("Enter")
  await page.getByText("Live", { exact: true }).first().waitFor()
  return watched
}
