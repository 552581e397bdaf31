/** The Python example tells its story to the bridge. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN_KEY, startBridge, withBridge } from "../bridge/Fixture.ts"
import { teachStory } from "../bridge/StoryRouter.ts"

const SCRIPT = fileURLToPath(new URL("../../examples/clients/python_http.py", import.meta.url))

/** Runs the example against a server, and answers what it printed. */
const runExample = (url: string, key: string) =>
  Effect.promise(async () => {
    const env = { ...process.env, BURSAR_URL: url, BURSAR_KEY: key }
    const { stdout } = await promisify(execFile)("python3", [SCRIPT], { env })
    return stdout
  })

it.live("a Python script without dependencies tells the story over HTTP", () =>
  withBridge(
    Effect.gen(function* () {
      const { bridge, stub } = yield* startBridge()
      teachStory(stub)
      const printed = yield* runExample(bridge.url, ADMIN_KEY)
      assert.deepStrictEqual(printed.trim().split("\n"), [
        "allowed: True held: 0.003",
        "cost: 0.002",
        "remaining: 0.008"
      ])
    })
  )
)
