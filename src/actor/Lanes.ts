/**
 * What goes to each of several receivers one after the other.
 *
 * Owns: its order, its bounds (for one receiver, and for all together), and that nothing that waits is forgotten where all
 * of it ends.
 * Does not decide: what is done with each.
 */
import { Effect } from "effect"

export interface LanesOptions<Item> {
  readonly run: (effect: Effect.Effect<void>) => unknown
  /** For each receiver, the one on its way included. */
  readonly max: number
  /** For all receivers together: each of them costs a fiber. */
  readonly maxInAll: number
  readonly carry: (item: Item) => Effect.Effect<void>
  /** It waited behind one that was interrupted. */
  readonly abandon: (item: Item) => void
}

/** `full`: there is no room for this receiver; `all full`: for none. */
type Added = "waits" | "full" | "all full"

export class Lanes<Item> {
  readonly #options: LanesOptions<Item>
  readonly #lanes = new Map<string, Array<Item>>()
  #waiting = 0

  constructor(options: LanesOptions<Item>) {
    this.#options = options
  }

  add(receiver: string, item: Item): Added {
    const { max, maxInAll, run } = this.#options
    const lane = this.#lanes.get(receiver)
    if (lane !== undefined && lane.length >= max) return "full"
    if (this.#waiting >= maxInAll) return "all full"
    this.#waiting += 1
    if (lane === undefined) {
      const begun = [item]
      this.#lanes.set(receiver, begun)
      run(this.#empty(receiver, begun))
    } else lane.push(item)
    return "waits"
  }

  /** Takes back one that waits; the first is on its way. */
  remove(receiver: string, item: Item): void {
    const lane = this.#lanes.get(receiver)
    const at = lane?.indexOf(item) ?? -1
    if (at > 0) this.#waiting -= lane?.splice(at, 1).length ?? 0
  }

  #empty(receiver: string, lane: Array<Item>): Effect.Effect<void> {
    const { carry, abandon } = this.#options
    const emptied = Effect.gen({ self: this }, function* () {
      for (let item = lane[0]; item !== undefined; item = lane[0]) {
        yield* carry(item)
        lane.shift()
        this.#waiting -= 1
      }
    })
    return Effect.ensuring(
      emptied,
      Effect.sync(() => {
        this.#lanes.delete(receiver)
        this.#waiting -= lane.length
        for (const item of lane.slice(1)) abandon(item)
      })
    )
  }
}
