/**
 * An index of values in one normal form. It finds all of them, or pieces of them, in one pass through a text in that form.
 */
import { latin1, unescaped } from './escapes.ts'
import { bytesOf, freeMemory } from './memory.ts'
import { entropySums } from './randomness.ts'
import { SeedTable } from './seed-table.ts'

/**
 * Characters of a piece in normal form, about 16 as it was written. Where a piece of a value occurs, the value is reported.
 */
const PIECE = 12
/** Characters. Only pieces of such long values without blanks, such as tokens, are searched for. */
const SHORTEST_WITH_PIECES = 20
/** Bits of entropy that a piece needs; its words count as parts of a name. */
const ENOUGH_BITS_OF_PIECE = 28
/**
 * Characters of a value that are looked up at each place of a text. Where they occur, the rest of the value is compared.
 */
const SEED = 6
/** So many characters from the beginning of a value count as the value, whatever their entropy. */
const LONG_PREFIX = 64
/** Characters that may be missing at the ends of a value that counts as found whole. */
const MOST_MISSING = 3
/** How many hashes there are. Each byte shifts the hash by four bits, so that it depends on the last six bytes only. */
const HASHES = 2 ** (4 * SEED)
/** Bits of what is noted of the texts that were searched: fits into the processor's second cache. */
const NOTES = 2 ** 20
/** Bits of the small filter. It is tested first: it fits into the processor's cache and rules out nearly every place. */
const SMALL_FILTER = 2 ** 16

/** Bit sets of the hashes of all seeds. */
interface SeedFilter {
  readonly small: Uint32Array
  readonly full: Uint32Array
}

/** The hash of the six bytes up to this one. */
function hashAfter(hash: number, byte: number): number {
  return ((hash << 4) ^ byte) & (HASHES - 1)
}

function smallHash(hash: number): number {
  return (hash ^ (hash >>> 9)) & (SMALL_FILTER - 1)
}

function noteOf(hash: number): number {
  return (hash ^ (hash >>> 11)) & (NOTES - 1)
}

function hasBit(bits: Uint32Array, at: number): boolean {
  return (((bits[at >>> 5] as number) >>> (at & 31)) & 1) === 1
}

function setBit(bits: Uint32Array, at: number): void {
  bits[at >>> 5] = (bits[at >>> 5] as number) | (1 << (at & 31))
}

/**
 * A normal form is a table: what each byte becomes. SKIP removes a byte; DROP removes it, and a GAP replaces many in a row.
 */
const [SKIP, DROP, GAP] = [255, 254, 1]
/** More dropped bytes in a row become a gap, so that texts far from each other do not join to a value. */
const MOST_DROPPED = 6

/**
 * Keeps letters and digits only: encodings add and remove separators, quotes and line breaks. Makes base64 equal base64url.
 */
export const LOOSE = new Uint8Array(256).fill(DROP)
/** Keeps nearly all characters, for values with few letters and digits. */
export const STRICT = new Uint8Array(256).fill(SKIP)
for (let byte = 0; byte < 256; byte += 1) {
  const lower = byte >= 0x41 && byte <= 0x5a ? byte + 32 : byte
  if (byte <= 0x20 || byte === 0x5c || byte >= 0x80) LOOSE[byte] = SKIP
  if (/[a-z0-9]/i.test(String.fromCharCode(byte))) LOOSE[byte] = lower
  if (byte > 0x20 && byte < 0xfe && !'"\'+\\'.includes(String.fromCharCode(byte))) STRICT[byte] = lower
}

interface Value<T> {
  readonly bytes: Uint8Array
  /** the place of the first byte that the form has, and the one after the last: what is outside is replaced with it if it occurs */
  readonly kept: readonly [start: number, end: number]
  readonly form: Uint8Array
  /** from each place of the form on, so many characters have enough entropy for a piece; undefined where no pieces are searched for */
  readonly enough: Uint16Array | undefined
  readonly label: T
}

export interface Found<T> {
  readonly start: number
  readonly end: number
  readonly label: T
}

