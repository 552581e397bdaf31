/**
 * What stays on the heap: bytes after garbage collection.
 */

/** Made before what is measured, so that code and tables are there. */
const WARM_UP = 100

const heapAfterGc = async (): Promise<number> => {
  const { gc } = globalThis
  if (gc === undefined) throw new Error("run with --expose-gc")
  for (let times = 0; times < 4; times++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
}

/** Bytes that stay for each of `count` things that `make` makes. */
export const bytesOf = async <A>(
  count: number,
  make: (count: number, series: string) => Promise<A>
): Promise<number> => {
  const warm = await make(WARM_UP, "warm")
  const before = await heapAfterGc()
  const kept = await make(count, "kept")
  const after = await heapAfterGc()
  // Named after the measurement, so that nothing of it was collected before.
  if (kept === warm) throw new Error("the same thing was made twice")
  return (after - before) / count
}
