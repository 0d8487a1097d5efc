/** Texts that were searched, so that they are not searched again: a run meets the same headers, ids, words and statements again. */

/** Characters of all of them. A text of a server is kept no longer than until then. */
const MOST_CHARACTERS = 1024 * 1024
/** Characters. A longer text rarely comes twice. */
const LONGEST = 16 * 1024

/** `T` is what was found. */
export class RememberedTexts<T = true> {
  readonly #texts = new Map<string, T>()
  #characters = 0

  has(text: string): boolean {
    return this.get(text) !== undefined
  }

  get(text: string): T | undefined {
    return text.length <= LONGEST ? this.#texts.get(text) : undefined
  }

  set(text: string, found: T): void {
    if (text.length > LONGEST || this.#texts.has(text)) return
    this.#characters += text.length
    if (this.#characters > MOST_CHARACTERS) this.clear()
    // A part of a longer text would keep all of that in memory; a copy doesn't.
    this.#texts.set(Buffer.from(text).toString(), found)
  }

  clear(): void {
    this.#texts.clear()
    this.#characters = 0
  }
}
