/** How many entries of a kind the twin keeps. */
export const LIMIT = 10_000

/** A map that drops its oldest entry when it is full, so that requests cannot make the twin grow without limit. */
export class BoundedMap<K, V> extends Map<K, V> {
  override set(key: K, value: V): this {
    if (!this.has(key) && this.size >= LIMIT) {
      for (const oldest of this.keys()) {
        this.delete(oldest)
        break
      }
    }
    return super.set(key, value)
  }
}
