/**
 * Secrets from the line that reads them to the artifact that must not hold them: a value that does not print itself,
 * and a redactor that knows every live secret in every encoding. The redactor works twice: where the record is built,
 * and over each artifact after it is written.
 */
import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { isPanNumber, withoutPans } from './card-number.ts'
import { Needles, SHORTEST } from './needles.ts'

/** A text that never prints itself. `reveal()` is called only where its bytes leave us (wire, signature, vault). */
export class Secret {
  readonly name: string
  readonly #value: string

  constructor(value: string, name: string) {
    this.#value = value
    this.name = name
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return `[${this.name}]`
  }

  toJSON(): string {
    return this.toString()
  }

  [inspect.custom](): string {
    return this.toString()
  }
}

/** Members and headers whose values are secret wherever they occur, in requests and in answers (RFC 6749, 7591, 7592, 7521). */
const SECRET_NAMES = new Set([
  'access_token',
  'assertion',
  'authorization',
  'client_assertion',
  'client_secret',
  'cookie',
  'hashed_rotated_secrets',
  'hashed_secret',
  'id_token',
  'initial_access_token',
  'passphrase',
  'password',
  'private_key',
  'proxy-authorization',
  'refresh_token',
  'registration_access_token',
  'rotated_secrets',
  'set-cookie',
  'software_statement',
])

/** Of these the value is a list of parts, which have meanings of their own. */
const SECRET_HEADERS: readonly string[] = ['authorization', 'cookie', 'proxy-authorization', 'set-cookie']

/** The rules by which texts are cleaned; their version and names are printed in the record, with what each has replaced. */
export const REDACTION_VERSION = 'v2'
const RULES = {
  known: 'known values, in every encoding',
  named: 'members and headers with a secret name',
  signature: 'signatures of JWTs',
  credentials: 'credentials after Bearer or Basic',
  key: 'private keys',
  pan: 'digits that have the shape of a card number',
} as const

type Rule = keyof typeof RULES

/** No fingerprint: of a card number too much is known for one to be safe. */
const PAN_MASK = '[card_number]'

