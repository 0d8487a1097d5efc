/** What is a secret by its shape alone, whoever made it: signatures of JWTs, private keys, card numbers, credentials. */
import { withoutPans } from './card-number.ts'
import { SCHEMES, type Slots } from './slots.ts'
import { isSearched } from './worth.ts'

/** The rules by which texts are cleaned; their names are printed in the record, with how often each has replaced something. */
export const RULES = {
  known: 'known values, in every encoding',
  named: 'slots: members, fields, headers, cookies, elements and parameters with a secret name',
  signature: 'signatures of JWTs',
  claims: 'claims of JWTs with a secret member',
  credentials: 'credentials after the name of a scheme',
  key: 'private keys',
  pan: 'digits that have the shape of a card number',
  partial: 'texts encoded more deeply than is decoded',
  unknown: 'random texts after an answer with more secrets than are learned',
} as const

export type Rule = keyof typeof RULES

/** No fingerprint: of a card number too much is known for one to be safe. */
export const PAN_MASK = '[card_number]'

const PRIVATE_KEY =
  /-----BEGIN (?:[A-Z ]{1,20} )?PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z ]{1,20} )?PRIVATE KEY-----|$)/g

/** Where nothing of this occurs no rule that goes by the shape applies. */
const SUSPECT = new RegExp(`eyJ|-----BEGIN|\\d{4}|\\b(?:${SCHEMES.join('|')})\\s`, 'i')
/** Not the parameters of a challenge: `Bearer error="invalid_token"` (RFC 6750 3). */
const CREDENTIALS = new RegExp(
  `\\b(${SCHEMES.join('|')})(\\s{1,4})(?![\\w-]{1,64}\\s{0,4}=\\s{0,4}")([A-Za-z0-9._~+/=-]{6,})`,
  'gi',
)
/** After these anything counts that is no word; the other names are words of sentences too. */
const SURE_SCHEMES = /^(?:basic|bearer|dpop)$/i
const WORDS = /^-{0,2}[a-z]{1,15}(?:-[a-z]{1,15}){0,3}\.?$/i

/** A signature has so many characters; to hide a shorter one wherever it occurs would spoil every text. */
const SHORTEST_SIGNATURE = 16

export interface Jwt {
  readonly start: number
  readonly claims: readonly [start: number, end: number]
  /** absent where it has none, or one that was hidden */
  readonly signature: readonly [start: number, end: number] | undefined
  readonly end: number
}

/** Each run of characters is looked at twice at most, however many of them begin like a JWT. */
export function* jwtsIn(text: string): Generator<Jwt> {
  for (let at = text.indexOf('eyJ'); at !== -1; ) {
    const header = endOfRun(text, at)
    const claims = text[header] === '.' && header - at > 10 ? endOfRun(text, header + 1) : header
    if (claims === header || claims === header + 1) {
      at = text.indexOf('eyJ', header)
      continue
    }
    const end = text[claims] === '.' ? endOfRun(text, claims + 1) : claims
    const isSigned = end - claims > SHORTEST_SIGNATURE
    yield { start: at, claims: [header + 1, claims], signature: isSigned ? [claims + 1, end] : undefined, end }
    at = text.indexOf('eyJ', isSigned ? end : header + 1)
  }
}

function endOfRun(text: string, start: number): number {
  let end = start
  while (end < text.length && CHARACTERS[text.charCodeAt(end)] === 1) end += 1
  return end
}

/** Of base64url. */
const CHARACTERS = new Uint8Array(65536)
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
  CHARACTERS[character.charCodeAt(0)] = 1

/** The signature of a text that is a JWT and nothing else. */
export function signatureOf(text: string): string | undefined {
  const [jwt] = jwtsIn(text.slice(0, 3) === 'eyJ' ? text : '')
  return jwt?.signature !== undefined && jwt.end === text.length ? text.slice(...jwt.signature) : undefined
}

/** What is put in the place of a secret, and who counts it. */
export type Replace = (rule: Rule, value: string, name: string) => string

export function withoutShapes(text: string, slots: Slots, replace: Replace): string {
  if (!SUSPECT.test(text)) return text
  const cleaned = withoutJwts(
    text.replace(PRIVATE_KEY, (key) => replace('key', key, 'private_key')),
    slots,
    replace,
  ).replace(CREDENTIALS, (whole, scheme: string, blank: string, token: string) => {
    // A JWT that has just lost its signature, or a word such as in "Basic authentication".
    if (/^eyJ.*\.$/.test(token) || WORDS.test(token)) return whole
    if (!SURE_SCHEMES.test(scheme) && !isSearched(token)) return whole
    return `${scheme}${blank}${replace('credentials', token, 'credentials')}`
  })
  return withoutPans(cleaned, (digits) => replace('pan', digits, 'card_number'))
}

function withoutJwts(text: string, slots: Slots, replace: Replace): string {
  let result = ''
  let end = 0
  for (const { claims, signature } of jwtsIn(text)) {
    if (claims[0] < end) continue
    result += text.slice(end, claims[0])
    const shown = text.slice(...claims)
    const why = secretInClaims(shown, slots)
    result += why === undefined ? shown : replace(why, shown, why === 'pan' ? 'card_number' : 'claims')
    end = claims[1]
    if (signature === undefined) continue
    result += `.${replace('signature', text.slice(...signature), 'signature')}`
    end = signature[1]
  }
  return result + text.slice(end)
}

/** `claims` as they stand in a JWT. */
function secretInClaims(claims: string, slots: Slots): 'pan' | 'claims' | undefined {
  const text = Buffer.from(claims, 'base64url').toString('utf8')
  if (hasPan(text)) return 'pan'
  if (!text.startsWith('{')) return undefined
  let isSecret = false
  try {
    JSON.parse(text, (name, value: unknown) => {
      if (value !== '' && typeof value === 'string' && slots.of(name) === 'any' && signatureOf(value) === undefined)
        isSecret = true
      return value
    })
  } catch {
    return undefined
  }
  return isSecret ? 'claims' : undefined
}

export function hasPan(text: string): boolean {
  let found = false
  withoutPans(text, (digits) => {
    found = true
    return digits
  })
  return found
}

/**
 * What stands in a text of any format and has the shape of a secret, by the rule that should have removed it. Credentials
 * are not among them: they are told from a challenge by its quotes, which formats escape.
 */
export function shapesOfSecrets(text: string): readonly string[] {
  const jwts = [...jwtsIn(text)]
  const isCard = hasPan(text) || jwts.some(({ claims }) => hasPan(decoded(text.slice(...claims))))
  return [
    ...(jwts.some(({ signature }) => signature !== undefined) ? [RULES.signature] : []),
    ...(text.search(PRIVATE_KEY) === -1 ? [] : [RULES.key]),
    ...(isCard ? [RULES.pan] : []),
  ]
}

function decoded(claims: string): string {
  return Buffer.from(claims, 'base64url').toString('utf8')
}
