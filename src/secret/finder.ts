/**
 * Many values found in one pass through a text, whatever it is encoded in: the text is brought into one normal form, and so
 * are the values. Knows nothing of what they mean.
 */
import { decode, type Work } from './encodings.ts'
import { latin1, type ToSource, unescaped } from './escapes.ts'
import { bytesOf, freeMemory, takeMemory } from './memory.ts'
import { bitsIn, SHORTEST } from './worth.ts'

/** In normal form. A value that has been cut is found by so many characters of it in a row, about 16 as it was written. */
const PIECE = 12
/** A value of random characters from start to end, such as a token: no word in it may be a piece. */
const SHORTEST_OPAQUE = 20
/** Bits of a piece, its words counted as those of a name. */
const ENOUGH_OF_PIECE = 28
/** What is looked up at each place of a text. */
const SEED = 6
/** Of values that share one: that many secrets begin alike by an attack alone. */
const MOST_WITH_SEED = 16
/** So much of the beginning of a long value tells it from others: what is compared in vain is never much. */
const TELLING = 64
/** What may be missing at the ends of a value that is found as a whole. */
const CUT = 3
/** Encodings wrapped in each other. */
const DEEPEST = 6
/** Bytes that are decoded of one text, as a multiple of its own. */
const MOST_DECODED = 16
const LEAST_DECODED = 64 * 1024
/** Runs that are remembered. */
const MOST_SEARCHED = 1000

/** Four bits are shifted in for each byte of the normal form, so that only the last six are in the hash. */
const HEADS = 2 ** (4 * SEED)
/** Looked at first, since it stays in the fastest memory of a processor and rules out nearly every place. */
const FEW_HEADS = 2 ** 16

/** One bit for each hash of a seed. */
interface Heads {
  readonly few: Uint32Array
  readonly all: Uint32Array
}

function fewOf(hash: number): number {
  return (hash ^ (hash >>> 9)) & (FEW_HEADS - 1)
}

function hasBit(bits: Uint32Array, at: number): boolean {
  return (((bits[at >>> 5] as number) >>> (at & 31)) & 1) === 1
}

function setBit(bits: Uint32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] as number) | (1 << (at & 31))
}

const ODD_LETTERS = /[\u2460-\u24ff\uff00-\uffef\u{1d400}-\u{1d7ff}]/u

/** Tags of HTML and XML, and escape sequences of terminals, which a reader does not see. */
const UNSEEN = new RegExp(`</?[A-Za-z][^<>]{0,200}>|${String.fromCharCode(27)}\\[[0-9;]{0,16}m`, 'g')
/** Files of ours are longer, and have tags of their own. */
const LONGEST_MARKUP = 128 * 1024

/** What a byte becomes in a normal form: itself in lower case, nothing (SKIP), or nothing unless there are several (DROP). */
const [SKIP, DROP, GAP] = [255, 254, 1]
/** Bytes that are dropped in a row leave a gap, so that values far from each other do not run on. */
const WIDEST_DROP = 6

/** Letters and digits: separators, quotes and line breaks come and go with encodings, and both alphabets of base64 are one. */
const LOOSE = new Uint8Array(256).fill(DROP)
/** Nearly everything, for values that have few letters and digits. */
const STRICT = new Uint8Array(256).fill(SKIP)
for (let byte = 0; byte < 256; byte += 1) {
  const lower = byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte
  if (byte <= 0x20 || byte === 0x5c || byte >= 0x80) LOOSE[byte] = SKIP
  if (/[a-z0-9]/i.test(String.fromCharCode(byte))) LOOSE[byte] = lower
  if (byte > 0x20 && byte < 0xfe && !'"\'+\\'.includes(String.fromCharCode(byte))) STRICT[byte] = lower
}

interface Value<T> {
  readonly form: Uint8Array
  /** how hard the form is to guess up to each of its places; absent where no piece of it counts */
  readonly bits: Float64Array | undefined
  /** bytes before and after the normal form, which belong to it where they are there */
  readonly head: Uint8Array
  readonly tail: Uint8Array
  readonly of: T
}

interface Seed<T> {
  readonly value: Value<T>
  readonly at: number
}

export interface Found<T> {
  readonly start: number
  readonly end: number
  readonly of: T
}

export interface Findings<T> {
  /** in bytes of UTF-8, in their order, none within another */
  readonly found: readonly Found<T>[]
  /** more is encoded in the text than is decoded */
  readonly isPartial: boolean
}

