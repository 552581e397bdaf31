/**
 * Those of a line that want a turn, in their order; and those that wait for a budget, by budget.
 *
 * Owns: finding them without looking at all others.
 * Does not decide: who wants a turn, or who gets it (RoomLine).
 */
import type { Amount } from "../signal/Money.ts"
import { isBefore, type Place } from "./RoomPlace.ts"

/** In the order of the line. What the order is made of changes outside of the queue only. */
export class RoomQueue {
  readonly #places: Array<Place> = []

  get places(): ReadonlyArray<Place> {
    return this.#places
  }

  #indexOf(place: Place): number {
    let low = 0
    let high = this.#places.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBefore(this.#places[middle] as Place, place)) low = middle + 1
      else high = middle
    }
    return low
  }

  add(place: Place): void {
    const index = this.#indexOf(place)
    if (this.#places[index] !== place) this.#places.splice(index, 0, place)
  }

  remove(place: Place): void {
    const index = this.#indexOf(place)
    if (this.#places[index] === place) this.#places.splice(index, 1)
  }
}

interface Waiting {
  readonly places: Set<Place>
  /** Nobody needs less than this. */
  least: Amount
}

export class RoomNeeds {
  readonly #waiting = new Map<string, Waiting>()

  add(place: Place): void {
    for (const { key, amount } of place.steps.flat()) {
      const waiting = this.#waiting.get(key)
      if (waiting === undefined) this.#waiting.set(key, { places: new Set([place]), least: amount })
      else {
        waiting.places.add(place)
        if (amount < waiting.least) waiting.least = amount
      }
    }
  }

  remove(place: Place): void {
    for (const key of place.keys()) {
      const waiting = this.#waiting.get(key)
      waiting?.places.delete(place)
      if (waiting?.places.size === 0) this.#waiting.delete(key)
    }
  }

  has(key: string): boolean {
    return this.#waiting.has(key)
  }

  keys(): Iterable<string> {
    return this.#waiting.keys()
  }

  /** Those that so much of a budget may be enough for; nobody where it is less than anybody needs. */
  within(key: string, remaining: Amount): Iterable<Place> {
    const waiting = this.#waiting.get(key)
    return waiting === undefined || remaining < waiting.least ? [] : waiting.places
  }
}
