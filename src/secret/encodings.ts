/**
 * Decodes the parts of a text that may be encoded: base64 and base64url from any character on and over several lines, base32,
 * hex with and without separators, lists of characters, and gzip or zlib within these. Maps each decoded byte to its place in
 * the source.
 */
import { gunzipSync, inflateSync } from 'node:zlib'
import { hexAt, latin1, type ToSource } from './escapes.ts'
import { takeMemory } from './memory.ts'
import { eachText, type OnDecoded } from './readable.ts'
import { TokenList } from './token-list.ts'

/** Characters of base64; fewer are too short for a value that is searched for. */
const SHORTEST_RUN = 11
/** Pairs of hexadecimal digits. */
const SHORTEST_HEX = 8
/** Archives (gzip or zlib) that are unpacked in one text. */
const MOST_ARCHIVES = 8
/** Bytes, unpacked. */
const LARGEST_ARCHIVE = 1024 * 1024

/** The six bits of a character of base64 or base64url; 255 for any other byte. */
const SIX_BITS = new Uint8Array(256).fill(255)
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
for (const [value, character] of [...ALPHABET].entries()) SIX_BITS[character.charCodeAt(0)] = value
for (const [character, value] of Object.entries({ '+': 62, '-': 62, '/': 63, _: 63 }))
  SIX_BITS[character.charCodeAt(0)] = value

const IS_HEX = new Uint8Array(256)
for (const character of '0123456789abcdefABCDEF') IS_HEX[character.charCodeAt(0)] = 1

/** The state of decoding one text. */
export interface Decoding {
  /** the secrets found so far */
  readonly found: readonly unknown[]
  /** whether this run of characters has been decoded before and holds no secret */
  readonly isKnownEmpty: (run: string) => boolean
  readonly rememberEmpty: (run: string) => void
  archives: number
  /** whether a part of the text was not decoded because of a limit */
  isPartial: boolean
}

/** Calls `onDecoded` with the bytes of each part of `source` that may be encoded. */
export function decode(source: Uint8Array, decoding: Decoding, onDecoded: OnDecoded): void {
  const list = new TokenList(source, onDecoded)
  let hexEnd = 0
  for (let start = 0; start < source.length; ) {
    if (SIX_BITS[source[start] as number] === 255) {
      start += 1
      continue
    }
    let end = start
    let breaks: number[] | undefined
    let hexStart = start
    for (;;) {
      const byte = end < source.length ? (source[end] as number) : 0
      if (SIX_BITS[byte] !== 255) {
        end += 1
        if (IS_HEX[byte] === 1) continue
        if (end - 1 - hexStart >= 2 * SHORTEST_HEX)
          decodeHex(runOf(source, [hexStart, end - 1], undefined, true), decoding, onDecoded)
        hexStart = end
        continue
      }
      const next = lineAfter(source, end)
      if (next === 0) break
      breaks ??= []
      breaks.push(end, next)
      end = next
    }
    const isHex = hexStart === start
    if (!isHex && breaks === undefined && end - hexStart >= 2 * SHORTEST_HEX)
      decodeHex(runOf(source, [hexStart, end], undefined, true), decoding, onDecoded)
    // A hyphen between pairs of hex digits is a base64 character too, and does not end the run.
    if (start >= hexEnd && end - start >= 2 && (end - start === 2 || source[start + 2] === 0x2d))
      hexEnd = separatedHex(source, start, onDecoded)
    // A list of tokens may have a line break between two tokens.
    let from = start
    if (breaks !== undefined)
      for (let line = 0; line < breaks.length; line += 2) {
        list.add(from, breaks[line] as number)
        from = breaks[line + 1] as number
      }
    list.add(from, end)
    if (end - start >= SHORTEST_RUN) decodeOnce(runOf(source, [start, end], breaks, isHex), decoding, onDecoded)
    start = end + 1
  }
  list.end()
}

/** Blanks before a continuation line. */
const LONGEST_INDENT = 8

