/**
 * Secrets from the line that reads them to the artifact that must not hold them: a value that does not print itself,
 * and a redactor that knows every live secret in every encoding. The redactor works twice: where the record is built,
 * and over each artifact after it is written.
 */
import { createHmac } from 'node:crypto'
import { inspect } from 'node:util'

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

/** Printed in the record, so that a reader knows by which rules the text before him was made. */
export const REDACTION_RULES =
  'v1: known values in all encodings, secret member and header names, JWT signatures, private keys'

/** Below this a value would be found everywhere by chance; nothing a server issues is so short. */
const SHORTEST = 6

const JWT = /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]{16,})/g
const WHOLE_JWT = /^(eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.)([A-Za-z0-9_-]+)$/
const PRIVATE_KEY = /-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----[\s\S]*?(?:-----END (?:[A-Z ]+ )?PRIVATE KEY-----|$)/g
const CREDENTIALS = /\b(Bearer|Basic)\s+([A-Za-z0-9._~+/=-]{6,})/gi

export class Redactor {
  readonly #fingerprintKey: Uint8Array
  /** needle (what is searched for) → replacement */
  readonly #needles = new Map<string, string>()
  readonly #names = new Map<string, string>()
  #pattern: RegExp | undefined

  /** `fingerprintKey` is random for each run: equality of two secrets shows, but no dictionary can be tried on them. */
  constructor(fingerprintKey: Uint8Array) {
    this.#fingerprintKey = fingerprintKey
  }

  /** How many different secrets are known. */
  get size(): number {
    return this.#names.size
  }

  add(secret: Secret | { readonly value: string; readonly name: string }): void {
    const value = secret instanceof Secret ? secret.reveal() : secret.value
    if (value.length < SHORTEST || this.#names.has(value)) return
    const mask = this.#mask(value, secret.name)
    this.#names.set(value, secret.name)
    // Header and claims of a JWT are worth reading and useless without the signature, so only that is the secret.
    const needle = WHOLE_JWT.exec(value)?.[2] ?? value
    for (const form of encodings(needle)) this.#needles.set(form, mask)
    this.#pattern = undefined
  }

  /** Registers every secret member of an answer or request body; call it before the value is used anywhere. */
  learn(value: unknown): void {
    walk(value, (name, member) => {
      if (!SECRET_NAMES.has(name.toLowerCase())) return
      for (const text of strings(member)) this.add({ value: text, name })
    })
  }

  /** The text with every known secret, JWT signature, credential and private key replaced by a fingerprint. */
  text(text: string): string {
    const known = this.#known()
    const masked = known === undefined ? text : text.replace(known, (form) => this.#needles.get(form) ?? '')
    return masked
      .replace(PRIVATE_KEY, '[private_key]')
      .replace(JWT, (jwt, signature: string) => jwt.slice(0, -signature.length) + this.#mask(signature, 'signature'))
      .replace(CREDENTIALS, (whole, scheme: string, token: string) =>
        WHOLE_JWT.test(token) || token.startsWith('eyJ') ? whole : `${scheme} ${this.#mask(token, 'credentials')}`,
      )
  }

  /** A deep copy with the same shape; members with a secret name are masked whatever they hold. */
  value<T>(value: T): T {
    return this.#redact(value) as T
  }

  headers(headers: readonly (readonly [string, string])[]): [string, string][] {
    return headers.map(([name, value]) => {
      const text = this.text(value)
      return [name, SECRET_NAMES.has(name.toLowerCase()) && text === value ? this.#mask(value, name) : text]
    })
  }

  /** Names of the secrets that occur in `text` in any encoding; the last line of defence over a written artifact. */
  find(text: string): readonly string[] {
    const found = new Set<string>()
    for (const [value, name] of this.#names) {
      const needle = WHOLE_JWT.exec(value)?.[2] ?? value
      if (encodings(needle).some((form) => text.includes(form))) found.add(name)
    }
    return [...found]
  }

  #redact(value: unknown, name?: string): unknown {
    if (name !== undefined && SECRET_NAMES.has(name.toLowerCase()) && isFilled(value)) {
      if (typeof value !== 'string') return `[${name}: ${Array.isArray(value) ? 'array' : typeof value}]`
      const text = this.text(value)
      return text === value ? this.#mask(value, name) : text
    }
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

  #known(): RegExp | undefined {
    if (this.#needles.size === 0) return undefined
    this.#pattern ??= new RegExp(
      [...this.#needles.keys()]
        .sort((a, b) => b.length - a.length)
        .map((form) => form.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
        .join('|'),
      'g',
    )
    return this.#pattern
  }

  #mask(value: string, name: string): string {
    return `[${name}#${createHmac('sha256', this.#fingerprintKey).update(value).digest('hex').slice(0, 8)}]`
  }
}

/** Every form in which a value may lie in a file: raw, URL, form, JSON, hex, and base64 at each of its three alignments. */
function encodings(value: string): string[] {
  const bytes = Buffer.from(value, 'utf8')
  const forms = new Set([
    value,
    encodeURIComponent(value),
    new URLSearchParams({ v: value }).toString().slice(2),
    JSON.stringify(value).slice(1, -1),
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

function walk(value: unknown, visit: (name: string, member: unknown) => void): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, visit)
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      visit(name, member)
      walk(member, visit)
    }
  }
}

function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) ? value.flatMap(strings) : []
}

function isFilled(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '' && !(Array.isArray(value) && value.length === 0)
}
