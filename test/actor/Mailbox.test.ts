/** One actor's queue: order, bound, batches, and waking the reader. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { Mailbox } from "../../src/actor/Mailbox.ts"

const filled = (capacity: number, ...messages: ReadonlyArray<number>): Mailbox<number> => {
  const mailbox = new Mailbox<number>(capacity)
  for (const message of messages) mailbox.offer(message)
  return mailbox
}

describe("Mailbox", () => {
  it("first in, first out, in batches of any size", () => {
    const mailbox = filled(10, 1, 2, 3, 4, 5)
    assert.deepStrictEqual(mailbox.takeNow(2), [1, 2])
    assert.strictEqual(mailbox.depth, 3)
    mailbox.offer(6)
    assert.deepStrictEqual(mailbox.takeNow(0), [])
    assert.deepStrictEqual(mailbox.takeNow(3), [3, 4, 5])
    assert.deepStrictEqual(mailbox.takeNow(Number.POSITIVE_INFINITY), [6])
    assert.deepStrictEqual(mailbox.takeNow(5), [])
    assert.strictEqual(mailbox.depth, 0)
  })

  it("refuses what is past its bound, and takes again when there is room", () => {
    const mailbox = filled(2, 1, 2)
    assert.isFalse(mailbox.offer(3))
    mailbox.takeNow(1)
    assert.isTrue(mailbox.offer(4))
    assert.isFalse(mailbox.offer(5))
    assert.deepStrictEqual(mailbox.takeNow(9), [2, 4])
  })

  it("a new bound leaves what already waits", () => {
    const mailbox = filled(3, 1, 2, 3)
    mailbox.resize(1)
    assert.strictEqual(mailbox.depth, 3)
    assert.isFalse(mailbox.offer(4))
    mailbox.takeNow(3)
    assert.isTrue(mailbox.offer(5))
    assert.isFalse(mailbox.offer(6))
    assert.strictEqual(mailbox.capacity, 1)
  })

  it("what is put back comes first, in its order, whatever the bound", () => {
    const mailbox = filled(3, 1, 2, 3)
    const taken = mailbox.takeNow(2)
    mailbox.offer(4)
    mailbox.offer(5)
    mailbox.putBack(taken)
    mailbox.putBack([])
    assert.strictEqual(mailbox.depth, 5)
    assert.deepStrictEqual(mailbox.takeNow(9), [1, 2, 3, 4, 5])
  })

  it("a batch that was taken is not changed by what comes later", () => {
    const mailbox = filled(10, 1, 2)
    const taken = mailbox.takeNow(10)
    mailbox.offer(3)
    assert.deepStrictEqual(taken, [1, 2])
  })

  const steps = Schema.Array(
    Schema.Union([
      Schema.Struct({ offer: Schema.Int }),
      Schema.Struct({ take: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6000 })) }),
      Schema.Struct({ putBack: Schema.Literal(true) })
    ])
  )
  it.prop("behaves like a plain list", { steps }, ({ steps }) => {
    const mailbox = new Mailbox<number>(7)
    let list: Array<number> = []
    let last: ReadonlyArray<number> = []
    for (const step of steps) {
      if ("offer" in step) {
        const fits = list.length < 7
        assert.strictEqual(mailbox.offer(step.offer), fits)
        if (fits) list.push(step.offer)
      } else if ("take" in step) {
        last = mailbox.takeNow(step.take)
        assert.deepStrictEqual(last, list.slice(0, step.take))
        list = list.slice(step.take)
      } else {
        mailbox.putBack(last)
        list = [...last, ...list]
        last = []
      }
      assert.strictEqual(mailbox.depth, list.length)
    }
  })

  it("stays in order through ten thousand messages taken one by one", () => {
    const mailbox = new Mailbox<number>(20_000)
    for (let index = 0; index < 10_000; index++) mailbox.offer(index)
    for (let index = 0; index < 10_000; index++) assert.deepStrictEqual(mailbox.takeNow(1), [index])
    assert.strictEqual(mailbox.depth, 0)
  })

  it.effect("wakes a reader that waits, once", () =>
    Effect.gen(function* () {
      const mailbox = new Mailbox<number>(3)
      const reader = yield* Effect.forkChild(mailbox.nonEmpty, { startImmediately: true })
      assert.isUndefined(reader.pollUnsafe())
      mailbox.offer(1)
      yield* Fiber.join(reader)
      yield* mailbox.nonEmpty
      mailbox.takeNow(1)
      const again = yield* Effect.forkChild(mailbox.nonEmpty, { startImmediately: true })
      yield* Effect.yieldNow
      assert.isUndefined(again.pollUnsafe())
      mailbox.putBack([2])
      yield* Fiber.join(again)
    })
  )

  it.effect("a reader that gave up does not keep the next one from waking", () =>
    Effect.gen(function* () {
      const mailbox = new Mailbox<number>(3)
      const gone = yield* Effect.forkChild(mailbox.nonEmpty, { startImmediately: true })
      yield* Fiber.interrupt(gone)
      const reader = yield* Effect.forkChild(mailbox.nonEmpty, { startImmediately: true })
      mailbox.offer(1)
      yield* Fiber.join(reader)
    })
  )

  it("tells whoever listens that something has come", () => {
    const mailbox = new Mailbox<number>(1)
    let arrivals = 0
    mailbox.onArrival = () => {
      arrivals += 1
    }
    mailbox.offer(1)
    mailbox.offer(2)
    mailbox.putBack(mailbox.takeNow(1))
    assert.strictEqual(arrivals, 2)
  })
})
