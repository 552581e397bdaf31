/** Lesson 15: every path to a provider needs a hold. This lists the paths; a new one has to be added here. */
import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

const SOURCE = new URL("../../src/", import.meta.url)

const sources: ReadonlyArray<readonly [string, string]> = readdirSync(SOURCE, {
  recursive: true,
  encoding: "utf8"
})
  .filter((path) => /\.tsx?$/u.test(path))
  .map((path) => [path.replaceAll("\\", "/"), readFileSync(new URL(path, SOURCE), "utf8")])

/** `path: what was found`, for every line of the source that matches. */
const linesWith = (pattern: RegExp): ReadonlyArray<string> =>
  sources
    .flatMap(([path, text]) => Array.from(text.matchAll(pattern), ([found]) => `${path}: ${found}`))
    .sort()

describe("the paths to a provider", () => {
  it("an SDK is imported by its adapter only", () => {
    assert.deepStrictEqual(linesWith(/from "(?:@anthropic-ai\/sdk|openai)[^"]*"/gu), [
      'provider/Anthropic.ts: from "@anthropic-ai/sdk"',
      'provider/OpenAi.ts: from "openai"'
    ])
  })

  it("an SDK is called inside its adapter's `call` and `stream` only", () => {
    assert.deepStrictEqual(
      linesWith(/\.(?:messages|completions|responses)\.(?:create|stream|parse|run)\(/gu),
      [
        "provider/Anthropic.ts: .messages.create(",
        "provider/Anthropic.ts: .messages.create(",
        "provider/OpenAi.ts: .completions.create(",
        "provider/OpenAi.ts: .completions.create("
      ]
    )
  })

  it("an adapter is called by an attempt only, with its admission", () => {
    assert.deepStrictEqual(linesWith(/adapter\.(?:call|stream)\([^)]*\)/gu), [
      "provider/AttemptRun.ts: adapter.call(request, admission)",
      "provider/AttemptRun.ts: adapter.stream(request, admission)"
    ])
  })

  it("an attempt is made by a call only", () => {
    assert.deepStrictEqual(linesWith(/new AttemptRun\(/gu), ["provider/Call.ts: new AttemptRun("])
  })

  it("an admission is made of an approval only, where the answer of check_budget arrives", () => {
    assert.deepStrictEqual(linesWith(/new Admission\(|Admission\.of\([^)]*\)/gu), [
      "provider/Admission.ts: new Admission(",
      "provider/CallMoney.ts: Admission.of(approval)"
    ])
  })

  it("the actors fetch nothing by themselves", () => {
    const fetching = linesWith(/(?<![.\w])fetch\(/gu).filter((line) =>
      /^(?:actor|provider|tokens|workflow)\//u.test(line)
    )
    assert.deepStrictEqual(fetching, [])
  })
})
