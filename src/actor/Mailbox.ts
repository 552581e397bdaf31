/**
 * One actor's bounded queue, drained in batches.
 *
 * Owns: order (first in, first out), the bound, who waits for room, and waking the one reader.
 * Does not decide: what a full mailbox answers, or who may wait (ActorRef).
 */
import { Effect } from "effect"

/** Signals after which whoever reads a mailbox lets others have their turn, where none of them waits for anything. */
export const TURNS_AT_ONCE = 256

interface Waiting<Message> {
  readonly message: Message
  /** Called when the message has got its place. */
  readonly onPlace: (() => void) | undefined
}

export class Mailbox<Message> {
  #messages: Array<Message> = []
  #head = 0
  #wake: (() => void) | undefined
  #capacity: number
  /** Who waits for room, in the order of their coming; only while somebody does. */
  #line: Set<Waiting<Message>> | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get depth(): number {
    return this.#messages.length - this.#head
  }

  get capacity(): number {
    return this.#capacity
  }

  /** Changes the bound. What already waits stays. */
  resize(capacity: number): void {
    this.#capacity = capacity
    if (this.#line !== undefined) this.#letIn(this.#line)
  }

  /** How many wait for room. */
  get waiting(): number {
    return this.#line?.size ?? 0
  }

  /** Puts a message at the end; false when the mailbox is full. */
  offer(message: Message): boolean {
    if (this.depth >= this.#capacity) return false
    this.put(message)
    return true
  }

  /** Puts a message at the end, whatever the bound says: for what is bounded by something else, or takes another's place. */
  put(message: Message): void {
    this.#messages.push(message)
    this.#signalReader()
  }

  /** Lets a message wait for room, behind all that wait already. The returned function takes it out of the line again. */
  wait(message: Message, onPlace?: () => void): () => boolean {
    this.#line ??= new Set()
    const line = this.#line
    const waiting: Waiting<Message> = { message, onPlace }
    line.add(waiting)
    return () => line.delete(waiting)
  }

  /** Takes out a message that has not been taken yet. Looks through all of them. */
  remove(message: Message): boolean {
    const index = this.#messages.indexOf(message, this.#head)
    if (index < 0) return false
    this.#messages.splice(index, 1)
    if (this.#line !== undefined) this.#letIn(this.#line)
    return true
  }

  /** Puts messages back in front, in their order; used when a batch must be decided anew. Ignores the bound. */
  putBack(messages: ReadonlyArray<Message>): void {
    if (messages.length === 0) return
    this.#messages = [...messages, ...this.#messages.slice(this.#head)]
    this.#head = 0
    this.#signalReader()
  }

  /** Takes the first message, if one is there. */
  take(): Message | undefined {
    if (this.#head === this.#messages.length) return undefined
    const first = this.#messages[this.#head]
    // What was taken must not live on in the queue.
    this.#messages[this.#head] = undefined as Message
    this.#advance(1)
    return first
  }

  /** Takes the first message that is so. It is as fast as that one is near. */
  takeFirst(isIt: (message: Message) => boolean): Message | undefined {
    for (let index = this.#head; index < this.#messages.length; index++) {
      const message = this.#messages[index] as Message
      if (!isIt(message)) continue
      if (index === this.#head) return this.take()
      this.#messages.splice(index, 1)
      if (this.#line !== undefined) this.#letIn(this.#line)
      return message
    }
    return undefined
  }

  /** Takes up to `count` messages that are there now. Who waits for room gets the places that become free. */
  takeNow(count: number): ReadonlyArray<Message> {
    if (this.#head === 0 && this.#messages.length <= count) {
      const all = this.#messages
      this.#messages = []
      if (this.#line !== undefined) this.#letIn(this.#line)
      return all
    }
    const taken = this.#messages.slice(this.#head, this.#head + count)
    this.#advance(taken.length)
    return taken
  }

  /** Takes all there are, and those that wait for room too. */
  drain(): ReadonlyArray<Message> {
    const all = [
      ...this.#messages.slice(this.#head),
      ...Array.from(this.#line ?? [], ({ message }) => message)
    ]
    this.#messages = []
    this.#head = 0
    this.#line?.clear()
    this.#line = undefined
    return all
  }

  #advance(count: number): void {
    this.#head += count
    if (this.#head === this.#messages.length) {
      this.#messages = []
      this.#head = 0
    } else if (this.#head > 4096) {
      this.#messages = this.#messages.slice(this.#head)
      this.#head = 0
    }
    if (this.#line !== undefined) this.#letIn(this.#line)
  }

  #letIn(line: Set<Waiting<Message>>): void {
    for (const waiting of line) {
      if (this.depth >= this.#capacity) return
      line.delete(waiting)
      this.#messages.push(waiting.message)
      this.#signalReader()
      waiting.onPlace?.()
    }
    this.#line = undefined
  }

  /** Called when a message has come; for a reader that waits for other things too. */
  onArrival: (() => void) | undefined

  /** Waits until a message is there. One reader at a time. */
  readonly nonEmpty: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.depth > 0) {
      resume(Effect.void)
      return
    }
    const wake = () => resume(Effect.void)
    this.#wake = wake
    return Effect.sync(() => {
      if (this.#wake === wake) this.#wake = undefined
    })
  })

  #signalReader(): void {
    this.onArrival?.()
    const wake = this.#wake
    if (wake === undefined) return
    this.#wake = undefined
    wake()
  }
}
