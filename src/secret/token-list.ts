/** Finds texts that are written as a list of short tokens, such as the numbers of their characters, and decodes them. */
import { hexAt, isDigit, latin1, type ToSource } from './escapes.ts'
import { takeMemory } from './memory.ts'
import { eachText, type OnDecoded } from './readable.ts'

/** Characters of a separator and of a token. */
const [LONGEST_SEPARATOR, LONGEST_TOKEN] = [12, 8]
/** Tokens. */
const SHORTEST_LIST = 8

/**
 * Collects tokens of one kind that follow each other: numbers of characters, single characters, groups of base64. The list
 * ends, and is decoded, before a token of another kind or a long separator.
 */
export class TokenList {
  readonly #source: Uint8Array
  readonly #onDecoded: OnDecoded
  /** where each token begins and ends; only the first `#length` count */
  readonly #places: number[] = []
  #length = 0
  #kind: Kind | undefined

  constructor(source: Uint8Array, onDecoded: OnDecoded) {
    this.#source = source
    this.#onDecoded = onDecoded
  }

  add(start: number, end: number): void {
    if (this.#kind !== undefined && isAddress(this.#source, start, end)) return
    const kind = end - start > LONGEST_TOKEN ? undefined : kindOf(this.#source, start, end)
    if (kind !== this.#kind || start - this.#end(start) > LONGEST_SEPARATOR) this.end()
    if (kind === undefined) return
    this.#kind = kind
    this.#places[this.#length++] = start
    this.#places[this.#length++] = end
  }

  end(): void {
    if (this.#length >= 2 * SHORTEST_LIST && this.#kind !== undefined) this.#decode(this.#kind)
    // The array is used again: nearly every word of a text begins a list.
    this.#length = 0
    this.#kind = undefined
  }

  /** Where the last token ends; `start` if there is none. */
  #end(start: number): number {
    return this.#length === 0 ? start : (this.#places[this.#length - 1] as number)
  }

  #decode(kind: Kind): void {
    const places = this.#places.slice(0, this.#length)
    const texts: string[] = []
    for (let at = 0; at < places.length; at += 2) texts.push(latin1(this.#source, places[at], places[at + 1]))
    const toSource: ToSource = (from, to) => [places[2 * from] as number, places[2 * to - 1] as number]
    for (const base of BASES[kind]) {
      const codes = texts.map((text) => Number.parseInt(text.replace(/^(?:0x|U\+)/i, ''), base) & 0xff)
      const bytes = takeMemory(codes.length)
      bytes.set(codes)
      eachText(bytes, toSource, this.#onDecoded)
    }
    const length = texts[0]?.length ?? 1
    if (BASES[kind].length === 0)
      this.#onDecoded(Buffer.from(texts.join(''), 'latin1'), (from, to) =>
        toSource(Math.floor(from / length), Math.ceil(to / length)),
      )
  }
}

/** The address at the start of a line of a hex dump, `00000010: 3452 7442`, is not part of the list. */
function isAddress(source: Uint8Array, start: number, end: number): boolean {
  return end - start === 8 && hexAt(source, start, 8) >= 0 && source[end] === 0x3a
}

type Kind = 'single' | 'group' | 'decimal' | 'hexadecimal' | 'unicode'

/** The bases in which the numbers of a kind may be written; none if the tokens are the characters themselves. */
const BASES: Readonly<Record<Kind, readonly number[]>> = {
  single: [],
  group: [],
  decimal: [10, 8],
  hexadecimal: [16],
  unicode: [16],
}

/** The kind of the token from `start` to `end`, which consists of base64 characters. */
function kindOf(source: Uint8Array, start: number, end: number): Kind | undefined {
  const length = end - start
  const first = source[start] as number
  const second = source[start + 1] ?? 0
  if (length === 1) return 'single'
  const digits = first === 0x2d ? start + 1 : start
  let at = digits
  while (at < end && isDigit(source[at])) at += 1
  if (at === end && end - digits <= 3) return 'decimal'
  if (length === 4) return first === 0x30 && (second | 0x20) === 0x78 ? 'hexadecimal' : 'group'
  return length === 6 && first === 0x55 && second === 0x2b ? 'unicode' : undefined
}