/** A text in the loose normal form. */
export function formOf(text: string): string {
  freeMemory()
  const { bytes } = unescaped(bytesOf(text))
  const { length } = normalise(bytes, LOOSE)
  return latin1(normal.form.subarray(0, length))
}

/** Bytes. Room for nearly all texts: whenever it grows, V8 compiles the loop below anew. */
const USUAL = 2 ** 20
/** Reused for each text: its normal form, and the place of each byte of the form in the text. */
let normal = { form: new Uint8Array(USUAL), places: new Uint32Array(USUAL) }
/** Reused for each text: places of the form whose hash is that of a seed. */
let candidates = new Uint32Array(USUAL)

/** The filter of an empty index. */
const NO_SEEDS: SeedFilter = { small: new Uint32Array(SMALL_FILTER / 32), full: new Uint32Array(0) }
/** Takes the hashes of a text that nobody asks for. */
const UNNOTED = new Uint32Array(NOTES / 32)

/**
 * Writes the normal form of `bytes` into `normal`, and its places that `filter` does not rule out into `candidates`. Notes the
 * hash of each place in `met`.
 */
function normalise(
  bytes: Uint8Array,
  table: Uint8Array,
  filter = NO_SEEDS,
  met = UNNOTED,
): { length: number; count: number } {
  if (normal.form.length < bytes.length)
    normal = { form: new Uint8Array(bytes.length * 2), places: new Uint32Array(bytes.length * 2) }
  if (candidates.length < bytes.length) candidates = new Uint32Array(bytes.length * 2)
  const { form, places } = normal
  const { small, full } = filter
  let [length, count, dropped, hash] = [0, 0, 0, 0]
  for (let at = 0; at < bytes.length; at += 1) {
    const code = table[bytes[at] as number] as number
    if (code >= DROP) {
      if (code === DROP) dropped += 1
      continue
    }
    if (dropped > MOST_DROPPED && length > 0) {
      form[length] = GAP
      places[length++] = at
      hash = hashAfter(hash, GAP)
      setBit(met, noteOf(hash))
    }
    dropped = 0
    form[length] = code
    places[length++] = at
    hash = hashAfter(hash, code)
    setBit(met, noteOf(hash))
    if (hasBit(small, smallHash(hash)) && hasBit(full, hash) && length >= SEED) candidates[count++] = length - SEED
  }
  return { length, count }
}

export class ValueIndex<T> {
  readonly #table: Uint8Array
  #filter = NO_SEEDS
  readonly #values: Value<T>[] = []
  readonly #seeds = new SeedTable()
  /** the hashes in the texts that were searched since `forget` */
  #met = UNNOTED
  #mayHaveMet = false

  constructor(table: Uint8Array) {
    this.#table = table
  }

  get isEmpty(): boolean {
    return this.#filter === NO_SEEDS
  }

  /** Whether a value was added that may stand in a text that was searched before; if false, none of them does. */
  get mayHaveMet(): boolean {
    return this.#mayHaveMet
  }

  /** What was searched until now is searched again where it matters. */
  forget(): void {
    if (!this.isEmpty) this.#met.fill(0)
    this.#mayHaveMet = false
  }

