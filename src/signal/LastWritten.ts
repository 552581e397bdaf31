/**
 * Remembers the last texts of a kind of value: a limit, a rate, the end of a period come again at once.
 *
 * Owns: which are remembered. Does not decide: how a value is written.
 */
interface Written<A> {
  readonly value: A
  readonly text: string
}

/** `write`, which is not asked again for one of the last `size` values. Few: all of them are looked through. */
export const rememberingLast = <A>(size: number, write: (value: A) => string): ((value: A) => string) => {
  const written: Array<Written<A>> = []
  let oldest = 0
  return (value) => {
    for (const known of written) if (known.value === value) return known.text
    const text = write(value)
    written[oldest] = { value, text }
    oldest = (oldest + 1) % size
    return text
  }
}
