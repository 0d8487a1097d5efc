/** How many entries of a kind the twin keeps. */
const LIMIT = 20_000
/** How many tokens and ids of assertions the twin keeps that have not expired. */
const MOST_ALIVE = 10 * LIMIT

/** A map that drops its oldest entry when it is full, so that requests cannot make the twin grow without limit. */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #limit: number

  constructor(limit: number = LIMIT) {
    super()
    this.#limit = limit
  }

  override set(key: K, value: V): this {
    if (!this.has(key) && this.size >= this.#limit) {
      for (const oldest of this.keys()) {
        this.delete(oldest)
        break
      }
    }
    return super.set(key, value)
  }
}

/** Keeps an entry until it has expired; the oldest is dropped before only where far more are alive than any client needs. */
export class ExpiringMap<K, V> extends BoundedMap<K, V> {
  readonly #isOver: (value: V) => boolean
  /** the size at which expired entries are removed: twice what was left the last time, so that a call costs the same at any size */
  #full = LIMIT

  constructor(isOver: (value: V) => boolean) {
    super(MOST_ALIVE)
    this.#isOver = isOver
  }

  override set(key: K, value: V): this {
    if (this.size >= this.#full) {
      for (const [old, one] of this) if (this.#isOver(one)) this.delete(old)
      this.#full = Math.max(LIMIT, 2 * this.size)
    }
    return super.set(key, value)
  }
}