/** "missing", "is not valid.": what a server says about a secret member is no secret; issued ones are random (RFC 6749 10.10). */
const WORDS = /^(?:[A-Z]?[a-z]+|[A-Z]+)(?:[\s_.,:;'-]+(?:[A-Z]?[a-z]+|[A-Z]+))*[.!]?$/

/** Its claims and, where it has one, its signature. */
const JWT = /\b(eyJ[A-Za-z0-9_-]{8,}\.)([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{16,})?/g
/** A shorter signature is none, and to mask it wherever its few characters occur would spoil every text. */
const WHOLE_JWT = /^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]{16,})$/
const PRIVATE_KEY = /-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z ]+ )?PRIVATE KEY-----|$)/g
/** Not the parameters of a challenge: `Bearer error="invalid_token"` (RFC 6750 3). */
const CREDENTIALS = /\b(Bearer|Basic)\s+(?![\w-]+\s*=\s*")([A-Za-z0-9._~+/=-]{6,})/gi
/** Where nothing of this occurs no rule that goes by the shape applies. */
const SUSPECT = /eyJ|-----BEGIN|bearer|basic|\d{4}/i
/** What this redactor puts in the place of a secret. */
const MASK = /\[[\w-]+(?:#[0-9a-f]{8}|: \w+)\]/

export class Redactor {
  readonly #fingerprintKey: Uint8Array
  /** each by its print alone */
  readonly #known = new Set<number>()
  readonly #needles = new Needles<{ readonly mask: string; readonly name: string }>()
  readonly #names: ReadonlySet<string>
  readonly #namedInTexts: readonly string[]
  /** `"client_secret": "…"` in a text that is no JSON or was cut, `client_secret=…` in a form or a sentence */
  readonly #named: RegExp
  readonly #replaced: Record<Rule, number> = { known: 0, named: 0, signature: 0, credentials: 0, key: 0, pan: 0 }

  /**
   * `fingerprintKey` is random for each run: equality of two secrets shows, but no dictionary can be tried on them. `names`
   * are further ones of secret members, headers and parameters.
   */
  constructor(fingerprintKey: Uint8Array, names: readonly string[] = []) {
    this.#fingerprintKey = fingerprintKey
    this.#names = new Set([...SECRET_NAMES, ...names.map((name) => name.toLowerCase())])
    this.#namedInTexts = [...this.#names].filter((name) => !SECRET_HEADERS.includes(name))
    this.#named = namedSecret(this.#namedInTexts)
  }

  /** How often each rule has replaced something, by what the rule says. */
  get replaced(): Readonly<Record<string, number>> {
    return Object.fromEntries(Object.entries(RULES).map(([rule, about]) => [about, this.#replaced[rule as Rule]]))
  }

  /** How many numbers with the shape of a card number were removed. */
  get cardNumbers(): number {
    return this.#replaced.pan
  }

  /** How many different secrets are known. */
  get size(): number {
    return this.#known.size
  }

  add(secret: Secret | { readonly value: string; readonly name: string }): void {
    const value = secret instanceof Secret ? secret.reveal() : secret.value
    if (value.length < SHORTEST) return
    const print = this.#needles.print(value)
    if (this.#known.has(print)) return
    this.#known.add(print)
    const { name } = secret
    const found = { mask: this.#mask(value, name), name }
    for (const needle of needlesOf(value)) this.#needles.add(needle, found)
  }

  /**
   * Registers every secret member of a request or an answer, also in texts that are JSON, a form or a piece of either;
   * call it before the value is used anywhere.
   */
  learn(value: unknown): void {
    walk(value, {
      member: (name, member) => {
        if (!this.#names.has(name.toLowerCase())) return
        for (const text of leaves(member)) this.#learnValue(secretPart(name.toLowerCase(), text), name.toLowerCase())
      },
      text: (text) => {
        const parsed = /^\s*[[{]/.test(text) ? parsedJson(text) : undefined
        if (parsed !== undefined) this.learn(parsed)
        const lower = text.toLowerCase()
        if (!this.#namedInTexts.some((name) => lower.includes(name))) return
        for (const { groups = {} } of text.matchAll(this.#named))
          this.#learnValue(groups.quoted ?? groups.plain ?? '', groups.name?.toLowerCase() ?? '')
      },
    })
  }

  #learnValue(value: string, name: string): void {
    if (!WORDS.test(value)) this.add({ value, name })
  }

  /** The text with every known secret, JWT signature, credential and private key replaced by a fingerprint, and no PAN. */
  text(text: string): string {
    if (text.length < SHORTEST) return text
    const unknown = this.#withoutKnown(text)
    return SUSPECT.test(unknown) ? this.#withoutShapes(unknown) : unknown
  }

  #withoutShapes(text: string): string {
    const cleaned = text
      .replace(PRIVATE_KEY, () => this.#count('key', '[private_key]'))
      .replace(JWT, (_, header: string, claims: string, signature: string | undefined) => {
        const shown = holdsPan(claims) ? this.#count('pan', PAN_MASK) : claims
        const masked = signature === undefined ? '' : this.#count('signature', this.#mask(signature, 'signature'))
        return `${header}${shown}.${masked}`
      })
      .replace(CREDENTIALS, (whole, scheme: string, token: string) =>
        // A JWT that has just lost its signature, or a word such as in "Basic authentication".
        /^eyJ.*\.$/.test(token) || /^[a-z]{1,15}(?:-[a-z]{1,15}){0,3}\.?$/i.test(token)
          ? whole
          : this.#count('credentials', `${scheme} ${this.#mask(token, 'credentials')}`),
      )
    const { text: rest, found } = withoutPans(cleaned, PAN_MASK)
    this.#replaced.pan += found
    return rest
  }

  #count(rule: Rule, replacement: string): string {
    this.#replaced[rule] += 1
    return replacement
  }

  /** A deep copy with the same shape; members with a secret name are masked whatever they hold. What is masked stays. */
  value<T>(value: T): T {
    return this.#redact(value) as T
  }

  headers(headers: readonly (readonly [string, string])[]): [string, string][] {
    return headers.map(([name, value]) => {
      const text = this.text(value)
      const isSecret = this.#names.has(name.toLowerCase()) && !MASK.test(text)
      return [name, isSecret ? this.#count('named', this.#mask(value, name)) : text]
    })
  }

  /**
   * Names of the secrets that occur in `text` in any encoding, and rules by whose shape something is left in it; the last
   * line of defence over a written artifact, and the only one where the secrets are not known any more.
   */
  find(text: string): readonly string[] {
    const known = Array.from(this.#needles.in(text), ({ of: { name } }) => name)
    return [...new Set([...known, ...shapesOfSecrets(text)])]
  }

  #redact(value: unknown, name?: string): unknown {
    if (name !== undefined && this.#names.has(name.toLowerCase()) && isFilled(value)) {
      if (typeof value !== 'string')
        return this.#count('named', `[${name}: ${Array.isArray(value) ? 'array' : typeof value}]`)
      const text = this.text(value)
      return MASK.test(text) ? text : this.#count('named', this.#mask(value, name))
    }
    if (typeof value === 'number' && isPanNumber(value)) return this.#count('pan', PAN_MASK)
    if (typeof value === 'string') return this.text(value)
    if (value instanceof Secret) return this.#mask(value.reveal(), value.name)
    if (Array.isArray(value)) return value.map((item) => this.#redact(item))
    if (typeof value === 'object' && value !== null) {
      return Object.fromEntries(
        Object.entries(value).map(([key, member]) => [this.text(key), this.#redact(member, key)]),
      )
    }
    return value
  }

  #withoutKnown(text: string): string {
    let masked = ''
    let end = 0
    for (const { index, length, of } of this.#needles.in(text)) {
      if (index < end) continue
      masked += text.slice(end, index) + this.#count('known', of.mask)
      end = index + length
    }
    return end === 0 ? text : masked + text.slice(end)
  }

  #mask(value: string, name: string): string {
    return `[${name}#${createHmac('sha256', this.#fingerprintKey).update(value).digest('hex').slice(0, 8)}]`
  }
}

/**
 * What stands in a text of any format and has the shape of a secret, by the rule that should have removed it. Credentials
 * are not among them: they are told from a challenge by its quotes, which formats escape.
 */
export function shapesOfSecrets(text: string): readonly string[] {
  const jwts = [...text.matchAll(JWT)]
  const isCard = withoutPans(text, '').found > 0 || jwts.some(([, , claims = '']) => holdsPan(claims))
  return [
    ...(jwts.some(([, , , signature]) => signature !== undefined) ? [RULES.signature] : []),
    ...(text.search(PRIVATE_KEY) === -1 ? [] : [RULES.key]),
    ...(isCard ? [RULES.pan] : []),
  ]
}

/** `claims` as they stand in a JWT. */
function holdsPan(claims: string): boolean {
  return withoutPans(Buffer.from(claims, 'base64url').toString('utf8'), '').found > 0
}

/**
 * What is searched for. Header and claims of a JWT are worth reading and useless without the signature, so only that is
 * the secret; the bytes of a PEM key are the key without its first and last line too.
 */
function needlesOf(value: string): readonly string[] {
  const signature = WHOLE_JWT.exec(value)?.[1]
  if (signature !== undefined) return encodings(signature)
  const bytes = /^\s*-----BEGIN [^-]+-----([\s\S]+)-----END/.exec(value)?.[1]?.replace(/\s/g, '') ?? ''
  return bytes.length < SHORTEST ? encodings(value) : [...encodings(value), ...encodings(bytes)]
}

/** Every form in which a value may lie in a file: raw, URL, form, JSON, hex, and base64 at each of its three alignments. */
function encodings(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8')
  const url = encodeURIComponent(value)
  const form = new URLSearchParams({ v: value }).toString().slice(2)
  const json = JSON.stringify(value).slice(1, -1)
  const forms = new Set([
    value,
    url,
    lowerEscapes(url),
    form,
    lowerEscapes(form),
    json,
    // As in a body that quotes JSON, which stands in a record that is JSON.
    JSON.stringify(json).slice(1, -1),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
  ])
  for (const shift of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString('base64')
      .replace(/=+$/, '')
    // The first and last characters mix in neighbouring bytes; what lies between is the same wherever the value stands.
    const core = encoded.slice(shift === 0 ? 0 : shift + 1, (bytes.length + shift) % 3 === 0 ? undefined : -1)
    if (core.length < SHORTEST) continue
    forms.add(core)
    forms.add(core.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return [...forms]
}

function lowerEscapes(text: string): string {
  return text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())
}

function namedSecret(names: readonly string[]): RegExp {
  const name = `(?<=^|[^\\w-]|%22)(?<name>${names.join('|')})`
  const quote = '(?:\\\\*["\']|&quot;|&#34;|%22)'
  const quoted = `${quote}\\s*(?:[:=]|%3A)\\s*${quote}(?<quoted>[^"'\\\\&<%\\s]{${SHORTEST},})`
  // Without quotes a shorter run of characters may well be the next word of a sentence.
  const plain = '\\s*(?:[:=]|%3D)\\s*(?<plain>[A-Za-z0-9._~+/%-]{12,}={0,2})'
  return new RegExp(`${name}(?:${quoted}|${plain})`, 'gi')
}

function walk(
  value: unknown,
  visit: { readonly member: (name: string, member: unknown) => void; readonly text: (text: string) => void },
): void {
  if (typeof value === 'string') {
    visit.text(value)
  } else if (Array.isArray(value)) {
    for (const item of value) walk(item, visit)
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      visit.member(name, member)
      walk(member, visit)
    }
  }
}

/** The texts and numbers of a value, at any depth. */
function leaves(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value === 'number') return [String(value)]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leaves) : []
}

/** Of a header that holds more than the secret, the secret: the value of a cookie, the credentials after their scheme. */
function secretPart(name: string, text: string): string {
  if (name === 'set-cookie') return /^[^=]*=([^;]*)/.exec(text)?.[1] ?? text
  return name.endsWith('authorization') ? text.replace(/^[A-Za-z]+\s+/, '') : text
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)
}
