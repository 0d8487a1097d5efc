/**
 * Secrets from the line that reads them to the artifact that must not hold them: a value that does not print itself,
 * and a redactor that knows every live secret in every encoding. The redactor works twice: where the record is built,
 * and over each artifact after it is written.
 */
import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'
import { isPanNumber, withoutPans } from './pan.ts'

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

/** Below this a value would be found everywhere by chance; nothing a server issues is so short. */
const SHORTEST = 6

/** A hash of the last HEAD characters: five bits are shifted in for each, and what is older has left at the top. */
const HEAD = 4
const HEADS = 2 ** (5 * HEAD)

function rolled(hash: number, code: number): number {
  return ((hash << 5) ^ code) & (HEADS - 1)
}

function headOf(needle: string): number {
  return Array.from({ length: HEAD }, (_, index) => needle.charCodeAt(index)).reduce(rolled, 0)
}

/** Where the next text with a known hash begins, or -1. The loop that every character of every artifact goes through. */
function nextHead(text: string, from: number, heads: Uint8Array): number {
  let hash = 0
  for (let position = from; position < text.length; position += 1) {
    hash = rolled(hash, text.charCodeAt(position))
    if (heads[hash] === 1 && position - from >= HEAD - 1) return position + 1 - HEAD
  }
  return -1
}

/** "missing", "is not valid.": what a server says about a secret member is no secret; issued ones are random (RFC 6749 10.10). */
const WORDS = /^(?:[A-Z]?[a-z]+|[A-Z]+)(?:[\s_.,:;'-]+(?:[A-Z]?[a-z]+|[A-Z]+))*[.!]?$/

const JWT = /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]{16,})/g
/** of a JWT, with or without its signature */
const CLAIMS = /(?<=\beyJ[A-Za-z0-9_-]{8,}\.)[A-Za-z0-9_-]{16,}(?=\.)/g
/** A shorter signature is none, and to mask it wherever its few characters occur would spoil every text. */
const WHOLE_JWT = /^eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]{16,})$/
const PRIVATE_KEY = /-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z ]+ )?PRIVATE KEY-----|$)/g
/** Not the parameters of a challenge: `Bearer error="invalid_token"` (RFC 6750 3). */
const CREDENTIALS = /\b(Bearer|Basic)\s+(?![\w-]+\s*=\s*")([A-Za-z0-9._~+/=-]{6,})/gi
/** What this redactor puts in the place of a secret. */
const MASK = /\[[\w-]+(?:#[0-9a-f]{8}|: \w+)\]/

interface Needle {
  readonly needle: string
  readonly mask: string
  /** of the secret */
  readonly name: string
}

export class Redactor {
  readonly #fingerprintKey: Uint8Array
  readonly #known = new Set<string>()
  /** the first characters of needles → the needles, longest first */
  readonly #needles = new Map<string, Needle[]>()
  /** 1 for the hash of each needle's first characters, so that a long text is passed over character by character */
  readonly #heads = new Uint8Array(HEADS)
  readonly #names: ReadonlySet<string>
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
    this.#named = namedSecret([...this.#names].filter((name) => !SECRET_HEADERS.includes(name)))
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
    if (value.length < SHORTEST || this.#known.has(value)) return
    this.#known.add(value)
    const { name } = secret
    const mask = this.#mask(value, name)
    for (const needle of needlesOf(value)) {
      const beginning = needle.slice(0, SHORTEST)
      const alike = [...(this.#needles.get(beginning) ?? []), { needle, mask, name }]
      this.#needles.set(
        beginning,
        alike.sort((a, b) => b.needle.length - a.needle.length),
      )
      this.#heads[headOf(needle)] = 1
    }
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
    const cleaned = this.#withoutKnown(text)
      .replace(CLAIMS, (claims) => (holdsPan(claims) ? this.#count('pan', PAN_MASK) : claims))
      .replace(PRIVATE_KEY, () => this.#count('key', '[private_key]'))
      .replace(JWT, (jwt, signature: string) =>
        this.#count('signature', jwt.slice(0, -signature.length) + this.#mask(signature, 'signature')),
      )
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
    const known = Array.from(this.#occurrences(text), ({ name }) => name)
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
    for (const { index, needle, mask } of this.#occurrences(text)) {
      if (index < end) continue
      masked += text.slice(end, index) + this.#count('known', mask)
      end = index + needle.length
    }
    return masked + text.slice(end)
  }

  /** At each place the longest needle that begins there. */
  *#occurrences(text: string): Generator<Needle & { readonly index: number }> {
    if (this.#needles.size === 0) return
    for (let index = nextHead(text, 0, this.#heads); index >= 0; index = nextHead(text, index + 1, this.#heads)) {
      const found = this.#needles
        .get(text.slice(index, index + SHORTEST))
        ?.find(({ needle }) => text.startsWith(needle, index))
      if (found !== undefined) yield { ...found, index }
    }
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
  const isCard = withoutPans(text, '').found > 0 || [...text.matchAll(CLAIMS)].some(([claims]) => holdsPan(claims))
  return [
    ...(text.search(JWT) === -1 ? [] : [RULES.signature]),
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