/** `of` is what a value belongs to. */
export class Finder<T> {
  readonly #loose = new Index<T>(LOOSE)
  readonly #strict = new Index<T>(STRICT)
  readonly #isExempt: (form: string) => boolean
  /** long runs of base64 in which none of the values is */
  readonly #searched = new Set<string>()

  /** `isExempt` says of a text in normal form that it is no secret, whatever value it is a part of. */
  constructor(isExempt: (form: string) => boolean = () => false) {
    this.#isExempt = isExempt
  }

  /** False where nothing of the value can be told from other texts. */
  add(text: string, of: T): boolean {
    freeMemory()
    this.#searched.clear()
    const plain = unescaped(bytesOf(text)).bytes
    return this.#loose.add(plain, of) || this.#strict.add(plain, of)
  }

  in(text: string): Findings<T> {
    const findings = this.#in(text)
    // Full width, mathematical and circled letters are the same letters to a reader.
    const plain = findings.found.length === 0 && ODD_LETTERS.test(text) ? text.normalize('NFKC') : text
    if (plain === text) return findings
    const [first] = this.#in(plain).found
    return first === undefined
      ? findings
      : { ...findings, found: [{ ...first, start: 0, end: Buffer.byteLength(text) }] }
  }

  #in(text: string): Findings<T> {
    const found: Found<T>[] = []
    if (text.length < SHORTEST || (this.#loose.isEmpty && this.#strict.isEmpty)) return { found, isPartial: false }
    freeMemory()
    const bytes = bytesOf(text)
    const work = {
      found,
      isSearched: (run: string) => this.#searched.has(run),
      searched: (run: string) => {
        if (this.#searched.size < MOST_SEARCHED) this.#searched.add(run)
      },
      archives: 0,
      isPartial: false,
      left: Math.max(LEAST_DECODED, MOST_DECODED * bytes.length),
    }
    this.#look(bytes, (start, end) => [start, end], { found, work, depth: 0 })
    return { found: merged(found), isPartial: work.isPartial }
  }

  #look(
    bytes: Uint8Array,
    toSource: ToSource,
    around: { readonly found: Found<T>[]; readonly work: Work & { left: number }; readonly depth: number },
  ): void {
    const { found, work, depth } = around
    work.left -= bytes.length
    const plain = unescaped(bytes)
    work.isPartial ||= plain.isDeep || depth > DEEPEST || work.left < 0
    if (depth > DEEPEST || work.left < 0) return
    const outer: ToSource = (start, end) => toSource(...plain.toSource(start, end))
    for (const index of [this.#loose, this.#strict])
      for (const { start, end, of } of index.in(plain.bytes, this.#isExempt)) {
        const [from, to] = outer(start, end)
        found.push({ start: from, end: to, of })
      }
    if (depth === 0) {
      const seen = withoutUnseen(plain.bytes)
      if (seen !== undefined)
        this.#look(seen.bytes, (start, end) => outer(...seen.toSource(start, end)), { found, work, depth: 1 })
    }
    decode(plain.bytes, work, (inner, toPlain) =>
      this.#look(inner, (start, end) => outer(...toPlain(start, end)), { found, work, depth: depth + 1 }),
    )
  }
}

/** Undefined where there is nothing of it. */
function withoutUnseen(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly toSource: ToSource } | undefined {
  if (bytes.length > LONGEST_MARKUP || !(bytes.includes(0x3c) || bytes.includes(0x1b))) return undefined
  const parts: number[] = []
  let end = 0
  for (const { 0: whole, index } of latin1(bytes).matchAll(UNSEEN)) {
    parts.push(end, index)
    end = index + whole.length
  }
  if (parts.length === 0) return undefined
  parts.push(end, bytes.length)
  const seen = takeMemory(bytes.length)
  const places = new Uint32Array(bytes.length)
  let length = 0
  for (let part = 0; part < parts.length; part += 2)
    for (let at = parts[part] as number; at < (parts[part + 1] as number); at += 1) {
      places[length] = at
      seen[length++] = bytes[at] as number
    }
  const toSource: ToSource = (start, to) => [places[start] as number, (places[to - 1] as number) + 1]
  return { bytes: seen.subarray(0, length), toSource }
}

/** The normal form of a text, as far as it is compared with others as a whole. */
export function formOf(text: string): string {
  freeMemory()
  const { bytes } = unescaped(bytesOf(text))
  const { length } = fold(bytes, LOOSE)
  return latin1(folded.form.subarray(0, length))
}

/** The same memory for each text: the form, and where each byte of it stood. */
let folded = { form: new Uint8Array(1 << 16), places: new Uint32Array(1 << 16) }
/** Places of the form at which a value may begin, by the hash of what follows. */
let candidates = new Uint32Array(1 << 12)

const NOTHING = new Uint8Array(0)

/** Of an index that is empty. */
const NO_HEADS: Heads = { few: new Uint32Array(FEW_HEADS / 32), all: new Uint32Array(0) }

/** Returns how long the form is; `heads` tells the candidates among its places. */
function fold(bytes: Uint8Array, table: Uint8Array, heads: Heads = NO_HEADS): { length: number; count: number } {
  if (folded.form.length < bytes.length)
    folded = { form: new Uint8Array(bytes.length * 2), places: new Uint32Array(bytes.length * 2) }
  if (candidates.length < bytes.length) candidates = new Uint32Array(bytes.length * 2)
  const { form, places } = folded
  const { few, all } = heads
  let [length, count, dropped, hash] = [0, 0, 0, 0]
  for (let at = 0; at < bytes.length; at += 1) {
    const code = table[bytes[at] as number] as number
    if (code >= DROP) {
      if (code === DROP) dropped += 1
      continue
    }
    if (dropped > WIDEST_DROP && length > 0) {
      form[length] = GAP
      places[length++] = at
      hash = ((hash << 4) ^ GAP) & (HEADS - 1)
    }
    dropped = 0
    form[length] = code
    places[length++] = at
    hash = ((hash << 4) ^ code) & (HEADS - 1)
    if (hasBit(few, fewOf(hash)) && hasBit(all, hash) && length >= SEED) candidates[count++] = length - SEED
  }
  return { length, count }
}

/** The values of one normal form. */
class Index<T> {
  readonly #table: Uint8Array
  #heads = NO_HEADS
  readonly #seeds = new Map<number, Seed<T>[]>()

  constructor(table: Uint8Array) {
    this.#table = table
  }

  get isEmpty(): boolean {
    return this.#seeds.size === 0
  }

  /** False where too little of the value is left in this form. */
  add(bytes: Uint8Array, of: T): boolean {
    const { length } = fold(bytes, this.#table)
    const form = folded.form.slice(0, length)
    const places = folded.places.slice(0, length)
    const significant = form.reduce((sum, byte) => sum + (byte === GAP ? 0 : 1), 0)
    if (significant < (this.#table === LOOSE ? Math.max(8, bytes.length / 2) : SEED)) return false
    const raw = latin1(bytes)
    const bits = isOpaque(raw) ? bitsAt(raw, places) : undefined
    const seeds = bits === undefined ? [] : seedsOf(bits)
    const value = {
      form,
      bits: seeds.length > 0 ? bits : undefined,
      head: Uint8Array.from(bytes.subarray(0, places[0])),
      tail: Uint8Array.from(bytes.subarray((places.at(-1) ?? 0) + 1)),
      of,
    }
    this.#plantAll(value, seeds)
    // Some loggers turn a secret round and think it hidden.
    const last = length - SEED
    this.#plantAll(
      { form: form.toReversed(), bits: value.bits && turned(value.bits), head: NOTHING, tail: NOTHING, of },
      seeds.map((at) => last - at),
    )
    return true
  }

  #plantAll(value: Value<T>, seeds: readonly number[]): void {
    for (const at of new Set([0, CUT, ...seeds])) if (at + SEED <= value.form.length) this.#plant({ value, at })
  }

  #plant(seed: Seed<T>): void {
    if (this.isEmpty) this.#heads = { few: new Uint32Array(FEW_HEADS / 32), all: new Uint32Array(HEADS / 32) }
    const { form } = seed.value
    const key = keyAt(form, seed.at)
    const others = this.#seeds.get(key)
    if (others === undefined) this.#seeds.set(key, [seed])
    else if (others.length < MOST_WITH_SEED) others.push(seed)
    let hash = 0
    for (let at = seed.at; at < seed.at + SEED; at += 1) hash = ((hash << 4) ^ (form[at] as number)) & (HEADS - 1)
    setBit(this.#heads.few, fewOf(hash))
    setBit(this.#heads.all, hash)
  }

  /** What is found, in places of `bytes`; some of it may overlap. */
  in(bytes: Uint8Array, isExempt: (form: string) => boolean): Found<T>[] {
    const found: Found<T>[] = []
    if (this.isEmpty) return found
    const { length, count } = fold(bytes, this.#table, this.#heads)
    const { places } = folded
    const form = folded.form.subarray(0, length)
    let last = 0
    for (let index = 0; index < count; index += 1) {
      const at = candidates[index] as number
      // Within what was found there is nothing longer, unless it reaches beyond.
      if (at + SEED <= last) continue
      const best = this.#longestAt(form, at)
      if (best === undefined) continue
      last = best.end
      if (isExempt(latin1(form.subarray(best.start, best.end)))) continue
      found.push(widened(bytes, best, [places[best.start] as number, (places[best.end - 1] as number) + 1]))
    }
    return found
  }

  #longestAt(form: Uint8Array, at: number): Match<T> | undefined {
    let best: Match<T> | undefined
    for (const { value, at: within } of this.#seeds.get(keyAt(form, at)) ?? []) {
      const match = matchOf(form, at, value, within)
      if (match !== undefined && match.end - match.start > (best === undefined ? 0 : best.end - best.start))
        best = match
    }
    return best
  }
}

interface Match<T> {
  readonly value: Value<T>
  readonly start: number
  readonly end: number
}

function matchOf<T>(form: Uint8Array, at: number, value: Value<T>, within: number): Match<T> | undefined {
  let [start, end, first, next] = [at, at, within, within]
  while (first > 0 && start > 0 && form[start - 1] === value.form[first - 1]) {
    start -= 1
    first -= 1
  }
  while (next < value.form.length && end < form.length && form[end] === value.form[next]) {
    end += 1
    next += 1
  }
  // A gap has no place of its own.
  if (form[start] === GAP) start += 1
  if (form[end - 1] === GAP) end -= 1
  const length = end - start
  const isWhole =
    length === value.form.length ||
    (length >= PIECE && length >= value.form.length - CUT) ||
    (length >= TELLING && first <= CUT)
  const isPiece = () =>
    value.bits !== undefined && length >= PIECE && between(value.bits, next - length, next) >= ENOUGH_OF_PIECE
  return isWhole || isPiece() ? { value, start, end } : undefined
}

/** With the characters before and after that the normal form has not, where the value was found whole. */
function widened<T>(bytes: Uint8Array, { value, start, end }: Match<T>, [from, to]: [number, number]): Found<T> {
  const { head, tail, of } = value
  if (end - start !== value.form.length) return { start: from, end: to, of }
  const before = Buffer.compare(bytes.subarray(from - head.length, from), head) === 0 ? head.length : 0
  const after = Buffer.compare(bytes.subarray(to, to + tail.length), tail) === 0 ? tail.length : 0
  return { start: from - before, end: to + after, of }
}

/** Whether pieces of a value may count: it has no words with blanks between them, as a sentence has. */
function isOpaque(raw: string): boolean {
  return raw.length >= SHORTEST_OPAQUE && !/[^!-~]/.test(raw)
}

/** The words in a piece are worth as little as in a name: "access-token" stands in many texts. */
function bitsAt(raw: string, places: Uint32Array): Float64Array {
  const bits = bitsIn(raw, 'name')
  const sums = new Float64Array(places.length + 1)
  for (const [index, place] of places.entries()) sums[index] = bits[place] as number
  sums[places.length] = bits.at(-1) ?? 0
  return sums
}

/** The same for the form turned round. */
function turned(bits: Float64Array): Float64Array {
  const all = bits.at(-1) ?? 0
  return bits.toReversed().map((sum) => all - sum)
}

function between(bits: Float64Array, start: number, end: number): number {
  return (bits[end] as number) - (bits[start] as number)
}

/** Places of the form of which one is in every piece that is hard enough to guess. */
function seedsOf(bits: Float64Array): readonly number[] {
  const length = bits.length - 1
  const seeds: number[] = []
  for (let at = 0; at + SEED <= length; at += PIECE - SEED + 1)
    if (between(bits, Math.max(0, at - PIECE / 2), Math.min(length, at + SEED + PIECE / 2)) >= ENOUGH_OF_PIECE)
      seeds.push(at)
  return seeds
}

function keyAt(form: Uint8Array, at: number): number {
  let key = 0
  for (let place = at; place < at + SEED; place += 1) key = key * 256 + (form[place] as number)
  return key
}

/** In their order; of those that overlap one is made, with the name of the longest. */
function merged<T>(found: readonly Found<T>[]): Found<T>[] {
  const result: Found<T>[] = []
  for (const one of found.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const last = result.at(-1)
    if (last === undefined || one.start >= last.end) result.push(one)
    else {
      const { of } = one.end - one.start > last.end - last.start ? one : last
      result[result.length - 1] = { start: last.start, end: Math.max(last.end, one.end), of }
    }
  }
  return result
}
