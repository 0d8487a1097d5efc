/** Finds secrets by their shape alone: signatures of JWTs, private keys, card numbers, credentials after a scheme. */
import { hasPan, withoutPans } from './card-number.ts'
import { parsedJson } from './learn.ts'
import { isSearchable } from './randomness.ts'
import { SCHEMES, type Slots } from './slots.ts'

/** The rules of redaction. The record prints these descriptions, each with how many values the rule has replaced. */
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

/** Has no fingerprint: card numbers are so easy to enumerate that one could be found from it. */
export const PAN_MASK = '[card_number]'

const PRIVATE_KEY =
  /-----BEGIN (?:[A-Z ]{1,20} )?PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z ]{1,20} )?PRIVATE KEY-----|$)/g

/** Every text in which a rule of this file applies matches this. */
const MAY_HOLD_SHAPE = new RegExp(`eyJ|-----BEGIN|\\d{4}|\\b(?:${SCHEMES.join('|')})\\s`, 'i')
/** Does not match the parameters of a challenge: `Bearer error="invalid_token"` (RFC 6750 section 3). */
const CREDENTIALS = new RegExp(
  `\\b(${SCHEMES.join('|')})(\\s{1,4})(?![\\w-]{1,64}\\s{0,4}=\\s{0,4}")([A-Za-z0-9._~+/=-]{6,})`,
  'gi',
)
/**
 * What follows one of these is hidden unless it is a word. The other names also occur in sentences: only a random text is
 * hidden.
 */
const SURE_SCHEMES = /^(?:basic|bearer|dpop)$/i
const WORDS = /^-{0,2}[a-z]{1,15}(?:-[a-z]{1,15}){0,3}\.?$/i

/** A shorter last part of a JWT is not taken for a signature. */
const SHORTEST_SIGNATURE = 16

export interface Jwt {
  readonly start: number
  readonly claims: readonly [start: number, end: number]
  /** undefined for a JWT without a signature, or with one that has been hidden */
  readonly signature: readonly [start: number, end: number] | undefined
  readonly end: number
}

/** Reads each character at most twice, however many places look like the start of a JWT. */
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
  while (end < text.length && IS_BASE64URL[text.charCodeAt(end)] === 1) end += 1
  return end
}

const IS_BASE64URL = new Uint8Array(65536)
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_')
  IS_BASE64URL[character.charCodeAt(0)] = 1

/** The signature, if the whole text is one JWT. */
export function signatureOf(text: string): string | undefined {
  const [jwt] = jwtsIn(text.slice(0, 3) === 'eyJ' ? text : '')
  return jwt?.signature !== undefined && jwt.end === text.length ? text.slice(...jwt.signature) : undefined
}

/** Whether the whole text is one JWT that ends where its signature would begin (RFC 7519 section 6). */
export function isUnsigned(text: string): boolean {
  const [jwt] = jwtsIn(text.slice(0, 3) === 'eyJ' ? text : '')
  if (jwt?.start !== 0 || jwt.signature !== undefined || jwt.end !== text.length || !text.endsWith('.')) return false
  return [text.slice(0, jwt.claims[0] - 1), text.slice(...jwt.claims)].every((part) => isObject(decoded(part)))
}

function isObject(json: string): boolean {
  const value = parsedJson(json)
  return value !== undefined && !Array.isArray(value)
}

/** Counts a replacement by `rule` and returns the mask for `value`; `name` is printed in the mask. */
export type Replace = (rule: Rule, value: string, name: string) => string

export function withoutShapes(text: string, slots: Slots, replace: Replace): string {
  if (!MAY_HOLD_SHAPE.test(text)) return text
  const cleaned = withoutJwts(
    text.replace(PRIVATE_KEY, (key) => replace('key', key, 'private_key')),
    slots,
    replace,
  ).replace(CREDENTIALS, (whole, scheme: string, blank: string, token: string) => {
    // Stays: a JWT whose signature has just been hidden, or a word, as in "Basic authentication".
    if (/^eyJ.*\.$/.test(token) || WORDS.test(token)) return whole
    if (!SURE_SCHEMES.test(scheme) && !isSearchable(token)) return whole
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
    const rule = secretInClaims(shown, slots)
    result += rule === undefined ? shown : replace(rule, shown, rule === 'pan' ? 'card_number' : 'claims')
    end = claims[1]
    if (signature === undefined) continue
    result += `.${replace('signature', text.slice(...signature), 'signature')}`
    end = signature[1]
  }
  return result + text.slice(end)
}

/** Why the claims of a JWT (in base64url) must be hidden; undefined if they may stay. */
function secretInClaims(claims: string, slots: Slots): 'pan' | 'claims' | undefined {
  const text = decoded(claims)
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

/**
 * The rules that find a secret in a text of any format by its shape. Credentials are not checked: only the quotes of a
 * challenge distinguish it from credentials, and file formats escape quotes.
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
