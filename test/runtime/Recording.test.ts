/** Recordings: what was inspected is in the file and comes back, bounded, damaged or cut; and what a person reads of it. */
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { ActorSystem, layer } from "../../src/actor/ActorSystem.ts"
import { tenantAddress } from "../../src/actor/Address.ts"
import { type Recorded, type RecordOptions, readRecording, startBursar } from "../../src/index.ts"
import { RecordingFailed, record } from "../../src/runtime/Recorder.ts"
import { showRecording } from "../../src/runtime/ShowRecording.ts"
import { ACTOR_SIGNALS } from "../../src/signal/Catalogue.ts"
import { BudgetExceeded } from "../../src/signal/Errors.ts"
import { schemaFiles } from "../../src/signal/JsonSchemas.ts"
import { installationPrincipal } from "../../src/signal/Principal.ts"
import { problemsOf } from "../signal/support/JsonSchema.ts"
import { makeDatabase, makeFolder, runProgram, startProgram } from "../support/Program.ts"

const PROMPT = "xyzzy-secret-of-the-prompt"
const HOOK = "the-secret-of-a-hook-of-a-test"
const WHO = installationPrincipal()

const read = async (file: string): Promise<ReadonlyArray<Recorded>> => {
  const recorded: Array<Recorded> = []
  for await (const one of readRecording(file)) recorded.push(one)
  return recorded
}
const kindsOf = (recorded: ReadonlyArray<Recorded>) => recorded.map(({ kind }) => kind)
const show = async (file: string, more: object = {}): Promise<string> => {
  let text = ""
  const options = { file, isSummary: false, ...more }
  assert.strictEqual(await showRecording(options, (part) => (text += part), assert.fail), 0)
  return text
}
const newFile = () => join(makeFolder(), "bursar.jsonl")

/** What is inspected of a signal to an actor. */
const answered = (n: number, error?: BudgetExceeded, payload: object = {}) => ({
  signalId: n,
  name: "complete",
  definition: ACTOR_SIGNALS.complete,
  payload: { request_id: `r${n}`, provider: "p", model: "m", ...payload },
  principal: WHO,
  address: tenantAddress("provider", "p"),
  at: 1_000_000 + n,
  durationMs: n,
  answer: error === undefined ? { success: undefined } : { error }
})

