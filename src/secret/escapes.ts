/**
 * Undoes the escapes of URLs (%2B at any depth, %u002B), of HTML (named and numeric) and of JSON and its like (\u002B, \x2b,
 * \/), again and again until none is left, and knows where each byte of the result stood.
 */

import { takeMemory } from './memory.ts'

/** Escapes of one kind are undone at any depth in one pass; this many kinds may be wrapped in each other. */
const MOST_PASSES = 8

const [PERCENT, AMPERSAND, BACKSLASH] = [0x25, 0x26, 0x5c]
/** What one pass makes of an escape may be a part of another. */
const AGAIN = new Set([...'%&\\#;'].map((character) => character.charCodeAt(0)))

const NAMED: Readonly<Record<string, string>> = {
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
const LONGEST_NAME = 8
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, f: 12, v: 11 }
/** Characters that stand after a backslash for themselves. */
const THEMSELVES = /["'`/]/

/** Where `[start, end)` of a result stood in what it was made from. */
export type ToSource = (start: number, end: number) => readonly [start: number, end: number]

export interface Plain {
  readonly bytes: Uint8Array
  readonly toSource: ToSource
  /** whether something may still be escaped: it is wrapped more deeply than anybody does */
  readonly isDeep: boolean
}

const AS_IT_IS: ToSource = (start, end) => [start, end]

export function unescaped(source: Uint8Array): Plain {
  let [bytes, toSource] = [source, AS_IT_IS]
  for (let pass = 0; pass < MOST_PASSES; pass += 1) {
    if (!hasEscape(bytes)) return { bytes, toSource, isDeep: false }
    const from = bytes
    const result = onePass(from)
    if (!result.changed) return { bytes, toSource, isDeep: false }
    const outer = toSource
    let places: Uint32Array | undefined
    bytes = result.bytes
    // Only what is found has to be traced back, and most texts have nothing to find.
    toSource = (start, end) => {
      places ??= placesOf(from, result.bytes.length)
      return outer(places[start] ?? from.length, places[end] ?? from.length)
    }
    if (!result.again) return { bytes, toSource, isDeep: false }
  }
  return { bytes, toSource, isDeep: true }
}

function hasEscape(bytes: Uint8Array): boolean {
  return bytes.includes(PERCENT) || bytes.includes(AMPERSAND) || bytes.includes(BACKSLASH)
}

interface Pass {
  readonly bytes: Uint8Array
  readonly changed: boolean
  readonly again: boolean
}

function placesOf(source: Uint8Array, length: number): Uint32Array {
  const places = new Uint32Array(length + 1)
  onePass(source, places)
  places[length] = source.length
  return places
}

/** What an escape stands for and where it ends; set by the readers below, so that none of them makes an object. */
let found = { code: 0, end: 0, isByte: false }

function onePass(source: Uint8Array, places?: Uint32Array): Pass {
  const target = takeMemory(source.length)
  let [to, changed, again] = [0, false, false]
  let plain = 0
  const copy = (end: number) => {
    if (places !== undefined) for (let at = plain; at < end; at += 1) places[to + at - plain] = at
    // A call costs more than a few bytes do.
    if (end - plain > 32) target.set(source.subarray(plain, end), to)
    else for (let at = plain; at < end; at += 1) target[to + at - plain] = source[at] as number
    to += end - plain
  }
  for (let at = 0; at < source.length; ) {
    const byte = source[at] as number
    if ((byte !== PERCENT && byte !== AMPERSAND && byte !== BACKSLASH) || !readEscape(source, at, byte)) {
      at += 1
      continue
    }
    copy(at)
    const from = to
    if (found.isByte || found.code < 0x80) target[to++] = found.code
    else to += target.write(String.fromCodePoint(found.code), to)
    if (places !== undefined) places.fill(at, from, to)
    again ||= found.code < 0x80 && (AGAIN.has(found.code) || isAlphanumeric(found.code))
    changed = true
    at = found.end
    plain = at
  }
  if (changed) copy(source.length)
  return { bytes: target.subarray(0, to), changed, again }
}

function readEscape(source: Uint8Array, at: number, byte: number): boolean {
  if (byte === PERCENT) return readPercent(source, at)
  return byte === AMPERSAND ? readEntity(source, at) : readBackslash(source, at)
}

function put(code: number, end: number, isByte = false): true {
  found = { code: code > 0x10ffff ? 0xfffd : code, end, isByte }
  return true
}

/** `%25252B` is a plus as `%2B` is. */
function readPercent(source: Uint8Array, start: number): boolean {
  let at = start + 1
  while (source[at] === 0x32 && source[at + 1] === 0x35) at += 2
  const byte = hexAt(source, at, 2)
  if (byte >= 0) return put(byte, at + 2, true)
  // Of %25 that ends here the last two digits are the escape.
  if (at > start + 1) return put(PERCENT, at)
  const unit = (source[at] as number | undefined) === 0x75 ? hexAt(source, at + 1, 4) : -1
  return unit >= 0 && put(unit, at + 5)
}

/** `&amp;amp;#43;` is a plus as `&#43;` is. */
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
      return put(code, source[end] === 0x3b ? end + 1 : end)
    }
  }
  let end = at
  while (end < at + LONGEST_NAME && isAlphanumeric(source[end] ?? 0)) end += 1
  const named = source[end] === 0x3b ? latin1(source, at, end) : ''
  const character = Object.hasOwn(NAMED, named) ? NAMED[named] : undefined
  if (character !== undefined) return put(character.charCodeAt(0), end + 1)
  return at > start + 1 && put(AMPERSAND, at)
}

/** JSON within JSON has more backslashes, and means the same. */
function readBackslash(source: Uint8Array, start: number): boolean {
  let at = start
  while (source[at] === BACKSLASH) at += 1
  const character = String.fromCharCode(source[at] ?? 0)
  if (character === 'u' && source[at + 1] === 0x7b) {
    let end = at + 2
    while (end < at + 9 && hexAt(source, end, 1) >= 0) end += 1
    if (source[end] === 0x7d && end > at + 2) return put(Number.parseInt(latin1(source, at + 2, end), 16), end + 1)
  }
  const unit = character === 'u' ? hexAt(source, at + 1, 4) : -1
  if (unit >= 0) return put(unit, at + 5)
  const long = character === 'U' ? hexAt(source, at + 1, 8) : -1
  if (long >= 0) return put(long, at + 9)
  const byte = character === 'x' ? hexAt(source, at + 1, 2) : -1
  if (byte >= 0) return put(byte, at + 3, true)
  // Of CSS six digits, of shells and C three octal ones.
  const style = character === '0' ? hexAt(source, at, 6) : -1
  if (style >= 0x20) return put(style, at + 6)
  const octal = OCTAL.test(character) ? octalAt(source, at) : -1
  if (octal >= 0) return put(octal, at + 3, true)
  const control = CONTROLS[character]
  if (control !== undefined) return put(control, at + 1)
  if (THEMSELVES.test(character)) return put(character.charCodeAt(0), at + 1)
  // A backslash of its own counts for nothing, and many for no more than one.
  return at > start + 1 && put(0, at)
}

/** The number that so many hexadecimal digits are, or -1. */
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

const OCTAL = /[0-3]/

/** The number that three octal digits are, or -1. */
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
