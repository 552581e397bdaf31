/**
 * What goes to each of several receivers one after the other.
 *
 * Owns: its order, its bound, and that nothing that waits is forgotten where all of it ends.
 * Does not decide: what is done with each.
 */
import { Effect } from "effect"

export interface LanesOptions<Item> {
  readonly run: (effect: Effect.Effect<void>) => unknown
  /** For each receiver, the one on its way included. */
  readonly max: number
  readonly carry: (item: Item) => Effect.Effect<void>
  /** It waited behind one that was interrupted. */
  readonly abandon: (item: Item) => void
}

export class Lanes<Item> {
  readonly #options: LanesOptions<Item>
  readonly #lanes = new Map<string, Array<Item>>()

  constructor(options: LanesOptions<Item>) {
    this.#options = options
  }

  /** False: there is no room. */
  add(receiver: string, item: Item): boolean {
    const lane = this.#lanes.get(receiver)
    if (lane === undefined) {
      const begun = [item]
      this.#lanes.set(receiver, begun)
      this.#options.run(this.#empty(receiver, begun))
      return true
    }
    if (lane.length >= this.#options.max) return false
    lane.push(item)
    return true
  }

  /** Takes back one that waits; the first is on its way. */
  remove(receiver: string, item: Item): void {
    const lane = this.#lanes.get(receiver)
    const at = lane?.indexOf(item) ?? -1
    if (at > 0) lane?.splice(at, 1)
  }

  #empty(receiver: string, lane: Array<Item>): Effect.Effect<void> {
    const { carry, abandon } = this.#options
    const emptied = Effect.gen(function* () {
      for (let item = lane[0]; item !== undefined; item = lane[0]) {
        yield* carry(item)
        lane.shift()
      }
    })
    return Effect.ensuring(
      emptied,
      Effect.sync(() => {
        this.#lanes.delete(receiver)
        for (const item of lane.slice(1)) abandon(item)
      })
    )
  }
}