/** If a line break at `end` is followed by a base64 character: the place of that character; else 0. */
function lineAfter(source: Uint8Array, end: number): number {
  let next = source[end] === 10 ? end + 1 : source[end] === 13 && source[end + 1] === 10 ? end + 2 : 0
  for (let blanks = 0; next > 0 && blanks < LONGEST_INDENT && (source[next] === 32 || source[next] === 9); blanks += 1)
    next += 1
  return next === 0 || next >= source.length || SIX_BITS[source[next] as number] === 255 ? 0 : next
}

/**
 * Characters. Long runs without a secret, such as claims of a JWT, occur in every file of a run and are decoded only once.
 */
const LONG_RUN = 128

function decodeOnce(run: Run, decoding: Decoding, onDecoded: OnDecoded): void {
  if (run.characters.length < LONG_RUN) {
    decodeRun(run, decoding, onDecoded)
    return
  }
  const text = latin1(run.characters)
  if (decoding.isKnownEmpty(text)) return
  const before = decoding.found.length
  decodeRun(run, decoding, onDecoded)
  if (decoding.found.length === before && !decoding.isPartial) decoding.rememberEmpty(text)
}

/**
 * Bit masks: whether a base64 character may be the first (1), second (2) or third (4) of the four that encode ASCII text.
 */
const MAY_BE = new Uint8Array(256)
for (const [byte, value] of SIX_BITS.entries())
  if (value !== 255) MAY_BE[byte] = (value < 32 ? 1 : 0) | ((value & 8) === 0 ? 2 : 0) | ((value & 2) === 0 ? 4 : 0)

/**
 * Groups that are not ASCII are decoded too if so few of them stand between groups that may be: they may hold accented
 * letters.
 */
const LONGEST_GAP = 3

/** Decodes the surroundings of each two groups of base64 in a row that may encode ASCII text. */
function decodeRun(run: Run, decoding: Decoding, onDecoded: OnDecoded): void {
  const { characters } = run
  if (isBase32(characters)) for (let phase = 0; phase < 8; phase += 1) eachText(...fromBase32(run, phase), onDecoded)
  if (isZlib(characters) && mayUnpack(decoding)) unpack(...fromBase64(run, 0, characters.length), decoding, onDecoded)
  if (!mayHoldText(characters)) {
    if (run.isHex) decodeHex(run, decoding, onDecoded)
    return
  }
  // For each of the four ways to divide the run into groups: the first and the last group of the current part that may be
  // text, and whether two of them are adjacent.
  const first = [0, 0, 0, 0]
  const last = first.map(() => -4 * LONGEST_GAP - 8)
  const isPair = [false, false, false, false]
  const flush = (phase: number) => {
    if (isPair[phase] !== true) return
    const from = Math.max(phase, (first[phase] as number) - 4)
    eachText(...fromBase64(run, from, Math.min(characters.length, (last[phase] as number) + 8)), onDecoded)
  }
  for (let at = 0; at + 2 < characters.length; at += 1) {
    if (isGzip(characters, at) && mayUnpack(decoding))
      unpack(...fromBase64(run, at, characters.length), decoding, onDecoded)
    if (!mayBeText(characters, at)) continue
    const phase = at & 3
    const since = at - (last[phase] as number)
    if (since > 4 * (LONGEST_GAP + 1)) {
      flush(phase)
      first[phase] = at
      isPair[phase] = false
    } else if (since === 4) isPair[phase] = true
    last[phase] = at
  }
  for (let phase = 0; phase < 4; phase += 1) flush(phase)
  if (run.isHex) decodeHex(run, decoding, onDecoded)
}

/** The header of zlib, whatever the level of compression (RFC 1950 section 2.2): in base64 eA, eF, eJ or eN. */
function isZlib(characters: Uint8Array): boolean {
  return characters.length >= SHORTEST_ZLIB && characters[0] === 0x65 && LEVELS.has(characters[1] ?? 0)
}
const LEVELS: ReadonlySet<number> = new Set(Buffer.from('AFJN'))