  /** Returns false if too little of the value is left in this normal form. */
  add(bytes: Uint8Array, label: T): boolean {
    const { length } = normalise(bytes, this.#table)
    const form = normal.form.slice(0, length)
    const significant = form.reduce((sum, byte) => sum + (byte === GAP ? 0 : 1), 0)
    if (significant < (this.#table === LOOSE ? Math.max(8, bytes.length / 2) : SEED)) return false
    const isLong = isLongToken(bytes)
    const entropy = isLong ? entropyAt(bytes, normal.places.subarray(0, length)) : undefined
    const pieces = entropy === undefined ? [] : seedsOf(entropy)
    const enough = entropy === undefined || pieces.length === 0 ? undefined : enoughIn(entropy)
    const kept = [normal.places[0] as number, (normal.places[length - 1] as number) + 1] as const
    const value = { bytes: Uint8Array.from(bytes), kept, form, enough, label }
    const index = this.#values.push(value) - 1
    this.#addSeeds(value, 2 * index, new Set([0, MOST_MISSING, ...pieces]))
    // Some loggers reverse a secret to hide it.
    const last = length - SEED
    this.#addSeeds(value, 2 * index + 1, new Set([0, MOST_MISSING, ...pieces.map((at) => last - at)]))
    return true
  }

  /** The seeds of the value that is read forwards, or backwards where `direction` is odd. */
  #addSeeds(value: Value<T>, direction: number, places: ReadonlySet<number>): void {
    const way = wayOf(value, direction)
    this.#mayHaveMet ||= this.isEmpty || this.#mayStandInNoted(way, places)
    if (this.isEmpty) {
      this.#filter = { small: new Uint32Array(SMALL_FILTER / 32), full: new Uint32Array(HASHES / 32) }
      this.#met = new Uint32Array(NOTES / 32)
    }
    for (const at of places) {
      if (at + SEED > value.form.length) continue
      let hash = 0
      for (let place = at; place < at + SEED; place += 1) hash = hashAfter(hash, byteAt(way, place))
      this.#seeds.add(hash, direction, at)
      setBit(this.#filter.small, smallHash(hash))
      setBit(this.#filter.full, hash)
    }
  }

  /** Whether a part of a value that would be reported may stand in a noted text: the hashes within it are all noted. */
  #mayStandInNoted(way: Way<T>, seeds: ReadonlySet<number>): boolean {
    let [hash, start, hasSeed] = [0, 0, false]
    for (let at = 0; at < way.value.form.length; at += 1) {
      hash = hashAfter(hash, byteAt(way, at))
      const first = at - SEED + 1
      if (first < 0) continue
      if (hasBit(this.#met, noteOf(hash))) {
        hasSeed ||= seeds.has(first)
        if (hasSeed && isReported(way, start, [start, at + 1])) return true
      } else {
        start = first + 1
        hasSeed = false
      }
    }
    return false
  }

  /** Finds the values in `bytes`. The ranges are in bytes and may overlap. */
  find(bytes: Uint8Array, isExempt: (form: string) => boolean): Found<T>[] {
    const found: Found<T>[] = []
    if (this.isEmpty) return found
    const { length, count } = normalise(bytes, this.#table, this.#filter, this.#met)
    const { places } = normal
    const form = normal.form.subarray(0, length)
    let last = 0
    for (let index = 0; index < count; index += 1) {
      const at = candidates[index] as number
      // Skips a seed within the match before it; one that reaches beyond its end may begin another match.
      if (at + SEED <= last) continue
      const best = this.#longestAt(form, at)
      if (best === undefined) continue
      last = best.end
      if (isExempt(latin1(form.subarray(best.start, best.end)))) continue
      const range = [places[best.start] as number, (places[best.end - 1] as number) + 1] as const
      found.push(withEnds(bytes, best, range))
    }
    return found
  }

  #longestAt(form: Uint8Array, at: number): Match<T> | undefined {
    let best: Match<T> | undefined
    for (const [direction, within] of this.#seeds.of(hashAt(form, at))) {
      const way = wayOf(this.#values[direction >>> 1] as Value<T>, direction)
      const match = this.#matchOf(form, at, way, within)
      if (match !== undefined && match.end - match.start > (best === undefined ? 0 : best.end - best.start))
        best = match
    }
    return best
  }

  /** Compares a value with a text in both directions from a seed: at `at` in `form`, at `within` in the value. */
  #matchOf(form: Uint8Array, at: number, way: Way<T>, within: number): Match<T> | undefined {
    const { length } = way.value.form
    let [start, end, first, next] = [at, at, within, within]
    while (first > 0 && start > 0 && form[start - 1] === byteAt(way, first - 1)) {
      start -= 1
      first -= 1
    }
    while (next < length && end < form.length && form[end] === byteAt(way, next)) {
      end += 1
      next += 1
    }
    // A match neither begins nor ends with a gap, which stands for no byte of the text.
    if (form[start] === GAP) start += 1
    if (form[end - 1] === GAP) end -= 1
    return isReported(way, first, [next - (end - start), next]) ? { ...way, start, end } : undefined
  }
}

/** A value as it is read, forwards or from its end. */
interface Way<T> {
  readonly value: Value<T>
  readonly isReversed: boolean
}

function wayOf<T>(value: Value<T>, direction: number): Way<T> {
  return { value, isReversed: direction % 2 === 1 }
}

function byteAt({ value: { form }, isReversed }: Way<unknown>, at: number): number {
  return form[isReversed ? form.length - 1 - at : at] as number
}

interface Match<T> extends Way<T> {
  readonly start: number
  readonly end: number
}

/** Whether so much of a value is reported where it stands: `[start, end)` of its form, of a match that began at `first`. */
function isReported(
  { value: { form, enough }, isReversed }: Way<unknown>,
  first: number,
  [start, end]: readonly [number, number],
): boolean {
  const length = end - start
  return (
    length === form.length ||
    (length >= PIECE && length >= form.length - MOST_MISSING) ||
    (length >= LONG_PREFIX && first <= MOST_MISSING) ||
    (enough !== undefined && length >= PIECE && length >= (enough[isReversed ? form.length - end : start] as number))
  )
}

/** The range of a match. If the whole value matched, also the characters at its ends that the normal form lacks. */
function withEnds<T>(
  bytes: Uint8Array,
  { value, isReversed, start, end }: Match<T>,
  [from, to]: readonly [number, number],
): Found<T> {
  const { label } = value
  if (isReversed || end - start !== value.form.length) return { start: from, end: to, label }
  const before = value.bytes.subarray(0, value.kept[0])
  const after = value.bytes.subarray(value.kept[1])
  const left = Buffer.compare(bytes.subarray(from - before.length, from), before) === 0 ? before.length : 0
  const right = Buffer.compare(bytes.subarray(to, to + after.length), after) === 0 ? after.length : 0
  return { start: from - left, end: to + right, label }
}

/** Whether pieces of a value are searched for: it is long, and all of it is visible ASCII, so that it is no sentence. */
function isLongToken(bytes: Uint8Array): boolean {
  return bytes.length >= SHORTEST_WITH_PIECES && bytes.every((byte) => byte > 0x20 && byte < 0x7f)
}

/** The entropy of a value up to each place of its form. Words count as parts of a name: "access-token" is in many texts. */
function entropyAt(bytes: Uint8Array, places: Uint32Array): Float64Array {
  const entropy = entropySums(latin1(bytes), 'name')
  const sums = new Float64Array(places.length + 1)
  for (let index = 0; index < places.length; index += 1) sums[index] = entropy[places[index] as number] as number
  sums[places.length] = entropy.at(-1) ?? 0
  return sums
}

/** From each place on: how many characters have enough entropy for a piece; the most that can be noted where all to the end have not. */
function enoughIn(entropy: Float64Array): Uint16Array {
  const enough = new Uint16Array(entropy.length).fill(0xffff)
  let end = 0
  for (let start = 0; start < entropy.length; start += 1) {
    while (end < entropy.length && entropyBetween(entropy, start, end) < ENOUGH_BITS_OF_PIECE) end += 1
    if (end < entropy.length) enough[start] = end - start
  }
  return enough
}

function entropyBetween(sums: Float64Array, start: number, end: number): number {
  return (sums[end] as number) - (sums[start] as number)
}

/** Places of seeds such that each piece with enough entropy contains one of them. */
function seedsOf(entropy: Float64Array): readonly number[] {
  const length = entropy.length - 1
  const seeds: number[] = []
  for (let at = 0; at + SEED <= length; at += PIECE - SEED + 1)
    if (
      entropyBetween(entropy, Math.max(0, at - PIECE / 2), Math.min(length, at + SEED + PIECE / 2)) >=
      ENOUGH_BITS_OF_PIECE
    )
      seeds.push(at)
  return seeds
}

/** The hash of the seed at `at`. */
function hashAt(form: Uint8Array, at: number): number {
  let hash = 0
  for (let place = at; place < at + SEED; place += 1) hash = hashAfter(hash, form[place] as number)
  return hash
}
