/**
 * Runs the fibers that are ready in an order that is drawn from a seed: the same for the same seed.
 *
 * Owns: which of several ready fibers goes on, and where one that could go on lets others pass, as a busy service does.
 * Does not decide: when a fiber is ready (Effect), or what time it is (VirtualTime).
 *
 * Covered is whatever fibers do to each other: signals that meet in a mailbox, answers that overtake each other, state that is
 * read before a pause and written after it. Not covered are callbacks of the outside world: sockets, files, and promises of a
 * host's own come when they come. Priorities are kept: who is to run later than the others does.
 */
import { Effect, Layer, Scheduler } from "effect"

/** Of so many steps of a fiber, one lets others pass. */
const STEPS = 24

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
const drawFrom = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

type Task = () => void

/** What is ready, of all fibers, by priority. */
class Ready {
  readonly #draw: () => number
  readonly #tasks = new Map<number, Array<Task>>()

  constructor(draw: () => number) {
    this.#draw = draw
  }

  add(task: Task, priority: number): void {
    const tasks = this.#tasks.get(priority)
    if (tasks === undefined) this.#tasks.set(priority, [task])
    else tasks.push(task)
  }

  /** Runs any of one priority. */
  runOne(priority: number): void {
    const tasks = this.#tasks.get(priority) ?? []
    const [task] = tasks.splice(Math.floor(this.#draw() * tasks.length), 1)
    task?.()
  }
}

/**
 * A scheduler around another one: that one says when a fiber goes on, this one which of those that are ready. Fibers that
 * shall meet each other share one.
 */
const seededScheduler = (seed: number, around: Scheduler.Scheduler): Scheduler.Scheduler => {
  const draw = drawFrom(seed)
  const ready = new Ready(draw)
  return {
    executionMode: around.executionMode,
    shouldYield: (fiber) => around.shouldYield(fiber) || Math.floor(draw() * STEPS) === 0,
    makeDispatcher: () => {
      const dispatcher = around.makeDispatcher()
      return {
        scheduleTask: (task, priority) => {
          ready.add(task, priority)
          // There are as many turns as tasks; whose turn it is is drawn.
          dispatcher.scheduleTask(() => ready.runOne(priority), priority)
        },
        flush: () => dispatcher.flush()
      }
    }
  }
}

/** For everything that is built on it. */
export const seededOrder = (seed: number | undefined): Layer.Layer<never> =>
  seed === undefined
    ? Layer.empty
    : Layer.effect(
        Scheduler.Scheduler,
        Effect.map(Scheduler.Scheduler, (around) => seededScheduler(seed, around))
      )
