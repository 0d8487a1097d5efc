/**
 * Which values have six characters of a hash, and where in them: a hash table in three lists of numbers, since a long run knows a
 * hundred thousand of them and a Map takes twice the memory.
 */
import { randomInt } from 'node:crypto'

/** Seeds that share a hash. Further ones are ignored: only an attacker sends so many secrets that begin alike. */
const MOST_WITH_HASH = 16
const SMALLEST = 1024
/** Random, so that no server can choose secrets that fill places side by side; odd, so that different hashes stay different. */
const MULTIPLIER = 2 * randomInt(2 ** 30, 2 ** 31) + 1

export class SeedTable {
  /** the hash and one, since 0 is a free place */
  #hashes = new Uint32Array(SMALLEST)
  #values = new Uint32Array(SMALLEST)
  #places = new Uint16Array(SMALLEST)
  #size = 0

  /** `value` is below 2 ** 32, `place` below 2 ** 16. */
  add(hash: number, value: number, place: number): void {
    if (3 * this.#size >= 2 * this.#hashes.length) this.#grow()
    let [slot, same] = [this.#first(hash), 0]
    for (; this.#hashes[slot] !== 0; slot = this.#after(slot)) {
      if (this.#hashes[slot] === hash + 1) same += 1
      if (same === MOST_WITH_HASH) return
    }
    this.#hashes[slot] = hash + 1
    this.#values[slot] = value
    this.#places[slot] = place
    this.#size += 1
  }

  /** The values that have seeds of this hash, with the places. */
  *of(hash: number): Generator<readonly [value: number, place: number]> {
    for (let slot = this.#first(hash); this.#hashes[slot] !== 0; slot = this.#after(slot))
      if (this.#hashes[slot] === hash + 1) yield [this.#values[slot] as number, this.#places[slot] as number]
  }

  #first(hash: number): number {
    return (Math.imul(hash, MULTIPLIER) >>> 8) & (this.#hashes.length - 1)
  }

  #after(slot: number): number {
    return (slot + 1) & (this.#hashes.length - 1)
  }

  #grow(): void {
    const [hashes, values, places] = [this.#hashes, this.#values, this.#places]
    this.#hashes = new Uint32Array(2 * hashes.length)
    this.#values = new Uint32Array(2 * hashes.length)
    this.#places = new Uint16Array(2 * hashes.length)
    this.#size = 0
    // From a free place on, so that those of one hash keep their order.
    const free = hashes.indexOf(0)
    for (let step = 1; step < hashes.length; step += 1) {
      const slot = (free + step) & (hashes.length - 1)
      if (hashes[slot] !== 0) this.add((hashes[slot] as number) - 1, values[slot] as number, places[slot] as number)
    }
  }
}
