/** XState machines as behaviours: virtual time, interruption with the state, output, graph. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { assign, setup } from "xstate"
import { graphOf, invoked, runMachine, stateText } from "../../src/actor/Machine.ts"
import { settle } from "../../src/testing.ts"

class Greeting extends Context.Service<Greeting, { readonly word: string }>()("test/Greeting") {}

/** Asks, may be told to wait, and ends with what it was answered. */
const machineOf = (
  context: Context.Context<never>,
  ask: (question: string) => Effect.Effect<string, unknown>
) =>
  setup({
    types: {
      context: {} as { readonly question: string; readonly answer: string },
      input: {} as { readonly question: string },
      output: {} as string
    },
    actors: { ask: invoked(context, ask) },
    guards: { isEmpty: ({ context }) => context.answer === "" },
    delays: { patience: 5_000 }
  }).createMachine({
    id: "asker",
    context: ({ input }) => ({ question: input.question, answer: "" }),
    initial: "asking",
    output: ({ context }) => context.answer,
    states: {
      asking: {
        invoke: {
          src: "ask",
          input: ({ context }) => context.question,
          onDone: { target: "thinking", actions: assign({ answer: ({ event }) => event.output }) },
          onError: {
            target: "failed",
            actions: assign({ answer: ({ event }) => `failed: ${String(event.error)}` })
          }
        },
        after: { patience: { target: "tired", actions: assign({ answer: "tired" }) } }
      },
      thinking: {
        initial: "deep",
        states: { deep: { always: { target: "done" } }, done: { type: "final" } },
        onDone: [{ guard: "isEmpty", target: "failed" }, { target: "answered" }]
      },
      tired: { type: "final" },
      failed: { type: "final" },
      answered: { type: "final" }
    }
  })

const watched = () => {
  const seen: Array<string> = []
  return { seen, transition: (state: string, event?: string) => seen.push(`${state} by ${event}`) }
}

const run = (ask: (question: string) => Effect.Effect<string, unknown>, watcher = watched()) =>
  Effect.flatMap(Effect.context<never>(), (context) =>
    runMachine(watcher, machineOf(context, ask), { question: "why" })
  )

describe("runMachine", () => {
  it.effect("ends with the machine's output, and tells every state", () =>
    Effect.gen(function* () {
      const watcher = watched()
      const output = yield* run((question) => Effect.succeed(`${question}? because`), watcher)
      assert.strictEqual(output, "why? because")
      assert.deepStrictEqual(
        watcher.seen.map((line) => line.split(" by ")[0]),
        ["asking", "answered"]
      )
      assert.strictEqual(watcher.seen[0], "asking by xstate.init")
    })
  )

  it.effect("an invoked Effect sees its services", () =>
    Effect.gen(function* () {
      const context = Context.make(Greeting, { word: "hello" })
      const ask = invoked(context, (name: string) => Effect.map(Greeting, ({ word }) => `${word} ${name}`))
      const machine = setup({
        types: { output: {} as string, context: {} as { said: string } },
        actors: { ask }
      }).createMachine({
        context: { said: "" },
        initial: "asking",
        output: ({ context }) => context.said,
        states: {
          asking: {
            invoke: {
              src: "ask",
              input: () => "ann",
              onDone: { target: "done", actions: assign({ said: ({ event }) => event.output }) }
            }
          },
          done: { type: "final" }
        }
      })
      assert.strictEqual(yield* runMachine(watched(), machine, undefined), "hello ann")
    })
  )

  it.effect("its failure is the error of the machine's onError", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* run(() => Effect.fail("no")), "failed: no")
      assert.strictEqual(yield* run(() => Effect.die("broken")), "failed: broken")
    })
  )

  it.effect("a delayed transition comes at its virtual moment, and interrupts what was invoked", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const slow = Effect.onInterrupt(Effect.never, () =>
        Effect.sync(() => interrupted.push("asked in vain"))
      )
      const fiber = yield* Effect.forkChild(
        run(() => slow),
        { startImmediately: true }
      )
      yield* settle
      yield* TestClock.adjust(4_999)
      yield* settle
      assert.isUndefined(fiber.pollUnsafe())
      assert.deepStrictEqual(interrupted, [])
      yield* TestClock.adjust(1)
      yield* settle
      assert.strictEqual(yield* Fiber.join(fiber), "tired")
      assert.deepStrictEqual(interrupted, ["asked in vain"])
    })
  )

  it.effect("lesson 23: a state that was left in time has no timer left", () =>
    Effect.gen(function* () {
      const watcher = watched()
      const fiber = yield* Effect.forkChild(
        run(() => Effect.as(Effect.sleep(3_000), "in time"), watcher),
        { startImmediately: true }
      )
      yield* settle
      yield* TestClock.adjust(3_000)
      yield* settle
      assert.strictEqual(yield* Fiber.join(fiber), "in time")
      const states = watcher.seen.length
      yield* TestClock.adjust(60_000)
      yield* settle
      assert.strictEqual(watcher.seen.length, states)
    })
  )

  it.effect("interruption stops the machine and what it invoked", () =>
    Effect.gen(function* () {
      const interrupted: Array<string> = []
      const watcher = watched()
      const slow = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted.push("x")))
      const fiber = yield* Effect.forkChild(
        run(() => slow, watcher),
        { startImmediately: true }
      )
      yield* settle
      yield* Fiber.interrupt(fiber)
      yield* settle
      assert.deepStrictEqual(interrupted, ["x"])
      const states = watcher.seen.length
      yield* TestClock.adjust(60_000)
      yield* settle
      assert.strictEqual(watcher.seen.length, states, "its timers are gone with it")
    })
  )

  it.effect("a machine that throws fails, and takes nothing with it", () =>
    Effect.gen(function* () {
      const machine = setup({}).createMachine({
        initial: "one",
        states: {
          one: {
            after: {
              10: {
                target: "two",
                actions: () => {
                  throw new Error("scripted")
                }
              }
            }
          },
          two: {}
        }
      })
      const fiber = yield* Effect.forkChild(Effect.exit(runMachine(watched(), machine, undefined)), {
        startImmediately: true
      })
      yield* settle
      yield* TestClock.adjust(10)
      yield* settle
      const exit = yield* Fiber.join(fiber)
      if (Exit.isSuccess(exit)) throw new Error("it ended well")
      assert.match(String(Option.getOrUndefined(Cause.findErrorOption(exit.cause))), /scripted/u)
    })
  )

  it.effect("an error that no state handles fails the machine", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const machine = setup({
        actors: { ask: invoked(context, () => Effect.fail("unhandled")) }
      }).createMachine({
        initial: "asking",
        states: { asking: { invoke: { src: "ask" } } }
      })
      const exit = yield* Effect.exit(runMachine(watched(), machine, undefined))
      assert.isTrue(Exit.isFailure(exit))
    })
  )

  it.effect("every snapshot is shown to who asks for it", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const answers: Array<string> = []
      yield* runMachine(
        watched(),
        machineOf(context, () => Effect.succeed("yes")),
        { question: "why" },
        (snapshot) => answers.push(snapshot.context.answer)
      )
      assert.strictEqual(answers[0], "")
      assert.strictEqual(answers.at(-1), "yes")
    })
  )
})

