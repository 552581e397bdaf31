/** Names of time zones (signals.md, section 4). */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { decodePayload } from "../../src/signal/Decode.ts"
import { canonicalTimeZone } from "../../src/signal/TimeZone.ts"

describe("a zone is kept by one name, that of today", () => {
  const table: ReadonlyArray<readonly [string, string | undefined]> = [
    ["Europe/Berlin", "Europe/Berlin"],
    ["europe/berlin", "Europe/Berlin"],
    ["UTC", "UTC"],
    ["utc", "UTC"],
    ["Etc/UTC", "UTC"],
    ["GMT", "UTC"],
    ["Zulu", "UTC"],
    ["Asia/Calcutta", "Asia/Kolkata"],
    ["Asia/Kolkata", "Asia/Kolkata"],
    ["Europe/Kiev", "Europe/Kyiv"],
    ["US/Eastern", "America/New_York"],
    ["EST5EDT", "America/New_York"],
    ["Japan", "Asia/Tokyo"],
    ["GB", "Europe/London"],
    ["CET", "Europe/Brussels"],
    ["Etc/GMT+5", "Etc/GMT+5"],
    ["America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"],
    ["Mars/Olympus", undefined],
    ["+01:00", undefined],
    ["UTC+1", undefined],
    ["ACT", undefined],
    ["PST", undefined],
    ["SystemV/AST4", undefined],
    ["", undefined],
    [" UTC", undefined],
    ["Europe/Berlin\n", undefined],
    ["constructor", undefined],
    ["x".repeat(10_000), undefined]
  ]
  for (const [name, expected] of table) {
    it(`${JSON.stringify(name.slice(0, 40))} is ${expected ?? "none"}`, () =>
      assert.strictEqual(canonicalTimeZone(name), expected))
  }

  it("every zone that the runtime knows has a name that leads back to itself", () => {
    for (const zone of Intl.supportedValuesOf("timeZone")) {
      const name = canonicalTimeZone(zone)
      assert.isDefined(name, zone)
      assert.strictEqual(canonicalTimeZone(name ?? ""), name, zone)
    }
  })
})

describe("create_budget", () => {
  const decoded = (fields: object) =>
    decodePayload("create_budget", {
      name: "a",
      type: "global",
      period: "daily",
      limit: "1",
      ...fields
    } as never)

  it("is of UTC where no zone is named", () => {
    assert.strictEqual(Result.getOrThrow(decoded({})).time_zone, "UTC")
    assert.strictEqual(Result.getOrThrow(decoded({ time_zone: "asia/calcutta" })).time_zone, "Asia/Kolkata")
  })

  it("says what a zone looks like", () => {
    const refused = Result.flip(decoded({ time_zone: "Berlin" }))
    assert.include(Result.getOrThrow(refused).message, 'like "Europe/Berlin"')
  })
})
