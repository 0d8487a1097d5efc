/** Secrets in the texts of files that are imported: by the name beside them, by their shape, or because they are random. Pure. */
import { entropySums, isSearchable } from '../../secret/randomness.ts'
import { jwtsIn, withoutShapes } from '../../secret/shapes.ts'
import { Slots } from '../../secret/slots.ts'
import { slotsIn } from '../../secret/texts.ts'

/** A part of a text. */
export interface Piece {
  readonly text: string
  readonly isSecret: boolean
}

const slots = new Slots()

/** Names of headers and parameters under which gateways take keys; what is none becomes an input all the same. */
const OFTEN_SECRET = /(?:^|[-_.])(?:key|auth|token|secret|sig|signature|session|code|password|pwd)$/i

/** Whether all that stands under this name is secret. */
export function isSecretName(name: string): boolean {
  return slots.of(name) === 'any' || OFTEN_SECRET.test(name)
}

export function isSecret(name: string, value: string): boolean {
  return value !== '' && (isSecretName(name) || piecesOf(value).some((one) => one.isSecret))
}

/** Characters that a token may have beside those of a random run: of base64, of JWTs, and of percent-encoding. */
const OF_TOKEN = /[\w+/=~.%!@^*-]/
/** Whatever separates the values of a text ends a run: blanks, quotes, brackets, and the signs of paths, queries and hosts. */
const RUN = /[\w+~!@^*-]{10,}/g
/** An id of a directory, of a card or of a request has this form; where one is a secret, its name says so. */
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i
/** In bits: a random text has three or more a character, a text of words about one. */
const LEAST_BITS = 40
const LEAST_BITS_A_CHARACTER = 2.2
/** A time, a version or a number of an account has fewer letters. */
const LEAST_LETTERS = 1 / 5

function isRandom(run: string): boolean {
  if (UUID.test(run) || !isSearchable(run)) return false
  const bits = entropySums(run, 'name').at(-1) ?? 0
  const letters = run.replace(/[^A-Za-z]/g, '').length
  return bits >= LEAST_BITS && bits / run.length >= LEAST_BITS_A_CHARACTER && letters / run.length >= LEAST_LETTERS
}

/** A text in parts that follow each other: those that are secret, and the others. */
export function piecesOf(text: string): readonly Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const [start, to] of merged(rangesIn(text))) {
    if (start > end) pieces.push({ text: text.slice(end, start), isSecret: false })
    pieces.push({ text: text.slice(start, to), isSecret: true })
    end = to
  }
  if (end < text.length) pieces.push({ text: text.slice(end), isSecret: false })
  return pieces
}

type Range = readonly [start: number, end: number]

/** In place of what was found, so that what stands before and after it does not become one token. */
const BREAK = '\u0000'

function rangesIn(text: string): readonly Range[] {
  const jwts = [...jwtsIn(text)].map(({ start, end }): Range => [start, end])
  const shaped: Range[] = []
  // Each rule goes through the text by itself.
  const from = new Map<string, number>()
  withoutShapes(text, slots, (rule, value) => {
    const start = text.indexOf(value, from.get(rule) ?? 0)
    if (start === -1) return BREAK
    shaped.push([start, start + value.length])
    from.set(rule, start + value.length)
    return BREAK
  })
  return [...namedIn(text), ...jwts, ...shaped, ...randomIn(text)]
}

/** The values behind names, whose places are in bytes of UTF-8. */
function namedIn(text: string): readonly Range[] {
  const bytes = Buffer.from(text)
  let [at, place] = [0, 0]
  const placeOf = (byte: number) => {
    if (byte < at) return place
    place += bytes.toString('utf8', at, byte).length
    at = byte
    return place
  }
  return slotsIn(text, slots).map(({ start, end }): Range => [placeOf(start), placeOf(end)])
}

/** Each with the token that it is a part of. */
function randomIn(text: string): readonly Range[] {
  const found: Range[] = []
  let last = 0
  for (const { 0: run, index } of text.matchAll(RUN)) {
    if (index < last || !isRandom(run)) continue
    let [start, end] = [index, index + run.length]
    while (start > last && OF_TOKEN.test(text[start - 1] ?? '')) start -= 1
    while (end < text.length && OF_TOKEN.test(text[end] ?? '')) end += 1
    found.push([start, end])
    last = end
  }
  return found
}

function merged(ranges: readonly Range[]): readonly Range[] {
  const result: Range[] = []
  for (const [start, end] of ranges.filter(([from, to]) => to > from).toSorted(([a], [b]) => a - b)) {
    const last = result.at(-1)
    if (last === undefined || start >= last[1]) result.push([start, end])
    else result[result.length - 1] = [last[0], Math.max(last[1], end)]
  }
  return result
}

/** A text of ours about a file, which repeats no secret of it. */
export function concealed(text: string): string {
  return piecesOf(text)
    .map((one) => (one.isSecret ? '[hidden]' : one.text))
    .join('')
}
