/** Counts the open holds of each key, so that a key can have a bound (Holding). */
export class HoldsByKey {
  readonly #count = new Map<string, number>()

  of(keyId: string): number {
    return this.#count.get(keyId) ?? 0
  }

  opened(keyId: string): void {
    this.#count.set(keyId, this.of(keyId) + 1)
  }

  closed(keyId: string): void {
    const left = this.of(keyId) - 1
    if (left > 0) this.#count.set(keyId, left)
    else this.#count.delete(keyId)
  }
}
