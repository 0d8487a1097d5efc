/**
 * Estimates how random a value is, in bits of entropy. Only a value that is long and random enough to differ from ordinary
 * words, names, numbers and times is searched for in all texts. Any other secret is hidden only in its slot.
 */

/** Characters that a value needs to be searched for. */
export const SHORTEST_SEARCHABLE = 8
/** The entropy of a value is estimated from so many of its first characters. */
const LONGEST_MEASURED = 512
/** A random password of nine characters has so many bits; a name of five words, or a host with its port, has fewer. */
const ENOUGH_BITS = 32

const BITS_PER_LETTER = 4
const BITS_PER_DIGIT = 3.3
const BITS_PER_SIGN = 5
/**
 * The most bits that a word of up to twelve letters counts. `name`: a part of a name (accessToken, tls_client_auth). `free`: a
 * word in a sentence, between hyphens as in a passphrase, or among digits.
 */
const MOST_BITS_PER_WORD = { free: 9, name: 6 } as const
const HAS_FREE_WORDS = /\s|^[A-Za-z0-9]+(?:-[A-Za-z0-9]+)+$|[0-9][^0-9]+[0-9]|^[A-Za-z]*[0-9]+[A-Za-z]+=*$/
/** Words of a language are rarely longer, so each further letter counts, but less than a random letter. */
const LONGEST_WORD = 12
const BITS_PER_FURTHER_LETTER = 3

/** Six consonants in a row: random letters. */
const SIX_CONSONANTS = /[b-df-hj-np-tv-xz]{6}/i

const PARTS = /[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+|[^A-Za-z0-9]+/g

/** Times, dates and IP addresses, which occur all over a record. */
const ORDINARY =
  /^(?:\d{4}-\d\d-\d\d(?:[T ][\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?|\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT|1[4-9]\d{8}(?:\d{3})?|\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?)$/

/** Whether a secret with this value is searched for in all texts. */
export function isSearchable(value: string): boolean {
  return (
    value.length >= SHORTEST_SEARCHABLE &&
    isVaried(value) &&
    !ORDINARY.test(value) &&
    entropyOf(value.slice(0, LONGEST_MEASURED)) >= ENOUGH_BITS
  )
}

/** Bits of entropy of a text. */
export function entropyOf(text: string): number {
  return entropySums(text).at(-1) ?? 0
}

/** For each length from 0 to that of the text: the bits of entropy of so many of its first characters. */
export function entropySums(
  text: string,
  words: keyof typeof MOST_BITS_PER_WORD = HAS_FREE_WORDS.test(text) ? 'free' : 'name',
): Float64Array {
  const mostPerWord = MOST_BITS_PER_WORD[words]
  const sums = new Float64Array(text.length + 1)
  let sum = 0
  for (const { 0: part, index } of text.matchAll(PARTS)) {
    const each = entropyOfPart(part, mostPerWord) / part.length
    for (let position = 1; position <= part.length; position += 1) sums[index + position] = sum + each * position
    sum += each * part.length
  }
  return sums
}

function entropyOfPart(part: string, mostPerWord: number): number {
  const { length } = part
  if (/^[0-9]/.test(part)) return BITS_PER_DIGIT * length
  if (SIX_CONSONANTS.test(part)) return BITS_PER_LETTER * length
  if (/^[A-Za-z]/.test(part))
    return (
      Math.min(BITS_PER_LETTER * length, mostPerWord) + BITS_PER_FURTHER_LETTER * Math.max(0, length - LONGEST_WORD)
    )
  if (mostPerWord !== MOST_BITS_PER_WORD.name && /^[\s-]/.test(part)) return 1
  return BITS_PER_SIGN * part.replace(/[\s_.,:;'"/=-]/g, '').length
}

/** Whether a text has at least five different characters: one that repeats a few of them is easy to guess. */
function isVaried(text: string): boolean {
  return new Set(text.slice(0, 64).toLowerCase()).size >= 5
}

/** Whatever separates the values of a text ends a run: blanks, quotes, brackets, and the signs of paths, queries and hosts. */
export const RUN = /[\w+~!@^*-]{10,}/g
/** An id of a directory, of a card or of a request has this form; where one is a secret, its name says so. */
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
/** In bits: a random text has three or more a character, a text of words about one. */
const LEAST_BITS = 40
const LEAST_BITS_A_CHARACTER = 2.2
/** A time, a version or a number of an account has fewer letters. */
const LEAST_LETTERS = 1 / 5

/** Whether such a run is random, as tokens are, and not an id, words or a time. */
export function isRandom(run: string): boolean {
  if (UUID.test(run) || !isSearchable(run)) return false
  const bits = entropySums(run, 'name').at(-1) ?? 0
  const letters = run.replace(/[^A-Za-z]/g, '').length
  return bits >= LEAST_BITS && bits / run.length >= LEAST_BITS_A_CHARACTER && letters / run.length >= LEAST_LETTERS
}
