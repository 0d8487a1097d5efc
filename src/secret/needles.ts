/**
 * Many texts found in one pass through another. None of them is kept: of each only its length and two hashes are, so that
 * a long run neither holds every secret it has seen nor grows by their size. Knows nothing of what they mean.
 */
import { randomInt } from 'node:crypto'

/** In characters. Anything shorter would be found everywhere by chance. */
export const SHORTEST = 6

/** The hash of a beginning: four bits are shifted in for each character, so that only the last six are in it. */
const SHIFT = 4
const HEADS = 2 ** (SHIFT * SHORTEST)

/** Characters. Keys begin alike, and JWTs too. */
const TELLING = 128

interface Needle<T> {
  readonly length: number
  readonly print: number
  readonly of: T
  /** another one with the same beginning; the longer ones come first */
  next: Needle<T> | undefined
}

/** `of` is what a needle belongs to. */
export class Needles<T> {
  readonly #seed = randomInt(2 ** 31)
  /** one bit for each hash of a beginning */
  readonly #heads = new Uint32Array(HEADS / 32)
  /** by the prints of their beginnings */
  readonly #needles = new Map<number, Needle<T>>()

  /** At least SHORTEST characters. */
  add(text: string, of: T): void {
    const beginning = this.print(text, 0, SHORTEST)
    const needle: Needle<T> = { length: text.length, print: this.print(text), of, next: undefined }
    const first = this.#needles.get(beginning)
    if (first === undefined || first.length <= needle.length) {
      needle.next = first
      this.#needles.set(beginning, needle)
    } else {
      let before = first
      while (before.next !== undefined && before.next.length > needle.length) before = before.next
      needle.next = before.next
      before.next = needle
    }
    mark(this.#heads, text)
  }

  /** At each place the longest needle that begins there. */
  *in(text: string): Generator<{ readonly index: number; readonly length: number; readonly of: T }> {
    if (this.#needles.size === 0) return
    for (let index = nextHead(text, 0, this.#heads); index >= 0; index = nextHead(text, index + 1, this.#heads)) {
      const beginning = this.print(text, index, index + SHORTEST)
      for (let needle = this.#needles.get(beginning); needle !== undefined; needle = needle.next) {
        const { length, print, of } = needle
        if (index + length > text.length || this.print(text, index, index + length) !== print) continue
        yield { index, length, of }
        break
      }
    }
  }

  /** 53 bits, different in each process: what a text is told by where it must not be kept. By its end, which no two share. */
  print(text: string, from = 0, to = text.length): number {
    let [one, other] = [this.#seed, ~this.#seed ^ (to - from)]
    for (let position = Math.max(from, to - TELLING); position < to; position += 1) {
      const code = text.charCodeAt(position)
      one = Math.imul(one ^ code, 0x01000193)
      other = Math.imul(other + code, 0x9e3779b1)
      other ^= other >>> 15
    }
    return (one >>> 0) * 2 ** 21 + (other >>> 11)
  }
}

function rolled(hash: number, code: number): number {
  return ((hash << SHIFT) ^ code) & (HEADS - 1)
}

function mark(heads: Uint32Array, text: string): void {
  let hash = 0
  for (let position = 0; position < SHORTEST; position += 1) hash = rolled(hash, text.charCodeAt(position))
  heads[hash >>> 5] = (heads[hash >>> 5] ?? 0) | (1 << (hash & 31))
}

/** Where the next text with a known hash begins, or -1. The loop that every character of every artifact goes through. */
function nextHead(text: string, from: number, heads: Uint32Array): number {
  let hash = 0
  for (let position = from; position < text.length; position += 1) {
    hash = rolled(hash, text.charCodeAt(position))
    if (((heads[hash >>> 5] ?? 0) >>> (hash & 31)) & 1 && position - from >= SHORTEST - 1)
      return position + 1 - SHORTEST
  }
  return -1
}
