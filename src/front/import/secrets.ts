/** Secrets in the texts of files that are imported: by the name beside them, by their shape, or because they are random. Pure. */
import { isRandom, RUN } from '../../secret/randomness.ts'
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
