/**
 * The Effects that a durable machine's states have invoked, as they run here.
 *
 * Owns: that what the committed state invokes runs, once, and that nothing else does.
 * Does not decide: what its end means (DurableStep).
 */
import { Effect } from "effect"
import type { AnyActorRef, AnyMachineSnapshot } from "xstate"
import type { Address } from "./Address.ts"
import { childAt } from "./ChildPath.ts"
import { durableRunOf, type Invocation } from "./DurableLogic.ts"
import { type DurableState, persistedAt, runningOf } from "./DurableState.ts"
import type { Ended } from "./DurableStep.ts"
import { Endings } from "./Endings.ts"
import { plainFailure } from "./PlainJson.ts"
import { requestIdOf } from "./RequestKey.ts"

interface Running {
  readonly revision: number
  readonly control: AbortController
  readonly done: Promise<void>
  /** Whether its state has been left. */
  isOver: boolean
}

/** A promise that was not made by `durably` gets what XState gives it; it does not learn its key. */
interface PromiseLogic {
  readonly config: (given: object) => Promise<unknown>
}

/** Each by where it is in the machine's tree (ChildPath), which is also what its key says. */
export class Invocations {
  readonly #address: Address
  readonly #onEnd: (ended: Ended) => void
  readonly #running = new Map<string, Running>()
  /** Interrupted, and not gone yet. */
  readonly #ending = new Endings()

  constructor(address: Address, onEnd: (ended: Ended) => void) {
    this.#address = address
    this.#onEnd = onEnd
  }

  get count(): number {
    return this.#running.size
  }

  /** Interrupts what the state does not invoke any more, and starts what it invokes now. */
  follow(state: DurableState, snapshot: AnyMachineSnapshot): void {
    const wanted = new Map(runningOf(state).map(({ id, revision }) => [id, revision]))
    for (const [id, { revision }] of this.#running) if (wanted.get(id) !== revision) this.#interrupt(id, true)
    for (const [id, revision] of wanted) {
      if (this.#running.has(id)) continue
      const child = childAt(snapshot, id)
      if (child !== undefined)
        this.#start(id, revision, child, persistedAt(state.snapshot, id)?.snapshot.input)
    }
  }

  /** Interrupts everything, and waits until it has gone, as long as that may take. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    for (const id of [...this.#running.keys()]) this.#interrupt(id, false)
    return this.#ending.gone(this.#address)
  })

  #interrupt(id: string, isOver: boolean): void {
    const running = this.#running.get(id)
    if (running === undefined) return
    running.isOver = isOver
    this.#running.delete(id)
    this.#ending.add(id, running.done)
    running.control.abort()
  }

  #start(id: string, revision: number, child: AnyActorRef, input: unknown): void {
    const control = new AbortController()
    const end = (
      result: { readonly output: unknown } | { readonly failure: ReturnType<typeof plainFailure> }
    ) => {
      // Interrupted, it has nothing to say any more.
      if (this.#running.get(id)?.control === control) this.#onEnd({ id, revision, ...result })
    }
    const isOver = () => running.isOver
    const running: Running = { revision, control, isOver: false, done: Promise.resolve() }
    const done = this.#run({ id, revision, isOver }, child, input, control.signal).then(
      (output) => end({ output }),
      (failure: unknown) => end({ failure: plainFailure(failure) })
    )
    this.#running.set(id, Object.assign(running, { done }))
  }

  async #run(
    { id, revision, isOver }: { readonly id: string } & Pick<Invocation<unknown>, "revision" | "isOver">,
    child: AnyActorRef,
    input: unknown,
    signal: AbortSignal
  ): Promise<unknown> {
    const { logic } = child as unknown as { readonly logic: object }
    const run = durableRunOf(logic)
    const key = requestIdOf(`${this.#address.text}:${id}:${revision}`)
    // What it is given is its own: it may change it.
    const given = input === undefined ? undefined : structuredClone(input)
    if (run !== undefined)
      return run({ input: given, key, address: this.#address, id: child.id, revision, isOver }, signal)
    const { config } = logic as PromiseLogic
    return config({ input: given, system: child.system, self: child, signal, emit: () => undefined })
  }
}
