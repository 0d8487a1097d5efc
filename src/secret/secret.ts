import { inspect } from 'node:util'

/** A text that is printed as its name. Only code that sends, signs or encrypts the text calls `reveal()`. */
export class Secret {
  readonly name: string
  readonly #value: string

  constructor(value: string, name: string) {
    this.#value = value
    this.name = name
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return `[${this.name}]`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}
