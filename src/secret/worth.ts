/**
 * Which values are searched for: those long and random enough to be told from ordinary words, names, numbers and times. The
 * others are hidden where their slot says so, and nowhere else.
 */

/** Characters. */
export const SHORTEST = 8
/** What lies beyond adds nothing. */
const LONGEST = 512
/** Bits: a random password of nine characters has them, a name of five words or a host with its port has not. */
const ENOUGH = 32

/** Of one letter; a word has no more than the most of its kind, however long it is. */
const LETTER = 4
const DIGIT = 3.3
const SIGN = 5
/** In a sentence, between hyphens as in a made-up passphrase, or among digits; in a name (accessToken, tls_client_auth). */
const WORD = { free: 9, name: 6 } as const
const FREE = /\s|^[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+$|[0-9][^0-9]+[0-9]|^[A-Za-z]*[0-9]+[A-Za-z]+=*$/
/** A longer run of letters is no word of a language: what goes beyond counts, though less than random letters would. */
const LONGEST_WORD = 12
const BEYOND = 3

/** Nobody can say it. */
const NO_WORD = /[b-df-hj-np-tv-xz]{6}/i

const PARTS = /[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^A-Za-z0-9]+/g

/** Times, dates, and addresses of machines, which stand all over a record. */
const ORDINARY =
  /^(?:\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|1[4-9]\d{8}(?:\d{3})?|\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?)$/

export function isSearched(value: string): boolean {
  return (
    value.length >= SHORTEST && isVaried(value) && !ORDINARY.test(value) && bitsOf(value.slice(0, LONGEST)) >= ENOUGH
  )
}

/** The sum of `bitsIn`. */
export function bitsOf(text: string): number {
  return bitsIn(text).at(-1) ?? 0
}

/** How much a guess of the text up to each of its characters has to find out; one more than there are characters. */
export function bitsIn(text: string, words: keyof typeof WORD = FREE.test(text) ? 'free' : 'name'): Float64Array {
  const most = WORD[words]
  const sums = new Float64Array(text.length + 1)
  let sum = 0
  for (const { 0: part, index } of text.matchAll(PARTS)) {
    const each = bitsOfPart(part, most) / part.length
    for (let position = 1; position <= part.length; position += 1) sums[index + position] = sum + each * position
    sum += each * part.length
  }
  return sums
}

function bitsOfPart(part: string, most: number): number {
  const { length } = part
  if (/^[0-9]/.test(part)) return DIGIT * length
  if (NO_WORD.test(part)) return LETTER * length
  if (/^[A-Za-z]/.test(part)) return Math.min(LETTER * length, most) + BEYOND * Math.max(0, length - LONGEST_WORD)
  if (most !== WORD.name && /^[\s-]/.test(part)) return 1
  return SIGN * part.replace(/[\s_.,:;'"/=-]/g, '').length
}

/** A few characters again and again are easily come by. */
function isVaried(text: string): boolean {
  return new Set(text.slice(0, 64).toLowerCase()).size >= 5
}