/** Records what `tell` tells. */
const recordWhile = (
  options: RecordOptions,
  tell: (system: ActorSystem, settle: Effect.Effect<void>) => Effect.Effect<void>
) =>
  Effect.runPromise(
    Effect.gen(function* () {
      const system = yield* ActorSystem
      const scope = yield* Scope.make()
      yield* Scope.provide(record(options, "0.0.test"), scope)
      yield* tell(
        system,
        Effect.promise(() => new Promise((done) => setImmediate(done)))
      )
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(layer), Effect.provide(Layer.empty))
  )

const signals =
  (count: number, from = 1) =>
  (system: ActorSystem) =>
    Effect.sync(() => {
      for (let n = from; n < from + count; n++) system.inspection.signal(answered(n))
    })

describe("a recording", () => {
  it("of a whole runtime comes back as it was, each line as its schema says, without text of prompts or secrets", async () => {
    const file = newFile()
    const bursar = await startBursar({ databaseUrl: await makeDatabase(), record: { file } })
    const messages = [{ role: "user" as const, content: PROMPT }]
    await bursar.send("configure_manager", {
      alert_channels: [{ type: "webhook", url: "https://hooks.example.com/x", secret: HOOK }]
    })
    await bursar.send("create_budget", {
      name: "Small",
      type: "agent",
      entity_id: "writer",
      period: "daily",
      limit: "0.000000001"
    })
    await bursar.send("complete", {
      provider: "simulator",
      model: "sim-fast",
      messages,
      max_completion_tokens: 5,
      request_id: "fine"
    })
    await bursar
      .send("complete", {
        provider: "simulator",
        model: "sim-fast",
        messages,
        system: PROMPT,
        agent: "writer",
        request_id: "no"
      })
      .then(
        () => assert.fail("it was not refused"),
        () => {}
      )
    await bursar.close()
    const recorded = await read(file)
    assert.strictEqual(recorded[0]?.kind, "begun")
    assert.deepInclude(recorded.at(-1), { kind: "ended", why: "closed" })
    const events = recorded.flatMap((one) => (one.kind === "event" ? [one] : []))
    assert.strictEqual(events.length, recorded.length - 2)
    assert.deepStrictEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1)
    )
    assert.deepStrictEqual(
      new Set(events.flatMap(({ event }) => Object.keys(event))),
      new Set(["received", "signal", "actor"])
    )
    const text = readFileSync(file, "utf8")
    assert.notInclude(text, PROMPT)
    assert.notInclude(text, HOOK)
    const schema = schemaFiles()["recording.json"] ?? {}
    const inspection = schemaFiles()["inspection.json"] ?? {}
    for (const line of text
      .trimEnd()
      .split("\n")
      .map((one) => JSON.parse(one))) {
      assert.deepStrictEqual(problemsOf(schema, line), [])
      if ("event" in line) assert.deepStrictEqual(problemsOf(inspection, line.event), [])
    }
    const told = await show(file, { isSummary: true })
    assert.match(told, /1 × complete by agent writer/u)
    assert.match(told, /Small \(agent writer\): limit 0\.000000001 USD, spent 0, held 0; \S+ asked for/u)
    assert.include(told, "last: request no, BudgetExceeded")
    assert.notInclude(told, "It has no end")
  })

  it("has prompt text where that is asked for, and secrets in no case", async () => {
    const file = newFile()
    await recordWhile({ file, content: true }, ({ inspection }) =>
      Effect.sync(() =>
        inspection.signal(
          answered(1, undefined, { messages: [{ role: "user", content: PROMPT }], secret: HOOK })
        )
      )
    )
    assert.include(readFileSync(file, "utf8"), PROMPT)
    assert.notInclude(readFileSync(file, "utf8"), HOOK)
  })

  it("is for its owner alone, and says so when it has reached its bound; nothing goes beyond", async () => {
    const file = newFile()
    await recordWhile({ file, maxBytes: 20_000 }, (system, settle) =>
      Effect.andThen(signals(500)(system), settle)
    )
    assert.strictEqual(statSync(file).mode & 0o777, 0o600)
    assert.isAtMost(statSync(file).size, 20_000)
    const recorded = await read(file)
    assert.deepInclude(recorded.at(-1), { kind: "ended", why: "full" })
    assert.isAbove(recorded.length, 20)
    assert.include(await show(file), "the file was full")
  })

  it("has one gap in place of what came faster than it could be written", async () => {
    const file = newFile()
    await recordWhile({ file }, signals(4_100))
    const recorded = await read(file)
    assert.deepStrictEqual(
      recorded.filter(({ kind }) => kind === "gap").map((gap) => ({ ...gap, line: 0 })),
      [{ line: 0, kind: "gap", events: 100, isTold: true }]
    )
    assert.strictEqual(kindsOf(recorded).filter((kind) => kind === "event").length, 4_000)
    assert.include(await show(file, { isSummary: true }), "100 events came faster than they could be written")
  })

  it("is read up to a line that a crash has cut, and goes on behind it", async () => {
    const file = newFile()
    await recordWhile({ file }, signals(3))
    truncateSync(file, readFileSync(file, "utf8").indexOf('{"seq":3') + 30)
    assert.deepStrictEqual(kindsOf(await read(file)), ["begun", "event", "event", "damaged"])
    const cut = await show(file)
    assert.include(cut, "line 4 cannot be read: it is cut off")
    assert.include(cut, "It has no end: the program died, or still writes")
    await recordWhile({ file }, signals(1))
    assert.deepStrictEqual(kindsOf(await read(file)), [
      "begun",
      "event",
      "event",
      "damaged",
      "begun",
      "event",
      "ended"
    ])
  })

  it("tells of lines that were taken out or spoilt", async () => {
    const file = newFile()
    await recordWhile({ file }, signals(5))
    const lines = readFileSync(file, "utf8").split("\n")
    lines[2] = '{"seq":2,"event":{"signal":{}}}'
    lines.splice(3, 2)
    writeFileSync(file, lines.join("\n"))
    assert.deepStrictEqual(kindsOf(await read(file)), ["begun", "event", "damaged", "gap", "event", "ended"])
    assert.include(await show(file), "3 events are missing")
  })

  it("is not written into a file of somebody else, nor into one that is full or cannot be there", async () => {
    const foreign = newFile()
    writeFileSync(foreign, "dear diary\n")
    const full = newFile()
    await recordWhile({ file: full, maxBytes: 10_000 }, signals(100))
    for (const [file, message] of [
      [foreign, /is no recording/u],
      [full, /move it away/u],
      [join(makeFolder(), "no", "where"), /cannot be written/u]
    ] as const) {
      const failed = await recordWhile({ file, maxBytes: 10_000 }, signals(1)).then(
        () => assert.fail("it was written"),
        (error: unknown) => error
      )
      assert.instanceOf(failed, RecordingFailed)
      assert.match((failed as Error).message, message)
    }
    assert.strictEqual(readFileSync(foreign, "utf8"), "dear diary\n")
  })

  it("sums up refusals, and no look at what has no room", async () => {
    const file = newFile()
    const check = (n: number, hold: boolean) => ({
      ...answered(n, undefined, { hold }),
      name: "check_budget",
      definition: ACTOR_SIGNALS.check_budget,
      answer: { success: { allowed: false, reason: "no room", violations: [] } }
    })
    await recordWhile({ file }, ({ inspection }) =>
      Effect.sync(() => {
        inspection.signal(check(1, true))
        for (const n of [2, 3, 4]) inspection.signal(check(n, false))
      })
    )
    const summary = await show(file, { isSummary: true })
    assert.include(summary, "1 × check_budget")
    assert.include(summary, "check_budget: 4 answered, 1 refused, 0 failed")
  })

  it("can be filtered, and shows no control characters of others", async () => {
    const file = newFile()
    await recordWhile({ file }, ({ inspection }) =>
      Effect.sync(() => {
        inspection.signal(
          answered(
            1,
            new BudgetExceeded({ message: "no \u001b[2Jroom", reason: "no", violations: [], retry_at: null })
          )
        )
        inspection.deadLetter({
          address: "bridge",
          signal: "track_usage",
          payload: "",
          principal: WHO,
          at: 1,
          why: "lost"
        })
      })
    )
    const all = await show(file)
    assert.include(all, "no �[2Jroom")
    assert.notInclude(all, "\u001b")
    assert.include(all, "1 × dead letter track_usage → bridge: lost")
    assert.notInclude(await show(file, { signal: "track_usage" }), "room")
    assert.notInclude(await show(file, { actor: "provider" }), "lost")
  })
})

describe("the program", () => {
  it("records, is killed, and what it did can be read at once", async () => {
    const file = newFile()
    const program = await startProgram({ databaseUrl: await makeDatabase(), env: { BURSAR_RECORD: file } })
    await program.call("get_status", {})
    while (!readFileSync(file, "utf8").includes('"signal":{"version":1,"signal":"get_status"'))
      await new Promise((done) => setTimeout(done, 20))
    await program.kill()
    const shown = await runProgram({ args: ["recording", "show", file, "--signal", "get_status"] })
    assert.strictEqual(shown.code, 0)
    assert.match(shown.log, /get_status → token_manager\/default {2}ok/u)
    assert.include(shown.log, "It has no end: the program died, or still writes")
    const none = await runProgram({ args: ["recording", "show", join(makeFolder(), "none")] })
    assert.strictEqual(none.code, 2)
    assert.include(none.log, "cannot be read")
  })
})
