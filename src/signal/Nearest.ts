/** Finds the known name that a misspelt one was probably meant to be. */

const distance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const substitution = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1)
      current.push(Math.min((previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, substitution))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}

const NAME_LENGTH_MAX = 64

/** The closest of `names`, if it is close: at most a third of the letters differ. */
export const nearest = (name: string, names: ReadonlyArray<string>): string | undefined => {
  if (name.length > NAME_LENGTH_MAX) return undefined
  const [best] = nearestFew(name, names, 1)
  return best !== undefined && distance(name, best) <= Math.max(2, Math.floor(best.length / 3))
    ? best
    : undefined
}

/** The `count` closest of `names`, the closest first. */
export const nearestFew = (
  name: string,
  names: ReadonlyArray<string>,
  count: number
): ReadonlyArray<string> =>
  names
    .map((known) => ({ known, far: distance(name.slice(0, NAME_LENGTH_MAX), known) }))
    .sort((a, b) => a.far - b.far)
    .slice(0, count)
    .map(({ known }) => known)
