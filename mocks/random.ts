/** Unpredictable bytes in small numbers. */
import { randomBytes } from 'node:crypto'

const POOL_BYTES = 4096

/** Each byte is given once. Asking the system for many at a time takes a fraction of what asking for each few takes. */
export function pooledRandom(): (size: number) => Uint8Array {
  let pool = randomBytes(0)
  let used = 0
  return (size) => {
    if (used + size > pool.length) [pool, used] = [randomBytes(Math.max(POOL_BYTES, size)), 0]
    used += size
    return pool.subarray(used - size, used)
  }
}
