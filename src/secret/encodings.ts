/**
 * Finds what may be encoded in a text, and decodes it: base64 and base64url wherever they begin and over several lines, hex
 * with and without separators, and gzip within either. Says of each byte where it stood.
 */
import { gunzipSync, inflateSync } from 'node:zlib'
import { hexAt, isDigit, latin1, type ToSource } from './escapes.ts'
import { takeMemory } from './memory.ts'

/** Is told what was decoded, and where each byte of it stood. */
export type Tell = (bytes: Uint8Array, toSource: ToSource) => void

/** Of base64: no searched value has fewer. */
const SHORTEST_RUN = 11
/** Of hexadecimal: pairs of digits. */
const SHORTEST_HEX = 8
/** Bytes in a row that may be a text; in what is decoded from the wrong place such a row is rare. */
const SHORTEST_TEXT = 8
/** Of what is packed in one text. */
const MOST_ARCHIVES = 8
const LARGEST_ARCHIVE = 1024 * 1024

/** The six bits of a character of either alphabet; 255 for any other. */
const SIX_BITS = new Uint8Array(256).fill(255)
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
for (const [value, character] of [...ALPHABET].entries()) SIX_BITS[character.charCodeAt(0)] = value
for (const [character, value] of Object.entries({ '+': 62, '-': 62, '/': 63, _: 63 }))
  SIX_BITS[character.charCodeAt(0)] = value

/** How many bytes a character has that begins with this one; 0 where it begins none. NUL stands between those of UTF-16. */
const LENGTHS = new Uint8Array(256).fill(1, 0x20, 0x7f).fill(2, 0xc2, 0xe0).fill(3, 0xe0, 0xf0)
for (const byte of [0, 9, 10, 13]) LENGTHS[byte] = 1

const IS_HEX = new Uint8Array(256)
for (const character of '0123456789abcdefABCDEF') IS_HEX[character.charCodeAt(0)] = 1

/** One look at a text. */
export interface Work {
  /** what was found so far */
  readonly found: readonly unknown[]
  /** whether a run of characters was decoded before, and nothing found in it */
  readonly isSearched: (run: string) => boolean
  readonly searched: (run: string) => void
  archives: number
  /** there was more than it is sensible to unpack */
  isPartial: boolean
}

export function decode(source: Uint8Array, work: Work, tell: Tell): void {
  const list = new TokenList(source, tell)
  let hexEnd = 0
  for (let start = 0; start < source.length; ) {
    if (SIX_BITS[source[start] as number] === 255) {
      start += 1
      continue
    }
    let end = start
    let breaks: number[] | undefined
    let hexFrom = start
    for (;;) {
      const byte = end < source.length ? (source[end] as number) : 0
      if (SIX_BITS[byte] !== 255) {
        end += 1
        if (IS_HEX[byte] === 1) continue
        if (end - 1 - hexFrom >= 2 * SHORTEST_HEX)
          decodeHex(runOf(source, [hexFrom, end - 1], undefined, true), work, tell)
        hexFrom = end
        continue
      }
      const next = lineAfter(source, end)
      if (next === 0) break
      breaks ??= []
      breaks.push(end, next)
      end = next
    }
    const isHex = hexFrom === start
    if (!isHex && breaks === undefined && end - hexFrom >= 2 * SHORTEST_HEX)
      decodeHex(runOf(source, [hexFrom, end], undefined, true), work, tell)
    // Between the pairs of hexadecimal there may be a hyphen, which is a character of base64 too.
    if (start >= hexEnd && end - start >= 2 && (end - start === 2 || source[start + 2] === 0x2d))
      hexEnd = separatedHex(source, start, tell)
    // Lines of a list may end in a token each.
    const ends = [...(breaks ?? []), end]
    for (let from = start, line = 0; line < ends.length; line += 2) {
      list.add(from, ends[line] as number)
      from = ends[line + 1] ?? end
    }
    if (end - start >= SHORTEST_RUN) decodeOnce(runOf(source, [start, end], breaks, isHex), work, tell)
    start = end + 1
  }
  list.end()
}