/** The first three bytes of gzip (RFC 1952 section 2.3): in base64 "H4sI". */
function isGzip(characters: Uint8Array, at: number): boolean {
  return (
    characters[at] === 0x48 && characters[at + 1] === 0x34 && characters[at + 2] === 0x73 && characters[at + 3] === 0x49
  )
}

/** Whether the group of base64 at `at` may encode ASCII text. */
function mayBeText(characters: Uint8Array, at: number): boolean {
  return (
    ((MAY_BE[characters[at] as number] as number) & 1) !== 0 &&
    ((MAY_BE[characters[at + 1] as number] as number) & 2) !== 0 &&
    ((MAY_BE[characters[at + 2] as number] as number) & 4) !== 0
  )
}

/** Whether two groups in a row may be text, or an archive begins. */
function mayHoldText(characters: Uint8Array): boolean {
  let before = 0
  for (let at = 0; at + 2 < characters.length; at += 1) {
    const isText = mayBeText(characters, at)
    if (isText && before & 8) return true
    if (isGzip(characters, at)) return true
    before = ((before << 1) & 15) | (isText ? 1 : 0)
  }
  return false
}

function decodeHex(run: Run, decoding: Decoding, onDecoded: OnDecoded): void {
  for (let phase = 0; phase < 2; phase += 1) {
    const [bytes, toSource] = fromHex(run, phase)
    eachText(bytes, toSource, onDecoded)
    if (bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8 && mayUnpack(decoding))
      unpack(bytes, toSource, decoding, onDecoded)
  }
}

/** A sequence of base64 characters, without the line breaks between them. */
interface Run {
  readonly characters: Uint8Array
  /**
   * the place of each character in the source; undefined if there are no line breaks: they follow each other from `start`
   */
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

/** The place in the source of a character of a run. */
function placeIn({ places, start, characters }: Run, index: number): number {
  if (places === undefined) return start + Math.min(index, characters.length)
  return places[index] ?? (places.at(-1) ?? start) + 1
}

function fromBase64(run: Run, from: number, to: number): readonly [Uint8Array, ToSource] {
  return fromDigits(run, { from, to, width: 6, table: SIX_BITS })
}

/** Decodes the characters of `[from, to)`, each of which stands for `width` bits. */
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

/** The five bits of a character of base32 (RFC 4648 section 6) in upper or lower case; 255 for any other byte. */
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

/**
 * Decodes pairs of hex digits with one separator between all of them (`3a:4f:…`, `3a, 4f, …`, `0x3a,0x4f,…`). Returns where
 * they end.
 */
function separatedHex(source: Uint8Array, start: number, onDecoded: OnDecoded): number {
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
  eachText(bytes, (from, to) => [start + step * from, start + step * (to - 1) + 2], onDecoded)
  return start + step * (pairs.length - 1) + 2
}

/** The place of the next pair of hex digits, at most four characters on; 0 if there is none. */
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

/**
 * Counts an archive, and whether it may be unpacked. Called before decoding, since a text may have the header of one at
 * every place.
 */
function mayUnpack(decoding: Decoding): boolean {
  decoding.archives += 1
  if (decoding.archives <= MOST_ARCHIVES) return true
  decoding.isPartial = true
  return false
}

function unpack(bytes: Uint8Array, toSource: ToSource, decoding: Decoding, onDecoded: OnDecoded): void {
  try {
    // `finishFlush: 2` (Z_SYNC_FLUSH) unpacks the beginning of an archive that was cut.
    const whole = toSource(0, bytes.length)
    const decompress = bytes[0] === 0x1f ? gunzipSync : inflateSync
    const unpacked = decompress(bytes, { maxOutputLength: LARGEST_ARCHIVE, finishFlush: 2 })
    if (unpacked[0] === 0x1f && unpacked[1] === 0x8b) {
      if (mayUnpack(decoding)) unpack(unpacked, () => whole, decoding, onDecoded)
    } else onDecoded(unpacked, () => whole)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') decoding.isPartial = true
  }
}
