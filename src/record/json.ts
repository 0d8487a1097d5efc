/**
 * JSON as data of a run: limited in depth and in number of items, and with numbers that are as they were written. A whole number
 * that JavaScript's numbers cannot hold is a bigint; one with a fraction that small is what they hold (RFC 8259 section 6).
 */
import { LIMITS } from './limits.ts'

export type ReadJson =
  | { readonly ok: true; readonly value: unknown }
  /** `what` in words: "nested more than 100 levels deep" */
  | { readonly ok: false; readonly is: 'no JSON' | 'too large' | 'not exact'; readonly what: string }

export function readJson(text: string): ReadJson {
  const measured = measure(text)
  if (typeof measured === 'string') return { ok: false, is: 'too large', what: measured }
  try {
    return { ok: true, value: measured.hasLongNumbers ? JSON.parse(text, exact) : JSON.parse(text) }
  } catch (error) {
    if (error instanceof NotExact) return { ok: false, is: 'not exact', what: error.message }
    return { ok: false, is: 'no JSON', what: 'text that is not JSON' }
  }
}

/** As JSON.stringify; a bigint is written as the number that it is. */
export function writeJson(value: unknown, indent?: number): string {
  try {
    return JSON.stringify(value, undefined, indent)
  } catch (error) {
    // The check of each value costs more than writing them, and hardly any value needs it.
    if (!(error instanceof TypeError)) throw error
    return JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? raw(String(member)) : member), indent)
  }
}

/** The same on one line; undefined where it has more characters than `most`, or cannot be written. */
export function shortJson(value: unknown, most: number): string | undefined {
  try {
    const text = writeJson(value)
    return text.length <= most ? text : undefined
  } catch {
    return undefined
  }
}

/** Whether the texts of a value, its members and its elements are more than so many characters, each of the latter counted as one. */
export function isLargerThan(value: unknown, characters: number): boolean {
  return leftOf(value, characters) < 0
}

/** Looks no further than it takes to know. */
function leftOf(value: unknown, characters: number): number {
  if (typeof value === 'string') return characters - value.length
  if (!isStructure(value)) return characters
  let left = characters
  for (const [name, member] of Object.entries(value)) {
    left = leftOf(member, left - (Array.isArray(value) ? 1 : 1 + name.length))
    if (left < 0) break
  }
  return left
}

/** The number that a text says, or undefined where it is none that can be kept as it is written. */
export function exactNumber(source: string): number | bigint | undefined {
  const value = Number(source)
  if (!Number.isFinite(value)) return undefined
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value) ? value : BigInt(source)
  const { digits, exponent } = decimalOf(source)
  const kept = decimalOf(String(value))
  if (kept.digits === digits && kept.exponent === exponent) return value
  if (exponent >= 0) return BigInt(`${source.startsWith('-') ? '-' : ''}${digits}${'0'.repeat(exponent)}`)
  return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? value : undefined
}

/** A copy in which each bigint is its digits as text, for what knows no bigint; the value itself where it holds none. */
export function withTexts<T>(value: T): T {
  return holdsBigInt(value) ? (textsIn(value) as T) : value
}

/** `changed` is a copy of `original` with texts for bigints: those that are still there are put back. */
export function withBigInts(original: unknown, changed: unknown): unknown {
  if (typeof original === 'bigint') return changed === String(original) ? original : changed
  if (!isStructure(original) || !isStructure(changed)) return changed
  const originals = Object.values(original)
  const entries = Object.entries(changed).map(
    ([name, one], index) => [name, withBigInts(originals[index], one)] as const,
  )
  return Array.isArray(changed) ? entries.map(([, one]) => one) : Object.fromEntries(entries)
}

class NotExact extends Error {}

function exact(_: string, value: unknown, { source = '' }: { readonly source?: string } = {}): unknown {
  if (typeof value !== 'number') return value
  const number = exactNumber(source)
  if (number === undefined) throw new NotExact(source.length > 60 ? `${source.slice(0, 59)}…` : source)
  return number
}

/** Without a decimal point: digits without zeros at either end, times ten to the power of the exponent. */
function decimalOf(source: string): { readonly digits: string; readonly exponent: number } {
  const [, whole = '', fraction = '', power = '0'] = /^-?(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(source) ?? []
  const all = `${whole}${fraction}`.replace(/^0+/, '')
  const digits = all.replace(/0+$/, '')
  if (digits === '') return { digits: '0', exponent: 0 }
  return { digits, exponent: Number(power) - fraction.length + all.length - digits.length }
}

/** JSON.rawJSON, of which TypeScript does not know yet. */
const { rawJSON: raw } = JSON as unknown as { readonly rawJSON: (text: string) => unknown }

/** What is too large, in words, or whether there are numbers to look at. One pass over the text, before anything is built. */
function measure(text: string): string | { readonly hasLongNumbers: boolean } {
  const [most, deepest] = [LIMITS.jsonItems.value, LIMITS.jsonDepth.value]
  let [depth, items, hasLongNumbers] = [0, 0, false]
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) index = endOfString(text, index)
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth -= 1
    else if (code === OPEN_LIST || code === OPEN_OBJECT || code === COMMA) {
      items += 1
      if (items > most) return `of more than ${most} members and elements`
      if (code !== COMMA) depth += 1
      if (depth > deepest) return `nested more than ${deepest} levels deep`
    } else if (code >= ZERO && code <= NINE) {
      const end = endOfNumber(text, index)
      hasLongNumbers ||= end - index > LONGEST_EXACT || /e/i.test(text.slice(index, end))
      index = end - 1
    }
  }
  return { hasLongNumbers }
}

const [QUOTE, BACKSLASH, COMMA, ZERO, NINE] = [0x22, 0x5c, 0x2c, 0x30, 0x39]
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]
/** Numbers of up to 15 digits, and a point, are held as they are written. */
const LONGEST_EXACT = 15

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end === -1 ? text.length : end
}

function isEscaped(text: string, quote: number): boolean {
  let before = quote
  while (text.charCodeAt(before - 1) === BACKSLASH) before -= 1
  return (quote - before) % 2 === 1
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1
  while (isOfNumber(text.charCodeAt(end))) end += 1
  return end
}

/** Digits, point, exponent and sign. */
function isOfNumber(code: number): boolean {
  return (
    (code >= ZERO && code <= NINE) || code === 0x2e || code === 0x65 || code === 0x45 || code === 0x2b || code === 0x2d
  )
}

function isStructure(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function holdsBigInt(value: unknown): boolean {
  if (typeof value === 'bigint') return true
  return isStructure(value) && Object.values(value).some(holdsBigInt)
}

function textsIn(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return value.map(textsIn)
  if (!isStructure(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, textsIn(one)]))
}
