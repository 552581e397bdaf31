/**
 * The program and a browser for the tests of one file.
 *
 * Owns: that both are there before its first test and gone after its last; that a test leaves no page open, and that none of its pages has
 * complained.
 */
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { afterAll, afterEach, beforeAll, expect } from "vitest"
import { type Program, startProgram } from "../../support/Program.ts"
import { launchBrowser, signIn, type Watched } from "./Browser.ts"

export class Visits {
  #program: Program | undefined
  #browser: Browser | undefined
  readonly #opened: Array<Watched> = []

  constructor() {
    beforeAll(async () => {
      ;[this.#browser, this.#program] = await Promise.all([launchBrowser(), startProgram()])
    }, 120_000)

    afterEach(async () => {
      for (const { complaints, context } of this.#opened.splice(0)) {
        expect(complaints).toEqual([])
        await context.close()
      }
    })

    afterAll(async () => {
      await this.#browser?.close()
      await this.#program?.stop()
    })
  }

  get program(): Program {
    if (this.#program === undefined) throw new Error("the program runs from the first test on")
    return this.#program
  }

  async keyFor(owner: string, roles: ReadonlyArray<string>): Promise<string> {
    return (await this.program.call("create_key", { name: `of ${owner}`, owner, roles })).key
  }

  /** A page of the console, in a room, of whoever holds the key. */
  async signedIn(key: string, room: string, options: BrowserContextOptions = {}): Promise<Page> {
    const watched = await signIn(this.#browser as Browser, this.program.url, key, room, options)
    this.#opened.push(watched)
    return watched.page
  }
}