/** Of characters between two tokens of a list, and of a token. */
const [WIDEST_SEPARATOR, LONGEST_TOKEN] = [12, 8]
const SHORTEST_LIST = 8

/** A text in many short tokens of one kind: numbers of its characters, single characters, groups of base64. */
class TokenList {
  readonly #source: Uint8Array
  readonly #tell: Tell
  /** where each begins and ends */
  #places: number[] = []
  #kind: Kind | undefined

  constructor(source: Uint8Array, tell: Tell) {
    this.#source = source
    this.#tell = tell
  }

  add(start: number, end: number): void {
    if (this.#kind !== undefined && isAddress(this.#source, start, end)) return
    const kind = end - start > LONGEST_TOKEN ? undefined : kindOf(this.#source, start, end)
    if (kind !== this.#kind || start - (this.#places.at(-1) ?? start) > WIDEST_SEPARATOR) this.end()
    if (kind === undefined) return
    this.#kind = kind
    this.#places.push(start, end)
  }

  end(): void {
    if (this.#places.length >= 2 * SHORTEST_LIST && this.#kind !== undefined) this.#read(this.#kind)
    if (this.#places.length > 0) this.#places = []
    this.#kind = undefined
  }

  #read(kind: Kind): void {
    const places = this.#places
    const texts: string[] = []
    for (let at = 0; at < places.length; at += 2) texts.push(latin1(this.#source, places[at], places[at + 1]))
    const toSource: ToSource = (from, to) => [places[2 * from] as number, places[2 * to - 1] as number]
    for (const base of BASES[kind]) {
      const codes = texts.map((text) => Number.parseInt(text.replace(/^(?:0x|U\+)/i, ''), base) & 0xff)
      const bytes = takeMemory(codes.length)
      bytes.set(codes)
      tellTexts(bytes, toSource, this.#tell)
    }
    const group = texts[0]?.length ?? 1
    if (BASES[kind].length === 0)
      this.#tell(Buffer.from(texts.join(''), 'latin1'), (from, to) =>
        toSource(Math.floor(from / group), Math.ceil(to / group)),
      )
  }
}

/** Of a line of a dump: `00000010: 3452 7442`. */
function isAddress(source: Uint8Array, start: number, end: number): boolean {
  return end - start === 8 && hexAt(source, start, 8) >= 0 && source[end] === 0x3a
}

type Kind = 'single' | 'group' | 'decimal' | 'hexadecimal' | 'unicode'

/** To which bases the numbers of a kind may be written; none where the tokens are characters themselves. */
const BASES: Readonly<Record<Kind, readonly number[]>> = {
  single: [],
  group: [],
  decimal: [10, 8],
  hexadecimal: [16],
  unicode: [16],
}

/** Of the characters between `start` and `end`, all of base64. */
function kindOf(source: Uint8Array, start: number, end: number): Kind | undefined {
  const length = end - start
  const [first = 0, second = 0] = [source[start], source[start + 1]]
  if (length === 1) return 'single'
  const digits = first === 0x2d ? start + 1 : start
  let at = digits
  while (at < end && isDigit(source[at])) at += 1
  if (at === end && end - digits <= 3) return 'decimal'
  if (length === 4) return first === 0x30 && (second | 0x20) === 0x78 ? 'hexadecimal' : 'group'
  return length === 6 && first === 0x55 && second === 0x2b ? 'unicode' : undefined
}

/** Blanks with which a line begins that goes on with the one before. */
const WIDEST_INDENT = 8

/** Where the next line begins, if characters of base64 stand on both sides of the break; else 0. */
function lineAfter(source: Uint8Array, end: number): number {
  let next = source[end] === 10 ? end + 1 : source[end] === 13 && source[end + 1] === 10 ? end + 2 : 0
  for (let blanks = 0; next > 0 && blanks < WIDEST_INDENT && (source[next] === 32 || source[next] === 9); blanks += 1)
    next += 1
  return next === 0 || next >= source.length || SIX_BITS[source[next] as number] === 255 ? 0 : next
}

/** The claims of a JWT stand in every file of a run, and are decoded for one of them. */
const LONG_RUN = 128

function decodeOnce(run: Run, work: Work, tell: Tell): void {
  if (run.characters.length < LONG_RUN) {
    decodeRun(run, work, tell)
    return
  }
  const text = latin1(run.characters)
  if (work.isSearched(text)) return
  const before = work.found.length
  decodeRun(run, work, tell)
  if (work.found.length === before && !work.isPartial) work.searched(text)
}

/** What a character may be of the four that three characters of ASCII become: bits for the first, second and third. */
const MAY_BE = new Uint8Array(256)
for (const [byte, value] of SIX_BITS.entries())
  if (value !== 255) MAY_BE[byte] = (value < 32 ? 1 : 0) | ((value & 8) === 0 ? 2 : 0) | ((value & 2) === 0 ? 4 : 0)

/** Groups that can be no text and are passed over, since a letter with an accent may be in them. */
const WIDEST_GAP = 3
/** Wherever six bytes in a row may be a text, what stands around them is decoded. */
function decodeRun(run: Run, work: Work, tell: Tell): void {
  const { characters } = run
  if (isBase32(characters)) for (let phase = 0; phase < 8; phase += 1) tellTexts(...fromBase32(run, phase), tell)
  if (isZlib(characters) && mayUnpack(work)) unpack(...fromBase64(run, 0, characters.length), work, tell)
  if (!mayHoldText(characters)) {
    if (run.isHex) decodeHex(run, work, tell)
    return
  }
  // Of each of the four places at which groups may begin: the first and last that may be text, and whether two follow.
  const first = [0, 0, 0, 0]
  const last = first.map(() => -4 * WIDEST_GAP - 8)
  const isPair = [false, false, false, false]
  const flush = (phase: number) => {
    if (isPair[phase] !== true) return
    const from = Math.max(phase, (first[phase] as number) - 4)
    tellTexts(...fromBase64(run, from, Math.min(characters.length, (last[phase] as number) + 8)), tell)
  }
  for (let at = 0; at + 2 < characters.length; at += 1) {
    const character = characters[at] as number
    if (isGzip(characters, at) && mayUnpack(work)) unpack(...fromBase64(run, at, characters.length), work, tell)
    const isGood =
      (MAY_BE[character] as number) & 1 &&
      (MAY_BE[characters[at + 1] as number] as number) & 2 &&
      (MAY_BE[characters[at + 2] as number] as number) & 4
    if (!isGood) continue
    const phase = at & 3
    const since = at - (last[phase] as number)
    if (since > 4 * (WIDEST_GAP + 1)) {
      flush(phase)
      first[phase] = at
      isPair[phase] = false
    } else if (since === 4) isPair[phase] = true
    last[phase] = at
  }
  for (let phase = 0; phase < 4; phase += 1) flush(phase)
  if (run.isHex) decodeHex(run, work, tell)
}

/** What compressors of any level begin with (RFC 1950 section 2.2): in base64 eA, eF, eJ or eN. */
function isZlib(characters: Uint8Array): boolean {
  return characters.length >= SHORTEST_ZLIB && characters[0] === 0x65 && LEVELS.has(characters[1] ?? 0)
}
const LEVELS: ReadonlySet<number> = new Set(Buffer.from('AFJN'))

/** Of gzip the first three bytes are always the same (RFC 1952 section 2.3); in base64 they are "H4sI". */
function isGzip(characters: Uint8Array, at: number): boolean {
  return (
    characters[at] === 0x48 && characters[at + 1] === 0x34 && characters[at + 2] === 0x73 && characters[at + 3] === 0x49
  )
}

/** Two groups in a row that may be text, or an archive. */
function mayHoldText(characters: Uint8Array): boolean {
  let before = 0
  for (let at = 0; at + 2 < characters.length; at += 1) {
    const first = characters[at] as number
    const isGood =
      (MAY_BE[first] as number) & 1 &&
      (MAY_BE[characters[at + 1] as number] as number) & 2 &&
      (MAY_BE[characters[at + 2] as number] as number) & 4
    if (isGood && before & 8) return true
    if (isGzip(characters, at)) return true
    before = ((before << 1) & 15) | (isGood ? 1 : 0)
  }
  return false
}

function decodeHex(run: Run, work: Work, tell: Tell): void {
  for (let phase = 0; phase < 2; phase += 1) {
    const [bytes, toSource] = fromHex(run, phase)
    tellTexts(bytes, toSource, tell)
    if (bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8 && mayUnpack(work)) unpack(bytes, toSource, work, tell)
  }
}

/** Characters of base64 in a row, without the line breaks between them. */
interface Run {
  readonly characters: Uint8Array
  /** of each character in the source; absent where they follow on each other from `start` */
  readonly places: Uint32Array | undefined
  readonly start: number
  readonly isHex: boolean
}

function runOf(
  source: Uint8Array,
  [start, end]: readonly [number, number],
  breaks: readonly number[] | undefined,
  isHex: boolean,
): Run {
  if (breaks === undefined) return { characters: source.subarray(start, end), places: undefined, start, isHex }
  const characters = new Uint8Array(end - start)
  const places = new Uint32Array(end - start)
  let length = 0
  for (let at = start, line = 0; at < end; at += 1) {
    if (at === breaks[line]) {
      at = breaks[line + 1] as number
      line += 2
    }
    characters[length] = source[at] as number
    places[length++] = at
  }
  return { characters: characters.subarray(0, length), places: places.subarray(0, length), start, isHex }
}

function placeIn({ places, start, characters }: Run, index: number): number {
  if (places === undefined) return start + Math.min(index, characters.length)
  return places[index] ?? (places.at(-1) ?? start) + 1
}

function fromBase64(run: Run, from: number, to: number): readonly [Uint8Array, ToSource] {
  return fromDigits(run, { from, to, width: 6, table: SIX_BITS })
}

/** Characters of `width` bits each, from the one at `from` to that before `to`. */
function fromDigits(
  run: Run,
  { from, to, width, table }: { from: number; to: number; width: number; table: Uint8Array },
): readonly [Uint8Array, ToSource] {
  const { characters } = run
  const bytes = takeMemory(((to - from) * width) >> 3)
  let [length, bits, value] = [0, 0, 0]
  for (let at = from; at < to; at += 1) {
    value = ((value << width) | (table[characters[at] as number] as number)) & 0xffff
    bits += width
    if (bits < 8) continue
    bits -= 8
    bytes[length++] = (value >>> bits) & 0xff
  }
  return [
    bytes,
    (start, end) => [
      placeIn(run, from + Math.floor((start * 8) / width)),
      placeIn(run, from + Math.ceil((end * 8) / width) - 1) + 1,
    ],
  ]
}

/** The five bits of a character of base32 (RFC 4648 section 6) in either case; 255 for any other. */
const FIVE_BITS = new Uint8Array(256).fill(255)
for (const [value, character] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'].entries()) {
  FIVE_BITS[character.charCodeAt(0)] = value
  FIVE_BITS[character.toLowerCase().charCodeAt(0)] = value
}
const SHORTEST_BASE32 = 16
const SHORTEST_ZLIB = 20

function isBase32(characters: Uint8Array): boolean {
  return characters.length >= SHORTEST_BASE32 && characters.every((byte) => FIVE_BITS[byte] !== 255)
}

function fromBase32(run: Run, phase: number): readonly [Uint8Array, ToSource] {
  return fromDigits(run, { from: phase, to: run.characters.length, width: 5, table: FIVE_BITS })
}

function fromHex(run: Run, phase: number): readonly [Uint8Array, ToSource] {
  const { characters } = run
  const bytes = takeMemory((characters.length - phase) >> 1)
  for (let index = 0; index < bytes.length; index += 1) bytes[index] = hexAt(characters, phase + 2 * index, 2)
  return [bytes, (start, end) => [placeIn(run, phase + 2 * start), placeIn(run, phase + 2 * end - 1) + 1]]
}

/** `3a:4f:…`, `3A 4F …`, `3a, 4f, …`, `0x3a,0x4f,…`: the same between all pairs. Returns where they end. */
function separatedHex(source: Uint8Array, start: number, tell: Tell): number {
  const pairs: number[] = []
  let step = 0
  let at = start
  for (let pair = hexAt(source, at, 2); pair >= 0; pair = hexAt(source, at, 2)) {
    if (pairs.length === 1) step = at - start
    pairs.push(pair)
    if (step > 0 && !isSame(source, start + 2, at + 2, step - 2)) break
    at = step === 0 ? nextPair(source, at + 2) : at + step
    if (at === 0) return start
  }
  if (pairs.length < SHORTEST_HEX) return start
  const bytes = takeMemory(pairs.length)
  bytes.set(pairs)
  tellTexts(bytes, (from, to) => [start + step * from, start + step * (to - 1) + 2], tell)
  return start + step * (pairs.length - 1) + 2
}

/** Where the next pair begins, a few characters on; 0 where none does. */
function nextPair(source: Uint8Array, end: number): number {
  for (let at = end + 1; at <= end + 4; at += 1) {
    const isPrefix = source[at] === 0x30 && (source[at + 1] as number | undefined) === 0x78
    if (!isPrefix && source[at - 1] !== 0x30 && hexAt(source, at, 2) >= 0) return at
  }
  return 0
}

function isSame(source: Uint8Array, one: number, other: number, length: number): boolean {
  for (let index = 0; index < length; index += 1) if (source[one + index] !== source[other + index]) return false
  return true
}

/** The parts that may be read. */
function tellTexts(bytes: Uint8Array, toSource: ToSource, tell: Tell): void {
  for (let start = 0; start < bytes.length; ) {
    let end = start
    while (end < bytes.length) {
      const length = LENGTHS[bytes[end] as number] as number
      if (length === 0 || (length > 1 && !isCharacter(bytes, end, length))) break
      end += length
    }
    const base = start
    if (end - start >= SHORTEST_TEXT) tell(bytes.subarray(start, end), (from, to) => toSource(base + from, base + to))
    start = end + 1
  }
}

/** Whether the bytes after the first are those of one character of UTF-8. */
function isCharacter(bytes: Uint8Array, at: number, length: number): boolean {
  for (let next = at + 1; next < at + length; next += 1) if (((bytes[next] ?? 0) & 0xc0) !== 0x80) return false
  return true
}

/** Counts an archive. It is asked before anything is decoded: a text may claim an archive at every place. */
function mayUnpack(work: Work): boolean {
  work.archives += 1
  if (work.archives <= MOST_ARCHIVES) return true
  work.isPartial = true
  return false
}

function unpack(bytes: Uint8Array, toSource: ToSource, work: Work, tell: Tell): void {
  try {
    // What is cut is unpacked as far as it goes.
    const whole = toSource(0, bytes.length)
    const read = bytes[0] === 0x1f ? gunzipSync : inflateSync
    const unpacked = read(bytes, { maxOutputLength: LARGEST_ARCHIVE, finishFlush: 2 })
    if (unpacked[0] === 0x1f && unpacked[1] === 0x8b) {
      if (mayUnpack(work)) unpack(unpacked, () => whole, work, tell)
    } else tell(unpacked, () => whole)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') work.isPartial = true
  }
}
