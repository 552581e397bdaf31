/** Clients that are not ours tell the story to the bridge, with a stand-in for the ledger behind it. */
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ADMIN_KEY, startBridge, withBridge } from "../bridge/Fixture.ts"
import { teachStory } from "../bridge/StoryRouter.ts"
import { FOREIGN_CLIENTS } from "./ForeignClients.ts"
import { tellStory } from "./Story.ts"

describe("a foreign client tells the story", () => {
  for (const [name, open] of Object.entries(FOREIGN_CLIENTS)) {
    it.live(name, () =>
      withBridge(
        Effect.gen(function* () {
          const { bridge, stub } = yield* startBridge()
          teachStory(stub)
          const client = yield* Effect.acquireRelease(
            Effect.promise(() => open(bridge.url, ADMIN_KEY)),
            ({ close }) => Effect.sync(close)
          )
          yield* Effect.promise(() => tellStory(client.call, "1"))
        })
      )
    )
  }
})
