/**
 * What waits for a slow reader of one subscription.
 *
 * Owns: the bound, and that everything dropped since the reader last kept up is told as one gap, in its place.
 */

/** Something that waits, or the number of things that were dropped in its place. */
type Waiting<A> = { readonly value: A } | { readonly gap: number }

export interface EventBuffer<A> {
  /** Whether `push` would drop. */
  readonly isDropping: () => boolean
  /** Keeps a value; or drops it, when the buffer is full or its reader has not caught up since it was. */
  readonly push: (value: A) => void
  /** Counts a value that was dropped before it was made. */
  readonly drop: () => void
  readonly shift: () => Waiting<A> | undefined
}

export const makeEventBuffer = <A>(capacity: number): EventBuffer<A> => {
  let values: Array<A> = []
  let head = 0
  let dropped = 0
  const isDropping = () => dropped > 0 || values.length - head >= capacity
  const takeValue = (): A => {
    const value = values[head++] as A
    if (head === values.length) {
      values = []
      head = 0
    }
    return value
  }
  return {
    isDropping,
    push: (value) => {
      if (isDropping()) dropped++
      else values.push(value)
    },
    drop: () => void dropped++,
    shift: () => {
      if (head < values.length) return { value: takeValue() }
      if (dropped === 0) return undefined
      const gap = dropped
      dropped = 0
      return { gap }
    }
  }
}