describe("a machine's state as text", () => {
  it("is a path, and parallel regions stand side by side", () => {
    assert.strictEqual(stateText("calling"), "calling")
    assert.strictEqual(stateText({ calling: "streaming" }), "calling.streaming")
    assert.strictEqual(stateText({ calling: { streaming: "text" } }), "calling.streaming.text")
    assert.strictEqual(stateText({ left: "a", right: { b: "c" } }), "left.a|right.b.c")
    assert.strictEqual(stateText({ left: {} }), "left")
  })
})

describe("a machine's graph", () => {
  it.effect("has every state with its parent, and every transition with its event and guard", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const graph = graphOf(machineOf(context, () => Effect.succeed("")))
      assert.strictEqual(graph.id, "asker")
      assert.deepStrictEqual(
        graph.states.map(({ id, parent, type, is_initial }) => [id, parent, type, is_initial]),
        [
          ["asking", null, "atomic", true],
          ["thinking", null, "compound", false],
          ["thinking.deep", "thinking", "atomic", true],
          ["thinking.done", "thinking", "final", false],
          ["tired", null, "final", false],
          ["failed", null, "final", false],
          ["answered", null, "final", false]
        ]
      )
      const ids = new Set(graph.states.map(({ id }) => id))
      for (const { source, target } of graph.transitions) {
        assert.isTrue(ids.has(source) && ids.has(target), `${source} to ${target}`)
      }
      const guarded = graph.transitions.filter(({ guard }) => guard !== null)
      assert.deepStrictEqual(
        guarded.map(({ source, target, guard }) => [source, target, guard]),
        [["thinking", "failed", "isEmpty"]]
      )
      assert.isTrue(graph.transitions.some(({ source, target }) => source === "asking" && target === "tired"))
    })
  )

  it("has what happens without an event, too", () => {
    const machine = setup({ guards: { isOver: () => true } }).createMachine({
      id: "counting",
      initial: "open",
      states: { open: { always: { guard: "isOver", target: "over" } }, over: { type: "final" } }
    })
    assert.deepStrictEqual(graphOf(machine).transitions, [
      { source: "open", target: "over", event: "", guard: "isOver" }
    ])
  })
})
