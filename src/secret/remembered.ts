/** Texts in which nothing was found, so that they are not searched again: a run meets the same headers, ids and words again and again. */

/** Characters of all of them. A text of a server is kept no longer than until then. */
const MOST_CHARACTERS = 1024 * 1024
/** Characters. A longer text rarely comes twice. */
const LONGEST = 4096

export class RememberedTexts {
  readonly #texts = new Set<string>()
  #characters = 0

  has(text: string): boolean {
    return text.length <= LONGEST && this.#texts.has(text)
  }

  add(text: string): void {
    if (text.length > LONGEST || this.#texts.has(text)) return
    this.#characters += text.length
    if (this.#characters > MOST_CHARACTERS) this.clear()
    this.#texts.add(text)
  }

  clear(): void {
    this.#texts.clear()
    this.#characters = 0
  }
}
