/**
 * Undoes the escapes of URLs (%2B at any depth, %u002B), of HTML (named and numeric) and of JSON, CSS, shells and C (\u002B,
 * \x2b, \/) until none is left, and maps each byte of the result to its place in the source.
 */

import { takeMemory } from './memory.ts'

/** One pass undoes nested escapes of one kind (%25252B). Each further kind around them takes another pass. */
const MOST_PASSES = 8

const [PERCENT, AMPERSAND, BACKSLASH] = [0x25, 0x26, 0x5c]
/** Characters that, like letters and digits, may be part of an escape: if a pass yields one, another pass is needed. */
const PART_OF_ESCAPE = new Set([...'%&\\#;'].map((character) => character.charCodeAt(0)))

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  plus: '+',
  sol: '/',
  equals: '=',
  lowbar: '_',
  hyphen: '-',
  dash: '-',
  period: '.',
  comma: ',',
  colon: ':',
  semi: ';',
  excl: '!',
  quest: '?',
  num: '#',
  dollar: '$',
  percnt: '%',
  commat: '@',
  ast: '*',
  lpar: '(',
  rpar: ')',
  lsqb: '[',
  rsqb: ']',
  lcub: '{',
  rcub: '}',
  verbar: '|',
  vert: '|',
  grave: '`',
  Hat: '^',
  tilde: '~',
  bsol: '\\',
  Tab: '\t',
  NewLine: '\n',
}
const LONGEST_ENTITY = 8
/** Letters that stand for control characters after a backslash. */
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, f: 12, v: 11 }
/** Characters that stay the same after a backslash. */
const LITERALS = /["'`/]/

/** Maps the range `[start, end)` of decoded bytes to the range of the source they were decoded from. */
export type ToSource = (start: number, end: number) => readonly [start: number, end: number]

export interface Unescaped {
  readonly bytes: Uint8Array
  readonly toSource: ToSource
  /** whether the text is escaped too deeply: escapes may be left in `bytes` */
  readonly isTooDeep: boolean
}

const UNCHANGED: ToSource = (start, end) => [start, end]

export function unescaped(source: Uint8Array): Unescaped {
  let [bytes, toSource] = [source, UNCHANGED]
  for (let pass = 0; pass < MOST_PASSES; pass += 1) {
    if (!hasEscape(bytes)) return { bytes, toSource, isTooDeep: false }
    const from = bytes
    const result = unescapeOnce(from)
    if (!result.changed) return { bytes, toSource, isTooDeep: false }
    const outer = toSource
    let places: Uint32Array | undefined
    bytes = result.bytes
    // Computed on demand: most texts hold no secret whose place is asked for.
    toSource = (start, end) => {
      places ??= placesOf(from, result.bytes.length)
      return outer(places[start] ?? from.length, places[end] ?? from.length)
    }
    if (!result.again) return { bytes, toSource, isTooDeep: false }
  }
  return { bytes, toSource, isTooDeep: true }
}

function hasEscape(bytes: Uint8Array): boolean {
  return bytes.includes(PERCENT) || bytes.includes(AMPERSAND) || bytes.includes(BACKSLASH)
}

interface Pass {
  readonly bytes: Uint8Array
  readonly changed: boolean
  /** whether another pass may find more escapes */
  readonly again: boolean
}

/** The place in `source` of each byte of the result of one pass. */
function placesOf(source: Uint8Array, length: number): Uint32Array {
  const places = new Uint32Array(length + 1)
  unescapeOnce(source, places)
  places[length] = source.length
  return places
}

/** The last escape that was read: its code, and where it ends. A variable, so that the readers below allocate no object. */
let lastEscape = { code: 0, end: 0, isByte: false }

/** Undoes the outermost escapes. Fills `places`, if given, with the place in `source` of each byte of the result. */
function unescapeOnce(source: Uint8Array, places?: Uint32Array): Pass {
  const target = takeMemory(source.length)
  let [to, changed, again] = [0, false, false]
  let copied = 0
  const copy = (end: number) => {
    if (places !== undefined) for (let at = copied; at < end; at += 1) places[to + at - copied] = at
    // For a few bytes a loop is faster than a call of `set`.
    if (end - copied > 32) target.set(source.subarray(copied, end), to)
    else for (let at = copied; at < end; at += 1) target[to + at - copied] = source[at] as number
    to += end - copied
  }
  for (let at = 0; at < source.length; ) {
    const byte = source[at] as number
    if ((byte !== PERCENT && byte !== AMPERSAND && byte !== BACKSLASH) || !readEscape(source, at, byte)) {
      at += 1
      continue
    }
    copy(at)
    const from = to
    if (lastEscape.isByte || lastEscape.code < 0x80) target[to++] = lastEscape.code
    else to += target.write(String.fromCodePoint(lastEscape.code), to)
    if (places !== undefined) places.fill(at, from, to)
    again ||= lastEscape.code < 0x80 && (PART_OF_ESCAPE.has(lastEscape.code) || isAlphanumeric(lastEscape.code))
    changed = true
    at = lastEscape.end
    copied = at
  }
  if (changed) copy(source.length)
  return { bytes: target.subarray(0, to), changed, again }
}

function readEscape(source: Uint8Array, at: number, byte: number): boolean {
  if (byte === PERCENT) return readPercent(source, at)
  return byte === AMPERSAND ? readEntity(source, at) : readBackslash(source, at)
}

function setEscape(code: number, end: number, isByte = false): true {
  lastEscape = { code: code > 0x10ffff ? 0xfffd : code, end, isByte }
  return true
}

/** `%25252B` is read as `%2B`. */
function readPercent(source: Uint8Array, start: number): boolean {
  let at = start + 1
  while (source[at] === 0x32 && source[at + 1] === 0x35) at += 2
  const byte = hexAt(source, at, 2)
  if (byte >= 0) return setEscape(byte, at + 2, true)
  // No hex digits follow, so the last %25 stands for a percent sign.
  if (at > start + 1) return setEscape(PERCENT, at)
  const unit = (source[at] as number | undefined) === 0x75 ? hexAt(source, at + 1, 4) : -1
  return unit >= 0 && setEscape(unit, at + 5)
}

/** `&amp;amp;#43;` is read as `&#43;`. */
function readEntity(source: Uint8Array, start: number): boolean {
  let at = start + 1
  while (source[at] === 0x61 && source[at + 1] === 0x6d && source[at + 2] === 0x70 && source[at + 3] === 0x3b) at += 4
  if (source[at] === 0x23) {
    const isHex = ((source[at + 1] as number) | 0x20) === 0x78
    const from = at + (isHex ? 2 : 1)
    let end = from
    while (end < from + 7 && (isHex ? hexAt(source, end, 1) >= 0 : isDigit(source[end]))) end += 1
    if (end > from) {
      const code = Number.parseInt(latin1(source, from, end), isHex ? 16 : 10)
      return setEscape(code, source[end] === 0x3b ? end + 1 : end)
    }
  }
  let end = at
  while (end < at + LONGEST_ENTITY && isAlphanumeric(source[end] ?? 0)) end += 1
  const name = source[end] === 0x3b ? latin1(source, at, end) : ''
  const character = Object.hasOwn(ENTITIES, name) ? ENTITIES[name] : undefined
  if (character !== undefined) return setEscape(character.charCodeAt(0), end + 1)
  return at > start + 1 && setEscape(AMPERSAND, at)
}

/** Several backslashes, as in JSON within JSON, are read as one. */
function readBackslash(source: Uint8Array, start: number): boolean {
  let at = start
  while (source[at] === BACKSLASH) at += 1
  const character = String.fromCharCode(source[at] ?? 0)
  if (character === 'u' && source[at + 1] === 0x7b) {
    let end = at + 2
    while (end < at + 9 && hexAt(source, end, 1) >= 0) end += 1
    if (source[end] === 0x7d && end > at + 2)
      return setEscape(Number.parseInt(latin1(source, at + 2, end), 16), end + 1)
  }
  const unit = character === 'u' ? hexAt(source, at + 1, 4) : -1
  if (unit >= 0) return setEscape(unit, at + 5)
  const long = character === 'U' ? hexAt(source, at + 1, 8) : -1
  if (long >= 0) return setEscape(long, at + 9)
  const byte = character === 'x' ? hexAt(source, at + 1, 2) : -1
  if (byte >= 0) return setEscape(byte, at + 3, true)
  // CSS escapes have six hex digits; those of shells and C have three octal digits.
  const css = character === '0' ? hexAt(source, at, 6) : -1
  if (css >= 0x20) return setEscape(css, at + 6)
  const octal = OCTAL.test(character) ? octalAt(source, at) : -1
  if (octal >= 0) return setEscape(octal, at + 3, true)
  const control = CONTROLS[character]
  if (control !== undefined) return setEscape(control, at + 1)
  if (LITERALS.test(character)) return setEscape(character.charCodeAt(0), at + 1)
  // One backslash that begins no escape stays as it is; several become one NUL.
  return at > start + 1 && setEscape(0, at)
}

/** The value of so many hexadecimal digits; -1 if another character is among them. */
export function hexAt(bytes: Uint8Array, at: number, digits: number): number {
  let value = 0
  for (let place = at; place < at + digits; place += 1) {
    const byte = bytes[place] ?? 0
    const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : ((byte | 0x20) - 0x57) & 0xff
    if (digit > 15 || (digit < 10 && byte > 0x39)) return -1
    value = value * 16 + digit
  }
  return value
}

/** The first digit of an octal escape. */
const OCTAL = /[0-3]/

/** The value of three octal digits; -1 if another character is among them. */
function octalAt(bytes: Uint8Array, at: number): number {
  let value = 0
  for (let place = at; place < at + 3; place += 1) {
    const digit = (bytes[place] ?? 0) - 0x30
    if (digit < 0 || digit > 7) return -1
    value = value * 8 + digit
  }
  return value
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

export function isAlphanumeric(byte: number): boolean {
  const letter = byte | 0x20
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x7a)
}

export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1')
}
