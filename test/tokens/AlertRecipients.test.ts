/** Who is told of an alert: the recipients there were when it was raised, each under an id of its own. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeManager, told } from "./support/Manager.ts"

const hook = (path: string, secret?: string) => ({
  type: "webhook" as const,
  url: `https://hooks.example.com/${path}`,
  ...(secret === undefined ? {} : { secret: `sealed.v1.${secret}` })
})
const people = (...to: ReadonlyArray<string>) => ({ type: "email" as const, to: [...to] })

it.effect("alerts are owed to those who were there when they were raised", () =>
  told(
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const raised = () =>
        manager.script.rows.alerts.map(
          ({ alert, recipients }) => `${alert.data.threshold}: ${recipients.join(" ")}`
        )
      yield* manager.budget("10", { alert_thresholds: [10, 20, 30, 40] })
      yield* (yield* manager.post("r1", 1)).success
      yield* manager.done("configure_manager", { alert_channels: [hook("a", "one-secret")] })
      yield* (yield* manager.post("r2", 1)).success
      yield* manager.done("configure_manager", {
        alert_channels: [people("x@b.c", "y@b.c"), hook("a"), hook("b", "two-secrets")]
      })
      yield* (yield* manager.post("r3", 1)).success
      yield* manager.done("configure_manager", {
        alert_channels: [people("y@b.c"), hook("b", "its-new-secret")]
      })
      yield* (yield* manager.post("r4", 1)).success
      const rows = manager.script.rows.recipients
      const byTarget = (target: string) => rows.find((row) => row.target.endsWith(target))
      const [y, b] = [byTarget("y@b.c")?.id, byTarget("/b")?.id]
      assert.strictEqual(raised()[0], "10: ")
      assert.strictEqual(raised()[3], `40: ${y} ${b}`)
      assert.include(raised()[2], ` ${y} `, "an address that stays is the same recipient")
      assert.strictEqual(raised()[2]?.split(" ")[3], raised()[1]?.split(" ")[1], "so is a URL")
      assert.strictEqual(byTarget("/b")?.secret, "sealed.v1.its-new-secret")
      assert.lengthOf(rows, 2)

      // Who comes back after having gone is somebody else: nothing of before waits for him.
      yield* manager.done("configure_manager", { alert_channels: [people("x@b.c")] })
      assert.notInclude(raised().join(" ").split(" "), manager.script.rows.recipients[0]?.id)
    })
  )
)

it.effect("a secret that nobody sealed never reaches the rows: that is a fault of ours", () =>
  told(
    Effect.gen(function* () {
      const manager = yield* makeManager()
      const plain = { ...hook("a"), secret: "a plain secret of theirs" }
      const asked = yield* manager.ask("configure_manager", { max_pending: 7, alert_channels: [plain] })
      const failure = yield* asked.failure
      assert.strictEqual(failure._tag, "InternalError")
      assert.notInclude(JSON.stringify(failure), plain.secret)
      const { config } = yield* manager.done("get_status", {})
      assert.deepInclude(config, { max_pending: 10_000, alert_channels: [] })
      assert.deepStrictEqual(manager.script.rows.recipients, [])
    })
  )
)
